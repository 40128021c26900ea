// What an annotation is written onto, and the annotations that are stored: documents that the caller may read, and the bytes
// under them, verified as they are read.
import { authorize } from '../access/authorize.ts';
import type { ContentReader } from '../content/read-content.ts';
import type { Transaction } from '../database/database.ts';
import type { ContentRow, VersionRow } from '../database/tables.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { JsonSyntaxError, parseJson, type JsonObject } from '../fhir/json.ts';
import { parseLocalReference } from '../fhir/reference.ts';
import { typeNumber } from '../fhir/resource-type.ts';
import type { InteractionContext } from '../interactions/interaction.ts';
import { requirePermitted } from '../resources/permitted-version.ts';
import { readContentRow } from '../resources/read-binary-content.ts';
import { readNewest } from '../resources/read-version.ts';
import { readResource } from '../resources/resource-text.ts';
import { annotatedDocument } from './annotation-document.ts';
import { annotationOf, type Annotation } from './annotation.ts';
import { firstAttachment } from './document-fields.ts';

/** The newest version of a document, which is not deleted. */
export interface LoadedDocument {
  row: VersionRow;
  resource: JsonObject;
}

/** Raises 404, 403 and 410 as a read of it would, and asks for the right to read whatever the request itself does. */
export async function loadDocument(tx: Transaction, { principal, org }: InteractionContext, id: string, fhirBase: string): Promise<LoadedDocument> {
  const decision = authorize(principal, { interaction: 'read', type: 'DocumentReference' });
  if (!decision.permit) throw fhirError('forbidden', decision.reason);
  const row = await readNewest(tx, org.id, typeNumber('DocumentReference'), id);
  if (row === undefined) throw fhirError('not-found', `DocumentReference/${id} is not known here`);
  await requirePermitted(tx, decision.restriction, row, fhirBase);
  if (row.body === null) throw fhirError('deleted', `DocumentReference/${id} was deleted`);
  return { row, resource: readResource(row.body) };
}

/** The document and its annotation that the path names. Raises 404 for an annotation of another document. */
export async function loadAnnotation(tx: Transaction, context: InteractionContext, fhirBase: string): Promise<{ document: LoadedDocument; annotation: LoadedDocument }> {
  const { id = '', annotation: named = '' } = context.request.parameters ?? {};
  const document = await loadDocument(tx, context, id, fhirBase);
  const annotation = await loadDocument(tx, context, named, fhirBase);
  if (annotatedDocument(annotation.resource, fhirBase) !== id) throw fhirError('not-found', `DocumentReference/${id} has no such annotation`);
  return { document, annotation };
}

/** The content under an annotation; undefined where its bytes are not held here. */
export async function annotationContent(tx: Transaction, { org }: InteractionContext, resource: JsonObject, fhirBase: string): Promise<ContentRow | undefined> {
  const { url } = firstAttachment(resource);
  const local = typeof url === 'string' ? parseLocalReference(url, fhirBase) : undefined;
  const binary = local?.type === 'Binary' ? await readNewest(tx, org.id, typeNumber('Binary'), local.id) : undefined;
  return binary?.content == null ? undefined : readContentRow(tx, org.id, binary.content);
}

/** Bytes of one annotation. What others put there may be anything. */
export const ANNOTATION_BYTES_MAX = 512 * 1024;

/** What the bytes say; undefined where they are no annotation of this server's. */
export async function openAnnotation(reader: ContentReader, content: ContentRow | undefined): Promise<Annotation | undefined> {
  if (content === undefined || Number(content.size) > ANNOTATION_BYTES_MAX) return undefined;
  const pieces: Buffer[] = [];
  for await (const piece of await reader.open(content)) pieces.push(piece);
  try {
    return annotationOf(parseJson(Buffer.concat(pieces).toString('utf8')));
  } catch (error) {
    if (error instanceof JsonSyntaxError) return undefined;
    throw error;
  }
}
