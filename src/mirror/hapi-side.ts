// What HAPI holds, asked for in portions that need no memory of HAPI's: some resources by their ids, all of a type in the
// order of meta.lastUpdated, and how many there are (http://hl7.org/fhir/R4/search.html#_lastUpdated, #summary).
import { isJsonObject, type JsonObject, type JsonValue } from '../fhir/json.ts';
import type { HapiClient } from './hapi-client.ts';
import type { ComparedType } from './our-side.ts';
import { readHapi, type HapiQuestion } from './read-hapi.ts';
import { isPlaceholder } from './shown-resource.ts';

export interface TheirResource {
  id: string;
  /** HAPI's version. */
  version: string;
  source: string | undefined;
  placeholder: boolean;
  lastUpdated: string;
  resource: JsonObject;
}

/**
 * Where a walk through a type goes on: everything before the instant `since` was seen, and of those that have exactly this one
 * `seen`. `until` bounds the next portion, so that HAPI sorts no more than some pages of what is left; undefined = the rest.
 */
export interface WalkPosition {
  since: string;
  until?: string | undefined;
  seen: string[];
  /** How many of that instant are passed over, where it has more than a page. */
  offset?: number;
}

export interface HapiSide {
  /** FHIR base of this HAPI, without a trailing slash. */
  readonly base: string;
  /** Live ones among `ids`, whole. */
  readByIds(type: ComparedType, ids: readonly string[]): Promise<Map<string, TheirResource>>;
  /** The next portion of all live ones, without their content. `next` is undefined at the end. */
  walk(type: ComparedType, from: WalkPosition | undefined): Promise<{ found: TheirResource[]; next: WalkPosition | undefined }>;
  count(type: ComparedType): Promise<number>;
  /** One portion of what changed since an instant, as `Type/id`; `next` continues it. */
  changedSince(since: string, next: string | undefined): Promise<{ references: string[]; next: string | undefined }>;
}

export interface HapiSideOptions {
  client: HapiClient;
  timeoutMs: number;
  /** Only what carries this as the beginning of its meta.source; undefined = all. */
  sourcePrefix: string | undefined;
}

/** HAPI gives no more on a page, whatever is asked for, unless it is configured to. */
export const IDS_AT_ONCE = 50;
const WALK_COUNT = 200;
const BYTES_MAX = 64 * 1024 * 1024;

/** Every function rejects with an Error that says why, when HAPI does not answer as FHIR has it. */
export function createHapiSide({ client, timeoutMs, sourcePrefix }: HapiSideOptions): HapiSide {
  const { base } = client;
  const scope: [string, string][] = sourcePrefix === undefined ? [] : [['_source:below', sourcePrefix]];

  async function ask(question: HapiQuestion): Promise<JsonObject> {
    const reading = await readHapi(client, question, { timeoutMs, bytesMax: BYTES_MAX });
    if (reading.kind === 'resource') return reading.resource;
    throw new Error(`HAPI could not be compared: ${reading.kind === 'failed' ? reading.reason : reading.kind === 'refused' ? `HTTP ${reading.status}` : 'a page is too long'}`);
  }

  async function search(type: ComparedType, parameters: readonly [string, string][]): Promise<JsonObject> {
    const query = new URLSearchParams([...parameters]).toString();
    return ask(query.length < 3_500 ? { path: `${type}?${query}` } : { path: `${type}/_search`, form: query });
  }

  return {
    base,
    async readByIds(type, ids) {
      const found = new Map<string, TheirResource>();
      for (let offset = 0; offset < ids.length;) {
        const bundle = await search(type, [['_id', ids.join(',')], ['_count', String(ids.length)], ['_offset', String(offset)], ['_total', 'none']]);
        const page = resourcesIn(bundle, type);
        for (const one of page) found.set(one.id, one);
        offset += page.length;
        if (page.length === 0 || !hasNext(bundle)) break;
      }
      return found;
    },
    async walk(type, from) {
      const bundle = await search(type, [
        ...scope, ...windowOf(from), ['_sort', '_lastUpdated,_id'], ['_elements', 'id,meta,extension'],
        ['_count', String(WALK_COUNT)], ['_offset', String(from?.offset ?? 0)], ['_total', 'none'],
      ]);
      const page = resourcesIn(bundle, type);
      const seen = new Set(from?.seen);
      return { found: page.filter(({ id }) => !seen.has(id)), next: hasNext(bundle) ? positionAfter(page, from) : nextWindow(from) };
    },
    async count(type) {
      const total = (await search(type, [...scope, ['_summary', 'count']]))['total'];
      if (typeof total !== 'number') throw new Error(`HAPI does not say how many ${type} it has`);
      return total;
    },
    async changedSince(since, next) {
      const bundle = await ask({ path: next ?? `_history?${new URLSearchParams({ _since: since, _count: String(IDS_AT_ONCE), _elements: 'id,meta' }).toString()}` });
      const urls = entriesOf(bundle).flatMap(({ request }) => (isJsonObject(request) && typeof request['url'] === 'string' ? [request['url']] : []));
      return { references: urls.flatMap((url) => /^(?:.*\/)?([A-Z][A-Za-z]+\/[A-Za-z0-9\-.]+)(?:\/_history\/.*)?$/.exec(url)?.[1] ?? []), next: nextQuery(bundle) };
    },
  };
}

