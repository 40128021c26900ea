// update (R4 http.html 3.1.0.4), which also creates: the body's id is the URL's; If-Match names the current version;
// a repeated identical PUT makes no new version. Without an id in the URL its criteria name the resource (3.1.0.4.3).
import type { Transaction } from '../database/database.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { typeNumber } from '../fhir/resource-type.ts';
import { newUuidV7 } from '../fhir/uuid-v7.ts';
import { lockNewest, readNewest } from '../resources/read-version.ts';
import { findMatch } from './conditional-match.ts';
import { requireChangeable } from './confined-write.ts';
import { defineInteraction, type Interaction, type InteractionContext, type Outcome } from './interaction.ts';
import { checkPreconditions } from './preconditions.ts';
import { discardAll, prepareDocument, type DocumentParts, type PreparedDocument } from './prepare-document.ts';
import { writeDocument } from './write-document.ts';

export function update(parts: DocumentParts): Interaction {
  return defineInteraction({
    code: 'update',
    kind: 'write',
    prepare: async (context) => {
      await requireReached(parts, context);
      const prepared = await prepareDocument(parts, context);
      const { id } = prepared.resource;
      if (context.request.id === '' || id === context.request.id) return prepared;
      await discardAll(parts.content, context, prepared.moved.map((attachment) => attachment.received));
      throw idMismatch(context, context.request.id);
    },
    run: (tx, context, prepared) => (context.request.id === '' ? runConditional(parts, tx, context, prepared) : runUpdate(parts, tx, context, context.request.id, prepared)),
    abandon: (context, prepared) => discardAll(parts.content, context, prepared.moved.map((attachment) => attachment.received)),
  });
}

/** What is hidden from a caller who is confined says so before the body does: the faults in it are told to those who may change it. */
async function requireReached({ fhirBase }: DocumentParts, context: InteractionContext): Promise<void> {
  const { request, org, restriction, share } = context;
  if (restriction.kind === 'none' || request.id === '' || share !== undefined) return;
  await context.read(async (tx) => requireChangeable(tx, context, request.id, await readNewest(tx, org.id, typeNumber(request.type), request.id), fhirBase));
}

function idMismatch({ request }: InteractionContext, id: string): Error {
  return fhirError('id-mismatch', `The body must have the id of the resource that is updated, ${id}`, { expression: `${request.type}.id` });
}

async function runUpdate(parts: DocumentParts, tx: Transaction, context: InteractionContext, id: string, prepared: PreparedDocument): Promise<Outcome> {
  const { request, org } = context;
  const previous = await lockNewest(tx, org.id, typeNumber(request.type), id);
  await requireChangeable(tx, context, id, previous, parts.fhirBase);
  checkPreconditions(context, id, previous);
  return writeDocument(parts, tx, context, { id, method: 'PUT', prepared, previous });
}

/** One match is updated; without one the body's id is created, or a new one where it has none. */
async function runConditional(parts: DocumentParts, tx: Transaction, context: InteractionContext, prepared: PreparedDocument): Promise<Outcome> {
  const { request, org } = context;
  const { id } = prepared.resource;
  const match = await findMatch(tx, context, request.query, parts.fhirBase, true);
  if (match !== undefined) {
    if (id !== undefined && id !== match.id) throw idMismatch(context, match.id);
    return runUpdate(parts, tx, context, match.id, prepared);
  }
  if (typeof id !== 'string') {
    checkPreconditions(context, '', undefined);
    return writeDocument(parts, tx, context, { id: context.assignedId ?? newUuidV7(context.now), method: 'POST', prepared, previous: undefined });
  }
  const previous = await lockNewest(tx, org.id, typeNumber(request.type), id);
  await requireChangeable(tx, context, id, previous, parts.fhirBase);
  checkPreconditions(context, id, previous);
  if (previous !== undefined && !previous.deleted) throw fhirError('conflict', `${request.type}/${id} exists and is not what the criteria name`);
  return writeDocument(parts, tx, context, { id, method: 'PUT', prepared, previous });
}
