// update of Binary (R4 binary.html): new bytes, of any type, are the next version; what a live document uses keeps its bytes.
import { authorize } from '../access/authorize.ts';
import { confiningPatient } from '../access/restriction.ts';
import { creatorOf } from '../access/principal.ts';
import type { ReceivedContent } from '../content/receive-content.ts';
import type { Transaction } from '../database/database.ts';
import type { VersionRow } from '../database/tables.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { isJsonObject, printJson, type JsonObject, type JsonValue } from '../fhir/json.ts';
import { parseLocalReference } from '../fhir/reference.ts';
import { typeNumber } from '../fhir/resource-type.ts';
import { findBinaryOwners, isBinaryInUse, requireReadable } from '../resources/binary-access.ts';
import { unknown } from '../resources/permitted-version.ts';
import { readLinkTarget } from '../resources/load-link-target.ts';
import { laterThan, publishBinary } from '../resources/publish-document.ts';
import { lockNewest, readNewest } from '../resources/read-version.ts';
import { readResource } from '../resources/resource-text.ts';
import { defineInteraction, type Interaction, type InteractionContext, type Outcome } from './interaction.ts';
import { checkPreconditions } from './preconditions.ts';
import { readerOf } from './prepare-document.ts';
import { checkContext, receiveBinary, type BinaryParts, type ReceivedBinary } from './receive-binary.ts';
import { writeResponse } from './representation.ts';

/** `next` is the version that it makes when nobody else is faster. */
type PreparedUpdate = ReceivedBinary & { next: number };

export function updateBinary(parts: BinaryParts): Interaction {
  return defineInteraction({
    code: 'update',
    kind: 'write',
    prepare: (context) => prepareUpdate(parts, context),
    run: (tx, context, prepared) => runUpdate(parts, tx, context, prepared),
    abandon: (context, { received }) => parts.content.discard(context.org.id, received),
    binary: (context, { received, next }) => ({
      contentType: received.declaredType,
      org: context.org.id, type: typeNumber('Binary'), id: context.request.id, version: next, last_updated: new Date(context.now), deleted: false, method: 'PUT', body: null,
      content: received.id, creator: creatorOf(context.principal), patient: null, size: received.size, sha256: received.sha256, sha1: received.sha1,
    }),
  });
}

/** A body of bytes has no id; a Binary in FHIR form has the URL's. What is refused anyway is refused before the bytes come. */
async function prepareUpdate(parts: BinaryParts, context: InteractionContext): Promise<PreparedUpdate> {
  const { request, org } = context;
  const previous = await context.read(async (tx) => {
    const row = await readNewest(tx, org.id, typeNumber('Binary'), request.id);
    await requireChangeable(tx, parts, context, row);
    return row;
  });
  const binary = await receiveBinary(parts, context);
  if (binary.isResource === true && binary.id !== request.id) {
    await parts.content.discard(org.id, binary.received);
    throw fhirError('id-mismatch', `The body must have the id of the URL, ${request.id}`, { expression: 'Binary.id' });
  }
  return { ...binary, next: (previous?.version ?? 0) + 1 };
}

/** Raises 404 for a Binary that the caller may not read, 412 for an If-Match of another version, 409 for one in use. */
async function requireChangeable(tx: Transaction, parts: BinaryParts, context: InteractionContext, current: VersionRow | undefined): Promise<void> {
  const { request, org } = context;
  const reader = readerOf(context, parts.fhirBase);
  // What a patient's token does not know it does not make under an id of its choice.
  if (confiningPatient(context.restriction) !== undefined && (current === undefined || current.deleted)) throw unknown(`Binary/${request.id}`);
  if (current !== undefined && !current.deleted) requireReadable(await findBinaryOwners(tx, reader, current), `Binary/${request.id}`);
  checkPreconditions(context, request.id, current);
  if (current !== undefined && await isBinaryInUse(tx, org.id, request.id)) throw fhirError('conflict', 'A document uses these bytes, so they do not change; new bytes are a new Binary');
}

