// patch (R4 http.html 3.1.0.6): JSON Patch and FHIRPath Patch over the current version, validated like an update. Without
// an id in the URL its criteria name the resource.
import type { Transaction } from '../database/database.ts';
import type { VersionRow } from '../database/tables.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { typeNumber } from '../fhir/resource-type.ts';
import { lockNewest, readNewest } from '../resources/read-version.ts';
import { findMatch } from './conditional-match.ts';
import { requireChangeable } from './confined-write.ts';
import { defineInteraction, type Interaction, type InteractionContext, type Outcome } from './interaction.ts';
import { checkPreconditions } from './preconditions.ts';
import { discardAll, receiveDocument, relinkDocument, type DocumentParts, type PreparedDocument } from './prepare-document.ts';
import { readPatch, type Patch } from './read-patch.ts';
import { discardAfter, writeDocument } from './write-document.ts';

interface PreparedPatch {
  patch: Patch;
  /** The version to which it was applied before the transaction, and what came of it. */
  applied: { id: string; version: number; document: PreparedDocument };
}

export function patch(parts: DocumentParts): Interaction {
  return defineInteraction({
    code: 'patch',
    kind: 'write',
    prepare: (context) => preparePatch(parts, context),
    run: (tx, context, prepared) => runPatch(parts, tx, context, prepared),
    abandon: (context, { applied }) => discardAll(parts.content, context, applied.document.moved.map((attachment) => attachment.received)),
  });
}

/** The text that a patch is for. Raises 404, 410, and 412 for an If-Match of another version. */
function patchable(context: InteractionContext, id: string, current: VersionRow | undefined): VersionRow & { body: string } {
  const reference = `${context.request.type}/${id}`;
  if (current === undefined) throw fhirError('not-found', `${reference} is not known here`);
  const { body } = current;
  if (body === null) throw fhirError('deleted', `${reference} was deleted`);
  checkPreconditions(context, id, current);
  return { ...current, body };
}

/** The id in the URL, or the one that the criteria name. Raises 404 where they name none. */
async function patchedId(parts: DocumentParts, tx: Transaction, context: InteractionContext, wait: boolean): Promise<string> {
  const { request } = context;
  if (request.id !== '') return request.id;
  const match = await findMatch(tx, context, request.query, parts.fhirBase, wait);
  if (match === undefined) throw fhirError('not-found', `The criteria match no ${request.type}`);
  return match.id;
}

/** Applied once before the transaction: what it brings inline is received, and what fails fails without holding a lock. */
async function preparePatch(parts: DocumentParts, context: InteractionContext): Promise<PreparedPatch> {
  const { request, org } = context;
  const apply = await readPatch(request, parts.bodyBytesMax);
  const { id, row } = await context.read(async (tx) => {
    const found = await patchedId(parts, tx, context, false);
    const newest = await readNewest(tx, org.id, typeNumber(request.type), found);
    await requireChangeable(tx, context, found, newest, parts.fhirBase);
    return { id: found, row: newest };
  });
  const current = patchable(context, id, row);
  const document = await receiveDocument(parts, context, apply(current.body));
  return { patch: apply, applied: { id, version: current.version, document } };
}

async function runPatch(parts: DocumentParts, tx: Transaction, context: InteractionContext, { patch: apply, applied }: PreparedPatch): Promise<Outcome> {
  const { request, org } = context;
  const id = await patchedId(parts, tx, context, true);
  const newest = await lockNewest(tx, org.id, typeNumber(request.type), id);
  await requireChangeable(tx, context, id, newest, parts.fhirBase);
  const previous = patchable(context, id, newest);
  const isSame = id === applied.id && previous.version === applied.version;
  const prepared = isSame ? applied.document : await relinkDocument(tx, parts, context, apply(previous.body), applied.document.moved);
  const outcome = await writeDocument(parts, tx, context, { id, method: 'PATCH', prepared, previous });
  const used = new Set(prepared.moved.map((attachment) => attachment.received));
  discardAfter(parts, context, outcome, applied.document.moved.map((attachment) => attachment.received).filter((one) => !used.has(one)));
  return outcome;
}
