// The pictures of documents: their addresses in what is listed and read, and GET /documents/[id]/thumbnail for whoever has a token.
import type { ContentReader } from '../content/read-content.ts';
import type { Transaction } from '../database/database.ts';
import type { ContentRow } from '../database/tables.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import type { JsonObject } from '../fhir/json.ts';
import { parseLocalReference } from '../fhir/reference.ts';
import { typeNumber } from '../fhir/resource-type.ts';
import type { AccessEntity } from '../audit/access-event.ts';
import { defineInteraction, type FhirRequest, type Interaction, type InteractionContext, type Outcome } from '../interactions/interaction.ts';
import { readerOf } from '../interactions/prepare-document.ts';
import type { LendThumbnails } from '../operations/lend-thumbnails.ts';
import { findBinaryOwners, requireReadable } from '../resources/binary-access.ts';
import { readContentRow } from '../resources/read-binary-content.ts';
import { readNewest } from '../resources/read-version.ts';
import { findPicture, findThumbnails, THUMBNAIL_EDGE } from '../resources/renditions.ts';
import { fieldsOf, firstAttachment, type DocumentFields } from './document-fields.ts';

/** Id of the Binary here that the attachment points to. */
export function binaryIn(attachment: JsonObject, fhirBase: string): string | undefined {
  const { url } = attachment;
  const local = typeof url === 'string' ? parseLocalReference(url, fhirBase) : undefined;
  return local?.type === 'Binary' ? local.id : undefined;
}

/** The image of a document, as far as it may have a picture. */
function imageOf(document: JsonObject, fhirBase: string): string | undefined {
  const attachment = firstAttachment(document);
  const { contentType } = attachment;
  return typeof contentType === 'string' && /^image\//i.test(contentType) ? binaryIn(attachment, fhirBase) : undefined;
}

export interface ShownDocuments {
  fhirBase: string;
  documentsUrl: string;
  lend: LendThumbnails;
}

/** The answer `shown`, with the addresses of pictures where there are any: signed, or for callers who may lend nothing those that ask for a token. */
export async function withThumbnails({ fhirBase, documentsUrl, lend }: ShownDocuments, tx: Transaction, context: InteractionContext, documents: readonly JsonObject[], shown: (fields: DocumentFields[]) => Outcome): Promise<Outcome> {
  const images = documents.map((document) => imageOf(document, fhirBase));
  const found = await findThumbnails(tx, context.org.id, images.filter((image) => image !== undefined));
  const sources = new Map(found.map(({ binary, source }) => [binary, source]));
  const fields = documents.map((document) => fieldsOf(document, fhirBase));
  if (sources.size === 0) return shown(fields);
  return {
    ...shown(fields),
    complete: async () => {
      const lent = await lend(context);
      const addressed = await Promise.all(fields.map(async (one, at) => {
        const source = sources.get(images[at] ?? '');
        return source === undefined ? one : { ...one, thumbnail_url: lent === undefined ? `${documentsUrl}/${one.id}/thumbnail` : await lent.urlOf(source) };
      }));
      return { ...shown(addressed), ...(lent === undefined ? {} : { grant: lent.grant }) };
    },
  };
}

/** The bytes of a picture whose image the caller may read; they are never old, for they are of one content. */
export function pictureOutcome(reader: ContentReader, { request }: { request: Pick<FhirRequest, 'method' | 'header'> }, row: ContentRow, entities: AccessEntity[]): Outcome {
  const sha256 = row.sha256 as Buffer;
  const tag = `"${sha256.toString('hex')}"`;
  const contentType = row.declared_type ?? 'application/octet-stream';
  const size = Number(row.size);
  const headers = {
    'Content-Type': contentType, 'ETag': tag, 'Content-Disposition': 'inline', 'Content-Security-Policy': "default-src 'none'; sandbox",
    'Cross-Origin-Resource-Policy': 'same-site', 'Referrer-Policy': 'no-referrer', 'Repr-Digest': `sha-256=:${sha256.toString('base64')}:`,
  };
  const bytes = { contentType, size };
  const known = (request.header('if-none-match') ?? '').split(',').map((one) => one.trim().replace(/^W\//, ''));
  if (known.includes(tag) || known.includes('*')) return { response: { status: 304, headers }, entities, bytes };
  const open = async (): Promise<{ length: number; bytes: AsyncIterable<Buffer> }> => ({ length: size, bytes: request.method === 'HEAD' ? nothing() : await reader.open(row) });
  return { response: { status: 200, headers }, entities, bytes, open };
}

async function* nothing(): AsyncGenerator<Buffer> {
  // A HEAD request has the headers alone.
}

/** The picture of a Binary that the caller may read. Raises 404 where there is none. */
export async function readPicture(parts: { fhirBase: string; reader: ContentReader }, tx: Transaction, context: InteractionContext, binary: string, edge: number): Promise<Outcome> {
  const { org } = context;
  const row = await readNewest(tx, org.id, typeNumber('Binary'), binary);
  if (row === undefined) throw fhirError('not-found', `Binary/${binary} is not known here`);
  const owners = await findBinaryOwners(tx, readerOf(context, parts.fhirBase), row);
  requireReadable(owners, `Binary/${binary}`);
  const picture = row.content === null ? undefined : await findPicture(tx, org.id, row.content, edge);
  if (picture === undefined) throw fhirError('not-found', `There is no picture of Binary/${binary}`);
  return pictureOutcome(parts.reader, context, await readContentRow(tx, org.id, picture.content), [
    ...owners.patients.map((reference) => ({ reference, role: 'patient' as const })),
    { reference: `Binary/${binary}/_history/${row.version}`, role: 'data' },
    ...owners.users.map((reference) => ({ reference, role: 'data' as const })),
  ]);
}

/** `binaryOf` finds the bytes of a document that the caller may read. */
export function documentThumbnail(parts: { fhirBase: string; reader: ContentReader }, binaryOf: (tx: Transaction, context: InteractionContext, fhirBase: string) => Promise<string>): Interaction {
  return defineInteraction({
    code: 'read',
    kind: 'read',
    run: async (tx, context) => readPicture(parts, tx, context, await binaryOf(tx, context, parts.fhirBase), THUMBNAIL_EDGE),
  });
}
