// Up to where old accesses were removed from the record: the newest statement, believed only where a trusted key signed it
// and the leaf of its event holds it.
import { leafHash, type AccessEvent } from '../audit/access-event.ts';
import { parseCheckpoint, type NoteVerifier } from '../audit/checkpoint.ts';
import { openRemoval, type Removal } from '../audit/removal-statement.ts';
import type { Transaction } from '../database/database.ts';
import type { Findings } from './findings.ts';
import { checkpointAt } from './seal-checkpoint.ts';

interface RemovalRow {
  size: string;
  statement: string;
  body: string | null;
  hash: Buffer | null;
}

const NEWEST = `select r.size, r.statement, e.body, l.hash from log_removal r
  left join access_event e on e.org = r.org and e.id = r.event
  left join log_leaf l on l.org = r.org and l.event = r.event and l.version is null and l.index >= r.size
  order by r.size desc limit 1`;

/** The leaves below which accesses may be gone, as the database has it: what a verification then believes or not. */
export async function removedSize(tx: Transaction): Promise<number> {
  return Number((await tx.query<{ size: string | null }>('select max(size) as size from log_removal')).rows[0]?.size ?? 0);
}

function isInItsLeaf({ statement, body, hash }: RemovalRow): boolean {
  return body !== null && hash !== null && leafHash(body).equals(hash) && (JSON.parse(body) as AccessEvent).removal === statement;
}

/** undefined where nothing was removed, and where the statement is not to be believed: that is said. */
export async function readRemoval(tx: Transaction, origin: string, verifiers: readonly NoteVerifier[], findings: Findings): Promise<Removal | undefined> {
  const { rows: [row] } = await tx.query<RemovalRow>(NEWEST);
  if (row === undefined) return undefined;
  const removal = openRemoval(row.statement, origin, verifiers);
  const sealed = removal === undefined ? undefined : parseCheckpoint((await checkpointAt(tx, removal.size))?.note ?? '');
  const believed = removal !== undefined && String(removal.size) === row.size && isInItsLeaf(row) && sealed?.root.equals(removal.root) === true;
  if (believed) return removal;
  findings.add({ kind: 'removal-changed', what: `The statement by which accesses below leaf ${row.size} were removed is not one that a trusted key signed and the log holds` });
  return undefined;
}
