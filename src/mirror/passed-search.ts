// A search that is passed on to HAPI: from the client's parameters to HAPI's (R4 search.html). Pure.
import { fhirError } from '../fhir/fhir-error.ts';
import { parseSummaryForm, type SummaryForm } from '../fhir/summary.ts';
import { isPassed, passedParameters, PASSED_TYPES, type PassedType } from '../search/passed-parameters.ts';
import { readCriterion, type PassedBases, type PassedCriterion } from './passed-criterion.ts';

export interface PassedSearch {
  type: PassedType;
  criteria: PassedCriterion[];
  /** `_sort` for HAPI. */
  sort: string[];
  /** `_include` and `_include:iterate` for HAPI, each with one target. */
  includes: [string, string][];
  /** How much of each match is shown. HAPI is asked for the whole, for by that a placeholder and the patient are known. */
  form: SummaryForm | undefined;
  /** Only which ones match is wanted, and that they are no placeholders. */
  bare?: true;
  /** Matches on a page; 0 = the total alone. */
  count: number;
  total: 'none' | 'estimate' | 'accurate';
  /** Name and value of each parameter that took effect, for the self link. */
  used: [string, string][];
  /** Names that this server does not know and left out. */
  ignored: string[];
}

export interface PassedSearchOptions extends PassedBases {
  /** Whether the caller may read a type: no other is included. */
  mayRead: (type: PassedType) => boolean;
  /** Prefer: handling=strict */
  strict: boolean;
}

export const COUNT_DEFAULT = 20;
export const COUNT_MAX = 1_000;

/** Read by the wire, or by whoever pages. */
const ELSEWHERE = new Set(['_format', '_pretty', '_cursor']);
const TOTALS = new Set<string>(['none', 'estimate', 'accurate']);

const invalid = (diagnostics: string): Error => fhirError('invalid-parameter', diagnostics);

/** Raises 400 `invalid-parameter`; where it is strict also for what would be left out. */
export function readPassedSearch(type: PassedType, pairs: Iterable<readonly [string, string]>, options: PassedSearchOptions): PassedSearch {
  const form: [string, string][] = [];
  const search: PassedSearch = { type, criteria: [], sort: [], includes: [], form: undefined, count: COUNT_DEFAULT, total: 'none', used: [], ignored: [] };
  for (const [name, value] of pairs) {
    if (`${name}${value}`.includes('\u0000')) throw invalid('A search cannot hold the character NUL');
    if (ELSEWHERE.has(name) || value === '') continue;
    const control = name.split(':', 1)[0] ?? '';
    const take = Object.hasOwn(CONTROLS, control) ? CONTROLS[control] ?? takeCriterion : takeCriterion;
    if (take(search, name, value, options, form)) search.used.push([name, value]);
  }
  if (options.strict && search.ignored.length > 0) throw invalid(`Not supported on ${type}: ${search.ignored.join(', ')}`);
  search.form = parseSummaryForm(form);
  if (search.form?.kind === 'count') search.count = 0;
  search.used = [...search.used.filter(([name]) => name !== '_count'), ['_count', String(search.count)]];
  return search;
}

/** HAPI's query, without what pages it. */
export function hapiQuery(search: PassedSearch): [string, string][] {
  return [
    ...search.criteria.map(({ name, value }): [string, string] => [name, value]),
    ...search.sort.map((value): [string, string] => ['_sort', value]),
    ...search.includes,
  ];
}

/** Types besides its own whose resources a search looks into. */
export function typesThrough({ criteria }: Pick<PassedSearch, 'criteria'>): PassedType[] {
  return PASSED_TYPES.filter((type) => criteria.some(({ through }) => through.includes(type)));
}

/** Takes one parameter up. True when it took effect; what is not supported is named in `ignored`. */
type Take = (search: PassedSearch, name: string, value: string, options: PassedSearchOptions, form: [string, string][]) => boolean;

function leaveOut(search: PassedSearch, text: string): false {
  search.ignored.push(text.slice(0, 80));
  return false;
}

const takeForm: Take = (_search, name, value, _options, form) => {
  form.push([name, value]);
  return true;
};

const takeSort: Take = (search, name, value) => {
  const sortable = passedParameters(search.type).filter(({ type }) => type !== 'special').map((parameter) => parameter.name);
  if (!value.split(',').every((key) => sortable.includes(key.replace(/^-/, '')))) return leaveOut(search, `${name}=${value}`);
  search.sort.push(value);
  return true;
};

const takeInclude: Take = (search, name, value, { mayRead }) => {
  const iterate = /^_include:(iterate|recurse)$/.test(name);
  if (name !== '_include' && !iterate) throw invalid('_include has the modifier :iterate alone');
  const includes = includesOf(search.type, value, iterate);
  if (includes.length === 0) return leaveOut(search, `${name}=${value}`);
  for (const [path, target] of includes) if (mayRead(target)) search.includes.push([iterate ? '_include:iterate' : '_include', `${path}:${target}`]);
  return true;
};

const CONTROLS: Record<string, Take> = {
  _count(search, _name, value) {
    if (!/^\d{1,9}$/.test(value)) throw invalid('_count must be a whole number of 0 or more');
    search.count = Math.min(Number(value), COUNT_MAX);
    return true;
  },
  _total(search, _name, value) {
    if (!TOTALS.has(value)) throw invalid('_total must be none, estimate or accurate');
    search.total = value as PassedSearch['total'];
    return true;
  },
  _sort: takeSort,
  _include: takeInclude,
  _elements: takeForm,
  _summary: takeForm,
};

const takeCriterion: Take = (search, name, value, options) => {
  const criterion = readCriterion(search.type, name, value, options);
  if (criterion === undefined) return leaveOut(search, name);
  if (criterion.value === '') return false;
  search.criteria.push(criterion);
  return true;
};

/** `Patient:organization`, `Encounter:subject:Patient`, `Patient:*`, `*`: each path with each target that is passed on. */
function includesOf(type: PassedType, value: string, anySource: boolean): [string, PassedType][] {
  const [source = '', name = '*', target, ...more] = value === '*' ? [type] : value.split(':');
  if (more.length > 0 || !isPassed(source) || (source !== type && !anySource)) return [];
  return passedParameters(source).filter((parameter) => parameter.type === 'reference' && (name === '*' || parameter.name === name))
    .flatMap((parameter) => (parameter.targets ?? []).filter(isPassed).filter((one) => target === undefined || one === target)
      .map((one): [string, PassedType] => [`${source}:${parameter.name}`, one]));
}
