// AuditEvent and Provenance under a restriction: a record is a patient's when it names them and nobody else. Queries of
// scopes and categories are not held against the record, so that what needs them is not granted.
import type { Restriction } from '../access/restriction.ts';
import type { AccessEvent } from '../audit/access-event.ts';
import { touchedPatients } from '../audit/touched-references.ts';

/** Id of the patient to whom the record is confined; undefined = to nobody, null = nothing is granted. */
export function recordPatient(restriction: Restriction): string | null | undefined {
  if (restriction.kind === 'none') return undefined;
  if (restriction.kind === 'nothing' || restriction.categories !== undefined) return null;
  const branches = restriction.anyOf.filter(({ filter = [] }) => filter.length === 0);
  if (branches.length === 0) return null;
  return branches.some(({ patient }) => patient === undefined) ? undefined : branches[0]?.patient;
}

/** `Patient/id` of those of whom no record is shown, because they withhold documents. */
export function withheldPatients(restriction: Restriction): string[] {
  const denials = restriction.kind === 'within' ? restriction.withheld ?? [] : [];
  return denials.flatMap(({ patients }) => (patients === 'any' ? [] : [...patients].map((id) => `Patient/${id}`)));
}

export function permitsRecord(restriction: Restriction, event: AccessEvent): boolean {
  const named = touchedPatients(event);
  const withheld = withheldPatients(restriction);
  if (named.some((reference) => withheld.includes(reference))) return false;
  const patient = recordPatient(restriction);
  if (patient === undefined) return true;
  return named.length === 1 && named[0] === `Patient/${patient}`;
}
