// Parameters that say how a result is shown, not what is found (R4 search.html 3.1.1.6). Pure.
import { fhirError } from '../fhir/fhir-error.ts';

export type SummaryMode = 'true' | 'text' | 'data' | 'count';

export interface ResultParameters {
  /** Everything else, in its order: what is searched. */
  rest: [string, string][];
  summary: SummaryMode | undefined;
  /** Element names that matches are narrowed to; empty = all. */
  elements: string[];
  /** `_include` and `_revinclude` as sent: name with its modifier, and value. */
  includes: { name: '_include' | '_revinclude'; iterate: boolean; text: string }[];
  /** `_type` of a search across types; undefined = all. */
  types: string[] | undefined;
  /** Cursor of the first match shown after the page that is wanted. */
  before: string | undefined;
  /** Parameters of the answer's form, which page links carry on. */
  form: [string, string][];
  /** Those of the above that took effect, for the self link. */
  used: [string, string][];
}

const SUMMARIES: ReadonlySet<string> = new Set(['true', 'text', 'data', 'count', 'false']);
const INCLUDE = /^(_include|_revinclude)(?::(iterate|recurse))?$/;

const invalid = (diagnostics: string): Error => fhirError('invalid-parameter', diagnostics);

function takeSummary(result: ResultParameters, value: string): void {
  if (!SUMMARIES.has(value)) throw invalid('_summary must be true, text, data, count or false');
  result.summary = value === 'false' ? undefined : (value as SummaryMode);
  result.used.push(['_summary', value]);
}

function takeElements(result: ResultParameters, value: string): void {
  const names = value.split(',').map((name) => name.trim().replace(/^[A-Z][A-Za-z]*\./, '')).filter((name) => name !== '');
  if (names.some((name) => !/^[A-Za-z][A-Za-z0-9]*$/.test(name))) throw invalid('_elements must be a list of element names, such as identifier,status');
  result.elements.push(...names);
  result.used.push(['_elements', value]);
}

function takeInclude(result: ResultParameters, key: string, value: string): boolean {
  const [, name, iterate] = INCLUDE.exec(key) ?? [];
  if (name === undefined) {
    if (/^_(rev)?include:/.test(key)) throw invalid(`${key.slice(0, 40)}: only the modifier :iterate is supported`);
    return false;
  }
  result.includes.push({ name: name as '_include' | '_revinclude', iterate: iterate !== undefined, text: value });
  return true;
}

/** Parts the pairs of a search. Raises 400 `invalid-parameter` for values that R4 does not have. An empty value counts for nothing. */
export function takeResultParameters(pairs: Iterable<readonly [string, string]>): ResultParameters {
  const result: ResultParameters = { rest: [], summary: undefined, elements: [], includes: [], types: undefined, before: undefined, form: [], used: [] };
  for (const [key, value] of pairs) {
    if (value === '') continue;
    if (key === '_format' || key === '_pretty') result.form.push([key, value]);
    else if (key === '_summary') takeSummary(result, value);
    else if (key === '_elements') takeElements(result, value);
    else if (key === '_type') result.types = [...(result.types ?? []), ...value.split(',').filter((name) => name !== '')];
    else if (key === '_before') result.before = value;
    else if (!takeInclude(result, key, value)) result.rest.push([key, value]);
  }
  return result;
}
