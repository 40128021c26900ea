// update (R4 http.html 3.1.0.4), which also creates: the body's id is the URL's; If-Match names the current version;
// a repeated identical PUT makes no new version.
import type { Transaction } from '../database/database.ts';
import type { VersionRow } from '../database/tables.ts';
import { matchesVersion } from '../fhir/etag.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { typeNumber } from '../fhir/resource-type.ts';
import { namedAuthors, publishDocument } from '../resources/publish-document.ts';
import { lockNewest } from '../resources/read-version.ts';
import { defineInteraction, type Interaction, type InteractionContext, type Outcome } from './interaction.ts';
import { discardAll, prepareDocument, readerOf, type DocumentParts, type PreparedDocument } from './prepare-document.ts';
import { writeResponse } from './representation.ts';
import { writeOutcome } from './write-outcome.ts';

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

/** Raises 412 where If-Match does not name the current version, or If-None-Match: * meets one. */
export function checkPreconditions(context: InteractionContext, current: VersionRow | undefined): void {
  const { request } = context;
  const ifMatch = request.header('if-match');
  const alive = current !== undefined && !current.deleted ? current : undefined;
  if (ifMatch !== undefined && (alive === undefined || !matchesVersion(ifMatch, alive.version))) {
    const found = alive === undefined ? 'does not exist' : `is at version ${alive.version}`;
    throw fhirError('version-mismatch', `${request.type}/${request.id} ${found}`, alive === undefined ? {} : { headers: { ETag: `W/"${alive.version}"` } });
  }
  if (request.header('if-none-match') === '*' && alive !== undefined) {
    throw fhirError('version-mismatch', `${request.type}/${request.id} exists already`);
  }
}

async function runUpdate(parts: DocumentParts, tx: Transaction, context: InteractionContext, prepared: PreparedDocument): Promise<Outcome> {
  const { request, org } = context;
  const previous = await lockNewest(tx, org.id, typeNumber(request.type), request.id);
  checkPreconditions(context, previous);
  const published = await publishDocument(tx, {
    type: request.type, id: request.id, method: 'PUT', resource: prepared.resource, moved: prepared.moved, linked: prepared.linked, previous,
    reader: readerOf(context, parts.fhirBase), now: context.now, event: context.eventId,
  });
  const created = previous === undefined || previous.deleted;
  const outcome = writeOutcome({
    response: writeResponse(request, created ? 201 : 200, parts.fhirBase, { reference: `${request.type}/${request.id}`, ...published }),
    type: request.type, id: request.id, published, activity: created ? 'CREATE' : 'UPDATE', previous: published.changed ? previous?.version : undefined, named: namedAuthors(prepared.resource),
  });
  if (published.unused.length > 0) outcome.afterCommit = () => { void discardAll(parts.content, context, published.unused).catch(() => { /* The sweeper removes it. */ }); };
  return outcome;
}
