// Compartments (R4 compartmentdefinition.html): which search parameters put a resource into the compartment of a patient,
// an encounter, a practitioner, a related person or a device.
import type { SearchClause } from './parse-search.ts';
import { SEARCH_PARAMETERS, type SearchableType } from './search-parameters.ts';

type Membership = Readonly<Partial<Record<SearchableType, readonly string[]>>>;

/** R4's CompartmentDefinitions for the types of this server; a type that is not named is never in the compartment. */
export const COMPARTMENTS = {
  Patient: { DocumentReference: ['subject', 'author'], Media: ['subject'], List: ['subject', 'source'], AuditEvent: ['patient'], Provenance: ['patient'] },
  Encounter: { DocumentReference: ['encounter'], Media: ['encounter'] },
  Practitioner: { DocumentReference: ['subject', 'author', 'authenticator'], Media: ['subject', 'operator'], List: ['source'], AuditEvent: ['agent'], Provenance: ['agent'] },
  RelatedPerson: { DocumentReference: ['author'], Provenance: ['agent'] },
  Device: { DocumentReference: ['subject', 'author'], Media: ['subject'], List: ['subject', 'source'], AuditEvent: ['agent'], Provenance: ['agent'] },
} as const satisfies Record<string, Membership>;

export type CompartmentType = keyof typeof COMPARTMENTS;

export interface Compartment {
  type: CompartmentType;
  id: string;
}

export const COMPARTMENT_TYPES = Object.keys(COMPARTMENTS) as CompartmentType[];

/** The types that can be in a compartment, of those whose parameters this server has. */
export function compartmentMembers(compartment: CompartmentType): SearchableType[] {
  const membership: Membership = COMPARTMENTS[compartment];
  return (Object.keys(membership) as SearchableType[]).filter((type) => compartmentParameters(type, compartment).length > 0);
}

/** Parameters whose references put a resource of `type` into the compartment. */
export function compartmentParameters(type: SearchableType, compartment: CompartmentType): (typeof SEARCH_PARAMETERS)[SearchableType][number][] {
  const names = (COMPARTMENTS[compartment] as Membership)[type] ?? [];
  return SEARCH_PARAMETERS[type].filter((parameter) => names.includes(parameter.name));
}

/** Clauses of which one must hold for a resource of `type` to be in the compartment. */
export function compartmentClauses(type: SearchableType, compartment: Compartment): SearchClause[] {
  const key = `${compartment.type}/${compartment.id}`;
  return compartmentParameters(type, compartment.type).map((parameter) => ({ parameter, values: [{ kind: 'reference', keys: [key], text: key }] }));
}
