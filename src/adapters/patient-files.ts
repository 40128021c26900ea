// POST /api/patients/[id]/files: a file of a patient becomes a document, and a whole number that an application knows it by.
import type { ReceivedContent } from '../content/receive-content.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { ID_PATTERN } from '../fhir/reference.ts';
import { newUuidV7 } from '../fhir/uuid-v7.ts';
import type { Database, Transaction } from '../database/database.ts';
import { defineInteraction, type Interaction, type InteractionContext, type Outcome } from '../interactions/interaction.ts';
import { discardAll, type PreparedDocument } from '../interactions/prepare-document.ts';
import { writeDocument } from '../interactions/write-document.ts';
import { nextAlias } from '../resources/medical-records.ts';
import { insertPatientFile, type PatientFile } from '../resources/patient-files.ts';
import type { AdapterGroup } from './adapter-route.ts';
import { prepareUpload, receiveFile, type ReceivedFile, type UploadParts } from './document-upload.ts';
import { PATIENT_FILE } from './describe-records.ts';
import type { GrantOperationParts } from '../operations/named-grant.ts';
import { signGrant, type SignedGrant } from '../operations/signed-url.ts';
import { lend } from './lent-upload.ts';
import { jsonResponse, userOf } from './medical-record-answer.ts';
import { readMultipart } from './multipart-form.ts';
import { inFhirTerms } from './translated.ts';

export type PatientFileParts = UploadParts & GrantOperationParts & { database: Pick<Database, 'transaction'> };

/** A file that was received and will be a document of its own. */
export interface PreparedFile {
  /** Id of the DocumentReference that it will be. */
  document: string;
  file: ReceivedFile;
  patient: string;
  prepared: PreparedDocument;
}

const NAME_MAX = 255;

export async function prepareFile(parts: UploadParts, context: InteractionContext, file: ReceivedFile, patient: string): Promise<PreparedFile> {
  const prepared = await prepareUpload(parts, inFhirTerms(context, {}), file, { patient_id: patient, category: 'other', title: file.name ?? 'file' });
  return { document: newUuidV7(context.now), file, patient, prepared };
}

export const receivedIn = (files: readonly PreparedFile[]): ReceivedContent[] => files.flatMap(({ prepared }) => prepared.moved.map(({ received }) => received));

/** Publishes the document and its number. */
export async function writeFile(parts: UploadParts, tx: Transaction, context: InteractionContext, { document, file, patient, prepared }: PreparedFile): Promise<{ outcome: Outcome; row: PatientFile }> {
  const outcome = await writeDocument(parts, tx, inFhirTerms(context, {}), { id: document, method: 'POST', prepared, previous: undefined });
  const binary = outcome.write?.targets.map((target) => /^Binary\/([^/]+)/.exec(target)?.[1]).find((id) => id !== undefined);
  if (binary === undefined) throw new Error('A file that was received has no Binary');
  const row: PatientFile = {
    id: await nextAlias(tx, context.org.id, 'patient-file'), document, binary, patient_id: patient, file_name: (file.name ?? 'file').slice(0, NAME_MAX), file_type: file.contentType,
    file_size: String(file.received.size), created_at: new Date(context.now),
  };
  await insertPatientFile(tx, context.org.id, { ...row, user: userOf(context) });
  return { outcome, row };
}

/** With a URL that shows the file for an hour; where the caller may lend nothing, with the one that asks for a token. */
export const fileMembers = (row: PatientFile, url: string): Record<string, string | number> => ({ id: Number(row.id), file_name: row.file_name, s3_url: url, file_type: row.file_type });

function uploadFile(parts: PatientFileParts): Interaction {
  return defineInteraction<PreparedFile & { signed: SignedGrant }>({
    code: 'create',
    kind: 'write',
    prepare: async (context) => {
      const { id = '' } = context.request.parameters ?? {};
      if (!ID_PATTERN.test(id)) throw fhirError('not-found', 'There is no such patient');
      const all: ReceivedContent[] = [];
      try {
        const { files: [file] } = await readMultipart(context.request.body, { bytesMax: parts.uploadBytesMax + 1024 * 1024, filesMax: 1, fieldsMax: 20, fieldBytesMax: 64 * 1024 }, async (one) => {
          if (one.field !== 'file') throw fhirError('malformed-form', 'The file must be in the field named file', { expression: 'file' });
          const received = await receiveFile(parts, context, one);
          all.push(received.received);
          return received;
        });
        if (file === undefined) throw fhirError('malformed-form', 'The form has no file; it belongs into the field named file', { expression: 'file' });
        return { ...await prepareFile(parts, context, file, id), signed: await signGrant(parts, context) };
      } catch (error) {
        await discardAll(parts.content, context, all);
        throw error;
      }
    },
    run: async (tx, context, prepared) => {
      const { outcome, row } = await writeFile(parts, tx, context, prepared);
      const { version: _version, ...rest } = outcome;
      const isLent = lend(parts, tx, context, prepared.signed, 'Binary', row.binary) !== undefined;
      const url = isLent ? prepared.signed.url : `${parts.fhirBase}/Binary/${row.binary}`;
      return {
        ...rest, keepsAnswer: true, ...(isLent ? { grant: prepared.signed.id } : {}),
        response: jsonResponse(201, { ...fileMembers(row, url), file_id: Number(row.id), patient_id: row.patient_id, file_size: Number(row.file_size), document_reference: `DocumentReference/${row.document}`, created_at: row.created_at.toISOString() }),
      };
    },
    abandon: (context, prepared) => discardAll(parts.content, context, receivedIn([prepared])),
  });
}

export function patientFiles(parts: PatientFileParts): AdapterGroup {
  return { prefix: 'api/patients', crossOrigin: true, routes: [{ method: 'POST', path: '[id]/files', type: 'DocumentReference', access: { interaction: 'create' }, interaction: uploadFile(parts), says: PATIENT_FILE }] };
}

