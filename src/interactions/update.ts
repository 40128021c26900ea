// update (R4 http.html 3.1.0.4), which also creates: the body's id is the URL's; If-Match names the current version;
// a repeated identical PUT makes no new version.
import type { Transaction } from '../database/database.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { typeNumber } from '../fhir/resource-type.ts';
import { lockNewest } from '../resources/read-version.ts';
import { defineInteraction, type Interaction, type InteractionContext, type Outcome } from './interaction.ts';
import { checkPreconditions } from './preconditions.ts';
import { discardAll, prepareDocument, type DocumentParts, type PreparedDocument } from './prepare-document.ts';
import { writeDocument } from './write-document.ts';

export function update(parts: DocumentParts): Interaction {
  return defineInteraction({
    code: 'update',
    kind: 'write',
    prepare: async (context) => {
      const prepared = await prepareDocument(parts, context);
      const { id } = prepared.resource;
      if (id === context.request.id) return prepared;
      await discardAll(parts.content, context, prepared.moved.map((attachment) => attachment.received));
      throw fhirError('id-mismatch', `The body must have the id of the URL, ${context.request.id}`, { expression: `${context.request.type}.id` });
    },
    run: (tx, context, prepared) => runUpdate(parts, tx, context, prepared),
    abandon: (context, prepared) => discardAll(parts.content, context, prepared.moved.map((attachment) => attachment.received)),
  });
}

async function runUpdate(parts: DocumentParts, tx: Transaction, context: InteractionContext, prepared: PreparedDocument): Promise<Outcome> {
  const { request, org } = context;
  const previous = await lockNewest(tx, org.id, typeNumber(request.type), request.id);
  checkPreconditions(request, request.id, previous);
  return writeDocument(parts, tx, context, { id: request.id, method: 'PUT', prepared, previous });
}
