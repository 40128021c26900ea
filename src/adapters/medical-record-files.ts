// The files of a medical record: one to draw upon, and those that belong to it. Each is a document of its own.
import type { AccessEntity } from '../audit/access-event.ts';
import { OWN_SYSTEM } from '../audit/touched-references.ts';
import { fhirError, FhirError } from '../fhir/fhir-error.ts';
import { typeNumber } from '../fhir/resource-type.ts';
import type { Transaction } from '../database/database.ts';
import type { InteractionContext } from '../interactions/interaction.ts';
import type { PlainObject } from '../resources/medical-records.ts';
import { linkRecordFile, readPatientFile, unlinkBackground, type FileRole, type PatientFile } from '../resources/patient-files.ts';
import { judgeVersion } from '../resources/permitted-version.ts';
import { readNewest } from '../resources/read-version.ts';
import { requireLendable } from '../operations/lent-rights.ts';
import { signGrant, type SignedGrant } from '../operations/signed-url.ts';
import { lend } from './lent-upload.ts';
import type { ShownFile } from './medical-record-answer.ts';
import type { RecordContent } from './medical-record-document.ts';
import { fileMembers, type PatientFileParts } from './patient-files.ts';

export type RecordParts = PatientFileParts;

type LinkedFile = PatientFile & { file_role: FileRole };

/** A file with the URL that shows it. */
interface LentFile {
  file: LinkedFile;
  signed: SignedGrant | undefined;
}

export const distinctEntities = (entities: readonly AccessEntity[]): AccessEntity[] => [...new Map(entities.map((entity) => [`${entity.role} ${entity.reference}`, entity])).values()];

/** How the record of one access names each URL that it gave out; uses of one name their grant as `urn:uuid:` and the same id. */
const urlEntity = ({ id }: SignedGrant): AccessEntity => ({ reference: `${OWN_SYSTEM}signed-url:${id}`, role: 'data' });

export interface ShownFiles {
  files: ShownFile[];
  /** The files whose URLs were given out, and the URLs. */
  entities: AccessEntity[];
}

function shown(parts: RecordParts, lent: readonly LentFile[], entities: readonly AccessEntity[]): ShownFiles {
  return {
    files: lent.map(({ file, signed }) => ({ role: file.file_role, members: fileMembers(file, signed?.url ?? `${parts.fhirBase}/Binary/${file.binary}`) })),
    entities: [...entities, ...lent.flatMap(({ signed }) => (signed === undefined ? [] : [urlEntity(signed)]))],
  };
}

/** What the record names of a file that the caller may lend; undefined where they may not. */
async function lendable(tx: Transaction, parts: RecordParts, context: InteractionContext, { binary }: PatientFile): Promise<AccessEntity[] | undefined> {
  try {
    return await requireLendable(tx, context, { type: 'Binary', resourceId: binary, method: 'GET' }, parts.fhirBase);
  } catch (error) {
    if (error instanceof FhirError) return undefined;
    throw error;
  }
}

/** The files with the addresses that ask for a token: for an answer that comes every few seconds. */
export function plainFiles({ fhirBase }: Pick<RecordParts, 'fhirBase'>, files: readonly LinkedFile[]): ShownFile[] {
  return files.map((file) => ({ role: file.file_role, members: fileMembers(file, `${fhirBase}/Binary/${file.binary}`) }));
}

/** In the transaction of a read: answers what shows the files, to be called after it and before the record. */
export async function filesToShow(tx: Transaction, parts: RecordParts, context: InteractionContext, files: readonly LinkedFile[]): Promise<() => Promise<ShownFiles>> {
  const found: { file: LinkedFile; entities: AccessEntity[] | undefined }[] = [];
  for (const file of files) found.push({ file, entities: await lendable(tx, parts, context, file) });
  return async () => {
    const lent = await Promise.all(found.map(async ({ file, entities }): Promise<LentFile> => ({ file, signed: entities === undefined ? undefined : await signGrant(parts, context) })));
    await parts.database.transaction(context.org.id, async (own) => {
      for (const { file, signed } of lent) if (signed !== undefined) lend(parts, own, context, signed, 'Binary', file.binary);
    });
    return shown(parts, lent, found.flatMap(({ entities = [] }) => entities));
  };
}

/** In the transaction of a write, whose commit the URLs travel with; there is one of `signed` at least for each file. */
export async function showWritten(tx: Transaction, parts: RecordParts, context: InteractionContext, files: readonly LinkedFile[], signed: readonly SignedGrant[]): Promise<ShownFiles> {
  const lent: LentFile[] = [];
  const entities: AccessEntity[] = [];
  for (const [at, file] of files.entries()) {
    const own = await lendable(tx, parts, context, file);
    const grant = signed[at];
    const isLent = own !== undefined && grant !== undefined && lend(parts, tx, context, grant, 'Binary', file.binary) !== undefined;
    lent.push({ file, signed: isLent ? grant : undefined });
    entities.push(...(isLent ? own : []));
  }
  return shown(parts, lent, entities);
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
