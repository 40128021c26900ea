// Where a clause's matches lie: ranges of B-trees that hold all of them, each of which yields versions. A search can
// begin there, and what is in them can be counted up to a bound without looking at the resources.
import { boundsPredicate, dateBounds, datePredicate, instantPredicate } from './date-predicate.ts';
import { patientKey } from './extract-index-values.ts';
import { indexHash, tokenSearchKey } from './index-hash.ts';
import { indexedBeginning, INDEXED_LENGTH } from './normalize-text.ts';
import type { SearchClause, SearchValue } from './parse-clause.ts';
import type { Values } from './query-values.ts';

export type RangeTable = 'resource' | 'search_token' | 'search_reference' | 'search_composite' | 'search_string' | 'search_uri' | 'search_date';

export interface ClauseRange {
  table: RangeTable;
  /** Parameter's number in the index table; negative for long ranges, the end first. */
  param?: number;
  /** What the index bounds. */
  bounds(alias: string, values: Values): string;
  /** What is compared beside, where the bounds hold more than the matches. */
  check?(alias: string, values: Values): string;
}

/** States that nearly every resource has: no index holds them. */
export const COMMON_STATUS = ['current', 'completed'] as const;

/** The table of the keys that a clause's values are made to. */
export function hashTable({ parameter }: SearchClause): 'search_token' | 'search_reference' | 'search_composite' {
  return parameter.type === 'reference' ? 'search_reference' : parameter.type === 'composite' ? 'search_composite' : 'search_token';
}

/** The keys of index rows that a value asks for. */
export function hashesOf(value: SearchValue): string[] {
  if (value.kind === 'token') return [String(indexHash(tokenSearchKey(value)))];
  return value.kind === 'reference' || value.kind === 'key' ? value.keys.map((key) => String(indexHash(key))) : [];
}

export function textTable({ parameter }: SearchClause): { table: 'search_string' | 'search_uri'; column: 'norm' | 'value' } {
  return parameter.type === 'string' ? { table: 'search_string', column: 'norm' } : { table: 'search_uri', column: 'value' };
}

/** The least text that comes after everything that begins with `prefix`, in the order of bytes; undefined = there is none. */
export function successor(prefix: string): string | undefined {
  const points = [...prefix].map((character) => character.codePointAt(0) as number);
  for (let last = points.pop(); last !== undefined; last = points.pop()) {
    if (last === 0x10_ffff) continue;
    const next = last + 1 >= 0xd800 && last + 1 <= 0xdfff ? 0xe000 : last + 1;
    return String.fromCodePoint(...points, next);
  }
  return undefined;
}

/** Whether an index row holds too little of the text to say that it begins so. */
export const isLongPrefix = (prefix: string): boolean => prefix.length > INDEXED_LENGTH;

function textRanges(clause: SearchClause, value: SearchValue & { kind: 'text' }): ClauseRange[] {
  const { table, column } = textTable(clause);
  const param = clause.parameter.number;
  const exact = value.exact.map((text): ClauseRange => ({ table, param, bounds: (alias, values) => `${alias}.${column} = ${values.add(text)}` }));
  const prefixes = value.prefixes.map(indexedBeginning).map((prefix): ClauseRange => ({
    table, param,
    bounds(alias, values) {
      const after = successor(prefix);
      return `${alias}.${column} >= ${values.add(prefix)}${after === undefined ? '' : ` and ${alias}.${column} < ${values.add(after)}`}`;
    },
  }));
  return [...exact, ...prefixes];
}

function dateRanges(clause: SearchClause, value: SearchValue & { kind: 'date' }): ClauseRange[][] {
  const { parameter } = clause;
  const { prefix, range } = value;
  if (parameter.column === 'last_updated') return prefix === 'ne' ? [] : [[{ table: 'resource', bounds: (alias, values) => instantPredicate(`${alias}.last_updated`, prefix, range, (ms) => values.instant(ms)) }]];
  const [table, lo, hi] = parameter.column === 'date' ? ['resource', 'date_lo', 'date_hi'] as const : ['search_date', 'lo', 'hi'] as const;
  return dateBounds(prefix, range).map((bounds) => {
    const ranges: ClauseRange[] = [{
      table, ...(table === 'search_date' ? { param: parameter.number } : {}),
      bounds: (alias, values) => boundsPredicate(`${alias}.${lo}`, bounds.lo, (ms) => values.instant(ms)),
      check: (alias, values) => `${alias}.${hi} is not null and ${datePredicate(`${alias}.${lo}`, `${alias}.${hi}`, prefix, range, (ms) => values.instant(ms))}`,
    }];
    const long = bounds.longEnd;
    if (long !== undefined) {
      ranges.push({
        table: 'search_date', param: -parameter.number,
        bounds: (alias, values) => boundsPredicate(`${alias}.lo`, long, (ms) => values.instant(ms)),
        check: (alias, values) => datePredicate(`${alias}.hi`, `${alias}.lo`, prefix, range, (ms) => values.instant(ms)),
      });
    }
    return ranges;
  });
}

