// Pages of a searchset of HAPI (R4 bundle.html#searchset): how one is asked for, and what is in it. Pure.
import { isJsonObject, type JsonObject, type JsonValue } from '../fhir/json.ts';
import type { HapiQuestion } from './read-hapi.ts';
import { hapiQuery, type PassedSearch } from './passed-search.ts';

/** Where a search goes on: HAPI keeps its result for a while, under this id. */
export interface PagePosition {
  id: string;
  /** Matches before it. */
  offset: number;
}

export interface HapiPage {
  entries: { resource: JsonValue | undefined; included: boolean }[];
  total: number | undefined;
  /** Undefined after the last page. */
  next: PagePosition | undefined;
}

/** Longer addresses are refused by HAPI's web server, whose headers have 8 KiB in all. */
const PATH_CHARACTERS_MAX = 4_000;

export function firstPageQuestion(search: PassedSearch, size: number, control: readonly [string, string][]): HapiQuestion {
  const query = new URLSearchParams([...hapiQuery(search), ['_count', String(size)], ...control]).toString();
  const path = `${search.type}?${query}`;
  return path.length <= PATH_CHARACTERS_MAX ? { path } : { path: `${search.type}/_search`, form: query };
}

/** Includes are no part of the result that HAPI keeps, nor is what else controls its pages. */
export function nextPageQuestion(search: PassedSearch, { id, offset }: PagePosition, size: number, control: readonly [string, string][]): HapiQuestion {
  const query = new URLSearchParams([
    ['_getpages', id], ['_getpagesoffset', String(offset)], ['_count', String(size)], ['_bundletype', 'searchset'], ...search.includes, ...control,
  ]);
  return { path: `?${query.toString()}` };
}

/** Undefined for what is no searchset, or goes on in a way that is not known: to pass over the rest would hide matches. */
export function readHapiPage(bundle: JsonObject): HapiPage | undefined {
  if (bundle['resourceType'] !== 'Bundle' || bundle['type'] !== 'searchset') return undefined;
  const nextUrl = objects(bundle['link']).find(({ relation }) => relation === 'next')?.['url'];
  const next = typeof nextUrl === 'string' ? positionIn(nextUrl) : undefined;
  if (nextUrl !== undefined && next === undefined) return undefined;
  const entries = objects(bundle['entry']).map(({ resource, search }) => ({ resource, mode: isJsonObject(search) ? search['mode'] : undefined }));
  const total = bundle['total'];
  return {
    entries: entries.filter(({ mode }) => mode !== 'outcome').map(({ resource, mode }) => ({ resource, included: mode === 'include' })),
    total: typeof total === 'number' && Number.isInteger(total) && total >= 0 ? total : undefined,
    next,
  };
}

function objects(value: JsonValue | undefined): JsonObject[] {
  return Array.isArray(value) ? value.filter(isJsonObject) : [];
}

function positionIn(url: string): PagePosition | undefined {
  if (!URL.canParse(url)) return undefined;
  const { searchParams } = new URL(url);
  const [id, offset] = [searchParams.get('_getpages') ?? '', searchParams.get('_getpagesoffset') ?? ''];
  return /^[A-Za-z0-9-]{1,64}$/.test(id) && /^\d{1,9}$/.test(offset) ? { id, offset: Number(offset) } : undefined;
}
