// POST /documents/bulk: many files in one form. All of them become documents in one transaction or none does, as the entries of
// a transaction Bundle; with mode=batch each by itself. Every file is told of, also in a refusal.
import { createHash } from 'node:crypto';
import type { AccessEvent } from '../audit/access-event.ts';
import type { Transaction } from '../database/database.ts';
import { fhirError, FhirError } from '../fhir/fhir-error.ts';
import type { JsonValue } from '../fhir/json.ts';
import type { Perform } from '../gate/perform.ts';
import { TransactionRefused, type EntryAccess, type FhirRequest, type Interaction, type InteractionContext, type Outcome, type Passage, type PreparedInteraction } from '../interactions/interaction.ts';
import { defineInteraction } from '../interactions/interaction.ts';
import { bulkMetadata } from './bulk-metadata.ts';
import { failedFile, reportOf, type FileReport, type SucceededFile } from './bulk-report.ts';
import { readMetadata, type DocumentFields } from './document-fields.ts';
import { prepareUpload, receiveFile, storeUpload, type ReceivedFile, type UploadAnswer, type UploadParts } from './document-upload.ts';
import { readMultipart, type FormFile } from './multipart-form.ts';
import { inFhirTerms, jsonAnswer } from './translated.ts';

export interface BulkParts extends UploadParts {
  /** The door; the files of a batch pass it one by one. */
  perform: Perform;
}

export const BULK_FILES_MAX = 500;
const BULK_BYTES_MAX = 5 * 1024 ** 3;
/** Boundaries, part headers and fields beside the bytes. */
const FORM_BYTES = 8 * 1024 * 1024;
const FIELDS_MAX = BULK_FILES_MAX + 50;
const FIELD_BYTES_MAX = 4 * 1024 * 1024;
const FILES_AT_ONCE = 4;

/** One file on its way: received, or refused already. */
interface BulkFile {
  index: number;
  name: string | undefined;
  file: ReceivedFile | undefined;
  error: FhirError | undefined;
}

type Mode = 'transaction' | 'batch';

interface Entry {
  bulk: BulkFile;
  access: EntryAccess;
  prepared: PreparedInteraction | undefined;
}

type Prepared = { mode: 'transaction'; entries: Entry[] } | { mode: 'batch'; reports: FileReport[] };

function modeOf({ query }: FhirRequest): Mode {
  const mode = query.find(([name]) => name === 'mode')?.[1] ?? 'transaction';
  if (mode !== 'transaction' && mode !== 'batch') throw fhirError('invalid-parameter', 'mode is transaction or batch');
  return mode;
}

/** What is wrong with one file must not end the others: each is told of. */
async function takeFile(parts: BulkParts, context: InteractionContext, file: FormFile): Promise<BulkFile> {
  if (file.field !== 'files' && file.field !== 'files[]') throw fhirError('malformed-form', 'The files must be in the repeated field files', { expression: 'files' });
  try {
    const received = await receiveFile(parts, context, file);
    return { index: file.index, name: received.name, file: received, error: undefined };
  } catch (error) {
    if (!(error instanceof FhirError)) throw error;
    return { index: file.index, name: undefined, file: undefined, error };
  }
}

interface ReceivedForm {
  files: BulkFile[];
  metadata: Record<string, JsonValue>[];
}

async function receiveFiles(parts: BulkParts, context: InteractionContext): Promise<ReceivedForm> {
  const received: BulkFile[] = [];
  try {
    const { fields, files } = await readMultipart(context.request.body, { bytesMax: BULK_BYTES_MAX + FORM_BYTES, filesMax: BULK_FILES_MAX, fieldsMax: FIELDS_MAX, fieldBytesMax: FIELD_BYTES_MAX }, async (file) => {
      const one = await takeFile(parts, context, file);
      received.push(one);
      context.request.progress?.({ index: one.index, filename: one.name ?? null, size: one.file?.received.size ?? null, status: one.error === undefined ? 'received' : 'failed', files: received.length });
      return one;
    });
    if (files.length === 0) throw fhirError('malformed-form', 'The form has no files; they belong into the repeated field files', { expression: 'files' });
    return { files, metadata: bulkMetadata(fields, files.length) };
  } catch (error) {
    await takeBack(parts, context, received);
    throw error;
  }
}

