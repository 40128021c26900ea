// Storing a prepared document as the next version of an id: what create, update and patch have in common.
import { authorize } from '../access/authorize.ts';
import { mayCorrect } from '../access/category-policy.ts';
import type { Transaction } from '../database/database.ts';
import type { VersionRow } from '../database/tables.ts';
import type { ReceivedContent } from '../content/receive-content.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { keepLabels, requireSameSubject } from '../resources/document-rules.ts';
import { judgeVersion } from '../resources/permitted-version.ts';
import { namedAuthors, publishDocument, type Publication } from '../resources/publish-document.ts';
import type { Verdict } from '../search/judge-resource.ts';
import { supersedeReplaced, supersedesOthers, type Superseded } from '../resources/supersede-document.ts';
import type { InteractionContext, Outcome } from './interaction.ts';
import { requireWithin } from './confined-write.ts';
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
  const before = previous?.body ?? null;
  if (before !== null && !mayCorrect(context.principal)) {
    requireSameSubject(request.type, prepared.resource, before, parts.fhirBase);
    keepLabels(prepared.resource, before);
  }
  await requireWithin(tx, context, id, prepared.resource, before, parts.fhirBase);
  const superseded = await supersede(parts, tx, context, write, before);
  const published = await publishDocument(tx, {
    type: request.type, id, method, resource: prepared.resource, moved: prepared.moved, linked: prepared.linked, previous,
    reader: readerOf(context, parts.fhirBase), now: context.now, event: context.eventId,
  });
  const created = previous === undefined || previous.deleted;
  const outcome = writeOutcome({
    response: writeResponse(request, created ? 201 : 200, parts.fhirBase, { reference: `${request.type}/${id}`, warnings: prepared.warnings, ...published }),
    type: request.type, id, published, activity: created ? 'CREATE' : 'UPDATE', previous: published.changed ? previous?.version : undefined, named: namedAuthors(prepared.resource),
  });
  if (created) outcome.code = 'create';
  for (const one of superseded) nameSuperseded(outcome, one);
  discardAfter(parts, context, outcome, published.unused);
  return outcome;
}

/** What the document replaces is superseded with it; that needs the right to change it. */
async function supersede(parts: DocumentParts, tx: Transaction, context: InteractionContext, { id, prepared }: DocumentWrite, before: string | null): Promise<Superseded[]> {
  const { request, principal, share, now } = context;
  if (request.type !== 'DocumentReference' || !supersedesOthers(prepared.resource, before, parts.fhirBase)) return [];
  const decision = authorize(principal, { interaction: 'update', type: request.type });
  if (!decision.permit) throw fhirError('forbidden', `A document that replaces another changes that one: ${decision.reason}`, { expression: 'DocumentReference.relatesTo' });
  const may = (replaced: VersionRow): Promise<Verdict> => judgeVersion(tx, decision.restriction, replaced, parts.fhirBase);
  // What the same transaction created is there to be replaced.
  if (share !== undefined) await tx.flush();
  const superseded = await supersedeReplaced(tx, { resource: prepared.resource, id, before, reader: readerOf(context, parts.fhirBase), now, event: context.eventId, judge: may });
  for (const one of superseded) share?.superseded.set(`${request.type}/${one.id}`, one.previous);
  return superseded;
}

/** One request leaves one record, which names both documents: the replaced one as a target, and its version before as what was revised. */
function nameSuperseded(outcome: Outcome, { id, previous, published }: Superseded): void {
  const reference = `DocumentReference/${id}/_history/${published.version}`;
  outcome.entities.push({ reference, role: 'data' });
  outcome.write?.targets.push(reference);
  outcome.write?.sources.push({ role: 'revision', reference: `DocumentReference/${id}/_history/${previous}` });
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
