// Files of patients, known to applications by whole numbers, and which medical record has which of them in what role.
import type { Transaction } from '../database/database.ts';
import type { OrgId } from '../database/tables.ts';

export type FileRole = 'background' | 'attachment' | 'export';

export interface PatientFile {
  id: string;
  /** Id of the DocumentReference, by which access is judged. */
  document: string;
  binary: string;
  patient_id: string;
  file_name: string;
  file_type: string;
  /** Bytes. */
  file_size: string;
  created_at: Date;
}

const COLUMNS = ['id', 'document', '"binary"', 'patient_id', 'file_name', 'file_type', 'file_size', 'created_at'];

export async function insertPatientFile(tx: Transaction, org: OrgId, file: PatientFile & { user: string }): Promise<void> {
  await tx.query({
    text: 'insert into patient_file (org, id, document, "binary", patient_id, file_name, file_type, file_size, uploaded_by_user_id, created_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)',
    values: [org, file.id, file.document, file.binary, file.patient_id, file.file_name, file.file_type, file.file_size, file.user, file.created_at],
  });
}

export async function readPatientFile(tx: Transaction, org: OrgId, id: string): Promise<PatientFile | undefined> {
  const { rows } = await tx.query<PatientFile>({ text: `select ${COLUMNS.join(', ')} from patient_file where org = $1 and id = $2`, values: [org, id] });
  return rows[0];
}

/** The file takes the role in the record; a background takes the place of the one before. */
export async function linkRecordFile(tx: Transaction, org: OrgId, link: { record: string; file: string; role: FileRole; now: Date }): Promise<void> {
  if (link.role === 'background') await unlinkBackground(tx, org, link.record, link.file);
  await tx.query({
    text: 'insert into medical_record_file (org, medical_record_id, patient_file_id, file_role, created_at) values ($1, $2, $3, $4, $5) on conflict do nothing',
    values: [org, link.record, link.file, link.role, link.now],
  });
}

/** `kept` stays. */
export async function unlinkBackground(tx: Transaction, org: OrgId, record: string, kept: string): Promise<void> {
  await tx.query({ text: `delete from medical_record_file where org = $1 and medical_record_id = $2 and file_role = 'background' and patient_file_id <> $3`, values: [org, record, kept] });
}

/** Oldest first. */
export async function readRecordFiles(tx: Transaction, org: OrgId, record: string): Promise<(PatientFile & { file_role: FileRole })[]> {
  const { rows } = await tx.query<PatientFile & { file_role: FileRole }>({
    text: `select l.file_role, ${COLUMNS.map((column) => `f.${column}`).join(', ')} from medical_record_file l join patient_file f on f.org = l.org and f.id = l.patient_file_id
      where l.org = $1 and l.medical_record_id = $2 order by f.id`,
    values: [org, record],
  });
  return rows;
}
