// What an access touched besides patients: the same list for AuditEvent, Provenance and the index, so that whatever is
// found by a reference also shows it.
import type { AccessEvent } from './access-event.ts';

/** References of the data, versioned where a version was touched: those of the access first, then what it wrote. */
export function touchedData(event: Pick<AccessEvent, 'entities' | 'write'>): string[] {
  const data = event.entities.filter((entity) => entity.role === 'data').map((entity) => entity.reference);
  return [...new Set([...data, ...(event.write?.targets ?? [])])];
}

/** Of the data what is a resource: an organisation, a policy and an emergency are none. */
export function touchedResources(event: AccessEvent): string[] {
  return touchedData(event).filter((reference) => !reference.startsWith(OWN_SYSTEM));
}

/** References of the patients, each once. */
export function touchedPatients(event: Pick<AccessEvent, 'entities'>): string[] {
  return [...new Set(event.entities.filter((entity) => entity.role === 'patient').map((entity) => entity.reference))];
}

/** The reference without its version: `Type/id`. */
export function versionless(reference: string): string {
  return reference.includes('/_history/') ? reference.replace(/\/_history\/[^/]*$/, '') : reference;
}

const TYPE = /(?:^|\/)([A-Z][A-Za-z]{1,63})\/[A-Za-z0-9\-.]{1,64}$/;

/** The resource type that a literal reference names, undefined when it names none. */
export function referencedType(reference: string): string | undefined {
  return TYPE.exec(versionless(reference))?.[1];
}

/** An emergency under which an access took place. */
export const EMERGENCY_SYSTEM = 'urn:muniment:break-glass';

/** Systems of what is touched and no FHIR resource: an organisation, its policy. */
export const OWN_SYSTEM = 'urn:muniment:';

/** Shown as an identifier, with its version where it has one; undefined for a reference to a resource. */
export function ownIdentifier(reference: string): { system: string; value: string } | undefined {
  if (!reference.startsWith(OWN_SYSTEM)) return undefined;
  const end = reference.indexOf(':', OWN_SYSTEM.length);
  return end < 0 ? undefined : { system: reference.slice(0, end), value: reference.slice(end + 1) };
}
