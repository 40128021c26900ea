// What a permit is narrowed to: the union of what scopes grant, each within a patient's compartment or a query (SMART App
// Launch 2.2), and the categories of documents that the role may have. Pure data; the search floor makes conditions of it.

import type { ConsentDenial } from './document-test.ts';
import { coversAll, type CategoryRight } from './policy.ts';

/** A search parameter and its value, decoded, as both would stand in a search. */
export type ScopeCriterion = readonly [name: string, value: string];

/** What one scope grants; without members it is everything of the type. */
export interface RestrictionBranch {
  /** Id of the Patient in whose compartment a resource must be. */
  patient?: string;
  /** All of them must hold. */
  filter?: readonly ScopeCriterion[];
}

/** `nothing` is a permit whose result is empty. */
export type Restriction =
  | { kind: 'none' }
  | { kind: 'nothing' }
  /** One of the branches must hold, the categories beside it, and none of what consents withhold. */
  | { kind: 'within'; anyOf: readonly RestrictionBranch[]; categories?: CategoryRight; withheld?: readonly ConsentDenial[] };

const isEverything = ({ patient, filter = [] }: RestrictionBranch): boolean => patient === undefined && filter.length === 0;
/** The least form: branches that the rest holds already are left out. */
export function restrictionOf(branches: readonly RestrictionBranch[], categories?: CategoryRight): Restriction {
  if (branches.length === 0 || (categories !== undefined && categories.permitted !== 'any' && categories.permitted.length === 0)) return { kind: 'nothing' };
  const everything = branches.some(isEverything);
  const patients = new Set(branches.filter(({ filter = [] }) => filter.length === 0).map(({ patient }) => patient));
  const needed = branches.filter(({ patient, filter = [] }) => filter.length === 0 || patient === undefined || !patients.has(patient));
  const anyOf = everything ? [{}] : [...new Map(needed.map((branch) => [JSON.stringify([branch.patient, branch.filter]), branch])).values()];
  if (categories === undefined || coversAll(categories)) return everything ? { kind: 'none' } : { kind: 'within', anyOf };
  return { kind: 'within', anyOf, categories };
}

/** The same without what consents withhold. */
export function withoutWithheld(restriction: Restriction, withheld: readonly ConsentDenial[]): Restriction {
  if (withheld.length === 0 || restriction.kind === 'nothing') return restriction;
  return restriction.kind === 'none' ? { kind: 'within', anyOf: [{}], withheld } : { ...restriction, withheld };
}

/** Whether scope and policy leave all of it, whatever consents withhold. */
export function isUnconfined(restriction: Restriction): boolean {
  return restriction.kind === 'none' || (restriction.kind === 'within' && restriction.categories === undefined && restriction.anyOf.some(isEverything));
}

/** The patient to whom everything is confined; undefined where something else is granted as well. */
export function confiningPatient(restriction: Restriction): string | undefined {
  if (restriction.kind !== 'within') return undefined;
  const [first, ...others] = restriction.anyOf.map(({ patient }) => patient);
  return others.every((patient) => patient === first) ? first : undefined;
}

/** The same where nothing else narrows: what is neither searched nor extracted here can be held against this alone. */
export function patientAlone(restriction: Restriction): string | undefined {
  if (restriction.kind !== 'within' || restriction.categories !== undefined || restriction.anyOf.some(({ filter = [] }) => filter.length > 0)) return undefined;
  return confiningPatient(restriction);
}
