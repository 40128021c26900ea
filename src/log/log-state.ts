// Where the log stands: its size, the peaks of its tree, and up to where the record has its leaves.
import { HASH_BYTES, isTreeHead, type TreeHead } from '../audit/merkle-log.ts';
import type { Transaction } from '../database/database.ts';

export interface LogState {
  /** The name of the log in its checkpoints. */
  origin: string;
  head: TreeHead;
  /** The newest event that has its leaf: events in the order of (transaction, id). */
  writtenIn: string;
  event: string;
}

interface StateRow {
  origin: string;
  size: string;
  peaks: Buffer;
  written_in: string;
  event: string;
}

const COLUMNS = 'origin, size, peaks, written_in::text, event';

/** Whoever holds the row appends. A holder that falls silent loses it with its connection. */
const LEASE = `set local idle_in_transaction_session_timeout = '10s'; set local lock_timeout = '10s'`;

function toState(row: StateRow | undefined): LogState {
  if (row === undefined) throw new Error('The log has lost its state');
  const peaks = Array.from({ length: row.peaks.length / HASH_BYTES }, (_, position) => row.peaks.subarray(position * HASH_BYTES, (position + 1) * HASH_BYTES));
  return { origin: row.origin, head: { size: Number(row.size), peaks }, writtenIn: row.written_in, event: row.event };
}

export async function readState(tx: Transaction): Promise<LogState> {
  return toState((await tx.query<StateRow>(`select ${COLUMNS} from log_state`)).rows[0]);
}

/** The state, held until the transaction ends; undefined while another server has it, unless `wait`: then for 10 s, and it throws. */
export async function holdState(tx: Transaction, wait: boolean): Promise<LogState | undefined> {
  await tx.query(LEASE);
  const { rows: [row] } = await tx.query<StateRow>(`select ${COLUMNS} from log_state for update${wait ? '' : ' skip locked'}`);
  if (row === undefined) return undefined;
  const state = toState(row);
  if (!isTreeHead(state.head)) throw new Error('The state of the log is no tree: nothing is appended');
  return state;
}

export async function writeState(tx: Transaction, { head, writtenIn, event }: LogState): Promise<void> {
  await tx.query({
    name: 'write-log-state', text: 'update log_state set size = $1, peaks = $2, written_in = $3::text::xid8, event = $4',
    values: [head.size, Buffer.concat(head.peaks), writtenIn, event],
  });
}
