// Resources that HAPI holds and this server passes on: people, places, encounters. Authorized here type by type, with our
// addresses, and without the placeholders that HAPI makes for references of ours.
import { authorize } from '../access/authorize.ts';
import type { Principal } from '../access/principal.ts';
import type { Database } from '../database/database.ts';
import type { OrgId } from '../database/tables.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { ID_PATTERN } from '../fhir/reference.ts';
import { parseSummaryForm } from '../fhir/summary.ts';
import type { Logger } from '../logger.ts';
import { isPassed, PASSED_TYPES, type PassedType } from '../search/passed-parameters.ts';
import { BYTES_MAX, collectPage, countMatches, type Asking } from './collect-page.ts';
import { createHapiAccess, hapiUnavailable } from './hapi-access.ts';
import type { PagePosition } from './hapi-page.ts';
import { firstOrganisation } from './mirror-status.ts';
import { readPassedSearch, typesThrough, type PassedSearch } from './passed-search.ts';
import { showResource, type ShownResource } from './shown-resource.ts';

export interface ReadThroughOptions {
  /** FHIR base of HAPI; `{org}` in it stands for the organisation's name. */
  baseUrl: string;
  /** Our own FHIR base as clients see it, without a trailing slash. */
  publicBase: string;
  database: Pick<Database, 'workerTransaction'>;
  log: Logger;
  /** Bound of one access, however often it asks; 10 s by default. */
  timeoutMs?: number;
}

/** On whose behalf. */
export interface ReadThroughAsking {
  org: { id: OrgId; name: string };
  principal: Principal;
}

type Pairs = readonly (readonly [string, string])[];

/** Where a page begins, and what was known of the whole before. */
export interface PageStart extends PagePosition {
  total: number | undefined;
}

