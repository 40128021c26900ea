// Writing one version: the version itself, its index rows, its uses of Binaries and its outbox row, in one statement.
// What it supersedes moves to the history in the same statement.
import type { Transaction } from '../database/database.ts';
import type { OrgId, VersionRow } from '../database/tables.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { LANES } from './outbox.ts';
import type { IndexValues } from '../search/extract-index-values.ts';

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
  index: IndexValues;
  /** Ids of the Binaries of this server that it points to. */
  binaries: readonly string[];
  /** Id of the access event of this write: its Provenance follows the version to the mirror. */
  event: string;
}

const EMPTY: IndexValues = { status: null, patient: null, date: null, tokens: [], references: [], dates: [] };

/** The index values of a deletion. */
export const NO_INDEX_VALUES: Readonly<IndexValues> = EMPTY;

function instant(ms: number): string {
  return Number.isFinite(ms) ? new Date(ms).toISOString() : ms > 0 ? 'infinity' : '-infinity';
}

// Parameters that both statements share: $1 org … $16 and the arrays of the index rows.
const INDEX_ROWS = `
  tokens as (insert into search_token (org, type, param, hash, last_updated, id)
    select $1, $2, p, h, $5, $3 from unnest($17::smallint[], $18::bigint[]) as rows (p, h)),
  refs as (insert into search_reference (org, type, param, hash, last_updated, id)
    select $1, $2, p, h, $5, $3 from unnest($19::smallint[], $20::bigint[]) as rows (p, h)),
  dates as (insert into search_date (org, type, param, lo, hi, last_updated, id)
    select $1, $2, p, lo, hi, $5, $3 from unnest($21::smallint[], $22::timestamptz[], $23::timestamptz[]) as rows (p, lo, hi)),
  uses as (insert into attachment_use (org, "binary", type, id, version)
    select $1, b, $2, $3, $4 from unnest($24::text[]) as rows (b)),
  told as (insert into outbox (org, type, id, version, event, lane) values ($1, $2, $3, $4, $25, ${LANES.clinical}))`;

const INSERT = `with stored as (
    insert into resource (org, type, id, version, last_updated, deleted, method, body, content, creator, status, patient, date_lo, date_hi, master_identifier)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)),
  ${INDEX_ROWS}
  select $16::int`;

const SUPERSEDE = `with old as (
    insert into resource_history (org, type, id, version, last_updated, deleted, method, body, content, creator, patient)
    select org, type, id, version, last_updated, deleted, method, body, content, creator, patient
    from resource where org = $1 and type = $2 and id = $3 and version = $16 returning 1),
  stored as (
    update resource set version = $4, last_updated = $5, deleted = $6, method = $7, body = $8, content = $9, creator = $10,
      status = $11, patient = $12, date_lo = $13, date_hi = $14, master_identifier = $15
    where org = $1 and type = $2 and id = $3 and version = $16 and exists (select from old) returning 1),
  ${INDEX_ROWS}
  select count(*)::int as changed from stored`;

function parameters(next: NewVersion, previous: number | null): unknown[] {
  const { index } = next;
  return [
    next.org, next.type, next.id, next.version, instant(next.lastUpdated), next.body === null, next.method, next.body, next.content, next.creator,
    index.status, index.patient, instant(index.date?.lo ?? -Infinity), index.date === null ? null : instant(index.date.hi), next.masterIdentifier, previous,
    index.tokens.map((row) => row.param), index.tokens.map((row) => row.hash.toString()),
    index.references.map((row) => row.param), index.references.map((row) => row.hash.toString()),
    index.dates.map((row) => row.param), index.dates.map((row) => instant(row.range.lo)), index.dates.map((row) => instant(row.range.hi)),
    [...new Set(next.binaries)], next.event,
  ];
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
  tx.last({ name: 'insert-version', text: INSERT, values: parameters(next, null) }, translate);
}

/** Stores a version over `previous`, which the transaction has locked. Raises 409 `duplicate`. */
export async function supersedeVersion(tx: Transaction, next: NewVersion, previous: VersionRow): Promise<void> {
  try {
    const { rows } = await tx.query<{ changed: number }>({ name: 'supersede-version', text: SUPERSEDE, values: parameters(next, previous.version) });
    if (rows[0]?.changed !== 1) throw fhirError('conflict', 'Another writer was faster');
  } catch (error) { throw translate(error); }
}

/** Removes the index rows that a superseded version left; they answer no search any more, they only take room. */
export async function removeIndexRows(tx: Transaction, previous: VersionRow, index: IndexValues): Promise<void> {
  const values = [
    previous.org, previous.type, previous.id, previous.last_updated.toISOString(),
    index.tokens.map((row) => row.param), index.tokens.map((row) => row.hash.toString()),
    index.references.map((row) => row.param), index.references.map((row) => row.hash.toString()),
    index.dates.map((row) => row.param), index.dates.map((row) => instant(row.range.lo)), index.dates.map((row) => instant(row.range.hi)),
  ];
  await tx.query({
    name: 'remove-index-rows',
    text: `with tokens as (delete from search_token t using unnest($5::smallint[], $6::bigint[]) as rows (p, h)
        where t.org = $1 and t.type = $2 and t.param = p and t.hash = h and t.last_updated = $4 and t.id = $3),
      refs as (delete from search_reference t using unnest($7::smallint[], $8::bigint[]) as rows (p, h)
        where t.org = $1 and t.type = $2 and t.param = p and t.hash = h and t.last_updated = $4 and t.id = $3)
      delete from search_date t using unnest($9::smallint[], $10::timestamptz[], $11::timestamptz[]) as rows (p, lo, hi)
        where t.org = $1 and t.type = $2 and t.param = p and t.lo = rows.lo and t.hi = rows.hi and t.last_updated = $4 and t.id = $3`,
    values,
  });
}
