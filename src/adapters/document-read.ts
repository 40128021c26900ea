// GET and DELETE of /documents/[id], and the download of its bytes: read, delete and the verified read of a Binary.
import { fhirError } from '../fhir/fhir-error.ts';
import { typeNumber } from '../fhir/resource-type.ts';
import type { Transaction } from '../database/database.ts';
import { deleteInteraction } from '../interactions/delete.ts';
import { defineInteraction, type FhirRequest, type Interaction, type InteractionContext, type Outcome } from '../interactions/interaction.ts';
import { read } from '../interactions/read.ts';
import { readBinary, type ReadBinaryParts } from '../interactions/read-binary.ts';
import type { NewestLoader } from '../resources/load-newest.ts';
import { requirePermitted } from '../resources/permitted-version.ts';
import { readNewest } from '../resources/read-version.ts';
import { readResource } from '../resources/resource-text.ts';
import { firstAttachment } from './document-fields.ts';
import { binaryIn, withThumbnails, type ShownDocuments } from './document-thumbnails.ts';
import { inFhirTerms, jsonAnswer, translated } from './translated.ts';

/** The document that the path names. */
export const namedDocument = ({ request }: InteractionContext): Pick<FhirRequest, 'type' | 'id' | 'query'> => ({ type: 'DocumentReference', id: request.parameters?.['id'] ?? '', query: [] });

export function readDocument(newest: NewestLoader, shown: ShownDocuments): Interaction {
  return translated(read(newest, shown.fhirBase), {
    ask: namedDocument,
    answer: (outcome, context, tx) => {
      const { response } = outcome;
      if (response.body === undefined || tx === undefined) return outcome;
      return withThumbnails(shown, tx, context, [readResource(response.body)], ([fields]) => ({ ...outcome, response: jsonAnswer(response, response.status, fields) }));
    },
  });
}

/** FHIR's delete is content when there is nothing; here 404 says so, and 410 that it was deleted before. */
export function deleteDocument(fhirBase: string): Interaction {
  return translated(deleteInteraction(fhirBase), {
    ask: namedDocument,
    answer: (outcome, context) => {
      const reference = `DocumentReference/${namedDocument(context).id}`;
      if (outcome.entities.length === 0) throw fhirError('not-found', `${reference} is not known here`);
      if (outcome.write === undefined) throw fhirError('deleted', `${reference} was deleted`);
      return { ...outcome, response: jsonAnswer({ headers: {} }, 200, { success: true }) };
    },
  });
}

/** Id of the Binary of a document that the caller may read. Raises 404 also where its bytes are elsewhere. */
export async function binaryOf(tx: Transaction, context: InteractionContext, fhirBase: string): Promise<string> {
  const { id } = namedDocument(context);
  const row = await readNewest(tx, context.org.id, typeNumber('DocumentReference'), id);
  if (row === undefined) throw fhirError('not-found', `DocumentReference/${id} is not known here`);
  await requirePermitted(tx, context.restriction, row, fhirBase);
  if (row.body === null) throw fhirError('deleted', `DocumentReference/${id} was deleted`);
  const binary = binaryIn(firstAttachment(readResource(row.body)), fhirBase);
  if (binary === undefined) throw fhirError('not-found', `The bytes of DocumentReference/${id} are not held here`);
  return binary;
}

/** The bytes as they are, whatever Accept says; ranges, conditions and digests as of a Binary. */
export function downloadDocument(parts: Omit<ReadBinaryParts, 'form'>): Interaction {
  const inner = readBinary({ ...parts, form: () => 'raw' }, 'read');
  return defineInteraction({
    code: 'read',
    kind: 'read',
    async run(tx, context): Promise<Outcome> {
      const id = await binaryOf(tx, context, parts.fhirBase);
      const prepared = await inner.prepare(inFhirTerms(context, { type: 'Binary', id, query: [] }));
      return prepared.run(tx);
    },
  });
}
