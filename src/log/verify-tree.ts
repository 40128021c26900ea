// The tree of the leaves against the subtrees and the checkpoints that are kept of it.
import { openCheckpoint, parseCheckpoint } from '../audit/checkpoint.ts';
import { appendLeaves, EMPTY_TREE, treeRoot, type TreeHead } from '../audit/merkle-log.ts';
import type { Transaction } from '../database/database.ts';
import type { KeptCheckpoint } from './checkpoint-file.ts';
import { leavesText, type Findings } from './findings.ts';
import { checkpointsAfter } from './seal-checkpoint.ts';
import { SUBTREE_HEIGHT_MIN } from './sequence-leaves.ts';
import type { Trust } from './verify-keys.ts';

const CHECKPOINTS_AT_ONCE = 1_000;
const BLOCK = 2 ** SUBTREE_HEIGHT_MIN;

export class TreeCheck {
  head: TreeHead;
  checkpoints = 0;
  /** The newest that a trusted key signed. */
  newest: KeptCheckpoint | undefined;
  readonly #tx: Transaction;
  readonly #origin: string;
  readonly #trust: Trust;
  readonly #findings: Findings;
  /** Size up to which the tree is the one that was sealed. */
  #sound: number;
  /** The rest of the tree cannot be compared any more, and it was said why. */
  #lost = false;
  #unsigned = 0;
  #waiting: KeptCheckpoint[] = [];
  #asked: number;

  constructor(tx: Transaction, origin: string, trust: Trust, findings: Findings, start: TreeHead = EMPTY_TREE) {
    this.#tx = tx;
    this.#origin = origin;
    this.#trust = trust;
    this.#findings = findings;
    this.head = start;
    this.#sound = start.size;
    this.#asked = start.size;
  }

  /** Leaves that are not there: what follows them has no tree. */
  skip(end: number): void {
    const leaves = { start: this.head.size, end };
    this.#findings.add({ kind: 'leaves-missing', what: `The log lacks ${leavesText(leaves)}`, leaves });
    this.#lost = true;
    this.head = { ...this.head, size: end };
  }

  /** The hashes that follow, compared at each checkpoint on the way. */
  async append(hashes: readonly Buffer[]): Promise<void> {
    const blocks = await this.#storedBlocks(this.head.size, this.head.size + hashes.length);
    for (let at = 0; at < hashes.length;) {
      const checkpoint = await this.#next();
      const end = checkpoint === undefined ? hashes.length : Math.min(hashes.length, at + checkpoint.size - this.head.size);
      this.#grow(hashes.slice(at, end), blocks);
      at = end;
      if (checkpoint?.size === this.head.size) this.#compare(checkpoint);
    }
  }

  /** After the last leaf: checkpoints over more than there is, and the state of the log. */
  async end(state: TreeHead): Promise<void> {
    const beyond = await this.#next();
    if (beyond !== undefined) {
      const last = (await this.#tx.query<{ size: string }>('select max(size) as size from log_checkpoint')).rows[0];
      const leaves = { start: this.head.size, end: Number(last?.size ?? beyond.size) };
      this.#findings.add({ kind: 'tail-missing', what: `The log ends after ${this.head.size} leaves, and ${leaves.end} were sealed: ${leavesText(leaves)} missing`, leaves });
    }
    const same = this.#lost || (state.size === this.head.size && treeRoot(state).equals(treeRoot(this.head)));
    if (!same || state.size !== this.head.size) this.#findings.add({ kind: 'state-changed', what: `The state of the log tells of ${state.size} leaves, and there are ${this.head.size}${state.size === this.head.size ? ' with another root' : ''}` });
  }

  #grow(hashes: readonly Buffer[], blocks: ReadonlyMap<number, Buffer>): void {
    if (this.#lost) {
      this.head = { ...this.head, size: this.head.size + hashes.length };
      return;
    }
    this.head = appendLeaves(this.head, hashes, ({ height, position, root }) => {
      if (height !== SUBTREE_HEIGHT_MIN || blocks.get(position)?.equals(root) === true) return;
      const leaves = { start: position * BLOCK, end: (position + 1) * BLOCK };
      this.#findings.add({ kind: 'subtree-changed', what: `The subtree that is kept of ${leavesText(leaves)} is ${blocks.has(position) ? 'not theirs' : 'missing'}`, leaves });
    });
  }

  async #storedBlocks(start: number, end: number): Promise<Map<number, Buffer>> {
    const { rows } = await this.#tx.query<{ position: string; root: Buffer }>({
      name: 'verify-subtrees', text: 'select position, root from log_subtree where height = $1 and position >= $2 and position < $3', values: [SUBTREE_HEIGHT_MIN, Math.floor(start / BLOCK), Math.ceil(end / BLOCK)],
    });
    return new Map(rows.map(({ position, root }) => [Number(position), root]));
  }

  /** The checkpoint that comes next, those over leaves that are missing passed over. */
  async #next(): Promise<KeptCheckpoint | undefined> {
    for (;;) {
      const [first] = this.#waiting;
      if (first !== undefined && first.size > this.head.size) return first;
      if (first !== undefined) {
        this.#waiting.shift();
        continue;
      }
      this.#waiting = await checkpointsAfter(this.#tx, Math.max(this.#asked, this.head.size), CHECKPOINTS_AT_ONCE);
      this.#asked = this.#waiting.at(-1)?.size ?? this.#asked;
      if (this.#waiting.length === 0) return undefined;
    }
  }

  #compare(checkpoint: KeptCheckpoint): void {
    this.checkpoints += 1;
    const said = parseCheckpoint(checkpoint.note);
    const signed = openCheckpoint(checkpoint.note, this.#trust.verifiers);
    if (said?.size !== checkpoint.size || said.origin !== this.#origin) {
      this.#findings.add({ kind: 'checkpoint-changed', what: `The checkpoint over ${checkpoint.size} leaves is another one: ${said === undefined ? 'no checkpoint' : `${said.origin}, ${said.size} leaves`}` });
      return;
    }
    if (signed === undefined) this.#passUnsigned(checkpoint);
    else this.newest = checkpoint;
    if (this.#lost) return;
    if (treeRoot(this.head).equals(said.root)) {
      this.#sound = checkpoint.size;
      return;
    }
    const leaves = { start: this.#sound, end: checkpoint.size };
    this.#lost = true;
    this.#findings.add({ kind: 'leaves-changed', what: `Among ${leavesText(leaves)} is one that was not sealed there: the tree is not that of the checkpoint over ${checkpoint.size} leaves`, leaves });
  }

  /** Keys that came before the first trusted one signed what a trusted one sealed again; behind it nothing may be unsigned. */
  #passUnsigned({ size }: KeptCheckpoint): void {
    this.#unsigned += 1;
    if (this.newest !== undefined) this.#findings.add({ kind: 'checkpoint-unsigned', what: `No trusted key signed the checkpoint over ${size} leaves` });
  }

  /** Said when no trusted key signed any of the checkpoints. */
  requireSigned(): void {
    if (this.newest === undefined && this.#unsigned > 0) this.#findings.add({ kind: 'checkpoint-unsigned', what: `No trusted key signed any of the ${this.#unsigned} checkpoints` });
  }
}
