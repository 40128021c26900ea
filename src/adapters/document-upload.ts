// POST /documents and /documents/upload: one file in a form becomes a document as a create of FHIR makes it, its bytes on the
// same way in as those of a Binary, both published in one transaction.
import { creatorOf } from '../access/principal.ts';
import type { ReceivedContent } from '../content/receive-content.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { isJsonObject, parseJson, type JsonValue } from '../fhir/json.ts';
import { newUuidV7 } from '../fhir/uuid-v7.ts';
import { defineInteraction, type Interaction, type InteractionContext, type Outcome } from '../interactions/interaction.ts';
import { contentRules } from '../interactions/content-rules.ts';
import { discardAll, receiveDocument, type DocumentParts, type PreparedDocument } from '../interactions/prepare-document.ts';
import { invalidResource } from '../interactions/read-body.ts';
import { writeDocument } from '../interactions/write-document.ts';
import { readResource } from '../resources/resource-text.ts';
import { validateResource } from '../validation/validate-resource.ts';
import { documentOf, fieldsOf, firstAttachment, readMetadata, type DocumentFields, type DocumentMetadata } from './document-fields.ts';
import { readMultipart, shownName, type FormFile } from './multipart-form.ts';
import { inFhirTerms, jsonAnswer } from './translated.ts';

export interface UploadParts extends DocumentParts {
  uploadBytesMax: number;
}

export interface ReceivedFile {
  name: string | undefined;
  contentType: string;
  received: ReceivedContent;
}

/** Boundaries, part headers and fields beside the bytes. */
const FORM_BYTES = 1024 * 1024;
const FIELDS_MAX = 50;
const FIELD_BYTES_MAX = 64 * 1024;

/** The bytes of a file on their way in: hashed, scanned, stored and verified; nothing is visible yet. */
export async function receiveFile(parts: UploadParts, context: InteractionContext, file: FormFile): Promise<ReceivedFile> {
  const name = shownName(file);
  const { contentType } = file;
  const received = await parts.content.receive({
    org: context.org, bytes: file.bytes, declaredType: contentType, rules: contentRules(context, 'DocumentReference'), creator: creatorOf(context.principal), bytesMax: parts.uploadBytesMax, now: context.now,
  });
  return { name, contentType, received };
}

/** A document over a file that was received: validated like any other. `context` is that of a create of DocumentReference. */
export async function prepareUpload(parts: UploadParts, context: InteractionContext, file: ReceivedFile, metadata: DocumentMetadata): Promise<PreparedDocument> {
  const resource = documentOf(metadata, file, { author: context.principal.fhirUser, now: context.now });
  const issues = validateResource(resource, 'DocumentReference');
  if (issues.length > 0) throw invalidResource(issues);
  const prepared = await receiveDocument(parts, context, resource);
  const { contentType, received } = file;
  return { ...prepared, moved: [{ attachment: firstAttachment(resource), expression: 'DocumentReference.content[0].attachment', contentType, bytes: Buffer.alloc(0), received }] };
}

/** Fields of a form by name. Raises 400 `malformed-form` for one that comes twice. */
export function fieldsByName(fields: readonly (readonly [string, string])[]): Record<string, string> {
  const found = new Map<string, string>();
  for (const [name, value] of fields) {
    if (found.has(name)) throw fhirError('malformed-form', 'A field comes twice');
    found.set(name, value);
  }
  return Object.fromEntries(found);
}

/** The JSON of a field. Raises 400 `malformed-form`. */
export function jsonField(name: string, text: string): JsonValue {
  try {
    return parseJson(text);
  } catch (error) {
    throw fhirError('malformed-form', `${name} must be JSON`, { expression: name, cause: error });
  }
}

/** What a form says of its one file: in fields, and in the field `metadata` as a JSON object. */
function formMetadata(fields: readonly (readonly [string, string])[]): DocumentMetadata {
  const { metadata, ...single } = fieldsByName(fields);
  const more = metadata === undefined ? {} : jsonField('metadata', metadata);
  if (!isJsonObject(more)) throw fhirError('malformed-form', 'metadata must be a JSON object', { expression: 'metadata' });
  return readMetadata({ ...more, ...single });
}

export interface UploadAnswer {
  /** The document as this way in shows it. */
  show(fields: DocumentFields): unknown;
  /** Absolute address of /documents. */
  documentsUrl: string;
}

async function receiveForm(parts: UploadParts, context: InteractionContext): Promise<PreparedDocument> {
  const all: ReceivedContent[] = [];
  try {
    const { fields, files } = await readMultipart(context.request.body, { bytesMax: parts.uploadBytesMax + FORM_BYTES, filesMax: 1, fieldsMax: FIELDS_MAX, fieldBytesMax: FIELD_BYTES_MAX }, async (file) => {
      if (file.field !== 'file') throw fhirError('malformed-form', 'The file must be in the field named file', { expression: 'file' });
      const one = await receiveFile(parts, context, file);
      all.push(one.received);
      return one;
    });
    const metadata = formMetadata(fields);
    const [file] = files;
    if (file === undefined) throw fhirError('malformed-form', 'The form has no file; it belongs into the field named file', { expression: 'file' });
    return await prepareUpload(parts, inFhirTerms(context, {}), file, metadata);
  } catch (error) {
    await discardAll(parts.content, context, all);
    throw error;
  }
}

/** The answer of a create as this way in has it. */
export function uploadOutcome(parts: UploadParts, outcome: Outcome, { show, documentsUrl }: UploadAnswer): Outcome {
  const fields = fieldsOf(readResource(outcome.response.body ?? '{}'), parts.fhirBase);
  return { ...outcome, response: jsonAnswer(outcome.response, outcome.response.status, show(fields), { Location: `${documentsUrl}/${fields.id}` }) };
}

/** The document over a file that was received; what is abandoned is taken back. */
export function storeUpload(parts: UploadParts, answer: UploadAnswer, receive: (context: InteractionContext) => Promise<PreparedDocument>): Interaction {
  const inner = defineInteraction<PreparedDocument>({
    code: 'create',
    kind: 'write',
    prepare: receive,
    run: async (tx, context, prepared) => {
      const outcome = await writeDocument(parts, tx, inFhirTerms(context, {}), { id: newUuidV7(context.now), method: 'POST', prepared, previous: undefined });
      return uploadOutcome(parts, outcome, answer);
    },
    abandon: (context, prepared) => discardAll(parts.content, context, prepared.moved.map(({ received }) => received)),
  });
  return { ...inner, replay: async (context, replay) => uploadOutcome(parts, await replay(inFhirTerms(context, {})), answer) };
}

export function uploadDocument(parts: UploadParts, answer: UploadAnswer): Interaction {
  return storeUpload(parts, answer, (context) => receiveForm(parts, context));
}
