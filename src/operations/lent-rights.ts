// How far a caller may lend their rights: what they may read or write, and grant as well, on a Binary or on the bytes of a
// document. Asked when a signed URL is made and, by the policy of that moment, whenever it is used.
import { authorize } from '../access/authorize.ts';
import type { AccessGrant } from '../access/access-grant.ts';
import { asGranting } from '../access/grant-owner.ts';
import { confiningPatient } from '../access/restriction.ts';
import type { AccessEntity } from '../audit/access-event.ts';
import type { Transaction } from '../database/database.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { isJsonObject } from '../fhir/json.ts';
import { parseLocalReference } from '../fhir/reference.ts';
import { typeNumber, type ResourceType } from '../fhir/resource-type.ts';
import type { InteractionContext } from '../interactions/interaction.ts';
import { readerOf } from '../interactions/prepare-document.ts';
import { patientEntity } from '../interactions/write-outcome.ts';
import { findBinaryOwners, isBinaryInUse, requireReadable } from '../resources/binary-access.ts';
import { requirePermitted, unknown } from '../resources/permitted-version.ts';
import { readNewest } from '../resources/read-version.ts';
import { readResource } from '../resources/resource-text.ts';

/** The context with the rights that are lent in place of all, and what they are restricted to. Raises 403. */
export function lending(context: InteractionContext, interaction: 'read' | 'create' | 'update', type: ResourceType): InteractionContext {
  const own = authorize(context.principal, { interaction, type });
  const principal = asGranting(context.principal);
  const lent = authorize(principal, { interaction, type });
  if (lent.permit) return { ...context, principal, restriction: lent.restriction };
  if (own.permit) throw fhirError('forbidden', 'The role does not allow access to be granted to others');
  throw fhirError('forbidden', own.reason, own.code === 'insufficient_scope' ? { headers: { 'WWW-Authenticate': 'Bearer realm="Muniment", error="insufficient_scope"' } } : {});
}

export interface LentDocument {
  /** Id of the Binary that its first content points to. */
  binary: string | undefined;
  entities: AccessEntity[];
}

/** A document that may be read and lent. Raises 404, 403, and 410 once it was deleted. */
export async function lentDocument(tx: Transaction, asked: InteractionContext, id: string, fhirBase: string): Promise<LentDocument> {
  const { restriction, org } = lending(asked, 'read', 'DocumentReference');
  const reference = `DocumentReference/${id}`;
  const row = await readNewest(tx, org.id, typeNumber('DocumentReference'), id);
  if (row === undefined) throw unknown(reference);
  await requirePermitted(tx, restriction, row, fhirBase);
  if (row.body === null) throw fhirError('deleted', `${reference} was deleted`);
  const contents = readResource(row.body)['content'];
  const [binary] = (Array.isArray(contents) ? contents : []).flatMap((content) => {
    const attachment = isJsonObject(content) ? content['attachment'] : undefined;
    const url = isJsonObject(attachment) ? attachment['url'] : undefined;
    const target = typeof url === 'string' ? parseLocalReference(url, fhirBase) : undefined;
    return target?.type === 'Binary' ? [target.id] : [];
  });
  return { binary, entities: [...patientEntity(row.patient), { reference: `${reference}/_history/${row.version}`, role: 'data' }] };
}

export function requireBytes({ binary }: LentDocument, id: string): string {
  if (binary === undefined) throw fhirError('unknown-binary', `DocumentReference/${id} has no bytes here`);
  return binary;
}

/** Raises 404 or 403 for a Binary that may not be read and lent, 410 once it was deleted. */
async function lentBinary(tx: Transaction, asked: InteractionContext, id: string, fhirBase: string): Promise<AccessEntity[]> {
  const context = lending(asked, 'read', 'Binary');
  const row = await readNewest(tx, context.org.id, typeNumber('Binary'), id);
  if (row === undefined) throw unknown(`Binary/${id}`);
  const owners = await findBinaryOwners(tx, readerOf(context, fhirBase), row);
  requireReadable(owners, `Binary/${id}`);
  if (row.body === null) throw fhirError('deleted', `Binary/${id} was deleted`);
  return [...owners.patients.map((patient) => ({ reference: patient, role: 'patient' as const })), ...[`Binary/${id}/_history/${row.version}`, ...owners.users].map((reference) => ({ reference, role: 'data' as const }))];
}

/** Raises as `update` would, before anything is put: 404, 403, and 409 while a document uses the Binary. */
async function changeableBinary(tx: Transaction, asked: InteractionContext, id: string, fhirBase: string): Promise<AccessEntity[]> {
  const context = lending(asked, 'update', 'Binary');
  const row = await readNewest(tx, context.org.id, typeNumber('Binary'), id);
  if (row === undefined || row.deleted) {
    if (confiningPatient(context.restriction) !== undefined) throw unknown(`Binary/${id}`);
    return [];
  }
  requireReadable(await findBinaryOwners(tx, readerOf(context, fhirBase), row), `Binary/${id}`);
  if (await isBinaryInUse(tx, context.org.id, id)) throw fhirError('conflict', 'A document uses these bytes, so they do not change; new bytes are a new Binary');
  return [{ reference: `Binary/${id}/_history/${row.version}`, role: 'data' }];
}

/** Whether the caller may lend this, and what the record names of it. */
export async function requireLendable(tx: Transaction, context: InteractionContext, { type, resourceId, method }: Pick<AccessGrant, 'type' | 'resourceId' | 'method'>, fhirBase: string): Promise<AccessEntity[]> {
  if (type === 'Binary') return method === 'GET' ? lentBinary(tx, context, resourceId, fhirBase) : changeableBinary(tx, context, resourceId, fhirBase);
  const document = await lentDocument(tx, context, resourceId, fhirBase);
  if (method === 'PUT') lending(context, 'create', 'Binary');
  else await lentBinary(tx, context, requireBytes(document, resourceId), fhirBase);
  return document.entities;
}
