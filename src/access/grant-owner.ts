// Whose right a grant lends: the owner as they were when they asked, kept as text. Roles and scopes are kept, what the
// organisation's policy gives them is not: the policy is asked again each time.
import { rightsOfPrincipal } from './category-policy.ts';
import type { Action, CategoryRight } from './policy.ts';
import type { Principal } from './principal.ts';
import type { Permission, SmartScope } from './smart-scope.ts';

type KeptScope = Omit<SmartScope, 'permissions'> & { permissions: string };
/** The token itself, its id and its end are no part of it: no token is shown with a grant. */
type KeptOwner = Pick<Principal, 'issuer' | 'subject' | 'clientId' | 'org' | 'fhirUser' | 'name' | 'patient' | 'encounter' | 'roles' | 'purposeOfUse'> & { scopes: KeptScope[] };

/** Who may list, renew and revoke a grant: the same user, whichever client they use. */
export function ownerOf({ issuer, subject }: Principal): string {
  return [issuer, subject].join('|');
}

export function printOwner(principal: Principal): string {
  const { issuer, subject, clientId, org, fhirUser, name, patient, encounter, roles, purposeOfUse, scopes } = principal;
  const kept = { issuer, subject, clientId, org, fhirUser, name, patient, encounter, roles, purposeOfUse, scopes: scopes.map((scope) => ({ ...scope, permissions: [...scope.permissions].join('') })) };
  return JSON.stringify(kept);
}

/** `expiresAt` in seconds is the grant's own. */
export function readOwner(text: string, expiresAt: number): Principal {
  const { scopes, ...owner } = JSON.parse(text) as KeptOwner;
  return { ...owner, expiresAt, scopes: scopes.map((scope) => ({ ...scope, permissions: new Set(scope.permissions as Iterable<Permission>) })) };
}

/** What both rights cover. */
function common(one: CategoryRight, other: CategoryRight): CategoryRight {
  const { permitted } = one;
  return {
    permitted: permitted === 'any' ? other.permitted : permitted.filter((category) => other.permitted === 'any' || other.permitted.includes(category)),
    denied: [...new Set([...one.denied, ...other.denied])],
  };
}

/** The principal as far as it may lend its rights: what it may read or write, and grant as well. */
export function asGranting(principal: Principal): Principal {
  const { documents, record } = rightsOfPrincipal(principal);
  const lent = (action: Action): CategoryRight => common(documents[action], documents.grant);
  return { ...principal, rights: { record, documents: { ...documents, read: lent('read'), write: lent('write') } } };
}
