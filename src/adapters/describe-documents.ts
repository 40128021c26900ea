// The rows of /documents, as the document of the API tells of them.
import { DOCUMENT_CATEGORIES } from '../access/policy.ts';
import { answer, BYTES_OUT, FILE, FORM_TYPE, JSON_TYPE, schema, TEXT, type Parameter, type RowDescription, type Schema } from './row-description.ts';

const ID = { type: 'string', pattern: '^[A-Za-z0-9\\-.]{1,64}$' } as const;
const NULLABLE = { type: ['string', 'null'] } as const;
const UNIT = { type: 'number', minimum: 0, maximum: 1 } as const;

const DOCUMENT_PROPERTIES = {
  id: ID, patient_id: NULLABLE, encounter_id: NULLABLE, title: NULLABLE, category: { enum: DOCUMENT_CATEGORIES }, content_type: NULLABLE, url: { ...NULLABLE, description: 'Its Binary, which asks for a token' },
  file_size: { type: ['integer', 'null'] }, thumbnail_url: { ...NULLABLE, description: 'A signed URL of its small picture, once there is one' }, filename: NULLABLE, size: { type: ['integer', 'null'] }, upload_date: NULLABLE,
};

const POSITIVE = { type: 'integer', minimum: 1, maximum: 100_000 } as const;
const ANNOTATION_PROPERTIES = {
  type: { enum: ['marker', 'drawing', 'text', 'highlight'] },
  content: {
    type: 'object',
    description: 'A text, a place, or both; the place is one of coordinates, path and quote',
    properties: {
      text: { type: 'string', minLength: 1, maxLength: 10_000 },
      coordinates: { type: 'object', required: ['x', 'y'], properties: { x: UNIT, y: UNIT, width: UNIT, height: UNIT }, additionalProperties: false },
      path: { type: 'string', minLength: 1, description: 'SVG path data on a page of 1 by 1' },
      quote: { type: 'string', minLength: 1, maxLength: 10_000 },
      source_size: { type: 'object', required: ['width', 'height'], properties: { width: POSITIVE, height: POSITIVE }, additionalProperties: false },
    },
    additionalProperties: false,
  },
  page_number: POSITIVE,
};

const REPORT_FILE = {
  type: 'object', required: ['index', 'status'],
  properties: { index: { type: 'integer', minimum: 0 }, filename: NULLABLE, status: { enum: ['succeeded', 'failed', 'rolled-back'] }, code: TEXT, detail: TEXT },
};

export const DOCUMENT_SCHEMAS: Readonly<Record<string, Schema>> = {
  Document: { type: 'object', required: Object.keys(DOCUMENT_PROPERTIES), properties: DOCUMENT_PROPERTIES },
  NewDocument: {
    type: 'object', required: [...Object.keys(DOCUMENT_PROPERTIES), 'signed_url', 'expires_at'],
    properties: { ...DOCUMENT_PROPERTIES, signed_url: { ...NULLABLE, description: 'Opens its bytes without a token; null for callers who may lend nothing' }, expires_at: NULLABLE },
  },
  UploadedDocument: { type: 'object', required: ['id', 'filename', 'size', 'upload_date', 'patient_id'], properties: { id: ID, filename: NULLABLE, size: { type: ['integer', 'null'] }, upload_date: NULLABLE, patient_id: NULLABLE }, additionalProperties: false },
  BulkReport: {
    type: 'object', required: ['success', 'total', 'succeeded', 'failed', 'files'],
    properties: { success: { type: 'boolean' }, total: { type: 'integer' }, succeeded: { type: 'integer' }, failed: { type: 'integer' }, files: { type: 'array', items: REPORT_FILE } },
  },
  Success: { type: 'object', required: ['success'], properties: { success: { const: true } } },
  AnnotationInput: { type: 'object', required: ['type', 'content'], properties: ANNOTATION_PROPERTIES },
  AnnotationPatch: { type: 'object', properties: ANNOTATION_PROPERTIES },
  Annotation: {
    type: 'object', required: ['id', 'document_id', 'type', 'content', 'created_by', 'created_at', 'updated_at', 'version'],
    properties: { id: ID, document_id: ID, ...ANNOTATION_PROPERTIES, created_by: NULLABLE, created_at: NULLABLE, updated_at: NULLABLE, version: { type: 'integer', minimum: 1 } },
  },
};

const FIELDS = {
  patient_id: { ...ID, description: 'Whom the document is about' }, encounter_id: ID, title: { type: 'string', maxLength: 1_000 }, category: { enum: DOCUMENT_CATEGORIES, default: 'other' }, description: { type: 'string', maxLength: 1_000 },
};
const UPLOAD_FORM: RowDescription['body'] = {
  [FORM_TYPE]: { type: 'object', required: ['file', 'patient_id'], properties: { file: FILE, ...FIELDS, metadata: { type: 'string', description: 'The same as a JSON object' } } },
};
const BULK_FORM: RowDescription['body'] = {
  [FORM_TYPE]: {
    type: 'object', required: ['files'],
    properties: { files: { type: 'array', items: FILE, minItems: 1, maxItems: 500 }, metadata: { type: 'string', description: 'One JSON array with an object for each file; or repeated, an object for each' }, ...FIELDS },
  },
};