function contextOf(resource: JsonObject | undefined): JsonValue | undefined {
  const context = resource?.['securityContext'];
  return isJsonObject(context) ? context['reference'] : undefined;
}

/** Who takes a Binary out of one context and puts it in another needs the right to change both (R4 binary.html). */
function requireContextRights(parts: BinaryParts, context: InteractionContext, before: JsonObject | undefined, after: JsonObject | undefined): void {
  const [old, next] = [contextOf(before), after?.['reference']];
  if (old === next) return;
  for (const reference of [old, next]) {
    const type = typeof reference === 'string' ? parseLocalReference(reference, parts.fhirBase)?.type : undefined;
    const decision = type === undefined ? undefined : authorize(context.principal, { interaction: 'update', type });
    if (decision?.permit === false) throw fhirError('forbidden', `The security context is changed by whoever may change both: ${decision.reason}`, { expression: 'Binary.securityContext' });
  }
}

async function runUpdate(parts: BinaryParts, tx: Transaction, context: InteractionContext, prepared: PreparedUpdate): Promise<Outcome> {
  const { request, org, principal, now, eventId } = context;
  const { contentType, securityContext, received } = prepared;
  const previous = await lockNewest(tx, org.id, typeNumber('Binary'), request.id);
  await requireChangeable(tx, parts, context, previous);
  const before = previous?.body == null ? undefined : readResource(previous.body);
  requireContextRights(parts, context, before, securityContext);
  if (contextOf(before) !== securityContext?.['reference']) await checkContext(tx, context, securityContext, parts.fhirBase);
  if (previous !== undefined && before !== undefined && await isSame(tx, previous, before, prepared)) return unchangedOutcome(parts, context, previous, received);
  const version = (previous?.version ?? 0) + 1;
  const lastUpdated = laterThan(now, previous);
  const text = await publishBinary(tx, {
    org: org.id, id: request.id, contentType, creator: previous?.creator ?? creatorOf(principal), now: lastUpdated, event: eventId, received, method: 'PUT',
    ...(previous === undefined ? {} : { previous }), ...(securityContext === undefined ? {} : { securityContext }),
  });
  const created = previous === undefined || previous.deleted;
  const target = `Binary/${request.id}/_history/${version}`;
  return {
    response: writeResponse(request, created ? 201 : 200, parts.fhirBase, { reference: `Binary/${request.id}`, version, lastUpdated, text }),
    entities: [{ reference: target, role: 'data' }],
    write: {
      activity: created ? 'CREATE' : 'UPDATE', targets: [target], authors: [],
      sources: previous === undefined ? [] : [{ role: 'revision', reference: `Binary/${request.id}/_history/${previous.version}` }],
    },
    bytes: { contentType, size: received.size },
    version: { type: 'Binary', id: request.id, version },
    ...(created ? { code: 'create' as const } : {}),
  };
}

/** The same bytes of the same type in the same context: nothing new. */
async function isSame(tx: Transaction, previous: VersionRow, before: JsonObject, { contentType, securityContext, received }: ReceivedBinary): Promise<boolean> {
  const stored = await readLinkTarget(tx, previous.org, previous.id);
  return stored !== undefined && stored.size === received.size && stored.sha256.equals(received.sha256) && before['contentType'] === contentType
    && printJson(before['securityContext'] ?? null) === printJson(securityContext ?? null);
}

function unchangedOutcome(parts: BinaryParts, { request, org }: InteractionContext, previous: VersionRow, received: ReceivedContent): Outcome {
  const { id, version } = previous;
  return {
    response: writeResponse(request, 200, parts.fhirBase, { reference: `Binary/${id}`, version, lastUpdated: previous.last_updated.getTime(), text: previous.body ?? '' }),
    entities: [{ reference: `Binary/${id}/_history/${version}`, role: 'data' }],
    version: { type: 'Binary', id, version },
    afterCommit: () => { void parts.content.discard(org.id, received).catch(() => { /* The sweeper removes it. */ }); },
  };
}