export interface PassedPage {
  matches: ShownResource[];
  included: ShownResource[];
  next: PageStart | undefined;
  total: number | undefined;
  /** Matches that a page may have. */
  count: number;
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

const CHAIN_MAX = 1_000;
/** References that are asked for at once. */
const IDS_MAX = 50;

export function createReadThrough({ baseUrl, publicBase, database, log, timeoutMs = 10_000 }: ReadThroughOptions): ReadThrough {
  const access = createHapiAccess({ baseUrl, log });
  let first: OrgId | undefined;

  async function serves({ id }: ReadThroughAsking['org']): Promise<boolean> {
    if (baseUrl.includes('{org}')) return true;
    first ??= await database.workerTransaction(firstOrganisation);
    return id === first;
  }

  /** Bounds and addresses of one access. */
  async function begin({ org }: ReadThroughAsking, type: string): Promise<Asking & { type: PassedType; hapiBase: string }> {
    if (!isPassed(type) || !(await serves(org))) throw fhirError('unknown-type', `${type.slice(0, 64)} is not passed on for the organisation ${org.name}: this server has one mirror, of another organisation`);
    const deadline = Date.now() + timeoutMs;
    const hapiBase = access.base(org.name);
    return {
      type, hapiBase,
      ask: (question, bytesMax) => access.ask(org.name, question, { deadline, bytesMax }),
      showing: (address) => ({ addresses: address === undefined ? [hapiBase] : [hapiBase, address], publicBase, form: undefined }),
    };
  }

  function parse(asking: ReadThroughAsking, type: PassedType, pairs: Pairs, hapiBase: string, strict: boolean): PassedSearch {
    const search = readPassedSearch(type, pairs, { publicBase, hapiBase, strict, mayRead: (one) => may(asking.principal, 'read', one) });
    const refused = typesThrough(search).find((one) => !may(asking.principal, 'search-type', one));
    if (refused !== undefined) throw fhirError('forbidden', `This search looks into ${refused}, which the scope or the role does not allow`);
    return search;
  }

  const collect = (search: PassedSearch, from: PagePosition | undefined, asked: Asking): ReturnType<typeof collectPage> => collectPage(search, from, {
    ask: asked.ask, showing: (address) => ({ ...asked.showing(address), form: search.form }),
  });

  async function resolveSome(asking: ReadThroughAsking, type: PassedType, ids: readonly string[]): Promise<ShownResource[]> {
    const asked = await begin(asking, type);
    const search = parse(asking, asked.type, [['_id', ids.join(',')], ['_count', String(ids.length)]], asked.hapiBase, true);
    const { matches } = await collect(search, undefined, asked);
    return matches.filter(({ id }) => ids.includes(id));
  }

  return {
    types: PASSED_TYPES,
    serves,
    async read(asking, { type, id, version }, pairs) {
      const asked = await begin(asking, type);
      const form = parseSummaryForm(pairs);
      if (form?.kind === 'count') throw fhirError('invalid-parameter', '_summary=count is for searches');
      const reference = `${type}/${id}${version === undefined ? '' : `/_history/${version}`}`;
      const answered = await asked.ask({ path: reference }, BYTES_MAX);
      if (answered.kind === 'too-long') throw hapiUnavailable('A resource is longer than it may be');
      if (answered.kind === 'refused' && answered.status === 410) throw fhirError('deleted', `${reference} was deleted`);
      const shown = answered.kind === 'refused' ? undefined : showResource(answered.resource, { ...asked.showing(answered.address), form });
      if (shown?.type !== type || shown.id !== id) throw fhirError('not-found', `${reference} is not known here`);
      return shown;
    },
    async search(asking, { type, pairs, strict, start }) {
      const asked = await begin(asking, type);
      const search = parse(asking, asked.type, pairs, asked.hapiBase, strict);
      const from = start(search.used);
      const { used, ignored, count } = search;
      if (count === 0) return { matches: [], included: [], next: undefined, total: await countMatches(search, asked.ask), count, used, ignored };
      const { matches, included, next, hapiTotal } = await collect(search, from, asked);
      const complete = from === undefined && next === undefined;
      const total = complete ? matches.length : from?.total ?? await totalOf(search, hapiTotal, asked.ask);
      return { matches, included, next: next === undefined ? undefined : { ...next, total }, total, count, used, ignored };
    },
    async resolveOutside(asking, references) {
      if (!(await serves(asking.org))) return [];
      const groups = PASSED_TYPES.filter((type) => may(asking.principal, 'read', type)).flatMap((type) => {
        const ids = [...new Set(references)].filter((one) => one.startsWith(`${type}/`)).map((one) => one.slice(type.length + 1)).filter((id) => ID_PATTERN.test(id));
        return Array.from({ length: Math.ceil(ids.length / IDS_MAX) }, (_, at) => ({ type, ids: ids.slice(at * IDS_MAX, (at + 1) * IDS_MAX) }));
      });
      return (await Promise.all(groups.map(({ type, ids }) => resolveSome(asking, type, ids)))).flat();
    },
    async resolveChain(asking, type, criteria) {
      if (!may(asking.principal, 'search-type', type)) throw fhirError('forbidden', `This search looks into ${type}, which the scope or the role does not allow`);
      if (!isPassed(type) || !(await serves(asking.org))) throw fhirError('invalid-parameter', `A chain through ${type.slice(0, 64)} is not supported for this organisation`);
      const asked = await begin(asking, type);
      const parsed = parse(asking, asked.type, criteria, asked.hapiBase, true);
      if (parsed.criteria.length === 0) throw fhirError('invalid-parameter', `Which ${type} is meant is not said`);
      const { matches, next } = await collect({ ...parsed, includes: [], sort: [], bare: true, form: undefined, count: CHAIN_MAX + 1, total: 'none' }, undefined, asked);
      if (matches.length > CHAIN_MAX || next !== undefined) throw fhirError('too-costly', `More than ${CHAIN_MAX} ${type} match ${criteria.map(([name]) => name.slice(0, 60)).join(', ')}; narrow the search`);
      return matches.map(({ id }) => `${type}/${id}`);
    },
  };
}

/** A right that is narrowed in a way that HAPI is not asked for is no right here. */
function may(principal: Principal, interaction: 'read' | 'search-type', type: string): boolean {
  const decision = authorize(principal, { interaction, type });
  return decision.permit && decision.restriction.kind === 'none';
}

/** Exact unless an estimate was asked for; given without being asked for where it is free. */
async function totalOf(search: PassedSearch, hapiTotal: number | undefined, ask: Asking['ask']): Promise<number | undefined> {
  const exact = search.criteria.some(({ certain }) => certain);
  if (hapiTotal !== undefined && (exact || search.total === 'estimate')) return hapiTotal;
  return search.total === 'none' ? undefined : countMatches(search, ask);
}
