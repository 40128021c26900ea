// Resumable uploads at /uploads (tus 1.0: core, creation, creation with upload, expiration, checksum, termination). The finished
// upload is a Binary, or a document over one, published as any other.
import { creatorOf } from '../access/principal.ts';
import { checkDeclaredType } from '../content/declared-type.ts';
import { requireRoom } from '../content/quota.ts';
import type { Transaction } from '../database/database.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { newUuidV7 } from '../fhir/uuid-v7.ts';
import { defineInteraction, type FhirResponse, type Interaction, type InteractionContext, type Outcome } from '../interactions/interaction.ts';
import { writeDocument } from '../interactions/write-document.ts';
import { publishBinary } from '../resources/publish-document.ts';
import { addUploadParts, createUpload, deleteUpload, finishUpload, openLengths, readUpload, readUploadParts, type Upload } from '../resources/upload.ts';
import type { AdapterGroup, AdapterRoute } from './adapter-route.ts';
import { UPLOAD_ROWS } from './describe-files.ts';
import { CHECKSUM_ALGORITHMS, readBytes, requireTus, TUS_VERSION } from './resumable-headers.ts';
import { abandonStep, asDocumentCreate, takeBody, uploadRules, wishOf, type ReceivedWhole, type ResumableParts, type UploadStep } from './resumable-receive.ts';
import type { RowDescription } from './row-description.ts';

const OFFSET_TYPE = /^application\/offset\+octet-stream\s*(;|$)/i;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

function uploadHeaders(parts: ResumableParts, upload: Upload, offset: number, result = upload.result): Record<string, string> {
  return {
    'Upload-Offset': String(offset), 'Upload-Expires': upload.expiresAt.toUTCString(), 'Cache-Control': 'no-store',
    ...(result === undefined ? {} : { 'Content-Location': `${parts.fhirBase}/${result}` }),
  };
}

async function ownUpload(tx: Transaction, context: InteractionContext): Promise<Upload> {
  const id = context.request.parameters?.['upload'] ?? '';
  if (!UUID.test(id)) throw fhirError('not-found', 'There is no such upload');
  return readUpload(tx, context.org.id, id, creatorOf(context.principal), context.now);
}

/** The Binary, or the document with its Binary, in the transaction of the last step. */
async function publishWhole(parts: ResumableParts, tx: Transaction, context: InteractionContext, whole: ReceivedWhole): Promise<Outcome> {
  const id = newUuidV7(context.now);
  if (whole.document !== undefined) return writeDocument(parts, tx, asDocumentCreate(context), { id, method: 'POST', prepared: whole.document, previous: undefined });
  const { received, contentType } = whole;
  await publishBinary(tx, { org: context.org.id, id, contentType, creator: creatorOf(context.principal), now: context.now, event: context.eventId, received });
  const target = `Binary/${id}/_history/1`;
  return {
    response: { status: 201, headers: {} },
    entities: [{ reference: target, role: 'data' }],
    write: { activity: 'CREATE', targets: [target], sources: [], authors: [] },
    bytes: { contentType, size: received.size },
    version: { type: 'Binary', id, version: 1 },
  };
}

/** Commits a step; the answer says how far the upload is, and what it became. */
async function commitStep(parts: ResumableParts, tx: Transaction, context: InteractionContext, step: UploadStep, answer: { status: number; headers: Record<string, string> }): Promise<Outcome> {
  const { upload, from, pending, whole, spent } = step;
  const respond = (offset: number, result?: string): FhirResponse => ({ status: answer.status, headers: { ...answer.headers, ...uploadHeaders(parts, upload, offset, result) } });
  if (whole === undefined) {
    const offset = pending.length === 0 ? from : await addUploadParts(tx, context.org.id, upload.id, from, pending);
    return { response: respond(offset), entities: [] };
  }
  const published = await publishWhole(parts, tx, context, whole);
  const result = `${published.version?.type ?? 'Binary'}/${published.version?.id ?? ''}`;
  await finishUpload(tx, context.org.id, upload, from, result);
  const { keepsAnswer: _keeps, version: _version, ...outcome } = published;
  return {
    ...outcome, code: 'create', response: respond(upload.length, result),
    afterCommit() {
      published.afterCommit?.();
      void parts.uploads.discard(context.org.id, spent);
    },
  };
}

