// Storing a prepared document as the next version of an id: what create, update and patch have in common.
import type { Transaction } from '../database/database.ts';
import type { VersionRow } from '../database/tables.ts';
import type { ReceivedContent } from '../content/receive-content.ts';
import { namedAuthors, publishDocument, type Publication } from '../resources/publish-document.ts';
import type { InteractionContext, Outcome } from './interaction.ts';
import { discardAll, readerOf, type DocumentParts, type PreparedDocument } from './prepare-document.ts';
import { writeResponse } from './representation.ts';
import { writeOutcome } from './write-outcome.ts';

export interface DocumentWrite {
  id: string;
  method: Publication['method'];
  prepared: PreparedDocument;
  /** The version that it follows, locked by the transaction. */
  previous: VersionRow | undefined;
}

/** Answers 201 where the id was not there or was deleted, else 200. */
export async function writeDocument(parts: DocumentParts, tx: Transaction, context: InteractionContext, write: DocumentWrite): Promise<Outcome> {
  const { request } = context;
  const { id, method, prepared, previous } = write;
  const published = await publishDocument(tx, {
    type: request.type, id, method, resource: prepared.resource, moved: prepared.moved, linked: prepared.linked, previous,
    reader: readerOf(context, parts.fhirBase), now: context.now, event: context.eventId,
  });
  const created = previous === undefined || previous.deleted;
  const outcome = writeOutcome({
    response: writeResponse(request, created ? 201 : 200, parts.fhirBase, { reference: `${request.type}/${id}`, warnings: prepared.warnings, ...published }),
    type: request.type, id, published, activity: created ? 'CREATE' : 'UPDATE', previous: published.changed ? previous?.version : undefined, named: namedAuthors(prepared.resource),
  });
  if (created) outcome.became = 'create';
  discardAfter(parts, context, outcome, published.unused);
  return outcome;
}

/** Contents that are not needed once the answer is committed. */
export function discardAfter(parts: DocumentParts, context: InteractionContext, outcome: Outcome, received: readonly ReceivedContent[]): void {
  if (received.length === 0) return;
  const before = outcome.afterCommit;
  outcome.afterCommit = () => {
    before?.();
    void discardAll(parts.content, context, received).catch(() => { /* The sweeper removes it. */ });
  };
}
