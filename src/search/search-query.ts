// From clauses to one SQL query. Each predicate is equality or range on a B-tree; the organisation stands in each, so
// that the index is used, and row-level security repeats it.
import type { Restriction } from '../access/authorize.ts';
import type { DateRange } from '../fhir/instant.ts';
import { anyOfPredicate } from './any-of.ts';
import { patientKey } from './extract-index-values.ts';
import { indexHash, tokenSearchKey } from './index-hash.ts';
import type { Keyset } from './page-cursor.ts';
import type { DatePrefix, ParsedSearch, SearchClause, SearchValue, SortKey } from './parse-search.ts';

export interface SearchQuery {
  text: string;
  values: unknown[];
  /** The text alone decides the plan, so that one plan serves all values. */
  plannedOnce: boolean;
}

export interface SearchScope {
  org: number;
  type: number;
  restriction: Restriction;
  fhirBase: string;
}

const INDEX_TABLES = { token: 'search_token', reference: 'search_reference', date: 'search_date' } as const;
/** A count that nobody waits for: past this number `estimate` says so much and no more. */
export const ESTIMATE_MAX = 10_000;

/** Collects values and answers their placeholders. */
export class Values {
  readonly list: unknown[] = [];

  add(value: unknown, cast = ''): string {
    this.list.push(value);
    return `$${this.list.length}${cast}`;
  }

  instant(ms: number): string {
    const text = Number.isFinite(ms) ? new Date(ms).toISOString() : ms > 0 ? 'infinity' : '-infinity';
    return this.add(text, '::timestamptz');
  }
}

/** R4 search.html 3.1.1.5.4: prefix and range of the value against the range [lo, hi) of the resource. */
function datePredicate(lo: string, hi: string, prefix: DatePrefix, range: DateRange, values: Values): string {
  const from = (): string => values.instant(range.lo);
  const to = (): string => values.instant(range.hi);
  switch (prefix) {
    case 'eq': return `(${lo} >= ${from()} and ${hi} <= ${to()})`;
    case 'ne': return `(${lo} < ${from()} or ${hi} > ${to()})`;
    case 'gt': return `(${hi} > ${to()})`;
    case 'lt': return `(${lo} < ${from()})`;
    case 'ge': return `(${hi} > ${to()} or (${lo} >= ${from()} and ${hi} <= ${to()}))`;
    case 'le': return `(${lo} < ${from()} or (${lo} >= ${from()} and ${hi} <= ${to()}))`;
    case 'sa': return `(${lo} >= ${to()})`;
    case 'eb': return `(${hi} <= ${from()})`;
    case 'ap': return `(${lo} < ${to()} and ${hi} > ${from()})`;
  }
}

/** The same for a column that holds one instant: a point, so that one comparison on the index says it. */
export function instantPredicate(column: string, prefix: DatePrefix, range: DateRange, add: (ms: number) => string): string {
  switch (prefix) {
    case 'eq': case 'ap': return `(${column} >= ${add(range.lo)} and ${column} < ${add(range.hi)})`;
    case 'ne': return `(${column} < ${add(range.lo)} or ${column} >= ${add(range.hi)})`;
    case 'gt': case 'sa': return `(${column} >= ${add(range.hi)})`;
    case 'lt': case 'eb': return `(${column} < ${add(range.lo)})`;
    case 'ge': return `(${column} >= ${add(range.lo)})`;
    case 'le': return `(${column} < ${add(range.hi)})`;
  }
}

function columnPredicate(clause: SearchClause, value: SearchValue, values: Values, fhirBase: string): string {
  const { parameter } = clause;
  if (value.kind === 'date') {
    if (parameter.column === 'date') return `(r.date_hi is not null and ${datePredicate('r.date_lo', 'r.date_hi', value.prefix, value.range, values)})`;
    return instantPredicate('r.last_updated', value.prefix, value.range, (ms) => values.instant(ms));
  }
  if (value.kind === 'reference' && value.keys.length === 1) return `r.patient = ${values.add(patientKey(value.keys[0] ?? '', fhirBase))}`;
  if (value.kind === 'reference') return `r.patient = any(${values.add(value.keys.map((key) => patientKey(key, fhirBase)), '::text[]')})`;
  if (parameter.column === 'status' && value.system !== undefined && value.system !== parameter.system) return 'false';
  if (parameter.column === 'status' && value.code === '') return 'true';
  if (parameter.column === 'id' && value.system !== undefined && value.system !== '') return 'false';
  return parameter.column === 'id' ? `r.id = ${values.add(value.code)}` : `r.status = ${values.add(value.code)}`;
}

function hashesOf(clause: SearchClause): string[] {
  return clause.values.flatMap((value) => {
    if (value.kind === 'token') return [String(indexHash(tokenSearchKey(value)))];
    return value.kind === 'reference' ? value.keys.map((key) => String(indexHash(key))) : [];
  });
}

/**
 * Where the scan begins. A planner that must serve all values from one plan takes the average token for a rare one and
 * begins with a category of a million documents; so a patient or an identifier, where there is one, is made the begin,
 * and everything else is probed for each row. Several tokens alone are left to a plan of their own.
 */
type Begin = { kind: 'column' } | { kind: 'index'; clause: SearchClause } | { kind: 'planner' };

function chooseBegin(clauses: readonly SearchClause[]): Begin {
  const narrow = clauses.some(({ parameter, values }) => (parameter.column === 'patient' || parameter.column === 'id') && values.length === 1);
  const indexed = clauses.filter((clause) => clause.parameter.column === undefined && hashesOf(clause).length === 1);
  if (narrow || indexed.length === 0) return { kind: 'column' };
  const [first] = [...indexed.filter(({ parameter }) => parameter.name === 'identifier'), ...indexed];
  const alone = indexed.length === 1 || first?.parameter.name === 'identifier';
  return alone && first !== undefined ? { kind: 'index', clause: first } : { kind: 'planner' };
}