async function beginUpload(parts: ResumableParts, context: InteractionContext): Promise<UploadStep> {
  const { request, org, principal } = context;
  requireTus(request);
  if (request.header('upload-defer-length') !== undefined) throw fhirError('malformed-request', 'The length of an upload must be known: Upload-Length');
  if (request.header('upload-concat') !== undefined) throw fhirError('malformed-request', 'Uploads are not put together here (Upload-Concat)');
  const length = readBytes(request, 'Upload-Length');
  if (length > parts.uploadBytesMax) throw fhirError('too-long', `An upload may have ${parts.uploadBytesMax} bytes`);
  const metadata = request.header('upload-metadata');
  const wish = wishOf(metadata);
  const rules = uploadRules(context, wish.document);
  checkDeclaredType(wish.contentType, undefined, rules);
  if (wish.document !== undefined) asDocumentCreate(context);
  await requireRoom(parts.database, org.id, rules, length + await context.read((tx) => openLengths(tx, org.id, context.now)));
  const own = { id: newUuidV7(context.now), creator: creatorOf(principal), length, metadata };
  const expiresAt = await parts.database.transaction(org.id, (tx) => createUpload(tx, org.id, own, context.now));
  const upload: Upload = { ...own, received: 0, expiresAt, ended: false, result: undefined };
  const withBody = OFFSET_TYPE.test(request.body.contentType ?? '') && request.body.length !== 0;
  return withBody || length === 0 ? takeBody(parts, context, upload) : { upload, from: 0, pending: [], whole: undefined, spent: [] };
}

function create(parts: ResumableParts, uploadsUrl: string): Interaction {
  return defineInteraction<UploadStep>({
    code: 'operation',
    kind: 'write',
    prepare: (context) => beginUpload(parts, context),
    run: (tx, context, step) => commitStep(parts, tx, context, step, { status: 201, headers: { Location: `${uploadsUrl}/${step.upload.id}` } }),
    abandon: (context, step) => abandonStep(parts, context.org.id, step),
  });
}

function append(parts: ResumableParts): Interaction {
  return defineInteraction<UploadStep>({
    code: 'operation',
    kind: 'write',
    async prepare(context) {
      const { request } = context;
      requireTus(request);
      if (!OFFSET_TYPE.test(request.body.contentType ?? '')) throw fhirError('media-type', 'The bytes of an upload come as application/offset+octet-stream');
      const offset = readBytes(request, 'Upload-Offset');
      const upload = await context.read((tx) => ownUpload(tx, context));
      if (offset !== upload.received) throw fhirError('conflict', `The upload goes on from ${upload.received}`, { headers: { 'Upload-Offset': String(upload.received) } });
      if (upload.result !== undefined) return { upload, from: upload.received, pending: [], whole: undefined, spent: [] };
      return takeBody(parts, context, upload);
    },
    run: (tx, context, step) => commitStep(parts, tx, context, step, { status: 204, headers: {} }),
    abandon: (context, step) => abandonStep(parts, context.org.id, step),
  });
}

function offsetOf(parts: ResumableParts): Interaction {
  return defineInteraction({
    code: 'operation',
    kind: 'read',
    async run(tx, context) {
      requireTus(context.request);
      const upload = await ownUpload(tx, context);
      const headers = { ...uploadHeaders(parts, upload, upload.received), 'Upload-Length': String(upload.length), ...(upload.metadata === undefined ? {} : { 'Upload-Metadata': upload.metadata }) };
      return { response: { status: 200, headers }, entities: [] };
    },
  });
}

function terminate(parts: ResumableParts): Interaction {
  return defineInteraction({
    code: 'operation',
    kind: 'write',
    async run(tx, context) {
      requireTus(context.request);
      const upload = await ownUpload(tx, context);
      const spent = await readUploadParts(tx, context.org.id, upload.id);
      await deleteUpload(tx, context.org.id, upload.id);
      return { response: { status: 204, headers: {} }, entities: [], afterCommit: () => { void parts.uploads.discard(context.org.id, spent); } };
    },
  });
}

export function resumableUploads(parts: ResumableParts): AdapterGroup {
  const row = (method: AdapterRoute['method'], path: string, interaction: Interaction, says: RowDescription): AdapterRoute => ({ method, path, interaction, access: { interaction: 'create' }, type: 'Binary', says });
  return {
    prefix: 'uploads',
    crossOrigin: true,
    routes: [
      row('POST', '', create(parts, parts.fhirBase.replace(/\/fhir$/, '/uploads')), UPLOAD_ROWS.create),
      row('HEAD', '[upload]', offsetOf(parts), UPLOAD_ROWS.head),
      row('PATCH', '[upload]', append(parts), UPLOAD_ROWS.append),
      row('DELETE', '[upload]', terminate(parts), UPLOAD_ROWS.terminate),
    ],
    headers: { 'Tus-Resumable': TUS_VERSION },
    options: {
      'Tus-Resumable': TUS_VERSION, 'Tus-Version': TUS_VERSION, 'Tus-Extension': 'creation,creation-with-upload,expiration,checksum,termination',
      'Tus-Max-Size': String(parts.uploadBytesMax), 'Tus-Checksum-Algorithm': CHECKSUM_ALGORITHMS.join(','),
    },
  };
}
