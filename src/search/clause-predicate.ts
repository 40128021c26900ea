// A clause as a condition on one resource `r`: columns are compared, index rows are looked up by the version that they
// belong to. Whatever the search begins with, this decides.
import { datePredicate, instantPredicate } from './date-predicate.ts';
import { patientKey, presenceBit, textLine } from './extract-index-values.ts';
import { hashesOf, hashTable, textTable } from './clause-ranges.ts';
import type { SearchClause, SearchValue } from './parse-clause.ts';
import type { Values } from './query-values.ts';

interface ClauseContext {
  org: number;
  type: number;
  fhirBase: string;
}

/** Ties an index row to the version that made it. */
export const tiedTo = (alias: string): string => `${alias}.last_updated = r.last_updated and ${alias}.id = r.id`;

/** `offset 0` keeps the probe a probe: without it the planner turns it into a join and may begin there. */
function rowExists(table: string, alias: string, clause: SearchClause, condition: string, context: ClauseContext, values: Values): string {
  const head = `${alias}.org = ${values.add(context.org)} and ${alias}.type = ${values.add(context.type)} and ${alias}.param = ${values.add(clause.parameter.number)}`;
  return `exists (select 1 from ${table} ${alias} where ${head} and ${condition} and ${tiedTo(alias)} offset 0)`;
}

/** Text that stands for itself in a regular expression of PostgreSQL. */
function literal(text: string): string {
  return text.replace(/[^\p{L}\p{N}\s]/gu, '\\$&');
}

function wordsPredicate(clause: SearchClause, value: SearchValue & { kind: 'words' }, values: Values): string {
  if (!value.anywhere) return `strpos(r.words, ${values.add(textLine(clause.parameter, value.text))}) > 0`;
  return `r.words ~ ${values.add(`${textLine(clause.parameter, '')}[^\n]*${literal(value.text)}`)}`;
}

function missingPredicate({ parameter }: SearchClause, missing: boolean, values: Values): string {
  if (parameter.column === 'id' || parameter.column === 'last_updated') return missing ? 'false' : 'true';
  return `(coalesce(r.present, 0) & ${values.add(presenceBit(parameter).toString(), '::bigint')}) ${missing ? '=' : '<>'} 0`;
}

function columnPredicate(clause: SearchClause, value: SearchValue, context: ClauseContext, values: Values): string {
  const { column, system } = clause.parameter;
  if (value.kind === 'date') {
    const add = (ms: number): string => values.instant(ms);
    if (column === 'date') return `(r.date_hi is not null and ${datePredicate('r.date_lo', 'r.date_hi', value.prefix, value.range, add)})`;
    return instantPredicate('r.last_updated', value.prefix, value.range, add);
  }
  if (value.kind === 'reference') {
    if (value.keys.length === 1) return `r.patient = ${values.add(patientKey(value.keys[0] ?? '', context.fhirBase))}`;
    return `r.patient = any(${values.add(value.keys.map((key) => patientKey(key, context.fhirBase)), '::text[]')})`;
  }
  if (value.kind !== 'token') return 'false';
  if (value.system !== undefined && value.system !== system) return 'false';
  return value.code === '' ? 'r.status is not null' : `r.status = ${values.add(value.code)}`;
}

function textPredicate(clause: SearchClause, value: SearchValue & { kind: 'text' }, alias: string, context: ClauseContext, values: Values): string {
  const { table, column } = textTable(clause);
  const parts = value.prefixes.map((prefix) => `strpos(r.words, ${values.add(textLine(clause.parameter, prefix))}) > 0`);
  if (value.exact.length > 0) parts.push(rowExists(table, alias, clause, `${alias}.${column} = any(${values.add(value.exact, '::text[]')})`, context, values));
  return parts.length === 0 ? 'false' : `(${parts.join(' or ')})`;
}

/** What is compared value by value; keys are looked up together. */
function valuePredicate(clause: SearchClause, value: SearchValue, alias: string, context: ClauseContext, values: Values): string {
  if (value.kind === 'missing') return missingPredicate(clause, value.missing, values);
  if (value.kind === 'words') return wordsPredicate(clause, value, values);
  if (value.kind === 'text') return textPredicate(clause, value, alias, context, values);
  if (clause.parameter.column !== undefined) return columnPredicate(clause, value, context, values);
  if (value.kind !== 'date') return 'false';
  return rowExists('search_date', alias, clause, datePredicate(`${alias}.lo`, `${alias}.hi`, value.prefix, value.range, (ms) => values.instant(ms)), context, values);
}

/** Ids together, so that a list of them is one look-up. */
function idPredicate(clause: SearchClause, values: Values): string {
  const ids = clause.values.flatMap((value) => (value.kind === 'token' && (value.system === undefined || value.system === '') ? [value.code] : []));
  return ids.length === 1 ? `r.id = ${values.add(ids[0])}` : `r.id = any(${values.add(ids, '::text[]')})`;
}

/** `position` tells the aliases of several clauses apart. */
export function clausePredicate(clause: SearchClause, position: number, context: ClauseContext, values: Values): string {
  const alias = `i${position}`;
  if (clause.parameter.column === 'id' && clause.modifier !== 'missing') return clause.negated === true ? `not (${idPredicate(clause, values)})` : idPredicate(clause, values);
  const hashes = clause.parameter.column === undefined ? clause.values.flatMap(hashesOf) : [];
  const others = clause.values.filter((value) => clause.parameter.column !== undefined || hashesOf(value).length === 0);
  const parts = others.map((value) => valuePredicate(clause, value, alias, context, values));
  if (hashes.length === 1) parts.push(rowExists(hashTable(clause), alias, clause, `${alias}.hash = ${values.add(hashes[0])}`, context, values));
  if (hashes.length > 1) parts.push(rowExists(hashTable(clause), alias, clause, `${alias}.hash = any(${values.add(hashes, '::bigint[]')})`, context, values));
  const any = parts.length === 0 ? 'false' : `(${parts.join(' or ')})`;
  return clause.negated === true ? `${any} is not true` : any;
}
