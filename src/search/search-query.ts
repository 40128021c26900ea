// From clauses to one SQL query. Each predicate is equality or range on a B-tree; the organisation stands in each, so
// that the index is used, and row-level security repeats it.
import type { Restriction } from '../access/restriction.ts';
import { anyOfPredicate } from './any-of.ts';
import { clausePredicate, tiedTo } from './clause-predicate.ts';
import { hashesOf, hashTable, isLongPrefix, rangeQuery } from './clause-ranges.ts';
import type { Keyset } from './page-cursor.ts';
import type { ParsedSearch, SearchClause } from './parse-search.ts';
import { Values } from './query-values.ts';
import { restrictionPredicates } from './restrict-search.ts';
import { afterKeyset, keysetColumns, orderBy } from './search-order.ts';
import { chooseBegin, isKeyed, type Begin } from './search-begin.ts';

export { instantPredicate } from './date-predicate.ts';
export { Values } from './query-values.ts';

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

/** A count that nobody waits for: past this number `estimate` says so much and no more. */
export const ESTIMATE_MAX = 10_000;

interface Parts {
  from: string;
  joins: string[];
  where: string[];
  begin: Begin;
  /** Alias whose (last_updated, id) is the order of an index scan. */
  drivenBy: string;
}

/** Whether its ranges hold more than its matches. */
const isLong = ({ values }: SearchClause): boolean => values.some((value) => value.kind === 'text' && value.prefixes.some(isLongPrefix));

/**
 * The resource of an index row, by its primary key alone: a planner that takes the table for empty has no other index to
 * confuse it with. Here too `offset 0` keeps the order: the index row first.
 */
function resourceOf(alias: string, scope: SearchScope, values: Values): string {
  return `(select * from resource v where v.org = ${values.add(scope.org)} and v.type = ${values.add(scope.type)} and v.id = ${alias}.id offset 0) r`;
}

/** One key has at most one row for each version: a join needs no distinct and gives the index its order. */
function keyedRows(clause: SearchClause, alias: string, scope: SearchScope, values: Values): string {
  const [hash] = clause.values.flatMap(hashesOf);
  return `${alias}.org = ${values.add(scope.org)} and ${alias}.type = ${values.add(scope.type)} and ${alias}.param = ${values.add(clause.parameter.number)} and ${alias}.hash = ${values.add(hash)}`;
}

/** Adds a clause where it is not what the search begins with. */
function addClause(parts: Parts, clause: SearchClause, position: number, scope: SearchScope, values: Values): void {
  const alias = `i${position}`;
  if (parts.begin.kind === 'index' && parts.begin.clause === clause) {
    parts.drivenBy = alias;
    parts.from = `${hashTable(clause)} ${alias} cross join lateral ${resourceOf(alias, scope, values)}`;
    parts.where.push(keyedRows(clause, alias, scope, values), `${alias}.last_updated = r.last_updated`);
  } else if (parts.begin.kind === 'planner' && isKeyed(clause)) {
    if (parts.drivenBy === 'r') parts.drivenBy = alias;
    parts.joins.push(`join ${hashTable(clause)} ${alias} on ${keyedRows(clause, alias, scope, values)} and ${tiedTo(alias)}`);
  } else if (parts.begin.kind === 'ranges' && parts.begin.clause === clause && !isLong(clause)) {
    // Its ranges are exact.
  } else parts.where.push(clausePredicate(clause, position, scope, values));
}

function buildParts(parsed: ParsedSearch, scope: SearchScope, values: Values, begin: Begin): Parts {
  const parts: Parts = { from: 'resource r', joins: [], where: [], begin, drivenBy: 'r' };
  if (begin.kind === 'ranges') {
    const rows = begin.ranges.map((range) => rangeQuery(range, scope, values, true)).join(' union all ');
    const none = 'select null::text as id, null::timestamptz as last_updated where false';
    parts.from = `(select distinct m.id, m.last_updated from (${rows === '' ? none : rows}) m) k cross join lateral ${resourceOf('k', scope, values)}`;
    parts.where.push('k.last_updated = r.last_updated');
  }
  parts.where.push(`r.org = ${values.add(scope.org)}`, `r.type = ${values.add(scope.type)}`, 'not r.deleted');
  parts.where.push(...restrictionPredicates(scope, values));
  parsed.anyOf?.forEach((clauses, position) => { if (begin.kind !== 'ranges' || begin.list !== clauses || clauses.some(isLong)) parts.where.push(anyOfPredicate(clauses, position, scope, values, begin.kind === 'planner')); });
  parsed.clauses.forEach((clause, position) => addClause(parts, clause, position, scope, values));
  return parts;
}

/** The resources in the order of the search. The fence keeps the planner from beginning elsewhere. */
function inOrder(parts: Parts, parsed: ParsedSearch, scope: SearchScope, after: Keyset | undefined, values: Values): void {
  const where = [`r.org = ${values.add(scope.org)}`, `r.type = ${values.add(scope.type)}`, 'not r.deleted', ...(after === undefined ? [] : [afterKeyset(parsed, after, values)])];
  parts.from = `(select * from resource r where ${where.join(' and ')} order by ${orderBy(parsed)} offset 0) r`;
}

/** One page and one row more, so that the end of the result is known. */
export function pageQuery(parsed: ParsedSearch, scope: SearchScope, after: Keyset | undefined, begin: Begin = chooseBegin(parsed)): SearchQuery {
  const values = new Values();
  const parts = buildParts(parsed, scope, values, begin);
  const fenced = begin.kind === 'order' && parsed.clauses.length + (parsed.anyOf?.length ?? 0) > 0;
  if (fenced) inOrder(parts, parsed, scope, after, values);
  else if (after !== undefined) parts.where.push(afterKeyset(parsed, after, values, parts.drivenBy));
  const text = `select r.id, r.version, r.last_updated, r.date_lo, r.patient, r.body${keysetColumns(parsed)} from ${parts.from} ${parts.joins.join(' ')} where ${parts.where.join(' and ')} order by ${orderBy(parsed, parts.drivenBy)} limit ${parsed.count + 1}`;
  return { text, values: values.list, plannedOnce: begin.kind !== 'planner' };
}

/** How many match: exactly, or up to ESTIMATE_MAX. */
export function countQuery(parsed: ParsedSearch, scope: SearchScope, exact: boolean): SearchQuery {
  const values = new Values();
  const parts = buildParts(parsed, scope, values, { kind: 'planner' });
  const rows = `select 1 from ${parts.from} ${parts.joins.join(' ')} where ${parts.where.join(' and ')}`;
  return { text: `select count(*)::int as total from (${exact ? rows : `${rows} limit ${ESTIMATE_MAX}`}) as matches`, values: values.list, plannedOnce: false };
}
