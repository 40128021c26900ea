// GET and DELETE of /documents/[id], and the download of its bytes: read, delete and the verified read of a Binary.
import { fhirError } from '../fhir/fhir-error.ts';
import { parseLocalReference } from '../fhir/reference.ts';
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
import { fieldsOf, firstAttachment } from './document-fields.ts';
import { inFhirTerms, jsonAnswer, translated } from './translated.ts';

/** The document that the path names. */
export const namedDocument = ({ request }: InteractionContext): Pick<FhirRequest, 'type' | 'id' | 'query'> => ({ type: 'DocumentReference', id: request.parameters?.['id'] ?? '', query: [] });

export function readDocument(newest: NewestLoader, fhirBase: string): Interaction {
  return translated(read(newest, fhirBase), {
    ask: namedDocument,
    answer: (outcome) => {
      const { response } = outcome;
      return response.body === undefined ? outcome : { ...outcome, response: jsonAnswer(response, response.status, fieldsOf(readResource(response.body), fhirBase)) };
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
async function binaryOf(tx: Transaction, context: InteractionContext, fhirBase: string): Promise<string> {
  const { id } = namedDocument(context);
  const row = await readNewest(tx, context.org.id, typeNumber('DocumentReference'), id);
  if (row === undefined) throw fhirError('not-found', `DocumentReference/${id} is not known here`);
  await requirePermitted(tx, context.restriction, row, fhirBase);
  if (row.body === null) throw fhirError('deleted', `DocumentReference/${id} was deleted`);
  const { url } = firstAttachment(readResource(row.body));
  const local = typeof url === 'string' ? parseLocalReference(url, fhirBase) : undefined;
  if (local?.type !== 'Binary') throw fhirError('not-found', `The bytes of DocumentReference/${id} are not held here`);
  return local.id;
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
