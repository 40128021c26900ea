// Writing one version: the version itself, its index rows, its uses of Binaries and its outbox row, in one statement.
// What it supersedes moves to the history in the same statement.
import type { Transaction } from '../database/database.ts';
import type { OrgId, VersionRow } from '../database/tables.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { LANES } from './outbox.ts';
import { NO_VALUES, type DateRow, type HashRow, type IndexValues, type TextRow } from '../search/extract-index-values.ts';

export interface NewVersion {
  org: OrgId;
  type: number;
  id: string;
  version: number;
  /** Milliseconds; strictly later than the version before. */
  lastUpdated: number;
  method: VersionRow['method'];
  /** null = this version is a deletion. */
  body: string | null;
  content: string | null;
  creator: string | null;
  masterIdentifier: string | null;
  /** Code of the retention class; null for bytes of a document. A deletion keeps what was. */
  retention: string | null;
  index: IndexValues;
  /** Ids of the Binaries of this server that it points to. */
  binaries: readonly string[];
  /** Id of the access event of this write: its Provenance follows the version to the mirror. */
  event: string;
}

/** The index values of a deletion. */
export const NO_INDEX_VALUES = NO_VALUES;

function instant(ms: number): string {
  return Number.isFinite(ms) ? new Date(ms).toISOString() : ms > 0 ? 'infinity' : '-infinity';
}

// Each parameter is a column: one element for each version. Index rows travel as one array literal for each version.
const NEXT = `next as (select * from unnest(
    $1::int[], $2::smallint[], $3::text[], $4::int[], $5::timestamptz[], $6::boolean[], $7::text[], $8::text[], $9::uuid[], $10::text[],
    $11::text[], $12::text[], $13::timestamptz[], $14::timestamptz[], $15::text[], $16::int[],
    $17::text[], $18::text[], $19::text[], $20::text[], $21::text[], $22::text[], $23::text[], $24::text[], $25::uuid[],
    $26::text[], $27::text[], $28::text[], $29::text[], $30::text[], $31::text[], $32::bigint[], $33::text[], $34::text[])
  as n (org, type, id, version, last_updated, deleted, method, body, content, creator,
    status, patient, date_lo, date_hi, master_identifier, previous,
    token_params, token_hashes, reference_params, reference_hashes, date_params, date_los, date_his, binaries, event,
    composite_params, composite_hashes, string_params, string_norms, uri_params, uri_values, present, words, retention))`;

const ROWS = `
  tokens as (insert into search_token (org, type, param, hash, last_updated, id)
    select org, type, p, h, last_updated, id from next, unnest(token_params::smallint[], token_hashes::bigint[]) as rows (p, h)),
  refs as (insert into search_reference (org, type, param, hash, last_updated, id)
    select org, type, p, h, last_updated, id from next, unnest(reference_params::smallint[], reference_hashes::bigint[]) as rows (p, h)),
  dates as (insert into search_date (org, type, param, lo, hi, last_updated, id)
    select org, type, p, lo, hi, last_updated, id from next, unnest(date_params::smallint[], date_los::timestamptz[], date_his::timestamptz[]) as rows (p, lo, hi)),
  composites as (insert into search_composite (org, type, param, hash, last_updated, id)
    select org, type, p, h, last_updated, id from next, unnest(composite_params::smallint[], composite_hashes::bigint[]) as rows (p, h)),
  strings as (insert into search_string (org, type, param, norm, last_updated, id)
    select org, type, p, t, last_updated, id from next, unnest(string_params::smallint[], string_norms::text[]) as rows (p, t)),
  uris as (insert into search_uri (org, type, param, value, last_updated, id)
    select org, type, p, t, last_updated, id from next, unnest(uri_params::smallint[], uri_values::text[]) as rows (p, t)),
  uses as (insert into attachment_use (org, "binary", type, id, version)
    select org, b, type, id, version from next, unnest(binaries::text[]) as rows (b)),
  told as (insert into outbox (org, type, id, version, event, lane)
    select org, type, id, version, event, ${LANES.clinical} from next)`;

const INSERT = `with ${NEXT},
  stored as (
    insert into resource (org, type, id, version, last_updated, deleted, method, body, content, creator, status, patient, date_lo, date_hi, master_identifier, present, words, retention)
    select org, type, id, version, last_updated, deleted, method, body, content, creator, status, patient, date_lo, date_hi, master_identifier, present, words, retention from next),
  ${ROWS}
  select 1`;

const SUPERSEDE = `with ${NEXT},
  old as (
    insert into resource_history (org, type, id, version, last_updated, deleted, method, body, content, creator, patient)
    select r.org, r.type, r.id, r.version, r.last_updated, r.deleted, r.method, r.body, r.content, r.creator, r.patient
    from next n join resource r on r.org = n.org and r.type = n.type and r.id = n.id and r.version = n.previous returning 1),
  stored as (
    update resource r set version = n.version, last_updated = n.last_updated, deleted = n.deleted, method = n.method, body = n.body, content = n.content,
      creator = n.creator, status = n.status, patient = n.patient, date_lo = n.date_lo, date_hi = n.date_hi, master_identifier = n.master_identifier, present = n.present, words = n.words,
      retention = case when n.deleted then r.retention else n.retention end
    from next n where r.org = n.org and r.type = n.type and r.id = n.id and r.version = n.previous and exists (select from old) returning 1),
  ${ROWS}
  select count(*)::int as changed from stored`;

