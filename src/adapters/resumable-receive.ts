// The bytes of a resumable upload on their way in: parts that are kept as they come, and the whole, received from them exactly
// as the bytes of a Binary or of a document are: hashed, sniffed, scanned, stored and verified once.
import { authorize } from '../access/authorize.ts';
import { creatorOf } from '../access/principal.ts';
import type { ReceivedContent } from '../content/receive-content.ts';
import { PART_BYTES, type UploadPart, type UploadPartStore } from '../content/upload-parts.ts';
import type { Database } from '../database/database.ts';
import { fhirError, FhirError } from '../fhir/fhir-error.ts';
import { contentRules } from '../interactions/content-rules.ts';
import type { InteractionContext } from '../interactions/interaction.ts';
import type { PreparedDocument } from '../interactions/prepare-document.ts';
import { addUploadParts, endUpload, readUploadParts, type Upload } from '../resources/upload.ts';
import { readMetadata, type DocumentMetadata } from './document-fields.ts';
import { prepareUpload, type UploadParts } from './document-upload.ts';
import { readChecksum, readMetadataHeader, type ChecksumCheck } from './resumable-headers.ts';
import { inFhirTerms } from './translated.ts';

export interface ResumableParts extends UploadParts {
  database: Database;
  uploads: UploadPartStore;
}

/** What the metadata of an upload says: with patient_id, or a subject that is a Patient, it becomes a document. */
export interface UploadWish {
  contentType: string;
  name: string | undefined;
  document: DocumentMetadata | undefined;
}

export interface ReceivedWhole {
  received: ReceivedContent;
  contentType: string;
  document: PreparedDocument | undefined;
}

/** One step of an upload: what is to be committed with the record of it. */
export interface UploadStep {
  upload: Upload;
  /** The offset that is committed already. */
  from: number;
  pending: UploadPart[];
  whole: ReceivedWhole | undefined;
  /** Parts that are of no more use once the step is committed. */
  spent: UploadPart[];
}

