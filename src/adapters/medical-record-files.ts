// The files of a medical record: one to draw upon, and those that belong to it. Each is a document of its own.
import { fhirError } from '../fhir/fhir-error.ts';
import { typeNumber } from '../fhir/resource-type.ts';
import type { Transaction } from '../database/database.ts';
import type { InteractionContext } from '../interactions/interaction.ts';
import type { PlainObject } from '../resources/medical-records.ts';
import { linkRecordFile, readPatientFile, unlinkBackground, type FileRole, type PatientFile } from '../resources/patient-files.ts';
import { judgeVersion } from '../resources/permitted-version.ts';
import { readNewest } from '../resources/read-version.ts';
import { fhirCalls } from './fhir-call.ts';
import type { ShownFile } from './medical-record-answer.ts';
import type { RecordContent } from './medical-record-document.ts';
import { fileMembers, urlOf, type PatientFileParts } from './patient-files.ts';

export type RecordParts = PatientFileParts;

type LinkedFile = PatientFile & { file_role: FileRole };

export async function showFiles(parts: RecordParts, context: InteractionContext, files: readonly LinkedFile[]): Promise<ShownFile[]> {
  const call = fhirCalls(parts, context);
  return Promise.all(files.map(async (file) => ({ role: file.file_role, members: fileMembers(file, await urlOf(call, file, parts.fhirBase)) })));
}

export function relationsOf(files: readonly LinkedFile[]): Pick<RecordContent, 'background' | 'attachments'> {
  const background = files.find(({ file_role: role }) => role === 'background')?.document;
  return { ...(background === undefined ? {} : { background }), attachments: files.filter(({ file_role: role }) => role === 'attachment').map(({ document }) => document) };
}

/** Raises 422 `reference-target` for a file that is unknown, hidden from the caller or of another patient: all are told alike. */
export async function requireBackground(tx: Transaction, parts: RecordParts, { org, restriction }: InteractionContext, id: string, patient: string | null): Promise<PatientFile> {
  const file = await readPatientFile(tx, org.id, id);
  const document = file === undefined ? undefined : await readNewest(tx, org.id, typeNumber('DocumentReference'), file.document);
  const usable = document !== undefined && document.body !== null && (patient === null || file?.patient_id === patient) && await judgeVersion(tx, restriction, document, parts.fhirBase) === 'permitted';
  if (file === undefined || !usable) throw fhirError('reference-target', 'drawing_data.backgroundFileId names no file of this patient', { expression: 'drawing_data.backgroundFileId' });
  return file;
}

/** Links the file that the drawing names as its background, and no other. */
export async function useBackground(tx: Transaction, parts: RecordParts, context: InteractionContext, record: { id: string; patient: string | null; drawing: PlainObject }): Promise<void> {
  const named = record.drawing['backgroundFileId'];
  if (typeof named !== 'number') { await unlinkBackground(tx, context.org.id, record.id, '0'); return; }
  const file = await requireBackground(tx, parts, context, String(named), record.patient);
  await linkRecordFile(tx, context.org.id, { record: record.id, file: file.id, role: 'background', now: new Date(context.now) });
}
