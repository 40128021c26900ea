// The Merkle tree of the log (RFC 9162 2.1, the same tree as RFC 6962): leaves in an order that never changes, a head
// that grows by appending, and proofs that a leaf is in a tree and that a tree is the beginning of another.
import { hash } from 'node:crypto';

export const HASH_BYTES = 32;

/** 0x01 and both children: filled anew for each node. */
const PAIR = Buffer.alloc(1 + 2 * HASH_BYTES, 1);

/** The head of the tree without leaves: SHA-256 of nothing. */
export const EMPTY_ROOT: Buffer = hash('sha256', '', 'buffer');

/** SHA-256 over 0x01 and both children. */
export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  if (left.length !== HASH_BYTES || right.length !== HASH_BYTES) return hash('sha256', Buffer.concat([PAIR.subarray(0, 1), left, right]), 'buffer');
  PAIR.set(left, 1);
  PAIR.set(right, 1 + HASH_BYTES);
  // By way of hexadecimal it costs less than as a buffer.
  return Buffer.from(hash('sha256', PAIR), 'hex');
}

/** What is needed of a tree to let it grow: its number of leaves, and the roots of its full subtrees, the largest first. */
export interface TreeHead {
  size: number;
  peaks: readonly Buffer[];
}

export const EMPTY_TREE: TreeHead = { size: 0, peaks: [] };

/** Leaves `start` to `end`, the last one not among them. */
export interface LeafRange {
  start: number;
  end: number;
}

/** A subtree that became full: 2 to the power of `height` leaves, the `position`th of its height. */
export interface FullSubtree {
  height: number;
  position: number;
  root: Buffer;
}

/** `head` with the leaves behind it. `onFull` is told each subtree of two leaves or more that they filled, the small before the large. */
export function appendLeaves(head: TreeHead, leaves: Iterable<Buffer>, onFull: (subtree: FullSubtree) => void = () => {}): TreeHead {
  const peaks = [...head.peaks];
  let { size } = head;
  for (const leaf of leaves) {
    let root = leaf;
    // Each trailing one of the size is a peak that the new leaf completes to the next height.
    let before = size;
    for (let height = 1; before % 2 === 1; height += 1) {
      root = nodeHash(peaks.pop() as Buffer, root);
      before = (before - 1) / 2;
      onFull({ height, position: before, root });
    }
    peaks.push(root);
    size += 1;
  }
  return { size, peaks };
}

/** The Merkle tree hash. */
export function treeRoot({ peaks }: TreeHead): Buffer {
  return peaks.length === 0 ? EMPTY_ROOT : peaks.reduceRight((right, left) => nodeHash(left, right));
}

/** True for what can be a head: as many peaks of 32 bytes as the size has ones. */
export function isTreeHead({ size, peaks }: TreeHead): boolean {
  const ones = [...size.toString(2)].filter((digit) => digit === '1').length;
  return Number.isSafeInteger(size) && size >= 0 && peaks.length === ones && peaks.every((peak) => peak.length === HASH_BYTES);
}

/** The largest power of two below `size`, which is two or more: where a tree is split. */
function splitOf(size: number): number {
  let split = 1;
  while (split * 2 < size) split *= 2;
  return split;
}

/** The subtrees whose roots are the inclusion proof of leaf `index` in the tree of `size` leaves, from the leaf upwards (RFC 9162 2.1.3.1). */
export function inclusionRanges(index: number, size: number): LeafRange[] {
  const ranges: LeafRange[] = [];
  let start = 0;
  let end = size;
  while (end - start > 1) {
    const middle = start + splitOf(end - start);
    if (index < middle) {
      ranges.push({ start: middle, end });
      end = middle;
    } else {
      ranges.push({ start, end: middle });
      start = middle;
    }
  }
  return ranges.reverse();
}

/** The subtrees whose roots are the consistency proof between the trees of `first` and of `second` leaves (RFC 9162 2.1.4.1). */
export function consistencyRanges(first: number, second: number): LeafRange[] {
  if (first === 0 || first === second) return [];
  const ranges: LeafRange[] = [];
  let start = 0;
  let end = second;
  while (end !== first) {
    const middle = start + splitOf(end - start);
    if (first <= middle) {
      ranges.push({ start: middle, end });
      end = middle;
    } else {
      ranges.push({ start, end: middle });
      start = middle;
    }
  }
  // The first tree's own root is known to whoever verifies, unless it is a part of a larger subtree.
  return [...ranges, ...(start === 0 ? [] : [{ start, end }])].reverse();
}

/** A range of a proof as full subtrees whose roots are joined from the right, each aligned to its own size. */
export function fullSubtrees({ start, end }: LeafRange): { height: number; position: number }[] {
  const parts: { height: number; position: number }[] = [];
  for (let at = start; at < end;) {
    let height = 0;
    while (at + 2 ** (height + 1) <= end && at % 2 ** (height + 1) === 0) height += 1;
    parts.push({ height, position: at / 2 ** height });
    at += 2 ** height;
  }
  return parts;
}

/** RFC 9162 2.1.3.2: true when the leaf with this hash is the `index`th of the tree of `size` leaves with this root. */
export function verifyInclusion(index: number, size: number, leaf: Buffer, proof: readonly Buffer[], root: Buffer): boolean {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size) return false;
  let node = index;
  let last = size - 1;
  let reached = leaf;
  for (const sibling of proof) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      reached = nodeHash(sibling, reached);
      [node, last] = pastRightEdge(node, last);
    } else {
      reached = nodeHash(reached, sibling);
    }
    node = half(node);
    last = half(last);
  }
  return last === 0 && reached.equals(root);
}

/** RFC 9162 2.1.4.2: true when the tree of `first` leaves is the beginning of that of `second` leaves. */
export function verifyConsistency(first: number, second: number, firstRoot: Buffer, secondRoot: Buffer, proof: readonly Buffer[]): boolean {
  if (!Number.isSafeInteger(first) || !Number.isSafeInteger(second) || first < 0 || first > second) return false;
  if (first === second) return proof.length === 0 && firstRoot.equals(secondRoot);
  if (first === 0) return proof.length === 0 && firstRoot.equals(EMPTY_ROOT);
  // A first tree that is full is a node of the second, and the proof leaves it out.
  const [seed, ...path] = isPowerOfTwo(first) ? [firstRoot, ...proof] : proof;
  if (seed === undefined || path.length === 0) return false;
  let [node, last] = [first - 1, second - 1];
  while (node % 2 === 1) [node, last] = [half(node), half(last)];
  let [reachedFirst, reachedSecond] = [seed, seed];
  for (const sibling of path) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      reachedFirst = nodeHash(sibling, reachedFirst);
      reachedSecond = nodeHash(sibling, reachedSecond);
      [node, last] = pastRightEdge(node, last);
    } else {
      reachedSecond = nodeHash(reachedSecond, sibling);
    }
    [node, last] = [half(node), half(last)];
  }
  return last === 0 && reachedFirst.equals(firstRoot) && reachedSecond.equals(secondRoot);
}

/** Sizes go past 32 bits, where shifts would lose them. */
const half = (number: number): number => Math.floor(number / 2);

function isPowerOfTwo(number: number): boolean {
  let rest = number;
  while (rest % 2 === 0) rest /= 2;
  return rest === 1;
}

/** A node at the right edge has no sibling at the heights where its number is even: they are skipped. */
function pastRightEdge(node: number, last: number): [number, number] {
  let [at, edge] = [node, last];
  while (at % 2 === 0 && at !== 0) [at, edge] = [half(at), half(edge)];
  return [at, edge];
}
