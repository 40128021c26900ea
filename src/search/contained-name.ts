// Names of people who are contained in a resource (R4 references.html#contained): nothing else in contained resources is
// searched. IHE MHD sends authors so, and searches for their names.

const PEOPLE = ['Practitioner', 'Patient', 'RelatedPerson'];

/** The expression of a part of the name of whoever a reference at `path` points to; a role names its practitioner. */
export function containedName(path: string, part: 'given' | 'family'): string {
  const role = `${path}.resolve().ofType(PractitionerRole).practitioner.resolve().ofType(Practitioner).name.${part}`;
  return [...PEOPLE.map((type) => `${path}.resolve().ofType(${type}).name.${part}`), role].join(' | ');
}