const MEDIA_TYPE = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+\/[!#$%&'*+.^_`|~0-9A-Za-z-]+\s*(;.*)?$/;

/** Raises 400 or 422 for metadata that cannot become what they ask for. */
export function wishOf(metadata: string | undefined): UploadWish {
  const { filename, name, filetype, type, subject, ...given } = readMetadataHeader(metadata);
  const contentType = given['content_type'] ?? given['contentType'] ?? filetype ?? type ?? 'application/octet-stream';
  if (!MEDIA_TYPE.test(contentType)) throw fhirError('media-type', 'The content type of Upload-Metadata is no media type');
  const patient = given['patient_id'] ?? /^Patient\/(.+)$/.exec(subject ?? '')?.[1];
  return { contentType, name: filename ?? name, document: patient === undefined ? undefined : readMetadata({ ...given, patient_id: patient }) };
}

/** The same access as a create of a DocumentReference. Raises 403 `forbidden`. */
export function asDocumentCreate(context: InteractionContext): InteractionContext {
  const decision = authorize(context.principal, { interaction: 'create', type: 'DocumentReference' });
  if (!decision.permit) throw fhirError('forbidden', decision.reason);
  return { ...inFhirTerms(context, { type: 'DocumentReference' }), restriction: decision.restriction };
}

export const uploadRules = (context: InteractionContext, document: UploadWish['document']): ReturnType<typeof contentRules> =>
  contentRules(context, document === undefined ? 'Binary' : 'DocumentReference');

async function receiveWhole(parts: ResumableParts, context: InteractionContext, upload: Upload, pieces: readonly UploadPart[]): Promise<ReceivedWhole> {
  const { contentType, name, document } = wishOf(upload.metadata);
  const received = await parts.content.receive({
    org: context.org, bytes: parts.uploads.read(pieces), size: upload.length, declaredType: contentType, rules: uploadRules(context, document), creator: upload.creator, bytesMax: parts.uploadBytesMax, now: context.now,
    ...(document === undefined ? {} : { patient: document.patient_id }),
  });
  try {
    return { received, contentType, document: document === undefined ? undefined : await prepareUpload(parts, asDocumentCreate(context), { name, contentType, received }, document) };
  } catch (error) {
    await parts.content.discard(context.org.id, received);
    throw error;
  }
}

/** Cuts a body into parts of PART_BYTES. What came before the sender left is kept too, unless a checksum speaks for all of it. */
export async function* partsOf(bytes: AsyncIterable<Buffer>, check: ChecksumCheck | undefined): AsyncGenerator<Buffer> {
  let gathered: Buffer[] = [];
  let size = 0;
  const take = (): Buffer => {
    const part = Buffer.concat(gathered);
    [gathered, size] = [[], 0];
    return part;
  };
  try {
    for await (let piece of bytes) {
      check?.hash.update(piece);
      while (size + piece.length >= PART_BYTES) {
        gathered.push(piece.subarray(0, PART_BYTES - size));
        piece = piece.subarray(PART_BYTES - size);
        yield take();
      }
      if (piece.length > 0) gathered.push(Buffer.from(piece));
      size += piece.length;
    }
  } catch (error) {
    if (check === undefined && size > 0 && error instanceof FhirError && error.detail === 'client-aborted') yield take();
    throw error;
  }
  if (size > 0) yield take();
}

/**
 * Takes the body, and receives the whole once it is complete. Parts before the last are committed as they come; the last one,
 * and all under a checksum, with the record of the step. Raises 409 `conflict`, 413, 460 `checksum-mismatch`, `client-aborted`
 * (what came is kept), and what receiving raises: then the upload is over, unless it may be asked again.
 */
export async function takeBody(parts: ResumableParts, context: InteractionContext, upload: Upload): Promise<UploadStep> {
  const { database, uploads } = parts;
  const { org } = context;
  const check = readChecksum(context.request);
  const left = upload.length - upload.received;
  if ((context.request.body.length ?? 0) > left) throw fhirError('too-long', `The upload has ${left} bytes left`);
  const pending: UploadPart[] = [];
  let from = upload.received;
  let at = from;
  try {
    for await (const bytes of partsOf(context.request.body.stream(left), check)) {
      const part = await uploads.keep(org, at, bytes, creatorOf(context.principal), Date.now());
      pending.push(part);
      at += part.size;
      if (check !== undefined || at === upload.length) continue;
      from = await database.transaction(org.id, (tx) => addUploadParts(tx, org.id, upload.id, from, [part]));
      pending.pop();
    }
    check?.compare();
    if (at < upload.length) return { upload, from, pending, whole: undefined, spent: [] };
    return await complete(parts, context, upload, from, pending);
  } catch (error) {
    await uploads.discard(org.id, pending);
    throw error;
  }
}

async function complete(parts: ResumableParts, context: InteractionContext, upload: Upload, from: number, pending: UploadPart[]): Promise<UploadStep> {
  const { database, uploads } = parts;
  const { org } = context;
  const earlier = await database.readTransaction(org.id, (tx) => readUploadParts(tx, org.id, upload.id));
  try {
    return { upload, from, pending, whole: await receiveWhole(parts, context, upload, [...earlier, ...pending]), spent: [...earlier, ...pending] };
  } catch (error) {
    // What the bytes are does not change by sending them again; what was out of reach may be there then.
    if (error instanceof FhirError && error.status >= 400 && error.status < 500 && error.status !== 409 && error.detail !== 'client-aborted') {
      await database.transaction(org.id, (tx) => endUpload(tx, org.id, upload.id));
      await uploads.discard(org.id, earlier);
    }
    throw error;
  }
}

/** Takes back what a step that did not commit left. */
export async function abandonStep(parts: ResumableParts, org: number, { pending, whole }: UploadStep): Promise<void> {
  await parts.uploads.discard(org, pending);
  if (whole !== undefined) await parts.content.discard(org, whole.received);
}