/** An array literal of numbers or instants, none of which needs quotes. */
function literal(items: readonly (string | number | bigint)[]): string {
  return `{${items.join(',')}}`;
}

function textLiteral(items: Iterable<string>): string {
  return `{${[...items].map((item) => `"${item.replace(/["\\]/g, '\\$&')}"`).join(',')}}`;
}

const hashed = (rows: readonly HashRow[]): string[] => [literal(rows.map((row) => row.param)), literal(rows.map((row) => row.hash))];
const texts = (rows: readonly TextRow[]): string[] => [literal(rows.map((row) => row.param)), textLiteral(rows.map((row) => row.text))];
const ranges = (rows: readonly DateRow[]): string[] => [literal(rows.map((row) => row.param)), literal(rows.map((row) => instant(row.range.lo))), literal(rows.map((row) => instant(row.range.hi)))];

function columns(next: NewVersion, previous: number | null): unknown[][] {
  const { tokens, references, composites, strings, uris, dates, ...single } = next.index;
  return [
    next.org, next.type, next.id, next.version, instant(next.lastUpdated), next.body === null, next.method, next.body, next.content, next.creator,
    single.status, single.patient, instant(single.date?.lo ?? -Infinity), single.date === null ? null : instant(single.date.hi), next.masterIdentifier, previous,
    ...hashed(tokens), ...hashed(references), ...ranges(dates),
    textLiteral(new Set(next.binaries)), next.event,
    ...hashed(composites), ...texts(strings), ...texts(uris), single.present, single.words, next.retention,
  ].map((value) => [value]);
}

/** SQLSTATE 23505 on the master identifier's index; the constraint's name tells it from the primary key. */
function translate(error: unknown): unknown {
  const { code, constraint } = error as { code?: string; constraint?: string };
  if (code === '23505' && constraint === 'resource_master_identifier') {
    return fhirError('duplicate', 'Another document of this organisation has this masterIdentifier', { expression: 'DocumentReference.masterIdentifier', cause: error });
  }
  return error;
}

/**
 * Stores the first version of an id, with the commit. Fails it with 409 `duplicate`, or with SQLSTATE 23505 when
 * another writer made the id meanwhile.
 */
export function insertFirstVersion(tx: Transaction, next: NewVersion): void {
  tx.last({ name: 'insert-version', text: INSERT, columns: columns(next, null) }, translate);
}

/** Stores a version over `previous`, which the transaction has locked. Raises 409 `duplicate`. */
export async function supersedeVersion(tx: Transaction, next: NewVersion, previous: VersionRow): Promise<void> {
  try {
    const { rows } = await tx.query<{ changed: number }>({ name: 'supersede-version', text: SUPERSEDE, values: columns(next, previous.version) });
    if (rows[0]?.changed !== 1) throw fhirError('conflict', 'Another writer was faster');
  } catch (error) { throw translate(error); }
}

const HASH_TABLES = ['search_token', 'search_reference', 'search_composite'];

/** Removes the index rows that a superseded version left; they answer no search any more, they only take room. */
export async function removeIndexRows(tx: Transaction, previous: VersionRow, index: IndexValues): Promise<void> {
  await tx.query({
    name: 'remove-index-rows',
    text: `with ${HASH_TABLES.map((table, position) => `${table} as (delete from ${table} t using unnest($${5 + position * 2}::smallint[], $${6 + position * 2}::bigint[]) as rows (p, h)
        where t.org = $1 and t.type = $2 and t.param = p and t.hash = h and t.last_updated = $4 and t.id = $3)`).join(', ')},
      strings as (delete from search_string t using unnest($11::smallint[], $12::text[]) as rows (p, x)
        where t.org = $1 and t.type = $2 and t.param = p and t.norm = x and t.last_updated = $4 and t.id = $3),
      uris as (delete from search_uri t using unnest($13::smallint[], $14::text[]) as rows (p, x)
        where t.org = $1 and t.type = $2 and t.param = p and t.value = x and t.last_updated = $4 and t.id = $3)
      delete from search_date t using unnest($15::smallint[], $16::timestamptz[], $17::timestamptz[]) as rows (p, lo, hi)
        where t.org = $1 and t.type = $2 and t.param = p and t.lo = rows.lo and t.hi = rows.hi and t.last_updated = $4 and t.id = $3`,
    values: [
      previous.org, previous.type, previous.id, previous.last_updated.toISOString(),
      ...hashed(index.tokens), ...hashed(index.references), ...hashed(index.composites), ...texts(index.strings), ...texts(index.uris), ...ranges(index.dates),
    ],
  });
}
