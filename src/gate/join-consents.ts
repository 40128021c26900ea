// What patients withhold, joined to the caller at the doorway: every path that asks `authorize` is narrowed by it.
import type { AuthorizationRequest } from '../access/authorize.ts';
import { consentsFor, type ConsentState } from '../access/consent-denials.ts';
import type { Principal } from '../access/principal.ts';
import type { AccessCircumstances } from './describe-access.ts';

/** The state of an organisation's consents, at once where it is known; undefined where nothing keeps any. The same object as long as it is the same state. */
export type AskConsents = (org: { id: number; name: string }) => ConsentState | undefined | Promise<ConsentState | undefined>;

const UNASKED = 'The consents of patients could not be asked for';
/** Consents that one event names, at most. */
const NAMED_MAX = 20;

const joined = new WeakMap<Principal, { state: ConsentState; principal: Principal }>();

/** Requests with one token share one principal, so the work is done once for a state; what periods say is as old as that. */
function withConsents(principal: Principal, state: ConsentState, now: number): Principal {
  const known = joined.get(principal);
  if (known?.state === state) return known.principal;
  const { fhirUser: user, org, purposeOfUse: purposes = [] } = principal;
  const consents = consentsFor(state, { user, org, purposes, now });
  const made = consents === undefined ? principal : Object.freeze({ ...principal, consents });
  joined.set(principal, { state, principal: made });
  return made;
}

/** Administration and what is refused anyway touch no patient's documents. */
export async function joinConsents(ask: AskConsents | undefined, principal: Principal, org: { id: number; name: string }, access: AuthorizationRequest, circumstances: AccessCircumstances): Promise<Principal> {
  if (ask === undefined || access.administration !== undefined || access.refusal === true) return principal;
  const asked = ask(org);
  const state = asked instanceof Promise ? await asked : asked;
  if (state === undefined) return principal;
  if (state.kind === 'unknown') circumstances.note = UNASKED;
  return withConsents(principal, state, circumstances.now);
}

/** Ids of the consents that an emergency of the patient sets aside. */
export function overriddenIn({ consents }: Principal, patient: string): string[] {
  return consents?.withholding(patient).slice(0, NAMED_MAX) ?? [];
}
