// One access to what HAPI holds: on whose behalf, within which time, and with which right to each type.
import { authorize } from '../access/authorize.ts';
import { patientAlone } from '../access/restriction.ts';
import type { Principal } from '../access/principal.ts';
import type { Database } from '../database/database.ts';
import type { OrgId } from '../database/tables.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import type { Logger } from '../logger.ts';
import { isPassed, type PassedType } from '../search/passed-parameters.ts';
import { collectPage, type Asking, type CollectedPage } from './collect-page.ts';
import { createHapiAccess } from './hapi-access.ts';
import { isPerOrganisation, type HapiAddress } from './hapi-client.ts';
import type { PagePosition } from './hapi-page.ts';
import { firstOrganisation } from './mirror-status.ts';
import { readPassedSearch, typesThrough, type PassedSearch } from './passed-search.ts';

export interface ReadThroughOptions extends HapiAddress {
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

export type Pairs = readonly (readonly [string, string])[];

export interface PassedAccess extends Asking {
  type: PassedType;
  /** The search that the pairs ask for. Raises 400, and 403 for a chain through a type that may not be searched. */
  parse(pairs: Pairs, strict: boolean): PassedSearch;
  collect(search: PassedSearch, from: PagePosition | undefined): Promise<CollectedPage>;
}

export interface PassedAccesses {
  /** False for all organisations but the first where they share one HAPI. */
  serves(org: ReadThroughAsking['org']): Promise<boolean>;
  /** Raises 404 `unknown-type` where the type is not passed on, or not for this organisation. */
  begin(asking: ReadThroughAsking, type: string): Promise<PassedAccess>;
}

/** Whose resources of a type are passed on: all, or those of one patient. */
export interface PassedRight {
  patient?: string;
}

/** A right that is narrowed in a way that HAPI is not asked for is no right here. */
export function passedRight(principal: Principal, interaction: 'read' | 'search-type', type: string): PassedRight | undefined {
  const decision = authorize(principal, { interaction, type });
  if (!decision.permit) return undefined;
  if (decision.restriction.kind === 'none') return {};
  const patient = patientAlone(decision.restriction);
  return patient === undefined ? undefined : { patient };
}

export function mayPass(principal: Principal, interaction: 'read' | 'search-type', type: string): boolean {
  const right = passedRight(principal, interaction, type);
  return right !== undefined && right.patient === undefined;
}

export function createPassedAccesses({ publicBase, database, log, timeoutMs = 10_000, ...address }: ReadThroughOptions): PassedAccesses {
  const hapi = createHapiAccess({ ...address, log });
  let first: OrgId | undefined;

  async function serves({ id }: ReadThroughAsking['org']): Promise<boolean> {
    if (isPerOrganisation(address.baseUrl)) return true;
    first ??= await database.workerTransaction(firstOrganisation);
    return id === first;
  }

  return {
    serves,
    async begin({ org, principal }, type) {
      if (!isPassed(type) || !(await serves(org))) throw fhirError('unknown-type', `${type.slice(0, 64)} is not passed on for the organisation ${org.name}: this server has one mirror, of another organisation`);
      const deadline = performance.now() + timeoutMs;
      const hapiBase = hapi.base(org.name);
      const ask: Asking['ask'] = (question, bytesMax) => hapi.ask(org.name, question, { deadline, bytesMax });
      const showing: Asking['showing'] = (address) => ({ addresses: address === undefined ? [hapiBase] : [hapiBase, address], publicBase, form: undefined });
      return {
        type, ask, showing,
        parse: (pairs, strict) => allowed(principal, readPassedSearch(type, pairs, { publicBase, hapiBase, strict, mayRead: (one) => mayPass(principal, 'read', one) })),
        collect: (search, from) => collectPage(search, from, { ask, showing: (address) => ({ ...showing(address), form: search.form }) }),
      };
    },
  };
}

function allowed(principal: Principal, search: PassedSearch): PassedSearch {
  const refused = typesThrough(search).find((type) => !mayPass(principal, 'search-type', type));
  if (refused !== undefined) throw fhirError('forbidden', `This search looks into ${refused}, which the scope or the role does not allow`);
  return search;
}
