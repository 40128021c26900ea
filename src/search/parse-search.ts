// From a query string to clauses (R4 search.html). Pure. Syntax errors are refused here; a value that nothing matches is not one.
import { fhirError } from '../fhir/fhir-error.ts';
import { parseClause, type ClauseScope, type SearchClause } from './parse-clause.ts';
import { parseRecordClause, recordKey } from './record-clause.ts';
import { isRecord } from './record-type.ts';
import { isSearchable, SEARCH_PARAMETERS, type SearchColumn, type SearchParameter } from './search-parameters.ts';

export { type DatePrefix, type SearchClause, type SearchValue } from './parse-clause.ts';

export interface SortKey {
  column: SearchColumn;
  descending: boolean;
  /** All keys, first to last, where the order is another than the one of the column and the id. */
  terms?: readonly SortTerm[];
}

export interface SortTerm {
  parameter: SearchParameter;
  descending: boolean;
}

export interface ParsedSearch {
  clauses: SearchClause[];
  /** Lists of clauses on references: of each list one must hold. */
  anyOf?: readonly (readonly SearchClause[])[];
  sort: SortKey;
  /** Matches on a page; 0 = total alone. */
  count: number;
  total: 'none' | 'estimate' | 'accurate';
  cursor: string | undefined;
  /** Name and value of each parameter that took effect, for the self link. */
  used: [string, string][];
  /** Names that this server does not know and left out. */
  ignored: string[];
}

export const COUNT_DEFAULT = 20;
export const COUNT_MAX = 1_000;

/** Parameters of the answer's form; the wire reads them, the search does not. */
const FORM_PARAMETERS = new Set(['_format', '_pretty']);
const CONTROL_PARAMETERS = new Set(['_count', '_sort', '_total', '_cursor']);
/** Keys of one order at most. */
const SORT_KEYS_MAX = 5;
/** Parameters of one search at most: each is looked up for each match. */
const CLAUSES_MAX = 50;
/** Records have one order: that of time, which is also the one of their ids. */
const RECORD_SORTS: ReadonlySet<string> = new Set(['_lastUpdated', '_id', 'date', 'recorded', 'when']);

const invalid = (diagnostics: string): Error => fhirError('invalid-parameter', diagnostics);

function parseCount(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw invalid('_count must be a whole number of 0 or more');
  return Math.min(Number(text), COUNT_MAX);
}

function parseTotal(text: string): ParsedSearch['total'] {
  if (text === 'none' || text === 'estimate' || text === 'accurate') return text;
  throw invalid('_total must be none, estimate or accurate');
}

/** What has an order that means something: times, texts, and what a column holds. Hashes of codes have none. */
export function isSortable(parameter: SearchParameter): boolean {
  return parameter.column !== undefined || parameter.mime === true || parameter.type === 'date' || parameter.type === 'string' || parameter.type === 'uri';
}

/** undefined = a key that is not sortable. `_id` breaks ties anyway. */
function parseSort(text: string, type: string, parameters: readonly SearchParameter[]): SortKey | undefined {
  const keys = text.split(',').map((key) => ({ name: key.replace(/^-/, ''), descending: key.startsWith('-') }));
  const terms = keys.map(({ name, descending }) => ({ parameter: parameters.find((candidate) => candidate.name === name && isSortable(candidate)), descending }));
  if (keys.length > SORT_KEYS_MAX) throw invalid(`_sort takes ${SORT_KEYS_MAX} keys`);
  if (!terms.every((term): term is SortTerm => term.parameter !== undefined)) return undefined;
  const [first, ...rest] = terms as [SortTerm, ...SortTerm[]];
  const { column } = first.parameter;
  const { descending } = first;
  if (isRecord(type)) return RECORD_SORTS.has(first.parameter.name) && rest.every((term) => term.parameter.column === 'id') ? { column: column ?? 'last_updated', descending } : undefined;
  const ordered = column === 'id' || column === 'last_updated' || column === 'date';
  const tied = column === 'id' || rest.length === 0 || (rest[0]?.parameter.column === 'id' && rest[0].descending === descending);
  return ordered && tied ? { column, descending } : { column: column ?? 'last_updated', descending, terms };
}

function applyControl(parsed: ParsedSearch, name: string, value: string, type: string, parameters: readonly SearchParameter[]): void {
  if (name === '_cursor') { parsed.cursor = value; return; }
  if (name === '_count') { parsed.count = parseCount(value); return; }
  if (name === '_total') {
    parsed.total = parseTotal(value);
    parsed.used.push([name, value]);
    return;
  }
  const sort = parseSort(value, type, parameters);
  if (sort === undefined) { parsed.ignored.push(`_sort=${value.slice(0, 60)}`); return; }
  parsed.sort = sort;
  parsed.used.push([name, value]);
}

/**
 * Parses the name-value pairs of a search on `type`. With `strict` (Prefer: handling=strict) an unknown parameter is
 * refused, else it is left out and named in `ignored`. Raises 400 `invalid-parameter`.
 */
export function parseSearch(type: string, pairs: Iterable<[string, string]>, fhirBase: string, strict: boolean): ParsedSearch {
  const parameters: readonly SearchParameter[] = isSearchable(type) ? SEARCH_PARAMETERS[type] : [];
  const scope: ClauseScope = { fhirBase, parameters };
  const record = isRecord(type);
  const parsed: ParsedSearch = { clauses: [], sort: { column: 'last_updated', descending: true }, count: COUNT_DEFAULT, total: 'none', cursor: undefined, used: [], ignored: [] };
  for (const [key, value] of pairs) {
    if (`${key}${value}`.includes('\u0000')) throw invalid('A search cannot hold the character NUL');
    const [, name = '', modifier] = /^([^:]*)(?::(.*))?$/s.exec(record ? recordKey(key) : key) ?? [];
    if (FORM_PARAMETERS.has(name) || value === '') continue;
    if (CONTROL_PARAMETERS.has(name)) { applyControl(parsed, name, value, type, parameters); continue; }
    // A named query changes what is found altogether; leaving it out would answer another question (R4 search.html 3.1.1.5.12).
    if (name === '_query') throw invalid(`This server has no query named ${value.slice(0, 60)}`);
    const parameter = parameters.find((candidate) => candidate.name === name);
    if (parameter === undefined) { parsed.ignored.push(key.slice(0, 60)); continue; }
    const clause = record ? parseRecordClause(parameter, modifier, value, fhirBase) : parseClause(parameter, modifier, value, scope);
    if (clause.values.length === 0) continue;
    parsed.clauses.push(clause);
    if (parsed.clauses.length > CLAUSES_MAX) throw fhirError('too-costly', `A search takes ${CLAUSES_MAX} parameters`);
    parsed.used.push([key, value]);
  }
  if (strict && parsed.ignored.length > 0) throw invalid(`Not supported on ${type}: ${parsed.ignored.join(', ')}`);
  if (!parsed.used.some(([name]) => name === '_sort')) parsed.used.push(['_sort', '-_lastUpdated']);
  parsed.used.push(['_count', String(parsed.count)]);
  return parsed;
}
