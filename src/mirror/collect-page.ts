// One page of ours out of as many of HAPI's as it takes: HAPI's pages are shorter than ours may be, and placeholders in
// them are not shown.
import { fhirError } from '../fhir/fhir-error.ts';
import type { JsonObject } from '../fhir/json.ts';
import type { HapiAnswered } from './hapi-access.ts';
import { hapiUnavailable } from './hapi-access.ts';
import { firstPageQuestion, nextPageQuestion, readHapiPage, type HapiPage, type PagePosition } from './hapi-page.ts';
import type { PassedSearch } from './passed-search.ts';
import type { HapiQuestion } from './read-hapi.ts';
import { isPlaceholder, showResource, type ShownResource, type ShowingOptions } from './shown-resource.ts';

export interface CollectedPage {
  matches: ShownResource[];
  included: ShownResource[];
  /** Where the next page begins; undefined after the last. */
  next: PagePosition | undefined;
  /** As HAPI counts, placeholders included. */
  hapiTotal: number | undefined;
}

export interface Asking {
  /** Raises 503 `unavailable`. */
  ask: (question: HapiQuestion, bytesMax: number) => Promise<HapiAnswered>;
  /** How a resource of an answer is shown; `address` is the base that HAPI itself names. */
  showing: (address: string | undefined) => ShowingOptions;
}

/** JSON of all that one page of ours is made from. */
export const BYTES_MAX = 16 * 1024 * 1024;
/** Placeholders on the way to the next match are looked through in steps of this many. */
const STEP = 50;
const ROUNDS_MAX = 40;

/** What was collected so far. */
interface Collection {
  matches: ShownResource[];
  included: Map<string, ShownResource>;
  hapiTotal: number | undefined;
  position: PagePosition | undefined;
  /** Characters of JSON. */
  length: number;
}

/** Collects up to `search.count` matches from `from` on, or from the beginning. A page may be short where the bounds end it. */
export async function collectPage(search: PassedSearch, from: PagePosition | undefined, { ask, showing }: Asking): Promise<CollectedPage> {
  const collection: Collection = { matches: [], included: new Map(), hapiTotal: undefined, position: from, length: 0 };
  let sizeMax = Infinity;
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const size = Math.min(sizeMax, sizeOf(search, collection));
    const answered = await ask(questionOf(search, collection.position, size), BYTES_MAX - collection.length);
    if (answered.kind === 'too-long') {
      if (collection.matches.length > 0) break;
      if (size === 1) throw hapiUnavailable('One match alone is longer than a page may be');
      sizeMax = Math.ceil(size / 4);
    } else {
      const { page, address } = pageOf(answered, search, collection.position);
      takeUp(collection, page, search, showing(address));
      if (collection.position === undefined || collection.matches.length >= search.count) break;
    }
  }
  return { matches: collection.matches, included: [...collection.included.values()], next: collection.position, hapiTotal: collection.hapiTotal };
}

/** Takes up what there is room for, and notes where it goes on. */
function takeUp(collection: Collection, page: HapiPage, search: PassedSearch, options: ShowingOptions): void {
  collection.hapiTotal = page.total ?? collection.hapiTotal;
  const found = page.entries.filter(({ included }) => !included);
  let taken = 0;
  // Without a position HAPI could not be asked for the rest: then all that came is taken.
  while (taken < found.length && (collection.position === undefined || collection.matches.length < search.count)) {
    const shown = showResource(found[taken]?.resource, options);
    if (shown?.type === search.type) collection.matches.push(shown);
    collection.length += shown?.text.length ?? 0;
    taken += 1;
  }
  for (const { resource } of page.entries.filter(({ included }) => included)) {
    const shown = showResource(resource, options.form?.kind === 'elements' ? { ...options, form: undefined } : options);
    if (shown !== undefined) collection.included.set(`${shown.type}/${shown.id}`, shown);
    collection.length += shown?.text.length ?? 0;
  }
  const { position } = collection;
  collection.position = taken < found.length && position !== undefined ? { id: position.id, offset: position.offset + taken } : page.next;
}

/** The first question asks for no more than is shown: only then HAPI says where the rest begins. */
function sizeOf(search: PassedSearch, { matches, position }: Collection): number {
  const left = search.count - matches.length;
  return position === undefined || search.includes.length > 0 ? left : Math.max(left, STEP);
}

/** Identity, and the extension by which a placeholder is known. */
const bareElements = (type: string): [string, string][] => [['_elements', `${type}.extension`]];

function questionOf(search: PassedSearch, position: PagePosition | undefined, size: number): HapiQuestion {
  const elements: [string, string][] = search.bare === true ? bareElements(search.type) : [];
  if (position !== undefined) return nextPageQuestion(search, position, size, elements);
  return firstPageQuestion(search, size, search.total === 'none' ? elements : [['_total', 'accurate'], ...elements]);
}

/** Raises 400 for what HAPI does not accept, 410 for a page that it keeps no more, 503 for an answer that is no page. */
export function pageOf(answered: HapiAnswered, search: PassedSearch, position: PagePosition | undefined): { page: HapiPage; address: string | undefined } {
  if (answered.kind === 'refused' && position !== undefined) throw fhirError('page-expired', 'The pages of this search are kept no longer; search again');
  if (answered.kind === 'refused') {
    const names = [...new Set(search.criteria.map(({ name }) => name))].join(', ');
    throw fhirError('invalid-parameter', names === '' ? `This search of ${search.type} is not accepted` : `A value, prefix or modifier is not accepted, of one of ${names.slice(0, 200)}`);
  }
  if (answered.kind === 'too-long') throw hapiUnavailable('A page is longer than it may be');
  const page = readHapiPage(answered.resource);
  if (page === undefined) throw hapiUnavailable('The answer to a search is no searchset that goes on in a known way');
  return { page, address: answered.address };
}

const COUNT_ROUNDS_MAX = 100;

/** How many matches there are that are no placeholders. Raises 400 `too-costly` past what can be looked through. */
export async function countMatches(search: PassedSearch, ask: Asking['ask']): Promise<number> {
  const bare: PassedSearch = { ...search, sort: [], includes: [], bare: true, total: 'none' };
  if (search.criteria.some(({ certain }) => certain)) {
    const { page } = pageOf(await ask(firstPageQuestion(bare, 0, [['_summary', 'count']]), BYTES_MAX), bare, undefined);
    if (page.total === undefined) throw hapiUnavailable('The answer to a count has no total');
    return page.total;
  }
  let [count, position]: [number, PagePosition | undefined] = [0, undefined];
  for (let round = 0; round < COUNT_ROUNDS_MAX; round += 1) {
    const { page } = pageOf(await ask(questionOf(bare, position, 1_000), BYTES_MAX), bare, position);
    count += page.entries.filter(({ resource, included }) => !included && !isPlaceholder((resource ?? {}) as JsonObject)).length;
    position = page.next;
    if (position === undefined) return count;
  }
  throw fhirError('too-costly', 'There are too many matches to be counted; narrow the search or leave _total out');
}
