// From a query string to clauses (R4 search.html). Pure. Syntax errors are refused here; a value that nothing matches is not one.
import { fhirError } from '../fhir/fhir-error.ts';
import { parseDateRange, type DateRange } from '../fhir/instant.ts';
import { ID_PATTERN, referenceKey } from '../fhir/reference.ts';
import { isSearchable, SEARCH_PARAMETERS, type SearchColumn, type SearchParameter } from './search-parameters.ts';

export type DatePrefix = 'eq' | 'ne' | 'gt' | 'lt' | 'ge' | 'le' | 'sa' | 'eb' | 'ap';

export type SearchValue =
  | { kind: 'token'; system: string | undefined; code: string }
  /** Keys of which any may match: a bare id may mean several types. `text` is the value as sent. */
  | { kind: 'reference'; keys: string[]; text: string }
  | { kind: 'date'; prefix: DatePrefix; range: DateRange };

/** One occurrence of a parameter: its values are joined by OR, clauses by AND. */
export interface SearchClause {
  parameter: SearchParameter;
  values: SearchValue[];
}

export interface SortKey {
  column: SearchColumn;
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
const SORTABLE: Record<string, SearchColumn> = { _lastUpdated: 'last_updated', date: 'date', created: 'date', recorded: 'last_updated', _id: 'id' };

const invalid = (diagnostics: string): Error => fhirError('invalid-parameter', diagnostics);

/** Where `separator` stands unescaped from `from` on; -1 where it does not. A backslash takes the next character with it. */
function findUnescaped(text: string, separator: string, from = 0): number {
  for (let at = from; at < text.length; at += text[at] === '\\' ? 2 : 1) if (text[at] === separator) return at;
  return -1;
}

/** Splits at commas that no backslash escapes; the escapes stay. */
function splitValues(text: string): string[] {
  const parts: string[] = [];
  let start = 0;
  for (let comma = findUnescaped(text, ','); comma >= 0; comma = findUnescaped(text, ',', start)) {
    parts.push(text.slice(start, comma));
    start = comma + 1;
  }
  return [...parts, text.slice(start)].filter((part) => part !== '');
}

function unescape(text: string): string {
  return text.replace(/\\([,$|\\])/g, '$1');
}

function parseToken(text: string): SearchValue {
  const bar = findUnescaped(text, '|');
  if (bar < 0) return { kind: 'token', system: undefined, code: unescape(text) };
  return { kind: 'token', system: unescape(text.slice(0, bar)), code: unescape(text.slice(bar + 1)) };
}

function parseReference(parameter: SearchParameter, text: string, modifier: string | undefined, fhirBase: string): SearchValue {
  const value = unescape(text);
  if (!value.includes('/') && ID_PATTERN.test(value)) {
    const types = modifier === undefined ? (parameter.targets ?? []) : [modifier];
    return { kind: 'reference', keys: types.map((type) => `${type}/${value}`), text: value };
  }
  return { kind: 'reference', keys: [referenceKey(value, fhirBase)], text: value };
}

function parseDate(name: string, text: string): SearchValue {
  const [, prefix = 'eq', value = ''] = /^(eq|ne|gt|lt|ge|le|sa|eb|ap)?(.*)$/s.exec(text) ?? [];
  // An unescaped + of a zone arrives as a space.
  const range = parseDateRange(value.replace(/ (\d{2}:\d{2})$/, '+$1'));
  if (range === undefined) throw invalid(`${name} must be a date with at most a known prefix, such as ge2024-01-31`);
  return { kind: 'date', prefix: prefix as DatePrefix, range };
}

function parseClause(parameter: SearchParameter, modifier: string | undefined, text: string, fhirBase: string): SearchClause {
  if (modifier !== undefined && !(parameter.type === 'reference' && parameter.targets?.includes(modifier) === true)) {
    throw invalid(`The modifier :${modifier.slice(0, 40)} is not supported on ${parameter.name}`);
  }
  const values = splitValues(text).map((part): SearchValue => {
    switch (parameter.type) {
      case 'token': return parseToken(part);
      case 'reference': return parseReference(parameter, part, modifier, fhirBase);
      case 'date': return parseDate(parameter.name, unescape(part));
      case 'string': case 'uri': case 'composite': throw invalid(`${parameter.name} cannot be searched`);
    }
  });
  return { parameter, values };
}

function parseCount(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw invalid('_count must be a whole number of 0 or more');
  return Math.min(Number(text), COUNT_MAX);
}

function parseTotal(text: string): ParsedSearch['total'] {
  if (text === 'none' || text === 'estimate' || text === 'accurate') return text;
  throw invalid('_total must be none, estimate or accurate');
}

/** The first key decides; `_id` may follow it, for it breaks ties anyway. undefined = a key that is not sortable. */
function parseSort(text: string, parameters: readonly SearchParameter[]): SortKey | undefined {
  const keys = text.split(',').map((key) => ({ name: key.replace(/^-/, ''), descending: key.startsWith('-') }));
  const [first, ...rest] = keys;
  const column = first === undefined ? undefined : SORTABLE[first.name];
  if (first === undefined || column === undefined || !parameters.some((parameter) => parameter.name === first.name)) return undefined;
  if (rest.some((key) => key.name !== '_id')) return undefined;
  return { column, descending: first.descending };
}

function applyControl(parsed: ParsedSearch, name: string, value: string, parameters: readonly SearchParameter[]): void {
  if (name === '_cursor') { parsed.cursor = value; return; }
  if (name === '_count') { parsed.count = parseCount(value); return; }
  if (name === '_total') {
    parsed.total = parseTotal(value);
    parsed.used.push([name, value]);
    return;
  }
  const sort = parseSort(value, parameters);
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
  const parsed: ParsedSearch = { clauses: [], sort: { column: 'last_updated', descending: true }, count: COUNT_DEFAULT, total: 'none', cursor: undefined, used: [], ignored: [] };
  for (const [key, value] of pairs) {
    if (`${key}${value}`.includes('\u0000')) throw invalid('A search cannot hold the character NUL');
    const [, name = '', modifier] = /^([^:]*)(?::(.*))?$/s.exec(key) ?? [];
    if (FORM_PARAMETERS.has(name) || value === '') continue;
    if (CONTROL_PARAMETERS.has(name)) { applyControl(parsed, name, value, parameters); continue; }
    const parameter = parameters.find((candidate) => candidate.name === name);
    if (parameter === undefined) { parsed.ignored.push(key.slice(0, 60)); continue; }
    const clause = parseClause(parameter, modifier, value, fhirBase);
    if (clause.values.length === 0) continue;
    parsed.clauses.push(clause);
    parsed.used.push([key, value]);
  }
  if (strict && parsed.ignored.length > 0) throw invalid(`Not supported on ${type}: ${parsed.ignored.join(', ')}`);
  if (!parsed.used.some(([name]) => name === '_sort')) parsed.used.push(['_sort', '-_lastUpdated']);
  parsed.used.push(['_count', String(parsed.count)]);
  return parsed;
}
