// A medical record as an application reads it.
import type { FhirResponse, InteractionContext } from '../interactions/interaction.ts';
import type { MedicalRecordRow, PlainJson, PlainObject } from '../resources/medical-records.ts';
import type { FileRole } from '../resources/patient-files.ts';

const JSON_TYPE = 'application/json; charset=utf-8';

/** Whole numbers as applications know them; other ids are text. */
const idOf = (text: string): number | string => (/^[1-9]\d{0,14}$/.test(text) ? Number(text) : text);

/** A file of a record, with the URL that shows it. */
export interface ShownFile {
  role: FileRole;
  members: PlainObject;
}

export function recordMembers(row: MedicalRecordRow, files: readonly ShownFile[] = []): PlainObject {
  const of = (role: FileRole): PlainObject[] => files.filter((file) => file.role === role).map(({ members }) => members);
  return {
    id: Number(row.id),
    appointment_id: idOf(row.appointment_id),
    template_id: row.template_id === null ? null : idOf(row.template_id),
    patient_id: row.patient_id,
    status: row.finalised_at === null ? 'draft' : 'final',
    drawing_data: row.drawing_data,
    form_data: row.form_data,
    background_file: of('background')[0] ?? null,
    attachment_files: of('attachment'),
    document_reference: `DocumentReference/${row.document}`,
    created_by_user_id: row.created_by_user_id,
    updated_by_user_id: row.updated_by_user_id,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  };
}

/** The ETag counts saves, so that an autosave can tell whether another was faster. */
export const draftTag = (revision: number): string => `"${revision}"`;

export function recordResponse(status: number, row: MedicalRecordRow, headers: Record<string, string> = {}, files: readonly ShownFile[] = []): FhirResponse {
  return jsonResponse(status, recordMembers(row, files), { ETag: draftTag(row.revision), ...headers });
}

export function jsonResponse(status: number, body: PlainJson, headers: Record<string, string> = {}): FhirResponse {
  return { status, headers: { 'Content-Type': JSON_TYPE, ...headers }, body: JSON.stringify(body) };
}

/** Who saves, as the row names them. */
export function userOf({ principal }: InteractionContext): string {
  return principal.fhirUser ?? principal.subject;
}
