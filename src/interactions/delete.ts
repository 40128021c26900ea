// delete (R4 http.html 3.1.0.7): a version without a body; older versions stay readable. Idempotent: what is deleted
// or never was is 204 as well. Without an id in the URL its criteria name the one resource (3.1.0.7.1).
import { confiningPatient, isUnconfined } from '../access/restriction.ts';
import type { Transaction } from '../database/database.ts';
import type { VersionRow } from '../database/tables.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { matchesVersion, versionTag } from '../fhir/etag.ts';
import { typeNumber } from '../fhir/resource-type.ts';
import { unknown } from '../resources/permitted-version.ts';
import { findBinaryOwners, isBinaryInUse, requireReadable } from '../resources/binary-access.ts';
import { publishDeletion } from '../resources/publish-document.ts';
import { lockNewest } from '../resources/read-version.ts';
import { findMatch } from './conditional-match.ts';
import { requireChangeable } from './confined-write.ts';
import { defineInteraction, type Interaction, type InteractionContext, type Outcome } from './interaction.ts';
import { requireIfMatch } from './preconditions.ts';
import { readerOf } from './prepare-document.ts';
import { patientEntity } from './write-outcome.ts';

export function deleteInteraction(fhirBase: string): Interaction {
  return defineInteraction({
    code: 'delete',
    kind: 'write',
    async run(tx, context) {
      const { request } = context;
      if (request.id !== '') return runDelete(tx, context, request.id, fhirBase);
      if (request.query.length === 0) throw fhirError('multiple-matches', 'A deletion without id and criteria would mean everything');
      const match = await findMatch(tx, context, request.query, fhirBase, true);
      return match === undefined ? { response: { status: 204, headers: {} }, entities: [] } : runDelete(tx, context, match.id, fhirBase);
    },
  });
}

/** Whoever is confined deletes of the bytes what they may read. With patient/ alone what is not there is told like what is hidden. */
async function requireOwnBinary(tx: Transaction, context: InteractionContext, binary: VersionRow | undefined, fhirBase: string): Promise<void> {
  const reader = readerOf(context, fhirBase);
  const isThere = binary !== undefined && !binary.deleted;
  if (isThere && (reader.limited || !isUnconfined(context.restriction))) requireReadable(await findBinaryOwners(tx, reader, binary), `Binary/${binary.id}`);
  if (!isThere && binary?.creator !== reader.creator && confiningPatient(context.restriction) !== undefined) throw unknown(`Binary/${context.request.id}`);
}

async function runDelete(tx: Transaction, context: InteractionContext, id: string, fhirBase: string): Promise<Outcome> {
  const { request, org, now, eventId } = context;
  const previous = await lockNewest(tx, org.id, typeNumber(request.type), id);
  const reference = `${request.type}/${id}`;
  if (request.type !== 'Binary') await requireChangeable(tx, context, id, previous, fhirBase);
  else await requireOwnBinary(tx, context, previous, fhirBase);
  const ifMatch = request.header('if-match');
  if (ifMatch !== undefined && (previous === undefined || previous.deleted || !matchesVersion(ifMatch, previous.version))) {
    throw fhirError('version-mismatch', `${reference} is not at that version`);
  }
  requireIfMatch(context, previous);
  if (previous === undefined) return { response: { status: 204, headers: {} }, entities: [] };
  const removed = `${reference}/_history/${previous.version}`;
  if (previous.deleted) {
    return { response: { status: 204, headers: { ETag: versionTag(previous.version) } }, entities: [...patientEntity(previous.patient), { reference: removed, role: 'data' }] };
  }
  if (request.type === 'Binary' && await isBinaryInUse(tx, org.id, id)) throw fhirError('conflict', 'A document uses these bytes, so they cannot be deleted');
  const { version, patient } = await publishDeletion(tx, { type: request.type, previous, fhirBase, now, event: eventId });
  return {
    response: { status: 204, headers: { ETag: versionTag(version) } },
    entities: [...patientEntity(patient), { reference: removed, role: 'data' }],
    write: { activity: 'DELETE', targets: [removed], sources: [{ role: 'removal', reference: removed }], authors: [] },
  };
}
