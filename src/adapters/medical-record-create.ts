// Making a medical record: from JSON, from a form with its files, or from what the application kept in a browser. The record,
// its files and their documents are one transaction.
import { creatorOf } from '../access/principal.ts';
import type { ReceivedContent } from '../content/receive-content.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { newUuidV7 } from '../fhir/uuid-v7.ts';
import type { Transaction } from '../database/database.ts';
import { contentRules } from '../interactions/content-rules.ts';
import { defineInteraction, type Interaction, type InteractionContext, type Outcome } from '../interactions/interaction.ts';
import { discardAll, receiveDocument, type PreparedDocument } from '../interactions/prepare-document.ts';
import { writeDocument } from '../interactions/write-document.ts';
import { signGrant, type SignedGrant } from '../operations/signed-url.ts';
import { insertMedicalRecord, nextAlias, type MedicalRecordRow, type PlainJson, type PlainObject } from '../resources/medical-records.ts';
import { linkRecordFile, readRecordFiles, type FileRole } from '../resources/patient-files.ts';
import { receiveFile, type ReceivedFile } from './document-upload.ts';
import { recordResponse, userOf } from './medical-record-answer.ts';
import { RECORD_IDENTIFIER_SYSTEM, recordDocument, type RecordContent } from './medical-record-document.ts';
import { distinctEntities, requireBackground, showWritten, useBackground, type RecordParts } from './medical-record-files.ts';
import { DRAFT_BYTES_MAX, readJsonObject, RECORD_SCHEMA, requireSchema, requireSound } from './medical-record-schema.ts';
import { isPlainObject } from './merge-patch.ts';
import { readMultipart } from './multipart-form.ts';
import { prepareFile, receivedIn, writeFile, type PreparedFile } from './patient-files.ts';
import { readSavedState } from './saved-state.ts';
import { inFhirTerms } from './translated.ts';

/** A body beside its draft: names, quotation marks, ids. */
const BODY_BYTES_MAX = DRAFT_BYTES_MAX + 64 * 1024;
const FILES_MAX = 50;

interface NewFile {
  role: FileRole;
  file: ReceivedFile;
}

interface NewRecord {
  content: RecordContent;
  record: PreparedDocument;
  files: (PreparedFile & { role: FileRole })[];
  /** For each file, and for a background that was there before. */
  signed: SignedGrant[];
}

export const objectOf = (value: PlainJson | undefined): PlainObject => (isPlainObject(value) ? value : {});
const textOf = (value: PlainJson | undefined): string | null => (typeof value === 'string' || typeof value === 'number' ? String(value) : null);

/** What is stored for a body. Without `patient_id` it is about the patient of the launch. Raises 400 and 413. */
function contentOf(body: PlainObject, { principal, now }: InteractionContext, fhirBase: string): RecordContent {
  requireSchema(RECORD_SCHEMA, body);
  const content: RecordContent = {
    appointment: textOf(body['appointment_id']) ?? '', template: textOf(body['template_id']), patient: textOf(body['patient_id']) ?? principal.patient ?? null,
    drawing: objectOf(body['drawing_data']), form: objectOf(body['form_data']), author: principal.fhirUser, final: false, now, fhirBase,
  };
  requireSound(content.drawing, content.form);
  return content;
}

const receivedOf = ({ record, files }: NewRecord): ReceivedContent[] => [...record.moved.map(({ received }) => received), ...receivedIn(files)];

/** Files become documents of the patient; the record's document says how it goes with each. */
async function prepareRecord(parts: RecordParts, context: InteractionContext, content: RecordContent, received: readonly NewFile[]): Promise<NewRecord> {
  const { patient } = content;
  if (received.length > 0 && patient === null) throw fhirError('required', 'patient_id is missing: files are about a patient', { expression: 'patient_id' });
  const files = await Promise.all(received.map(async ({ role, file }) => ({ ...await prepareFile(parts, context, file, patient ?? ''), role })));
  const ofRole = (role: FileRole): string[] => files.filter((file) => file.role === role).map(({ document }) => document);
  const [sent] = ofRole('background');
  const named = content.drawing['backgroundFileId'];
  const background = sent ?? (typeof named === 'number' ? (await context.read((tx) => requireBackground(tx, parts, context, String(named), patient))).document : undefined);
  const record = await receiveDocument(parts, inFhirTerms(context, {}), recordDocument({ ...content, ...(background === undefined ? {} : { background }), attachments: ofRole('attachment') }));
  return { content, record, files, signed: await Promise.all([...files, undefined].map(() => signGrant(parts, context))) };
}

/** One record of the access names all that was made. */
function joined(outcomes: readonly Outcome[]): Omit<Outcome, 'response' | 'version'> {
  const writes = outcomes.flatMap(({ write }) => write ?? []);
  const [first] = writes;
  return {
    entities: distinctEntities(outcomes.flatMap(({ entities }) => entities)),
    ...(first === undefined ? {} : { write: { ...first, targets: writes.flatMap(({ targets }) => targets), sources: writes.flatMap(({ sources }) => sources) } }),
    afterCommit: () => { for (const { afterCommit } of outcomes) afterCommit?.(); },
  };
}

