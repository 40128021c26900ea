// Resources that HAPI holds and this server passes on: people, places, encounters. Authorized here type by type, with our
// addresses, and without the placeholders that HAPI makes for references of ours.
import { fhirError } from '../fhir/fhir-error.ts';
import { ID_PATTERN } from '../fhir/reference.ts';
import { parseSummaryForm } from '../fhir/summary.ts';
import { PASSED_TYPES, type PassedType } from '../search/passed-parameters.ts';
import { BYTES_MAX, countMatches, type Asking } from './collect-page.ts';
import { hapiUnavailable } from './hapi-access.ts';
import type { PagePosition } from './hapi-page.ts';
import { createPassedAccesses, type Pairs, type PassedAccess, type ReadThroughAsking, type ReadThroughOptions } from './passed-access.ts';
import type { PassedSearch } from './passed-search.ts';
import { resolveMatches, resolveReferences } from './resolve-outside.ts';
import { showResource, type ShownResource } from './shown-resource.ts';

/** Where a page begins, and what was known of the whole before. */
export interface PageStart extends PagePosition {
  total: number | undefined;
}

export interface PassedPage {
  matches: ShownResource[];
  included: ShownResource[];
  next: PageStart | undefined;
  total: number | undefined;
  used: [string, string][];
  ignored: string[];
}

export interface PassedQuestion {
  type: string;
  pairs: Pairs;
  /** Prefer: handling=strict */
  strict: boolean;
  /** Where the page begins, given the parameters that took effect; undefined = at the beginning. */
  start: (used: [string, string][]) => PageStart | undefined;
}

/** Whatever goes to HAPI raises 503 `unavailable` with Retry-After when it does not answer in time. */
export interface ReadThrough {
  readonly types: readonly PassedType[];
  /** False for all organisations but the first where they share one HAPI. */
  serves(org: ReadThroughAsking['org']): Promise<boolean>;
  /** The newest version, or the one that is named. `pairs` may hold `_elements` and `_summary`. Raises 404, 410. */
  read(asking: ReadThroughAsking, named: { type: string; id: string; version?: string }, pairs: Pairs): Promise<ShownResource>;
  /** Raises 400 `invalid-parameter`, 403 for a chain through a type that may not be searched, 410 `page-expired`. */
  search(asking: ReadThroughAsking, question: PassedQuestion): Promise<PassedPage>;
  /** Those of the references (`Type/id`) that there are and that may be read; none where `serves` is false. */
  resolveOutside(asking: ReadThroughAsking, references: readonly string[]): Promise<ShownResource[]>;
  /** `Type/id` of all matches. Raises what `search` does, and 400 `too-costly` past 1,000. */
  resolveChain(asking: ReadThroughAsking, type: string, criteria: Pairs): Promise<string[]>;
}

export function createReadThrough(options: ReadThroughOptions): ReadThrough {
  const accesses = createPassedAccesses(options);
  return {
    types: PASSED_TYPES,
    serves: (org) => accesses.serves(org),
    async read(asking, named, pairs) {
      return readOne(await accesses.begin(asking, named.type), named, pairs);
    },
    async search(asking, question) {
      return searchPage(await accesses.begin(asking, question.type), question);
    },
    resolveOutside: (asking, references) => resolveReferences(accesses, asking, references),
    resolveChain: (asking, type, criteria) => resolveMatches(accesses, asking, type, criteria),
  };
}

async function readOne(access: PassedAccess, { type, id, version }: { type: string; id: string; version?: string }, pairs: Pairs): Promise<ShownResource> {
  const form = parseSummaryForm(pairs);
  if (form?.kind === 'count') throw fhirError('invalid-parameter', '_summary=count is for searches');
  const reference = `${type}/${id}${version === undefined ? '' : `/_history/${version}`}`;
  const unknown = (): Error => fhirError('not-found', `${reference.slice(0, 160)} is not known here`);
  if (!isSegment(id) || (version !== undefined && !isSegment(version))) throw unknown();
  const answered = await access.ask({ path: reference }, BYTES_MAX);
  if (answered.kind === 'too-long') throw hapiUnavailable('A resource is longer than it may be');
  if (answered.kind === 'refused' && answered.status === 410) throw fhirError('deleted', `${reference} was deleted`);
  const shown = answered.kind === 'refused' ? undefined : showResource(answered.resource, { ...access.showing(answered.address), form });
  if (shown?.type !== type || shown.id !== id || (version !== undefined && shown.version !== version)) throw unknown();
  return shown;
}

/** `.` and `..` are ids by their letters, and would lead elsewhere at HAPI. */
function isSegment(text: string): boolean {
  return ID_PATTERN.test(text) && !/^\.{1,2}$/.test(text);
}

async function searchPage(access: PassedAccess, { pairs, strict, start }: PassedQuestion): Promise<PassedPage> {
  const search = access.parse(pairs, strict);
  const from = start(search.used);
  const { used, ignored, count } = search;
  if (count === 0) return { matches: [], included: [], next: undefined, total: await countMatches(search, access.ask), used, ignored };
  const { matches, included, next, hapiTotal } = await access.collect(search, from);
  const complete = from === undefined && next === undefined;
  const total = complete ? matches.length : from?.total ?? await totalOf(search, hapiTotal, access.ask);
  return { matches, included, next: next === undefined ? undefined : { ...next, total }, total, used, ignored };
}

/** Exact unless an estimate was asked for; given without being asked for where it is free. */
async function totalOf(search: PassedSearch, hapiTotal: number | undefined, ask: Asking['ask']): Promise<number | undefined> {
  const exact = search.criteria.some(({ certain }) => certain);
  if (hapiTotal !== undefined && (exact || search.total === 'estimate')) return hapiTotal;
  return search.total === 'none' ? undefined : countMatches(search, ask);
}