function columnRanges(clause: SearchClause, value: SearchValue, fhirBase: string): ClauseRange[] | undefined {
  const { column, system } = clause.parameter;
  if (value.kind === 'reference' && column === 'patient') {
    return value.keys.map((key) => ({ table: 'resource', bounds: (alias, values) => `${alias}.patient = ${values.add(patientKey(key, fhirBase))}` }));
  }
  if (value.kind !== 'token') return undefined;
  if (column === 'id') return value.system === undefined || value.system === '' ? [{ table: 'resource', bounds: (alias, values) => `${alias}.id = ${values.add(value.code)}` }] : [];
  if (value.system !== undefined && value.system !== system) return [];
  if (value.code === '' || (COMMON_STATUS as readonly string[]).includes(value.code)) return undefined;
  // The list stands in the text, so that the planner sees that the index holds all of it.
  return [{ table: 'resource', bounds: (alias, values) => `${alias}.status = ${values.add(value.code)} and ${alias}.status not in (${COMMON_STATUS.map((status) => `'${status}'`).join(', ')})` }];
}

function valueRanges(clause: SearchClause, value: SearchValue, fhirBase: string): ClauseRange[] | undefined {
  if (value.kind === 'words' || value.kind === 'missing' || value.kind === 'date') return undefined;
  if (value.kind === 'text') return textRanges(clause, value);
  if (clause.parameter.column !== undefined) return columnRanges(clause, value, fhirBase);
  const table = hashTable(clause);
  return hashesOf(value).map((hash) => ({ table, param: clause.parameter.number, bounds: (alias, values) => `${alias}.hash = ${values.add(hash)}` }));
}

/** Lists of ranges, each of which holds every match of the clause; none where no index bounds it. */
export function clauseRanges(clause: SearchClause, fhirBase: string): ClauseRange[][] {
  if (clause.negated === true) return [];
  const [only] = clause.values;
  if (clause.values.length === 1 && only?.kind === 'date') return dateRanges(clause, only);
  const ranges: ClauseRange[] = [];
  for (const value of clause.values) {
    const found = value.kind === 'date' ? dateRanges(clause, value)[0] : valueRanges(clause, value, fhirBase);
    if (found === undefined) return [];
    ranges.push(...found);
  }
  return [ranges];
}

/** What several dates of one element leave together, for an element that has one value: their bounds hold at once. */
export function dateRangesTogether(clauses: readonly SearchClause[]): ClauseRange[] {
  const lists = clauses.flatMap((clause) => clauseRanges(clause, '').slice(0, 1));
  const [first, ...rest] = lists.map((list) => list[0] as ClauseRange);
  if (first === undefined) return [];
  const together: ClauseRange = { ...first, bounds: (alias, values) => [first, ...rest].map((range) => range.bounds(alias, values)).join(' and ') };
  delete together.check;
  // A long range is found by the end where that is asked for; the rest is compared with the resource.
  return [together, ...lists.flatMap((list) => list.slice(1))];
}

/** The versions in a range: an SQL query of (id, last_updated). With `exact` its check holds as well. */
export function rangeQuery(range: ClauseRange, scope: { org: number; type: number }, values: Values, exact: boolean): string {
  const head = [`b.org = ${values.add(scope.org)}`, `b.type = ${values.add(scope.type)}`];
  if (range.param !== undefined) head.push(`b.param = ${values.add(range.param)}`);
  if (range.table === 'resource') head.push('not b.deleted');
  head.push(range.bounds('b', values));
  if (exact && range.check !== undefined) head.push(range.check('b', values));
  return `select b.id, b.last_updated from ${range.table} b where ${head.join(' and ')}`;
}
