// The topic of what happens to files, written by the tables with each change. Read in the order of the transactions that wrote it,
// as far as none that is older is still open, so that whoever goes on behind what they have seen misses nothing.
import type { Database, Transaction } from '../database/database.ts';
import type { OrgId } from '../database/tables.ts';
import { RESOURCE_TYPES, typeName } from '../fhir/resource-type.ts';

/** Accesses are no part of the topic: each is an event of the record. */
export const FILE_EVENTS = ['initiated', 'uploaded', 'scanned', 'verified', 'linked', 'superseded', 'deleted', 'quarantined', 'restored', 'expired', 'purged'] as const;

export interface FileEvent {
  event: string;
  at: Date;
  /** Id of the content. */
  content?: string;
  /** `Binary/ID`, with its version where the event is of one. */
  binary?: string;
  /** `DocumentReference/ID`, the same. */
  document?: string;
}

/** Behind which change a reader goes on: number of its transaction, and place in it. */
export interface FileEventCursor {
  writtenIn: string;
  seq: string;
}

export const START_OF_EVENTS: FileEventCursor = { writtenIn: '0', seq: '0' };

interface Row {
  events: string[];
  at: Date;
  content: string | null;
  binary: string | null;
  type: number | null;
  id: string | null;
  version: number | null;
  writtenIn: string;
  seq: string;
}

function eventsOf({ events, at, content, binary, type, id, version }: Row): FileEvent[] {
  const named = type === null || id === null ? undefined : `${typeName(type)}/${id}${version === null ? '' : `/_history/${version}`}`;
  const about = type === RESOURCE_TYPES.Binary ? { ...(named === undefined ? {} : { binary: named }) } : { ...(binary === null ? {} : { binary: `Binary/${binary}` }), ...(named === undefined ? {} : { document: named }) };
  return events.map((event) => ({ event, at, ...(content === null ? {} : { content }), ...about }));
}

/** Those of `limit` changes behind `after`, and where the next page begins: also behind the newest, for whoever waits. */
export async function readFileEvents(tx: Transaction, org: OrgId, after: FileEventCursor, limit: number): Promise<{ events: FileEvent[]; next: FileEventCursor }> {
  const { rows } = await tx.query<Row>(
    `select events, at, content, "binary", type, id, version, written_in::text as "writtenIn", seq::text as seq from file_event
      where org = $1 and (written_in, seq) > ($2::text::xid8, $3::bigint) and written_in < (select pg_snapshot_xmin(pg_current_snapshot())) order by written_in, seq limit $4`,
    [org, after.writtenIn, after.seq, limit],
  );
  const last = rows.at(-1);
  return { events: rows.flatMap(eventsOf), next: last === undefined ? after : { writtenIn: last.writtenIn, seq: last.seq } };
}

/** Counts the events of all organisations from now on; each call answers those since the call before. */
export function startCountingFileEvents(database: Pick<Database, 'workerTransaction'>): () => Promise<Record<string, number>> {
  const settled = async (): Promise<string> => database.workerTransaction(async (tx) => (await tx.query<{ xmin: string }>('select pg_snapshot_xmin(pg_current_snapshot())::text as xmin')).rows[0]?.xmin ?? '0');
  let reached = settled();
  // It is raised where it is waited for.
  reached.catch(() => undefined);
  const count = async (from: string, until: string): Promise<Record<string, number>> => database.workerTransaction(async (tx) => {
    const { rows } = await tx.query<{ event: string; count: number }>(
      'select e.event, count(*)::int as count from file_event f cross join lateral unnest(f.events) as e (event) where f.written_in >= $1::text::xid8 and f.written_in < $2::text::xid8 group by e.event', [from, until],
    );
    return Object.fromEntries(rows.map((row) => [row.event, row.count]));
  });
  return async () => {
    const from = reached.catch(settled);
    const until = settled();
    const counted = Promise.all([from, until]).then(([begin, end]) => count(begin, end));
    // Whoever asks next goes on behind what is counted now, and at the same place where it could not be.
    reached = counted.then(() => until, () => from);
    reached.catch(() => undefined);
    return counted;
  };
}

/** Readers have a month. */
const KEPT_DAYS = 30;
const REMOVED_AT_ONCE = 10_000;

/** Forgets what is older; answers how many changes that were. */
export async function forgetFileEvents(tx: Transaction): Promise<number> {
  const { rowCount } = await tx.query(
    `delete from file_event where (org, written_in, seq) in (select org, written_in, seq from file_event order by written_in limit $1) and at < now() - $2 * interval '1 day'`, [REMOVED_AT_ONCE, KEPT_DAYS],
  );
  return rowCount;
}
