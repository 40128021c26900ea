// Roots of ranges of the log's tree, from stored subtrees and leaves: what proofs and heads are made of.
import { appendLeaves, EMPTY_TREE, fullSubtrees, nodeHash, treeRoot, type LeafRange, type TreeHead } from '../audit/merkle-log.ts';
import type { Transaction } from '../database/database.ts';
import { SUBTREE_HEIGHT_MIN } from './sequence-leaves.ts';

interface Part {
  height: number;
  position: number;
}

const nameOf = ({ height, position }: Part): string => `${height}/${position}`;

async function largeRoots(tx: Transaction, parts: readonly Part[]): Promise<Map<string, Buffer>> {
  if (parts.length === 0) return new Map();
  const { rows } = await tx.query<{ height: number; position: string; root: Buffer }>(
    'select s.height, s.position, s.root from unnest($1::smallint[], $2::bigint[]) as t (height, position) join log_subtree s on s.height = t.height and s.position = t.position',
    [parts.map(({ height }) => height), parts.map(({ position }) => position)],
  );
  return new Map(rows.map(({ height, position, root }) => [nameOf({ height, position: Number(position) }), root]));
}

async function smallRoots(tx: Transaction, parts: readonly Part[]): Promise<Map<string, Buffer>> {
  if (parts.length === 0) return new Map();
  const { rows } = await tx.query<{ part: number; hash: Buffer }>(
    `select t.part::int, l.hash from unnest($1::bigint[], $2::bigint[]) with ordinality as t (low, high, part) join log_leaf l on l.index >= t.low and l.index < t.high order by t.part, l.index`,
    [parts.map(({ height, position }) => position * 2 ** height), parts.map(({ height, position }) => (position + 1) * 2 ** height)],
  );
  return new Map(parts.flatMap((part, order) => {
    const leaves = rows.filter((row) => row.part === order + 1).map(({ hash }) => hash);
    return leaves.length === 2 ** part.height ? [[nameOf(part), treeRoot(appendLeaves(EMPTY_TREE, leaves))]] : [];
  }));
}

async function rootsOf(tx: Transaction, parts: readonly Part[]): Promise<Buffer[]> {
  const large = await largeRoots(tx, parts.filter(({ height }) => height >= SUBTREE_HEIGHT_MIN));
  const small = await smallRoots(tx, parts.filter(({ height }) => height < SUBTREE_HEIGHT_MIN));
  return parts.map((part) => {
    const root = large.get(nameOf(part)) ?? small.get(nameOf(part));
    if (root === undefined) throw new Error('The log lacks a part of its tree');
    return root;
  });
}

/** The tree of the first `size` leaves, as it is stored. Throws where a part of it is lacking. */
export async function readHead(tx: Transaction, size: number): Promise<TreeHead> {
  return { size, peaks: await rootsOf(tx, fullSubtrees({ start: 0, end: size })) };
}

/** The root of each range, in their order. */
export async function readRanges(tx: Transaction, ranges: readonly LeafRange[]): Promise<Buffer[]> {
  const parts = ranges.map(fullSubtrees);
  const roots = await rootsOf(tx, parts.flat());
  let next = 0;
  return parts.map(({ length }) => {
    const own = roots.slice(next, next + length);
    next += length;
    return own.reduceRight((right, left) => nodeHash(left, right));
  });
}