async function writeRecord(tx: Transaction, parts: RecordParts, context: InteractionContext, { content, record, files, signed }: NewRecord): Promise<Outcome> {
  const outcomes: Outcome[] = [];
  const links: { file: string; role: FileRole }[] = [];
  let { drawing } = content;
  for (const file of files) {
    const { outcome, row } = await writeFile(parts, tx, context, file);
    outcomes.push(outcome);
    links.push({ file: row.id, role: file.role });
    if (file.role === 'background') drawing = { ...drawing, backgroundFileId: Number(row.id) };
  }
  // The record's document refers to those of its files.
  await tx.flush();
  const id = await nextAlias(tx, context.org.id, 'medical-record');
  const document = newUuidV7(context.now);
  record.resource['identifier'] = [{ system: RECORD_IDENTIFIER_SYSTEM, value: id }];
  outcomes.unshift(await writeDocument(parts, tx, inFhirTerms(context, {}), { id: document, method: 'POST', prepared: record, previous: undefined }));
  const made = {
    id, document, appointment_id: content.appointment, template_id: content.template, patient_id: content.patient, drawing_data: drawing, form_data: content.form,
    created_by_user_id: userOf(context), created_at: new Date(content.now),
  };
  await insertMedicalRecord(tx, context.org.id, made);
  for (const link of links) await linkRecordFile(tx, context.org.id, { ...link, record: id, now: made.created_at });
  await useBackground(tx, parts, context, { id, patient: content.patient, drawing });
  const row: MedicalRecordRow = { ...made, revision: 1, finalised_at: null, updated_by_user_id: null, updated_at: made.created_at };
  const kept = await readRecordFiles(tx, context.org.id, id);
  await tx.flush();
  const lent = await showWritten(tx, parts, context, kept, signed);
  const all = joined(outcomes);
  return { ...all, entities: distinctEntities([...all.entities, ...lent.entities]), response: recordResponse(201, row, { Location: `/api/medical-records/${id}` }, lent.files) };
}

interface ReadRecord {
  body: PlainObject;
  files: NewFile[];
}

function parsedField(name: string, text: string): PlainJson {
  try {
    return JSON.parse(text) as PlainJson;
  } catch {
    throw fhirError('malformed-form', `${name} must be JSON`, { expression: name });
  }
}

const JSON_FIELDS = ['drawing_data', 'form_data'];
const ID_FIELDS = ['appointment_id', 'template_id', 'patient_id'];

function bodyOf(fields: readonly (readonly [string, string])[]): PlainObject {
  const body = new Map<string, PlainJson>();
  for (const [name, text] of fields) {
    if (body.has(name) || ![...JSON_FIELDS, ...ID_FIELDS].includes(name)) throw fhirError('malformed-form', `The field ${name.slice(0, 64)} is not known here, or comes twice`, { expression: name.slice(0, 64) });
    if (text !== '') body.set(name, JSON_FIELDS.includes(name) ? parsedField(name, text) : text);
  }
  return Object.fromEntries(body);
}

const roleOf = (field: string): FileRole => {
  if (field === 'background_file') return 'background';
  if (/^attachment_files(?:\[\d*\])?$/.test(field)) return 'attachment';
  throw fhirError('malformed-form', 'Files stand in the fields background_file and attachment_files', { expression: field.slice(0, 64) });
};

/** `received` fills while files come, so that they can be discarded whatever happens. */
async function readForm(parts: RecordParts, context: InteractionContext, received: ReceivedContent[]): Promise<ReadRecord> {
  const limits = { bytesMax: parts.uploadBytesMax + BODY_BYTES_MAX, filesMax: FILES_MAX, fieldsMax: 20, fieldBytesMax: DRAFT_BYTES_MAX };
  const { fields, files } = await readMultipart(context.request.body, limits, async (one): Promise<NewFile> => {
    const role = roleOf(one.field);
    const file = await receiveFile(parts, context, one);
    received.push(file.received);
    return { role, file };
  });
  if (files.filter(({ role }) => role === 'background').length > 1) throw fhirError('malformed-form', 'A record has one background_file', { expression: 'background_file' });
  return { body: bodyOf(fields), files };
}

type Read = (parts: RecordParts, context: InteractionContext, received: ReceivedContent[]) => Promise<ReadRecord>;

function createBy(parts: RecordParts, read: Read): Interaction {
  return defineInteraction<NewRecord>({
    code: 'create',
    kind: 'write',
    prepare: async (context) => {
      const received: ReceivedContent[] = [];
      try {
        const { body, files } = await read(parts, context, received);
        return await prepareRecord(parts, context, contentOf(body, context, parts.fhirBase), files);
      } catch (error) {
        await discardAll(parts.content, context, received);
        throw error;
      }
    },
    run: (tx, context, prepared) => writeRecord(tx, parts, context, prepared),
    abandon: (context, prepared) => discardAll(parts.content, context, receivedOf(prepared)),
  });
}

export function createRecord(parts: RecordParts): Interaction {
  return createBy(parts, async (_parts, context, received) => (
    /^multipart\//i.test(context.request.body.contentType ?? '') ? readForm(parts, context, received) : { body: await readJsonObject(context.request, BODY_BYTES_MAX), files: [] }
  ));
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

/** What the demonstration kept in localStorage, with its files as data: URLs. */
export function importSavedState(parts: RecordParts): Interaction {
  return createBy(parts, async (_parts, context, received) => {
    const { body, files } = readSavedState(await readJsonObject(context.request, parts.bodyBytesMax));
    const taken: NewFile[] = [];
    for (const { role, name, contentType, bytes } of files) {
      if (bytes.length > parts.inlineBytesMax) throw fhirError('too-long', `A file in a saved state may have ${parts.inlineBytesMax} bytes`);
      const one = await parts.content.receive({ org: context.org, bytes: once(bytes), size: bytes.length, declaredType: contentType, rules: contentRules(context, 'DocumentReference'), creator: creatorOf(context.principal), bytesMax: parts.inlineBytesMax, now: context.now });
      received.push(one);
      taken.push({ role, file: { name, contentType, received: one } });
    }
    return { body, files: taken };
  });
}
