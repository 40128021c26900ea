// The resource types this server stores, renders or passes on, each with the number it has in every table.
// A number is never reused: rows outlive releases.

export const RESOURCE_TYPES = {
  Binary: 1,
  DocumentReference: 2,
  Media: 3,
  List: 4,
  AuditEvent: 5,
  Provenance: 6,
  Patient: 7,
  Bundle: 8,
  Practitioner: 9,
  PractitionerRole: 10,
  Organization: 11,
  Encounter: 12,
  RelatedPerson: 13,
  Device: 14,
  Location: 15,
  Consent: 16,
  StructureDefinition: 17,
  SearchParameter: 18,
  CodeSystem: 19,
  ValueSet: 20,
  OperationDefinition: 21,
} as const;

export type ResourceType = keyof typeof RESOURCE_TYPES;

const NAMES = new Map<number, ResourceType>(
  Object.entries(RESOURCE_TYPES).map(([name, number]) => [number, name as ResourceType]),
);

export function typeNumber(type: ResourceType): number {
  return RESOURCE_TYPES[type];
}

export function typeName(number: number): ResourceType {
  const name = NAMES.get(number);
  if (name === undefined) throw new Error(`No resource type has the number ${number}`);
  return name;
}