interface Parts {
  from: string;
  joins: string[];
  where: string[];
  begin: Begin;
  /** Alias whose (last_updated, id) is the order of an index scan. */
  drivenBy: string;
}

const TIED = (alias: string): string => `${alias}.last_updated = r.last_updated and ${alias}.id = r.id`;

function addIndexClause(parts: Parts, clause: SearchClause, values: Values, scope: SearchScope, position: number): void {
  const table = INDEX_TABLES[clause.parameter.type as keyof typeof INDEX_TABLES];
  const alias = `i${position}`;
  const head = `${alias}.org = ${values.add(scope.org)} and ${alias}.type = ${values.add(scope.type)} and ${alias}.param = ${values.add(clause.parameter.number)}`;
  if (clause.parameter.type === 'date') {
    const any = clause.values.map((value) => (value.kind === 'date' ? datePredicate(`${alias}.lo`, `${alias}.hi`, value.prefix, value.range, values) : 'false'));
    parts.where.push(`exists (select 1 from ${table} ${alias} where ${head} and (${any.join(' or ')}) and ${TIED(alias)})`);
    return;
  }
  const hashes = hashesOf(clause);
  const joined = parts.begin.kind === 'planner' || (parts.begin.kind === 'index' && parts.begin.clause === clause);
  if (hashes.length === 1 && joined) {
    // One key has at most one row for each version: a join needs no distinct and gives the index its order.
    const keyed = `${head} and ${alias}.hash = ${values.add(hashes[0])}`;
    if (parts.drivenBy === 'r') parts.drivenBy = alias;
    if (parts.begin.kind === 'planner') {
      parts.joins.push(`join ${table} ${alias} on ${keyed} and ${TIED(alias)}`);
      return;
    }
    // Here too `offset 0` keeps the order: the index row first, then its resource, whatever the tables look like.
    const resource = `select * from resource v where v.org = ${values.add(scope.org)} and v.type = ${values.add(scope.type)} and v.id = ${alias}.id and v.last_updated = ${alias}.last_updated and not v.deleted offset 0`;
    parts.from = `${table} ${alias} cross join lateral (${resource}) r`;
    parts.where.push(keyed);
    return;
  }
  // `offset 0` keeps the probe a probe: without it the planner turns it into a join and may begin there.
  parts.where.push(`exists (select 1 from ${table} ${alias} where ${head} and ${alias}.hash = any(${values.add(hashes, '::bigint[]')}) and ${TIED(alias)} offset 0)`);
}

function buildParts(parsed: ParsedSearch, scope: SearchScope, values: Values): Parts {
  const parts: Parts = { from: 'resource r', joins: [], where: [], begin: parsed.anyOf === undefined ? chooseBegin(parsed.clauses) : { kind: 'planner' }, drivenBy: 'r' };
  parts.where.push(`r.org = ${values.add(scope.org)}`, `r.type = ${values.add(scope.type)}`, 'not r.deleted');
  if (scope.restriction.kind === 'nothing') parts.where.push('false');
  for (const clauses of parsed.anyOf ?? []) parts.where.push(anyOfPredicate(clauses, scope.org, scope.type, (value, cast) => values.add(value, cast)));
  parsed.clauses.forEach((clause, position) => {
    if (clause.parameter.column === undefined) addIndexClause(parts, clause, values, scope, position);
    else parts.where.push(`(${clause.values.map((value) => columnPredicate(clause, value, values, scope.fhirBase)).join(' or ')})`);
  });
  return parts;
}

function sortColumn(sort: SortKey, parts: Parts): string {
  if (sort.column === 'last_updated') return `${parts.drivenBy}.last_updated`;
  return sort.column === 'date' ? 'r.date_lo' : 'r.id';
}

/** One page and one row more, so that the end of the result is known. */
export function pageQuery(parsed: ParsedSearch, scope: SearchScope, after: Keyset | undefined): SearchQuery {
  const values = new Values();
  const parts = buildParts(parsed, scope, values);
  const direction = parsed.sort.descending ? 'desc' : 'asc';
  const than = parsed.sort.descending ? '<' : '>';
  const column = sortColumn(parsed.sort, parts);
  const id = parsed.sort.column === 'last_updated' ? `${parts.drivenBy}.id` : 'r.id';
  if (after !== undefined) {
    parts.where.push(parsed.sort.column === 'id' || after.value === null
      ? `r.id ${than} ${values.add(after.id)}`
      : `(${column}, ${id}) ${than} (${values.instant(after.value)}, ${values.add(after.id)})`);
  }
  const order = parsed.sort.column === 'id' ? `r.id ${direction}` : `${column} ${direction}, ${id} ${direction}`;
  const text = `select r.id, r.version, r.last_updated, r.date_lo, r.patient, r.body from ${parts.from} ${parts.joins.join(' ')} where ${parts.where.join(' and ')} order by ${order} limit ${parsed.count + 1}`;
  return { text, values: values.list, plannedOnce: parts.begin.kind !== 'planner' };
}

/** How many match: exactly, or up to ESTIMATE_MAX. */
export function countQuery(parsed: ParsedSearch, scope: SearchScope, exact: boolean): SearchQuery {
  const values = new Values();
  const parts = buildParts(parsed, scope, values);
  const rows = `select 1 from ${parts.from} ${parts.joins.join(' ')} where ${parts.where.join(' and ')}`;
  return { text: `select count(*)::int as total from (${exact ? rows : `${rows} limit ${ESTIMATE_MAX}`}) as matches`, values: values.list, plannedOnce: false };
}
