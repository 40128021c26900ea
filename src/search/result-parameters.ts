// Parameters that say how a result is shown, not what is found (R4 search.html 3.1.1.6). Pure.
import { fhirError } from '../fhir/fhir-error.ts';
import { parseSummaryForm, type SummaryForm } from '../fhir/summary.ts';
import type { IncludeText } from './parse-include.ts';

export interface ResultParameters {
  /** Everything else, in its order: what is searched. */
  rest: [string, string][];
  /** What of each match is shown; undefined = all. */
  summary: SummaryForm | undefined;
  includes: IncludeText[];
  /** `_type` of a search across types; undefined = all. */
  types: string[] | undefined;
  /** Cursor of the first match shown after the page that is wanted. */
  before: string | undefined;
  /** Parameters of the answer's form, which page links carry on. */
  form: [string, string][];
  /** `_summary` and `_elements`, for the self link. */
  used: [string, string][];
}

const INCLUDE = /^(_include|_revinclude)(?::(.*))?$/s;

function includeText(key: string, value: string): IncludeText | undefined {
  const [, name, modifier] = INCLUDE.exec(key) ?? [];
  if (name === undefined) return undefined;
  // STU3 said :recurse for what R4 says :iterate.
  if (modifier !== undefined && modifier !== 'iterate' && modifier !== 'recurse') throw fhirError('invalid-parameter', `The modifier :${modifier.slice(0, 40)} is not supported on ${name}`);
  return { name: name as IncludeText['name'], iterate: modifier !== undefined, text: value };
}

/** Parts the pairs of a search. Raises 400 `invalid-parameter` for values that R4 does not have. An empty value counts for nothing. */
export function takeResultParameters(pairs: readonly (readonly [string, string])[]): ResultParameters {
  const given = pairs.filter(([, value]) => value !== '');
  const result: ResultParameters = { rest: [], summary: parseSummaryForm(given), includes: [], types: undefined, before: undefined, form: [], used: [] };
  for (const [key, value] of given) {
    const include = includeText(key, value);
    if (include !== undefined) result.includes.push(include);
    else if (key === '_format' || key === '_pretty') result.form.push([key, value]);
    else if (key === '_summary' || key === '_elements') result.used.push([key, value]);
    else if (key === '_type') result.types = [...(result.types ?? []), ...value.split(',').filter((name) => name !== '')];
    else if (key === '_before') result.before = value;
    else result.rest.push([key, value]);
  }
  return result;
}
