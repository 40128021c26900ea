// Sealing: a signed checkpoint over the log as it stands, kept in the database, only when what was sealed before is the
// beginning of it.
import { parseCheckpoint, signCheckpoint } from '../audit/checkpoint.ts';
import { isTreeHead, treeRoot } from '../audit/merkle-log.ts';
import type { Transaction } from '../database/database.ts';
import type { KeptCheckpoint } from './checkpoint-file.ts';
import { holdState } from './log-state.ts';
import { newestVerifier, type SigningKey } from './signing-key.ts';
import { readHead } from './tree-ranges.ts';

/** The log is not the one that was sealed, or is older: nothing may be signed over it. */
export class LogBrokenError extends Error {}

const SEAL_AFTER_MS = 50_000;
const SEAL_AFTER_LEAVES = 10_000;

interface CheckpointRow {
  size: string;
  note: string;
  sealed_at: Date;
  age: number;
}

const CHECKPOINTS = 'select size, note, sealed_at, extract(epoch from now() - sealed_at)::float8 * 1000 as age from log_checkpoint';

const kept = ({ size, note, sealed_at }: CheckpointRow): KeptCheckpoint => ({ size: Number(size), note, sealedAt: sealed_at.toISOString() });

/** The newest checkpoint over `size` leaves or more; undefined while there is none. */
export async function newestCheckpoint(tx: Transaction, size = 0): Promise<KeptCheckpoint & { age: number } | undefined> {
  const { rows: [row] } = await tx.query<CheckpointRow>(`${CHECKPOINTS} where size >= $1 order by size desc limit 1`, [size]);
  return row === undefined ? undefined : { ...kept(row), age: row.age };
}

export async function checkpointAt(tx: Transaction, size: number): Promise<KeptCheckpoint | undefined> {
  const { rows: [row] } = await tx.query<CheckpointRow>(`${CHECKPOINTS} where size = $1`, [size]);
  return row === undefined ? undefined : kept(row);
}

/** Those over more than `size` leaves, the small before the large. */
export async function checkpointsAfter(tx: Transaction, size: number, limit: number): Promise<KeptCheckpoint[]> {
  return (await tx.query<CheckpointRow>(`${CHECKPOINTS} where size > $1 order by size limit $2`, [size, limit])).rows.map(kept);
}

/** Throws LogBrokenError unless the stored tree of that size has the root that was sealed. */
async function requireBeginning(tx: Transaction, checkpoint: KeptCheckpoint): Promise<void> {
  const root = parseCheckpoint(checkpoint.note)?.root;
  const stored = treeRoot(await readHead(tx, checkpoint.size).catch((cause: unknown) => { throw new LogBrokenError('The log lacks a part of its tree', { cause }); }));
  if (root === undefined || !stored.equals(root)) throw new LogBrokenError(`The log is not the one that was sealed over ${checkpoint.size} leaves`);
}

/** Seals when a minute or 10,000 leaves make it due, or `now`. undefined: nothing to seal, or another server is at it, or has another key. */
export async function sealCheckpoint(tx: Transaction, key: SigningKey, now: boolean): Promise<KeptCheckpoint | undefined> {
  const state = await holdState(tx, now);
  if (state === undefined) return undefined;
  const last = await newestCheckpoint(tx);
  const { head } = state;
  if (last !== undefined && head.size < last.size) throw new LogBrokenError(`The log has ${head.size} leaves, and ${last.size} were sealed`);
  const fresh = head.size - (last?.size ?? 0);
  if (fresh === 0 || !(now || last === undefined || last.age >= SEAL_AFTER_MS || fresh >= SEAL_AFTER_LEAVES)) return undefined;
  if ((await newestVerifier(tx))?.verifier !== key.verifier) return undefined;
  if (last !== undefined) await requireBeginning(tx, last);
  const stored = await readHead(tx, head.size).catch((cause: unknown) => { throw new LogBrokenError('The log lacks a part of its tree', { cause }); });
  if (!isTreeHead(stored) || !treeRoot(stored).equals(treeRoot(head))) throw new LogBrokenError('The state of the log is not that of its tree');
  const note = signCheckpoint({ origin: key.origin, size: head.size, root: treeRoot(head) }, key.privateKey);
  const { rows: [row] } = await tx.query<CheckpointRow>('insert into log_checkpoint (size, note) values ($1, $2) returning size, note, sealed_at, 0 as age', [head.size, note]);
  return row === undefined ? undefined : kept(row);
}
