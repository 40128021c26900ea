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

export function permitsRecord(restriction: Restriction, event: AccessEvent): boolean {
  const patient = recordPatient(restriction);
  if (patient === undefined) return true;
  const named = touchedPatients(event);
  return named.length === 1 && named[0] === `Patient/${patient}`;
}