const COUNT: Parameter = { schema: { type: 'integer', minimum: 1, maximum: 1_000, default: 20 }, about: 'How many at most' };
const PLACE = { _cursor: { schema: TEXT, about: 'The place of a page, as the header Link has it' } };
const IF_MATCH: Parameter = { schema: TEXT, about: 'The ETag that the caller has seen' };
const IF_NONE_MATCH: Parameter = { schema: TEXT, about: 'The ETag that the caller holds already' };

/** Bytes that are refused: not scanned, not claimed, infected, over the quota, no room for them. */
const BYTES_REFUSED = [404, 410, 507] as const;

export const DOCUMENT_ROWS = {
  upload: { summary: 'Upload a file as a document', answers: answer(201, schema('NewDocument')), refusals: BYTES_REFUSED, body: UPLOAD_FORM },
  uploadShort: { summary: 'Upload a file as a document, answered with five fields', answers: answer(201, schema('UploadedDocument')), refusals: BYTES_REFUSED, body: UPLOAD_FORM },
  bulk: {
    summary: 'Upload many files: all of them or none, or with mode=batch each by itself',
    answers: { 200: { [JSON_TYPE]: schema('BulkReport'), 'text/event-stream': TEXT }, 201: { [JSON_TYPE]: schema('BulkReport') } }, refusals: BYTES_REFUSED,
    query: { mode: { schema: { enum: ['transaction', 'batch'], default: 'transaction' }, about: 'batch keeps what succeeded' } }, body: BULK_FORM,
  },
  list: {
    summary: 'List documents, newest first, metadata alone', answers: answer(200, { type: 'array', items: schema('Document') }), refusals: [404, 410, 422],
    query: {
      patient_id: { schema: TEXT, about: 'About this patient' }, encounter_id: { schema: TEXT, about: 'Of this encounter' }, category: { schema: TEXT, about: 'One of the eight, or several with commas' },
      date: { schema: TEXT, about: 'ge2024-01-01, le2024-12-31; repeated for a range' }, _count: COUNT, ...PLACE,
    },
  },
  read: { summary: 'Read the metadata of a document', answers: { ...answer(200, schema('Document')), 304: {} }, refusals: [410], headers: { 'If-None-Match': IF_NONE_MATCH } },
  download: {
    summary: 'Download the bytes of a document', answers: { 200: BYTES_OUT, 206: BYTES_OUT, 304: {} }, refusals: [410, 412, 416],
    headers: { 'Range': { schema: TEXT, about: 'bytes=0-1023' }, 'If-None-Match': IF_NONE_MATCH },
  },
  thumbnail: { summary: 'See the small picture of an image', answers: { 200: { 'image/webp': {} }, 304: {} }, refusals: [410], headers: { 'If-None-Match': IF_NONE_MATCH } },
  delete: { summary: 'Delete a document; its history and bytes stay', answers: answer(200, schema('Success')), refusals: [409, 410, 412, 423], headers: { 'If-Match': IF_MATCH } },
} as const satisfies Record<string, RowDescription>;

const ANNOTATION_BODY: RowDescription['body'] = { [JSON_TYPE]: schema('AnnotationInput') };

export const ANNOTATION_ROWS = {
  create: { summary: 'Write an annotation onto a document', answers: answer(201, schema('Annotation')), refusals: [409, 410, 412, 422, 423, 507], body: ANNOTATION_BODY },
  list: { summary: 'List the annotations of a document, newest first', answers: answer(200, { type: 'array', items: schema('Annotation') }), refusals: [410, 422], query: { _count: COUNT, ...PLACE } },
  read: { summary: 'Read an annotation', answers: { ...answer(200, schema('Annotation')), 304: {} }, refusals: [410], headers: { 'If-None-Match': IF_NONE_MATCH } },
  put: { summary: 'Replace an annotation', answers: answer(200, schema('Annotation')), refusals: [409, 410, 412, 422, 423, 507], headers: { 'If-Match': IF_MATCH }, body: ANNOTATION_BODY },
  patch: { summary: 'Change an annotation by a JSON Merge Patch', answers: answer(200, schema('Annotation')), refusals: [409, 410, 412, 422, 423, 507], headers: { 'If-Match': IF_MATCH }, body: { 'application/merge-patch+json': schema('AnnotationPatch'), [JSON_TYPE]: schema('AnnotationPatch') } },
  delete: { summary: 'Delete an annotation', answers: answer(200, schema('Success')), refusals: [409, 410, 412, 423], headers: { 'If-Match': IF_MATCH } },
} as const satisfies Record<string, RowDescription>;
