// What the organisation's policy leaves of a caller: joined to the principal at the doorway, asked by `authorize`.
import { coversAll, rightsOf, SHIPPED_POLICY, type Policy, type Rights } from './policy.ts';
import type { Principal } from './principal.ts';

/** The rights that the doorway joined; a principal that never passed it has those of the policy as shipped. */
export function rightsOfPrincipal(principal: Principal): Rights {
  return principal.rights ?? rightsOf(SHIPPED_POLICY, principal.roles);
}

const joined = new WeakMap<Principal, { policy: Policy; principal: Principal }>();

/** The principal with what `policy` gives its roles. Requests with one token share one principal, so the work is done once. */
export function withPolicy(principal: Principal, policy: Policy): Principal {
  const known = joined.get(principal);
  if (known?.policy === policy) return known.principal;
  const made = Object.freeze({ ...principal, rights: rightsOf(policy, principal.roles) });
  joined.set(principal, { policy, principal: made });
  return made;
}

/** Whether the caller may ask for a purge, and decide one. */
export function mayPurge(principal: Principal): boolean {
  return coversAll(rightsOfPrincipal(principal).documents.purge);
}

/** Whether the caller may correct what others may not change by accident. A client without roles may not. */
export function mayCorrect(principal: Principal): boolean {
  return coversAll(rightsOfPrincipal(principal).documents.override);
}