async function takeBack(parts: BulkParts, context: InteractionContext, files: readonly BulkFile[]): Promise<void> {
  for (const { file } of files) if (file !== undefined) await parts.content.discard(context.org.id, file.received);
}

/** One file as a create of its own. Raises what was wrong with it already. */
function storeFile(parts: BulkParts, answer: UploadAnswer, { file, error }: BulkFile, metadata: Record<string, JsonValue>): Interaction {
  return storeUpload(parts, answer, async (context) => {
    if (file === undefined) throw error ?? new Error('A file that was neither received nor refused');
    return prepareUpload(parts, inFhirTerms(context, {}), file, readMetadata(metadata));
  });
}

const passageOf = (interaction: Interaction): Passage => ({ interaction, access: { interaction: 'create', type: 'DocumentReference' } });

/** The request that one file stands for: its own place, its own digest for a repetition. */
function requestOf({ request }: InteractionContext, { index, file }: BulkFile, metadata: Record<string, JsonValue>): FhirRequest {
  const key = request.header('idempotency-key');
  const { progress: _progress, ...outer } = request;
  return {
    ...outer, url: `documents/bulk#${index}`, query: [], type: 'DocumentReference',
    header: (name) => (name === 'idempotency-key' ? key && `${key.slice(0, 240)}.${index}` : name === 'x-provenance' ? undefined : request.header(name)),
    body: {
      contentType: file?.contentType, contentEncoding: undefined, length: file?.received.size, text: async () => '', async* stream() { /* Received already. */ },
      digest: () => createHash('sha256').update(file?.received.sha256 ?? '').update(JSON.stringify(metadata)).digest(),
    },
  };
}

async function prepareBulk(parts: BulkParts, answer: UploadAnswer, context: InteractionContext): Promise<Prepared> {
  const mode = modeOf(context.request);
  const form = await receiveFiles(parts, context);
  return mode === 'batch' ? { mode, reports: await storeEach(parts, answer, context, form) } : { mode, entries: await prepareTogether(parts, answer, context, form) };
}

/** All are looked at before one is refused, so that the answer tells of each. */
async function prepareTogether(parts: BulkParts, answer: UploadAnswer, context: InteractionContext, { files, metadata }: ReceivedForm): Promise<Entry[]> {
  const entries = files.map((bulk): Entry => {
    const said = metadata[bulk.index] ?? {};
    return { bulk, access: context.enterEntry(passageOf(storeFile(parts, answer, bulk, said)), requestOf(context, bulk, said)), prepared: undefined };
  });
  try {
    for (const entry of entries) {
      try {
        entry.prepared = await entry.access.prepare();
      } catch (error) {
        if (!(error instanceof FhirError)) throw error;
        entry.bulk.error = error;
      }
    }
    raiseFaults(entries);
    return entries;
  } catch (error) {
    await takeBack(parts, context, files);
    throw error;
  }
}

/** The first file with a fault gives the status; all files are listed, and each leaves its event. */
function raiseFaults(entries: readonly Entry[]): void {
  const faulty = entries.flatMap(({ bulk: { index, error } }) => (error === undefined ? [] : [{ index, error }]));
  const [first] = faulty;
  if (first === undefined) return;
  const issues = faulty.flatMap(({ index, error }) => error.issues.map((issue) => ({ ...issue, expression: `files[${index}]${issue.expression === undefined ? '' : `.${issue.expression}`}` })));
  const events = entries.map(({ access, bulk: { error } }): AccessEvent => (error === undefined ? access.failed(first.error.status, 'Not done: the bulk upload was refused') : access.failed(error.status, error.withoutContent)));
  const files = entries.map(({ bulk: { index, name, error } }): FileReport => (error === undefined ? { index, filename: name ?? null, status: 'rolled-back' } : failedFile(index, name, error)));
  throw new TransactionRefused(issues, first.error.status, events, first.error, { ...first.error.members, ...reportOf(files) });
}

