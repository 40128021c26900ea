// The Consents that HAPI keeps for an organisation, all of them, at most a minute old: which documents a search may count is
// known only where the consents of everybody are.
import { readConsent, type Consent } from '../access/consent.ts';
import type { ConsentState } from '../access/consent-denials.ts';
import type { Database } from '../database/database.ts';
import type { OrgId } from '../database/tables.ts';
import { isJsonObject } from '../fhir/json.ts';
import type { Logger } from '../logger.ts';
import { BYTES_MAX } from './collect-page.ts';
import { createHapiAccess, type HapiAccess } from './hapi-access.ts';
import { isPerOrganisation, type HapiAddress } from './hapi-client.ts';
import { readHapiPage, type HapiPage } from './hapi-page.ts';
import { firstOrganisation } from './mirror-status.ts';
import type { HapiQuestion } from './read-hapi.ts';

export interface ConsentSourceOptions extends HapiAddress {
  database: Pick<Database, 'workerTransaction'>;
  log: Logger;
  /** Milliseconds. */
  clock?: () => number;
}

/** The state at once where it is young enough; undefined for an organisation that HAPI does not serve. */
export type ConsentSource = (org: { id: OrgId; name: string }) => ConsentState | undefined | Promise<ConsentState | undefined>;

/** How old a state may be, and from when on a newer one is fetched beside. */
const KEPT_MS = 60_000;
const RENEWED_MS = 30_000;
/** After a failure HAPI is asked again at the earliest. */
const AGAIN_MS = 5_000;
const TOO_MANY_AGAIN_MS = 60_000;
/** What one request waits for, and what a fetch may take whoever waits. */
const WAITED_MS = 2_000;
const FETCH_MS = 20_000;
const PAGE = 500;
/** Of one organisation, and organisations that are remembered. */
export const CONSENTS_MAX = 5_000;
const ORGANISATIONS_MAX = 1_000;

const UNKNOWN: ConsentState = { kind: 'unknown' };
const FIRST_PAGE: HapiQuestion = { path: `Consent?status=active&scope=patient-privacy&_count=${PAGE}&_summary=data` };

interface Held {
  state: ConsentState;
  /** Milliseconds: when its fetch began, and when the next may. */
  at: number;
  next: number;
  fetching?: Promise<ConsentState> | undefined;
}

export function createConsentSource({ database, log, clock = () => performance.now(), ...address }: ConsentSourceOptions): ConsentSource {
  const hapi = createHapiAccess({ ...address, log });
  const organisations = new Map<OrgId, Held>();
  let first: OrgId | undefined;

  /** The state, and after how many milliseconds it may be asked for again. */
  async function fetched(orgName: string): Promise<{ state: ConsentState; pause: number }> {
    try {
      const consents = await fetchConsents(hapi, orgName);
      if (consents !== undefined) return { state: { kind: 'known', consents }, pause: 0 };
      log.error({ org: orgName, max: CONSENTS_MAX }, 'there are more active consents than are kept: documents that are labelled restricted are withheld');
      return { state: UNKNOWN, pause: TOO_MANY_AGAIN_MS };
    } catch (error) {
      log.warn({ err: error, org: orgName }, 'consents could not be asked for: documents that are labelled restricted are withheld');
      return { state: UNKNOWN, pause: AGAIN_MS };
    }
  }

  function fetchInto(held: Held, orgName: string): Promise<ConsentState> {
    const at = clock();
    held.fetching ??= fetched(orgName).then(({ state, pause }) => {
      // A state that was fetched is good for its minute, whether or not it could be renewed meanwhile.
      if (state.kind === 'known' || !isYoung(held, KEPT_MS)) Object.assign(held, { state, at });
      held.next = clock() + pause;
      held.fetching = undefined;
      return held.state;
    });
    return held.fetching;
  }

  const isYoung = ({ state, at }: Held, ms: number): boolean => state.kind === 'known' && clock() - at < ms;

  function heldOf(id: OrgId): Held {
    const known = organisations.get(id);
    if (known !== undefined) return known;
    const [oldest] = organisations.keys();
    if (organisations.size >= ORGANISATIONS_MAX && oldest !== undefined) organisations.delete(oldest);
    const held: Held = { state: UNKNOWN, at: -Infinity, next: -Infinity };
    organisations.set(id, held);
    return held;
  }

  function stateOf({ id, name }: { id: OrgId; name: string }): ConsentState | Promise<ConsentState> {
    const held = heldOf(id);
    if (!isYoung(held, RENEWED_MS) && clock() >= held.next) void fetchInto(held, name);
    if (isYoung(held, KEPT_MS)) return held.state;
    return held.fetching === undefined ? UNKNOWN : inTime(held.fetching);
  }

  return (org) => {
    if (isPerOrganisation(address.baseUrl)) return stateOf(org);
    if (first !== undefined) return first === org.id ? stateOf(org) : undefined;
    return database.workerTransaction(firstOrganisation).then((id) => {
      first = id;
      return id === org.id ? stateOf(org) : undefined;
    });
  };
}

/** Whoever waits does so for a while; the fetch goes on for those who come later. */
async function inTime(fetching: Promise<ConsentState>): Promise<ConsentState> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<ConsentState>((resolve) => { timer = setTimeout(() => resolve(UNKNOWN), WAITED_MS); });
  return Promise.race([fetching, late]).finally(() => clearTimeout(timer));
}

/** Undefined where there are more than CONSENTS_MAX. Raises 503 and Errors. */
async function fetchConsents(hapi: HapiAccess, orgName: string): Promise<Consent[] | undefined> {
  const deadline = performance.now() + FETCH_MS;
  const consents: Consent[] = [];
  let seen = 0;
  for (let question: HapiQuestion | undefined = FIRST_PAGE; question !== undefined;) {
    const answered = await hapi.ask(orgName, question, { deadline, bytesMax: BYTES_MAX });
    const page: HapiPage | undefined = answered.kind === 'resource' ? readHapiPage(answered.resource) : undefined;
    if (page === undefined) throw new Error(`HAPI does not answer a search of Consents with a page: ${answered.kind}`);
    const base = answered.kind === 'resource' && answered.address !== undefined ? answered.address : hapi.base(orgName);
    seen += page.entries.length;
    if (seen > CONSENTS_MAX) return undefined;
    consents.push(...page.entries.flatMap(({ resource }) => (isJsonObject(resource) ? readConsent(resource, base) ?? [] : [])));
    question = page.next === undefined ? undefined : { path: `?${new URLSearchParams({ _getpages: page.next.id, _getpagesoffset: String(page.next.offset), _count: String(PAGE), _bundletype: 'searchset', _summary: 'data' }).toString()}` };
  }
  return consents;
}
