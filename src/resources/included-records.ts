// Records that a searchset includes: the Provenances of the writes of a resource, and the AuditEvents of all accesses to it.
import type { AccessEvent } from '../audit/access-event.ts';
import type { Transaction } from '../database/database.ts';
import { typeNumber } from '../fhir/resource-type.ts';
import { uuidV7Ceil, uuidV7Floor, uuidV7Time } from '../fhir/uuid-v7.ts';
import { keptRow, requireTexts, type KeptText } from '../search/event-texts.ts';
import type { RecordType } from '../search/record-type.ts';
import { renderRecord } from './read-record.ts';
import type { SearchMatch } from './search-source.ts';

const ROLE_DATA = 2;
/** Newest accesses to one resource, at most. */
const ACCESSES_MAX = 100;
/** A version is of the instant of its access, or a little later where versions follow each other in one millisecond. */
const WRITE_WINDOW_MS = 2_000;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

interface EventRow {
  id: string;
  body: string;
}

async function withTexts<Row extends KeptText>(tx: Transaction, rows: readonly Row[]): Promise<(Row & EventRow)[]> {
  const texts = await requireTexts(tx, rows);
  return rows.map((row, position) => ({ ...row, id: row.event, body: texts[position] ?? '' }));
}

export function recordMatch(type: RecordType, row: EventRow): SearchMatch {
  const event = JSON.parse(row.body) as AccessEvent;
  const patients = event.entities.filter(({ role }) => role === 'patient').map(({ reference }) => reference);
  const [patient = null] = patients.length === 1 ? patients : [];
  return { type, id: row.id, version: 1, patient: patient === null ? null : patient.replace(/^Patient\//, ''), text: renderRecord(type, row.body), event, keyset: { value: uuidV7Time(row.id), id: row.id } };
}

export async function readRecordsByIds(tx: Transaction, org: number, ids: readonly string[]): Promise<Map<string, EventRow>> {
  const known = ids.filter((id) => UUID.test(id));
  if (known.length === 0) return new Map();
  const { rows } = await tx.query<KeptText>({ name: 'read-included-records', text: `select ${keptRow('e')} from access_event e where e.org = $1 and e.id = any($2::uuid[])`, values: [org, known] });
  return new Map((await withTexts(tx, rows)).map((row) => [row.id, row]));
}

/** Newest first for each resource: of Provenance those of writes alone, of AuditEvent all. */
export async function readRecordsOf(tx: Transaction, org: number, type: RecordType, resources: readonly SearchMatch[]): Promise<SearchMatch[]> {
  const rows = type === 'Provenance' ? await readWrites(tx, org, resources) : await readAccesses(tx, org, resources);
  return rows.map((row) => recordMatch(type, row));
}

async function readAccesses(tx: Transaction, org: number, resources: readonly SearchMatch[]): Promise<EventRow[]> {
  const { rows } = await tx.query<KeptText>({
    name: 'read-accesses-of',
    text: `select ${keptRow('e')} from unnest($2::text[]) as wanted (reference)
      cross join lateral (select distinct x.event from access_entity x where x.org = $1 and x.reference = wanted.reference order by x.event desc limit ${ACCESSES_MAX}) x
      cross join lateral (select v.* from access_event v where v.org = $1 and v.id = x.event offset 0) e`,
    values: [org, resources.map(({ type, id }) => `${type}/${id}`)],
  });
  return withTexts(tx, rows);
}

/**
 * A document is read far oftener than written, so its writes are not sought among all its accesses: each version says
 * when it was written, and an access is of its instant. Reference and instant are compared as pairs, which the index of
 * references alone serves: that of instants would read all that happened on the server in those seconds.
 */
async function readWrites(tx: Transaction, org: number, resources: readonly SearchMatch[]): Promise<EventRow[]> {
  const versions = await readVersionTimes(tx, org, resources);
  if (versions.length === 0) return [];
  const { rows } = await tx.query<KeptText & { reference: string }>({
    name: 'read-writes-of',
    text: `select ${keptRow('e')}, wanted.reference from unnest($2::text[], $3::uuid[], $4::uuid[]) as wanted (reference, lo, hi)
      cross join lateral (select x.event from access_entity x where x.org = $1
        and (x.reference, x.event) >= (wanted.reference, wanted.lo) and (x.reference, x.event) <= (wanted.reference, wanted.hi) and x.role = ${ROLE_DATA}) x
      cross join lateral (select v.* from access_event v where v.org = $1 and v.id = x.event and v.write offset 0) e`,
    values: [
      org, versions.map(({ reference }) => reference),
      versions.map(({ at }) => uuidV7Floor(Math.max(at - WRITE_WINDOW_MS, 0))), versions.map(({ at }) => uuidV7Ceil(at + WRITE_WINDOW_MS)),
    ],
  });
  const writes = new Map((await withTexts(tx, rows)).filter((row) => wrote(row)).map((row) => [row.id, row]));
  return [...writes.values()].sort((a, b) => (a.id < b.id ? 1 : -1));
}

/** Whether the access made a version of the resource, and did not only touch it beside another. */
function wrote({ body, reference }: EventRow & { reference: string }): boolean {
  const { write } = JSON.parse(body) as AccessEvent;
  return write?.targets.some((target) => target === reference || target.startsWith(`${reference}/_history/`)) ?? false;
}

async function readVersionTimes(tx: Transaction, org: number, resources: readonly SearchMatch[]): Promise<{ reference: string; at: number }[]> {
  const { rows } = await tx.query<{ reference: string; last_updated: Date }>({
    name: 'read-version-times',
    text: `select wanted.reference, v.last_updated from unnest($2::text[], $3::smallint[], $4::text[]) as wanted (reference, type, id)
      cross join lateral (select last_updated from resource r where r.org = $1 and r.type = wanted.type and r.id = wanted.id
        union all select last_updated from resource_history h where h.org = $1 and h.type = wanted.type and h.id = wanted.id) v`,
    values: [org, resources.map(({ type, id }) => `${type}/${id}`), resources.map(({ type }) => typeNumber(type)), resources.map(({ id }) => id)],
  });
  return rows.map(({ reference, last_updated }) => ({ reference, at: last_updated.getTime() }));
}
