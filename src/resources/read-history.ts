// Pages of a history (R4 http.html 3.1.0.12), newest first: of one resource, of types, across both tables of versions. A page
// goes on from the version where another ended, so that what is written meanwhile moves nothing.
import type { Transaction } from '../database/database.ts';
import type { OrgId, VersionRow } from '../database/tables.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import type { DateRange } from '../fhir/instant.ts';
import { VERSION_COLUMNS } from './read-version.ts';

export interface HistoryScope {
  org: OrgId;
  types: readonly number[];
  /** One resource of the one type. */
  id?: string;
  /** Milliseconds: versions made at or after it. */
  since?: number;
  /** Versions that were current at some moment of it. */
  at?: DateRange;
}

/** The version at which a page begins or ends. */
export interface HistoryPlace {
  /** Milliseconds. */
  lastUpdated: number;
  type: number;
  id: string;
  version: number;
}

export interface HistoryPage {
  limit: number;
  /** Versions older than this one (`after`), or newer ones (`before`), the nearest first. */
  from?: { side: 'after' | 'before'; place: HistoryPlace };
  /** Milliseconds: what was made later is not looked at. */
  newest?: number;
}

export interface HistoryRow extends VersionRow {
  /** The version before it is a deletion. */
  after_deletion: boolean | null;
}

type Add = (value: unknown) => string;

const instant = (ms: number): string => (Number.isFinite(ms) ? new Date(ms).toISOString() : ms > 0 ? 'infinity' : '-infinity');

/** Where the versions of one type are, each in an order of an index. */
const TABLES = [
  { table: 'resource', condition: 'not v.deleted', superseded: false },
  { table: 'resource', condition: 'v.deleted', superseded: false },
  { table: 'resource_history', condition: undefined, superseded: true },
] as const;

/** A version was current in [lo, hi) when it was made before hi, and the next one not before lo. A deletion counts for the moment it was made. */
function currentAt(at: DateRange, superseded: boolean, add: Add): string[] {
  const lo = `${add(instant(at.lo))}::timestamptz`;
  const replaced = ['resource', 'resource_history'].map((table) =>
    `not exists (select from ${table} n where n.org = v.org and n.type = v.type and n.id = v.id and n.version = v.version + 1 and n.last_updated <= ${lo})`);
  return [`v.last_updated < ${add(instant(at.hi))}::timestamptz`, `(not v.deleted or v.last_updated >= ${lo})`, ...(superseded ? replaced : [])];
}

/** The order is by time, then type, id and version, all of them descending. */
function beyond(type: number, { side, place }: NonNullable<HistoryPage['from']>, add: Add): string {
  const time = `${add(instant(place.lastUpdated))}::timestamptz`;
  const [strict, equal] = side === 'after' ? ['<', '<='] : ['>', '>='];
  if (type === place.type) return `(v.last_updated, v.id, v.version) ${strict} (${time}, ${add(place.id)}::text, ${add(place.version)}::int)`;
  const isBeyond = side === 'after' ? type < place.type : type > place.type;
  return `v.last_updated ${isBeyond ? equal : strict} ${time}`;
}

function conditions(scope: HistoryScope, type: number, superseded: boolean, page: Pick<HistoryPage, 'from' | 'newest'>, add: Add): string[] {
  return [
    `v.org = ${add(scope.org)}`, `v.type = ${add(type)}`,
    ...(scope.id === undefined ? [] : [`v.id = ${add(scope.id)}`]),
    ...(scope.since === undefined ? [] : [`v.last_updated >= ${add(instant(scope.since))}::timestamptz`]),
    ...(scope.at === undefined ? [] : currentAt(scope.at, superseded, add)),
    ...(page.newest === undefined ? [] : [`v.last_updated <= ${add(instant(page.newest))}::timestamptz`]),
    ...(page.from === undefined ? [] : [beyond(type, page.from, add)]),
  ];
}

function branches(scope: HistoryScope, page: Pick<HistoryPage, 'from' | 'newest'>, add: Add, select: (from: string) => string): string {
  return scope.types.flatMap((type) => TABLES.map(({ table, condition, superseded }) => {
    const where = [...conditions(scope, type, superseded, page, add), ...(condition === undefined ? [] : [condition])];
    return `(${select(`from ${table} v where ${where.join(' and ')}`)})`;
  })).join(' union all ');
}

function collector(): { values: unknown[]; add: Add } {
  const values: unknown[] = [];
  return { values, add: (value) => `$${values.push(value)}` };
}

/** Newest first, whichever side they were read from. */
export async function readHistoryPage(tx: Transaction, scope: HistoryScope, page: HistoryPage): Promise<HistoryRow[]> {
  const { values, add } = collector();
  const limit = add(page.limit);
  const direction = page.from?.side === 'before' ? 'asc' : 'desc';
  const all = branches(scope, page, add, (from) => `select ${VERSION_COLUMNS} ${from} order by v.last_updated ${direction}, v.id ${direction}, v.version ${direction} limit ${limit}`);
  const text = `select w.*, (select h.deleted from resource_history h where h.org = w.org and h.type = w.type and h.id = w.id and h.version = w.version - 1) as after_deletion
    from (select * from (${all}) as u order by last_updated ${direction}, type ${direction}, id ${direction}, version ${direction} limit ${limit}) as w
    order by last_updated desc, type desc, id desc, version desc`;
  return (await tx.query<HistoryRow>(text, values)).rows;
}

/** Versions that are looked through one by one for a caller who may not have all, and how many at a time. */
export const LOOKED_THROUGH_MAX = 10_000;
const LOOKED_THROUGH_AT_ONCE = 200;

type Permitted = (rows: readonly HistoryRow[]) => Promise<HistoryRow[]>;

const placeOf = (row: HistoryRow): HistoryPlace => ({ lastUpdated: row.last_updated.getTime(), type: row.type, id: row.id, version: row.version });

/** The same for a caller who may have those that are permitted. Raises 400 `too-costly` past LOOKED_THROUGH_MAX. */
export async function readPermittedPage(tx: Transaction, scope: HistoryScope, page: HistoryPage, permitted: Permitted): Promise<HistoryRow[]> {
  const found: HistoryRow[] = [];
  const side = page.from?.side ?? 'after';
  const limit = Math.max(LOOKED_THROUGH_AT_ONCE, page.limit);
  let { from } = page;
  for (let looked = 0; looked < LOOKED_THROUGH_MAX; looked += limit) {
    const rows = await readHistoryPage(tx, scope, { ...page, limit, ...(from === undefined ? {} : { from }) });
    const some = await permitted(rows);
    if (side === 'after') found.push(...some); else found.unshift(...some);
    if (found.length >= page.limit || rows.length < limit) return side === 'after' ? found.slice(0, page.limit) : found.slice(-page.limit);
    const last = side === 'after' ? rows.at(-1) : rows[0];
    if (last !== undefined) from = { side, place: placeOf(last) };
  }
  throw fhirError('too-costly', `A history of what the token is confined to is looked through version by version, ${LOOKED_THROUGH_MAX} at most: bound it by _since`);
}

/** How many versions the history has. */
export async function countHistory(tx: Transaction, scope: HistoryScope, permitted?: Permitted): Promise<number> {
  if (permitted !== undefined) return (await readPermittedPage(tx, scope, { limit: LOOKED_THROUGH_MAX }, permitted)).length;
  const { values, add } = collector();
  const all = branches(scope, {}, add, (from) => `select count(*) as number ${from}`);
  const { rows } = await tx.query<{ total: number }>(`select sum(number)::float8 as total from (${all}) as u`, values);
  return rows[0]?.total ?? 0;
}
