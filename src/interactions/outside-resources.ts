// Resources that are passed on from HAPI and not kept here (people, places, encounters), as a search over our own types
// needs them: for _include and for chained parameters (R4 search.html 3.1.1.5.7, 3.1.1.5.4).
import type { Principal } from '../access/principal.ts';
import type { ResourceType } from '../fhir/resource-type.ts';

/** On whose behalf they are asked for: what the scopes and roles do not grant is not given. */
export interface OutsideAsking {
  org: { id: number; name: string };
  principal: Principal;
}

export interface OutsideResource {
  type: ResourceType;
  id: string;
  /** The version that HAPI showed. */
  version: string;
  /** Milliseconds; undefined where HAPI does not say. */
  lastUpdated: number | undefined;
  /** JSON text with our addresses. */
  text: string;
  /** `Patient/id` of the patient whom it is about. */
  patient: string | undefined;
}

/**
 * Each call goes to HAPI: make it in `prepare`, or in the `complete` of an outcome, never inside a transaction. All
 * raise 503 `unavailable` with Retry-After when HAPI does not answer in time.
 */
export interface OutsideResources {
  readonly types: readonly ResourceType[];
  /** Whether there is a mirror for this organisation: of several that share one HAPI it is the first alone. */
  serves(org: OutsideAsking['org']): Promise<boolean>;
  /**
   * The resources of those references (`Type/id`, at most 1,000) that there are at HAPI, as far as they may be read.
   * Unknown, deleted and foreign ones are left out, and so is all of them where `serves` is false.
   */
  resolveOutside(asking: OutsideAsking, references: readonly string[]): Promise<OutsideResource[]>;
  /**
   * `Type/id` of what matches all the criteria, each a parameter with its modifier or chain, and its value as it stands
   * in a query: `identifier`, `name:exact`, `organization.name`. Raises 400 `invalid-parameter` for what `type` does not
   * declare or where `serves` is false, 403 `forbidden` without the right to search, 400 `too-costly` past 1,000 matches.
   */
  resolveChain(asking: OutsideAsking, type: ResourceType, criteria: readonly (readonly [string, string])[]): Promise<string[]>;
}

type Pairs = readonly (readonly [string, string])[];

/** Where a page begins in what HAPI keeps of a search, and what was known of the whole. */
export interface OutsideStart {
  id: string;
  offset: number;
  total: number | undefined;
}

export interface OutsidePage {
  matches: OutsideResource[];
  included: OutsideResource[];
  next: OutsideStart | undefined;
  total: number | undefined;
  /** Name and value of each parameter that took effect, for the links. */
  used: [string, string][];
  /** Names that were left out. */
  ignored: string[];
}

export interface OutsideQuestion {
  type: string;
  pairs: Pairs;
  /** Prefer: handling=strict */
  strict: boolean;
  /** Where the page begins, given the parameters that took effect; undefined = at the beginning. */
  start: (used: [string, string][]) => OutsideStart | undefined;
}

/** The interactions on what is passed on. */
export interface OutsideReading {
  readonly types: readonly ResourceType[];
  /** The newest version, or the one that is named. Raises 404, 410, 503. */
  read(asking: OutsideAsking, named: { type: string; id: string; version?: string }, pairs: Pairs): Promise<OutsideResource>;
  /** Raises 400, 403, 410 `page-expired`, 503. */
  search(asking: OutsideAsking, question: OutsideQuestion): Promise<OutsidePage>;
}
