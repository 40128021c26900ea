// The rows of /api/medical-records and /api/patients, as the document of the API tells of them; their bodies by the very schemas
// that they are checked with.
import { PATCH_SCHEMA, RECORD_SCHEMA } from './medical-record-schema.ts';
import { answer, FILE, FORM_TYPE, JSON_TYPE, schema, TEXT, type Parameter, type RowDescription, type Schema } from './row-description.ts';

const NULLABLE = { type: ['string', 'null'] } as const;
const NUMBER_OR_TEXT = { type: ['integer', 'string', 'null'] } as const;
const RECORD_FILE = { type: 'object', required: ['id', 'file_name', 's3_url', 'file_type'], properties: { id: { type: 'integer' }, file_name: TEXT, s3_url: { type: 'string', description: 'A signed URL of an hour, or where the caller may lend nothing the address of its Binary' }, file_type: TEXT } } as const;
const NUMBER_ID: RowDescription['path'] = { id: { type: 'string', pattern: '^[1-9][0-9]{0,14}$' } };

export const RECORD_SCHEMAS: Readonly<Record<string, Schema>> = {
  MedicalRecordInput: RECORD_SCHEMA,
  MedicalRecordPatch: PATCH_SCHEMA,
  MedicalRecord: {
    type: 'object',
    required: ['id', 'appointment_id', 'template_id', 'patient_id', 'status', 'drawing_data', 'form_data', 'background_file', 'attachment_files', 'document_reference', 'created_by_user_id', 'updated_by_user_id', 'created_at', 'updated_at'],
    properties: {
      id: { type: 'integer' }, appointment_id: NUMBER_OR_TEXT, template_id: NUMBER_OR_TEXT, patient_id: NULLABLE, status: { enum: ['draft', 'final'] }, drawing_data: { type: 'object' }, form_data: { type: 'object' },
      background_file: { anyOf: [RECORD_FILE, { type: 'null' }] }, attachment_files: { type: 'array', items: RECORD_FILE }, document_reference: TEXT, created_by_user_id: NULLABLE, updated_by_user_id: NULLABLE, created_at: TEXT, updated_at: TEXT,
    },
  },
  MedicalRecordList: { type: 'object', required: ['medical_records', 'next'], properties: { medical_records: { type: 'array', items: schema('MedicalRecord') }, next: NULLABLE } },
  SavedState: {
    type: 'object', required: ['appointment_id', 'patient_id'],
    properties: {
      appointment_id: RECORD_SCHEMA.properties.appointment_id, patient_id: RECORD_SCHEMA.properties.patient_id, lines: { type: 'array', items: { type: 'object' } }, shapes: { type: 'array', items: { type: 'object' } }, stageSize: { type: 'object' },
      backgroundImageDataUrl: NULLABLE, pdfFileName: NULLABLE, pdfFileDataUrl: NULLABLE, pdfPageNumber: { type: ['integer', 'null'] }, pdfNumPages: { type: ['integer', 'null'] }, savedAt: { type: ['string', 'integer', 'null'] },
    },
  },
  PatientFile: {
    type: 'object', required: ['id', 'file_id', 'file_name', 's3_url', 'file_type', 'patient_id', 'file_size', 'document_reference', 'created_at'],
    properties: { ...RECORD_FILE.properties, file_id: { type: 'integer' }, patient_id: TEXT, file_size: { type: 'integer' }, document_reference: TEXT, created_at: TEXT },
  },
};

const IF_MATCH: Parameter = { schema: TEXT, about: 'The ETag of the draft, which counts saves' };
const WRITE_REFUSED = [404, 409, 410, 412, 422, 423, 507] as const;

export const RECORD_ROWS = {
  create: {
    summary: 'Save a medical record with a drawing and a form as a draft', answers: answer(201, schema('MedicalRecord')), refusals: WRITE_REFUSED,
    body: {
      [JSON_TYPE]: schema('MedicalRecordInput'),
      [FORM_TYPE]: {
        type: 'object', required: ['appointment_id'],
        properties: { appointment_id: TEXT, template_id: TEXT, patient_id: TEXT, drawing_data: { type: 'string', description: 'JSON' }, form_data: { type: 'string', description: 'JSON' }, background_file: FILE, attachment_files: { type: 'array', items: FILE } },
      },
    },
  },
  importSaved: { summary: 'Import what the demonstration kept in localStorage', answers: answer(201, schema('MedicalRecord')), refusals: WRITE_REFUSED, body: { [JSON_TYPE]: schema('SavedState') } },
  list: {
    summary: 'List medical records, newest first', answers: answer(200, schema('MedicalRecordList')), refusals: [],
    query: {
      'shape-type': { schema: { enum: ['circle', 'rect', 'arrow', 'text'] }, about: 'With such a shape in the drawing' }, 'appointment_id': { schema: TEXT, about: 'Of this appointment' }, 'patient_id': { schema: TEXT, about: 'About this patient' },
      '_count': { schema: { type: 'integer', minimum: 1, default: 20 }, about: 'How many; 100 at most' }, 'before': { schema: { type: 'string', pattern: '^[1-9][0-9]{0,14}$' }, about: 'Those before this id, as next has it' },
    },
  },
  read: { summary: 'Read a medical record with its files', path: NUMBER_ID, answers: { ...answer(200, schema('MedicalRecord')), 304: {} }, refusals: [410], headers: { 'If-None-Match': { schema: TEXT, about: 'The ETag that the caller holds' } } },
  draft: {
    summary: 'Save a draft by a JSON Merge Patch; no version is made', path: NUMBER_ID, answers: answer(200, schema('MedicalRecord')), refusals: WRITE_REFUSED, headers: { 'If-Match': IF_MATCH },
    body: { 'application/merge-patch+json': schema('MedicalRecordPatch'), [JSON_TYPE]: schema('MedicalRecordPatch') },
  },
  finalise: { summary: 'Finalise a medical record: from now on it stays as it is', path: NUMBER_ID, answers: answer(200, schema('MedicalRecord')), refusals: [410, 412, 413, 415, 423, 507], headers: { 'If-Match': IF_MATCH } },
} as const satisfies Record<string, RowDescription>;

export const PATIENT_FILE: RowDescription = {
  summary: 'Upload a file about a patient', answers: answer(201, schema('PatientFile')), refusals: [410, 507], body: { [FORM_TYPE]: { type: 'object', required: ['file'], properties: { file: FILE } } },
};
