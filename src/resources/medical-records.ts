// Rows of medical records with drawings. The document beside each row is what access is judged by; a row alone shows nothing.
import type { Transaction } from '../database/database.ts';
import type { OrgId } from '../database/tables.ts';

/** JSON as applications have it: what is kept here is no FHIR. */
export type PlainJson = null | boolean | number | string | PlainJson[] | { [key: string]: PlainJson };
export type PlainObject = { [key: string]: PlainJson };

export interface MedicalRecordRow {
  id: string;
  /** Id of the DocumentReference. */
  document: string;
  appointment_id: string;
  template_id: string | null;
  patient_id: string | null;
  drawing_data: PlainObject;
  form_data: PlainObject;
  revision: number;
  finalised_at: Date | null;
  created_by_user_id: string;
  updated_by_user_id: string | null;
  created_at: Date;
  updated_at: Date;
}

const COLUMNS = 'id, document, appointment_id, template_id, patient_id, drawing_data, form_data, revision, finalised_at, created_by_user_id, updated_by_user_id, created_at, updated_at';

/** The next whole number of this kind; others of the organisation wait for the commit, so that none is left out. */
export async function nextAlias(tx: Transaction, org: OrgId, kind: string): Promise<string> {
  const { rows } = await tx.query<{ last: string }>({
    text: 'insert into alias_sequence (org, kind, last) values ($1, $2, 1) on conflict (org, kind) do update set last = alias_sequence.last + 1 returning last',
    values: [org, kind],
  });
  return String(rows[0]?.last);
}

export async function insertMedicalRecord(tx: Transaction, org: OrgId, row: Omit<MedicalRecordRow, 'revision' | 'finalised_at' | 'updated_by_user_id' | 'updated_at'>): Promise<void> {
  await tx.query({
    text: `insert into medical_record (org, id, document, appointment_id, template_id, patient_id, drawing_data, form_data, created_by_user_id, created_at, updated_at)
      values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)`,
    values: [org, row.id, row.document, row.appointment_id, row.template_id, row.patient_id, JSON.stringify(row.drawing_data), JSON.stringify(row.form_data), row.created_by_user_id, row.created_at],
  });
}

/** undefined when this organisation has no such record. `lock`: nobody else may change it until the transaction ends. */
export async function readMedicalRecord(tx: Transaction, org: OrgId, id: string, lock = false): Promise<MedicalRecordRow | undefined> {
  const { rows } = await tx.query<MedicalRecordRow>({ text: `select ${COLUMNS} from medical_record where org = $1 and id = $2${lock ? ' for update' : ''}`, values: [org, id] });
  return rows[0];
}

/** The next revision; answers its number. */
export async function saveDraft(tx: Transaction, org: OrgId, draft: { id: string; drawing: PlainObject; form: PlainObject; user: string; now: Date }): Promise<number> {
  const { rows } = await tx.query<{ revision: number }>({
    text: 'update medical_record set drawing_data = $3, form_data = $4, updated_by_user_id = $5, updated_at = $6, revision = revision + 1 where org = $1 and id = $2 returning revision',
    values: [org, draft.id, JSON.stringify(draft.drawing), JSON.stringify(draft.form), draft.user, draft.now],
  });
  return rows[0]?.revision ?? 0;
}

export async function markFinalised(tx: Transaction, org: OrgId, finalised: { id: string; user: string; now: Date }): Promise<void> {
  await tx.query({
    text: 'update medical_record set finalised_at = $3, updated_at = $3, updated_by_user_id = $4, revision = revision + 1 where org = $1 and id = $2',
    values: [org, finalised.id, finalised.now, finalised.user],
  });
}

export interface MedicalRecordFilter {
  shapeType?: string;
  appointment?: string;
  patient?: string;
  /** Only records with a smaller id. */
  before?: string;
}

/** Newest first, `limit` at most. Deleted documents are left out. */
export async function listMedicalRecords(tx: Transaction, org: OrgId, filter: MedicalRecordFilter, documentType: number, limit: number): Promise<(MedicalRecordRow & { body: string; version: number; org: OrgId; type: number })[]> {
  const values: unknown[] = [org, documentType];
  const and = (sql: string, value: unknown): string => {
    if (value === undefined) return '';
    values.push(value);
    return ` and ${sql} $${values.length}`;
  };
  const conditions = and('m.appointment_id =', filter.appointment) + and('m.patient_id =', filter.patient) + and('m.id <', filter.before)
    + and('m.drawing_data @>', filter.shapeType === undefined ? undefined : JSON.stringify({ shapes: [{ type: filter.shapeType }] }));
  const { rows } = await tx.query<MedicalRecordRow & { body: string; version: number; org: OrgId; type: number }>({
    text: `select ${COLUMNS.split(', ').map((column) => `m.${column}`).join(', ')}, r.body, r.version, r.org, r.type from medical_record m
      join resource r on r.org = m.org and r.type = $2 and r.id = m.document
      where m.org = $1 and r.body is not null${conditions} order by m.id desc limit ${limit}`,
    values,
  });
  return rows;
}