/** Pages that a window holds at the density of the last one. */
const PAGES_AHEAD = 20;
const SPAN_MS_MIN = 1_000;

function windowOf(from: WalkPosition | undefined): [string, string][] {
  if (from === undefined) return [];
  return [['_lastUpdated', `ge${from.since}`], ...(from.until === undefined ? [] : [['_lastUpdated', `lt${from.until}`] as [string, string]])];
}

function positionAfter(page: readonly TheirResource[], from: WalkPosition | undefined): WalkPosition | undefined {
  const [first, last] = [page[0]?.lastUpdated, page.at(-1)?.lastUpdated];
  if (first === undefined || last === undefined) return undefined;
  const span = Math.max(Date.parse(last) - Date.parse(first), SPAN_MS_MIN);
  const tied = page.flatMap(({ id, lastUpdated }) => (lastUpdated === last ? [id] : []));
  // A whole page of one instant is passed over; else it is read from its first one again, since what changes moves away.
  const offset = tied.length === page.length ? (last === from?.since ? from.offset ?? 0 : 0) + page.length : 0;
  return { since: last, until: boundOf(Date.parse(last) + PAGES_AHEAD * span), seen: last === from?.since ? [...new Set([...from.seen, ...tied])] : tied, offset };
}

/** Behind a window that has no more: four times as long, so that the years in which nothing was written are few questions. */
function nextWindow(from: WalkPosition | undefined): WalkPosition | undefined {
  if (from?.until === undefined) return undefined;
  const [begin, end] = [Date.parse(from.since), Date.parse(from.until)];
  return { since: from.until, until: boundOf(end + 4 * (end - begin)), seen: [] };
}

/** Undefined from now on: HAPI's clock may be ahead of ours. */
function boundOf(ms: number): string | undefined {
  return ms >= Date.now() ? undefined : new Date(ms).toISOString();
}

function resourcesIn(bundle: JsonObject, type: ComparedType): TheirResource[] {
  return entriesOf(bundle).flatMap(({ resource }) => (isJsonObject(resource) && resource['resourceType'] === type ? theirResource(resource) : []));
}

function theirResource(resource: JsonObject): TheirResource[] {
  const meta = isJsonObject(resource['meta']) ? resource['meta'] : {};
  const [id, version, lastUpdated, source] = [resource['id'], meta['versionId'], meta['lastUpdated'], meta['source']];
  if (typeof id !== 'string' || typeof version !== 'string' || typeof lastUpdated !== 'string') return [];
  return [{ id, version, lastUpdated, source: typeof source === 'string' ? source : undefined, placeholder: isPlaceholder(resource), resource }];
}

function entriesOf(bundle: JsonObject): JsonObject[] {
  return objects(bundle['entry']);
}

function objects(value: JsonValue | undefined): JsonObject[] {
  return Array.isArray(value) ? value.filter(isJsonObject) : [];
}

function hasNext(bundle: JsonObject): boolean {
  return objects(bundle['link']).some(({ relation }) => relation === 'next');
}

/** What follows the base in the next link: it is asked for at the address that is configured, wherever HAPI thinks that it stands. */
function nextQuery(bundle: JsonObject): string | undefined {
  const url = objects(bundle['link']).find(({ relation }) => relation === 'next')?.['url'];
  const query = typeof url === 'string' ? url.indexOf('?') : -1;
  return query < 0 ? undefined : `${(url as string).slice(0, query).endsWith('_history') ? '_history' : ''}${(url as string).slice(query)}`;
}
