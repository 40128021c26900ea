// From a clause to what the rows are asked: alternatives that an index leads to, or a test of rows that another clause
// must bound.
import { uuidV7Ceil, uuidV7Floor } from '../fhir/uuid-v7.ts';
import type { SearchClause, SearchValue } from './parse-search.ts';
import { matchesShown, matchesText } from './record-code-match.ts';
import type { ColumnCodes, ShownCode } from './record-codes.ts';
import type { RecordLookup } from './record-lookups.ts';
import { openCondition, type OpenValues } from './record-open-values.ts';
import type { ReferenceLookup } from './record-references.ts';
import { allOf, anyOf, not, type Condition, type RecordSql } from './record-sql.ts';
import { instantPredicate } from './date-predicate.ts';

/** What a clause makes of the search. */
export interface ClauseSql {
  /** Joined by OR. Several: each is asked by itself, since each has its index. */
  alternatives: Condition[];
  /** An index leads to few rows, or to those of a time. */
  bounds: boolean;
  /** Each row is looked into, so that another clause must bound them. */
  costly: boolean;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

const indexed = (...alternatives: Condition[]): ClauseSql => ({ alternatives, bounds: true, costly: false });
const dense = (condition: Condition): ClauseSql => ({ alternatives: [condition], bounds: false, costly: false });
const looked = (condition: Condition): ClauseSql => ({ alternatives: [condition], bounds: false, costly: typeof condition === 'string' });

const missingOf = (clause: SearchClause): boolean | undefined => {
  const [value] = clause.values;
  return value?.kind === 'missing' ? value.missing : undefined;
};

/** Ids hold 48 bits of milliseconds from 1970 on; nothing was recorded outside them. */
const idTime = (ms: number): number => Math.min(Math.max(ms, 0), 2 ** 48 - 1);

/** Narrows by id what `recorded` says exactly; a part of a date range that has no bound is left open. */
function idBounds({ prefix, range }: Extract<SearchValue, { kind: 'date' }>, { values }: RecordSql): string[] {
  const bounds: string[] = [];
  if (['eq', 'ap', 'ge'].includes(prefix)) bounds.push(`e.id >= ${values.add(uuidV7Floor(idTime(range.lo)), '::uuid')}`);
  if (['gt', 'sa'].includes(prefix)) bounds.push(`e.id >= ${values.add(uuidV7Floor(idTime(range.hi)), '::uuid')}`);
  if (['eq', 'ap', 'le'].includes(prefix)) bounds.push(`e.id <= ${values.add(uuidV7Ceil(idTime(range.hi)), '::uuid')}`);
  if (['lt', 'eb'].includes(prefix)) bounds.push(`e.id <= ${values.add(uuidV7Ceil(idTime(range.lo)), '::uuid')}`);
  return bounds;
}

function timeSql(clause: SearchClause, sql: RecordSql): ClauseSql {
  const missing = missingOf(clause);
  if (missing !== undefined) return dense(!missing);
  const dates = clause.values.filter((value) => value.kind === 'date');
  const any = dates.map((value) => allOf([instantPredicate('e.recorded', value.prefix, value.range, (ms) => sql.values.instant(ms)), ...idBounds(value, sql)]));
  return { alternatives: [anyOf(any)], bounds: dates.every(({ prefix }) => prefix !== 'ne'), costly: false };
}

/** Tokens without a system: an id, a request's id. */
function plainTokens(clause: SearchClause): string[] {
  return clause.values.flatMap((value) => (value.kind === 'token' && (value.system ?? '') === '' ? [value.code] : []));
}

function oneOf(sql: RecordSql, column: string, type: string, values: readonly (string | number)[]): Condition {
  if (values.length === 0) return false;
  return values.length === 1 ? `(${column} = ${sql.values.add(values[0], `::${type}`)})` : `(${column} = any(${sql.values.add([...values], `::${type}[]`)}))`;
}

function keySql(clause: SearchClause, sql: RecordSql, column: string, type: string, keys: readonly string[]): ClauseSql {
  const missing = missingOf(clause);
  if (missing !== undefined) return dense(!missing);
  const found = oneOf(sql, column, type, keys);
  return clause.negated === true ? looked(not(found)) : indexed(found);
}

function columnSql(clause: SearchClause, sql: RecordSql, { column, type, codes, held = (code) => [code] }: ColumnCodes): ClauseSql {
  const missing = missingOf(clause);
  if (missing !== undefined) return dense(!missing);
  const chosen = codes.filter((code) => clause.values.some((value) => matchesShown(value, code)) !== (clause.negated === true));
  const values = chosen.flatMap(({ code }) => held(code)).map((value) => (type === 'smallint' ? Number(value) : value));
  return dense(chosen.length === codes.length ? true : oneOf(sql, column, type, values));
}

function codesSql(clause: SearchClause, sql: RecordSql, codes: readonly ShownCode[]): ClauseSql {
  const missing = missingOf(clause);
  const { parameter } = clause;
  const isMatch = (value: SearchValue, code: ShownCode): boolean => (value.kind === 'plain' && parameter.type !== 'token' ? matchesText(value.text, clause, code.code) : matchesShown(value, code));
  const chosen = missing === undefined ? codes.filter((code) => clause.values.some((value) => isMatch(value, code))) : codes;
  const found = anyOf(chosen.map(({ when }) => when(sql)));
  return looked(clause.negated === true || missing === true ? not(found) : found);
}

function siteSql(clause: SearchClause, { values, org }: RecordSql): ClauseSql {
  const missing = missingOf(clause);
  if (missing !== undefined) return dense(!missing);
  const names = plainTokens(clause);
  const own = `exists (select 1 from organisation o where o.id = ${values.add(org)} and o.name = any(${values.add(names, '::text[]')}))`;
  return dense(clause.negated === true ? not(own) : own);
}

function referenceSql(clause: SearchClause, sql: RecordSql, lookup: ReferenceLookup): ClauseSql {
  const missing = missingOf(clause);
  if (missing !== undefined) return looked(missing ? not(lookup.present(sql)) : lookup.present(sql));
  if (clause.modifier !== 'identifier') return indexed(...clause.values.flatMap((value) => (value.kind === 'reference' ? lookup.literal(sql, value) : [])));
  const { logical } = lookup;
  if (logical === undefined) return dense(false);
  const tokens = clause.values.filter((value) => value.kind === 'token');
  const alternatives = tokens.flatMap((value) => logical.find(sql, value));
  return tokens.every((value) => logical.indexed(value)) ? indexed(...alternatives) : looked(anyOf(alternatives));
}

export function clauseSql(clause: SearchClause, lookup: RecordLookup, sql: RecordSql, open: OpenValues): ClauseSql {
  switch (lookup.kind) {
    case 'id': return keySql(clause, sql, 'e.id', 'uuid', plainTokens(clause).filter((id) => UUID.test(id)));
    case 'request': return keySql(clause, sql, 'e.request_id', 'text', plainTokens(clause));
    case 'time': return timeSql(clause, sql);
    case 'site': return siteSql(clause, sql);
    case 'column': return columnSql(clause, sql, lookup.codes);
    case 'codes': return codesSql(clause, sql, lookup.codes);
    case 'open': return { ...looked(openCondition(sql, clause, lookup.fields, open)), costly: true };
    case 'reference': return referenceSql(clause, sql, lookup.lookup);
  }
}