async function runTogether(tx: Transaction, entries: readonly Entry[]): Promise<Outcome> {
  const outcomes: { entry: Entry; outcome: Outcome }[] = [];
  for (const entry of entries) {
    try {
      outcomes.push({ entry, outcome: await (entry.prepared as PreparedInteraction).run(tx) });
    } catch (error) {
      if (!(error instanceof FhirError)) throw error;
      entry.bulk.error = error;
      raiseFaults(entries);
    }
  }
  const files = outcomes.map(({ entry: { bulk }, outcome }) => succeededFile(bulk.index, outcome.response.body));
  return {
    ...bulkOutcome(201, files),
    code: 'transaction',
    inner: outcomes.flatMap(({ entry, outcome }) => entry.access.succeeded(outcome)),
    afterCommit: () => { for (const { outcome } of outcomes) outcome.afterCommit?.(); },
  };
}

const succeededFile = (index: number, body: string | undefined): SucceededFile => ({ index, status: 'succeeded', ...JSON.parse(body ?? '{}') as DocumentFields });

const bulkOutcome = (status: number, files: readonly FileReport[]): Outcome => ({ response: jsonAnswer({ headers: {} }, status, reportOf(files)), entities: [], keepsAnswer: true });

/** Each through the door by itself: its own right, transaction and record. */
async function storeEach(parts: BulkParts, answer: UploadAnswer, context: InteractionContext, { files, metadata }: ReceivedForm): Promise<FileReport[]> {
  const reports: FileReport[] = [];
  const waiting = files.values();
  const work = async (): Promise<void> => {
    for (const bulk of waiting) {
      reports[bulk.index] = await storeOne(parts, answer, context, bulk, metadata[bulk.index] ?? {});
      context.request.progress?.({ index: bulk.index, filename: bulk.name ?? null, status: reports[bulk.index]?.status });
    }
  };
  await Promise.all(Array.from({ length: FILES_AT_ONCE }, work));
  return reports;
}

async function storeOne(parts: BulkParts, answer: UploadAnswer, context: InteractionContext, bulk: BulkFile, metadata: Record<string, JsonValue>): Promise<FileReport> {
  const inner = storeFile(parts, answer, bulk, metadata);
  // What the door never let in, and what a repetition did not need, is taken back here; the rest is its own affair.
  let isTaken = false;
  const interaction: Interaction = { ...inner, prepare: async (own) => {
    const prepared = await inner.prepare(own);
    isTaken = true;
    return prepared;
  } };
  try {
    const { response } = await parts.perform(passageOf(interaction), requestOf(context, bulk, metadata));
    return succeededFile(bulk.index, response.body);
  } catch (error) {
    if (!(error instanceof FhirError)) throw error;
    return failedFile(bulk.index, bulk.name, error);
  } finally {
    if (!isTaken) await takeBack(parts, context, [bulk]);
  }
}

export function bulkUpload(parts: BulkParts, answer: UploadAnswer): Interaction {
  const inner = defineInteraction<Prepared>({
    code: 'transaction',
    kind: 'write',
    prepare: (context) => prepareBulk(parts, answer, context),
    run: async (tx, _context, prepared) => (prepared.mode === 'batch' ? { ...bulkOutcome(200, prepared.reports), code: 'batch' } : runTogether(tx, prepared.entries)),
    abandon: async (_context, prepared) => { if (prepared.mode === 'transaction') for (const entry of prepared.entries) await entry.prepared?.abandon(); },
  });
  return { ...inner, replay: async (context, replay) => repeated(await replay(inFhirTerms(context, {}))) };
}

/** The answer as it was; what it names is seen again. */
function repeated(outcome: Outcome): Outcome {
  const { files } = JSON.parse(outcome.response.body ?? '{"files":[]}') as { files: Partial<SucceededFile>[] };
  return {
    ...outcome, response: { ...jsonAnswer(outcome.response, outcome.response.status, {}), body: outcome.response.body ?? '' },
    entities: files.flatMap(({ id }) => (id === undefined ? [] : [{ reference: `DocumentReference/${id}/_history/1`, role: 'data' as const }])),
  };
}
