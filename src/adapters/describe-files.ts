// The rows of /files, /uploads and /graphql, as the document of the API tells of them.
import { TUS_VERSION } from './resumable-headers.ts';
import { ANY_BYTES, answer, BYTES_OUT, FORM_TYPE, JSON_TYPE, schema, TEXT, type Parameter, type RowDescription, type Schema } from './row-description.ts';

const TOKEN: RowDescription['path'] = { token: { type: 'string', description: 'The last part of a signed URL' } };
const TUS: Parameter = { schema: { const: TUS_VERSION }, about: 'The version of tus', required: true };
const LENGTH: Schema = { type: 'integer', minimum: 0 };
const UPLOAD: RowDescription['path'] = { upload: { type: 'string', format: 'uuid' } };

export const FILE_ROWS = {
  get: { summary: 'Fetch what a signed URL lends', path: TOKEN, answers: { 200: BYTES_OUT, 206: BYTES_OUT, 304: {}, 307: {} }, refusals: [410, 412, 416], headers: { Range: { schema: TEXT, about: 'bytes=0-1023' } } },
  put: { summary: 'Send what a signed URL asks for', path: TOKEN, answers: { 200: {}, 201: {}, 307: {} }, refusals: [409, 410, 412, 422, 423, 507], body: ANY_BYTES },
  post: { summary: 'End an upload that went to the store by a signed URL in mode direct', path: TOKEN, answers: { 200: {}, 201: {} }, refusals: [410, 412, 413, 415, 423, 507] },
} as const satisfies Record<string, RowDescription>;

export const UPLOAD_ROWS = {
  create: {
    summary: 'Begin a resumable upload', answers: { 201: {} }, refusals: [404, 410, 412, 413, 415, 460, 507], body: { 'application/offset+octet-stream': { type: 'string', format: 'binary' } }, bodyOptional: true,
    headers: { 'Tus-Resumable': TUS, 'Upload-Length': { schema: LENGTH, about: 'Bytes of the whole', required: true }, 'Upload-Metadata': { schema: TEXT, about: 'filename, filetype, patient_id and so on, values in base64' } },
  },
  head: { summary: 'Say how far a resumable upload is', path: UPLOAD, answers: { 200: {} }, refusals: [410, 412], headers: { 'Tus-Resumable': TUS } },
  append: {
    summary: 'Send the next bytes of a resumable upload', path: UPLOAD, answers: { 204: {} }, refusals: [409, 410, 412, 422, 460, 507], body: { 'application/offset+octet-stream': { type: 'string', format: 'binary' } },
    headers: { 'Tus-Resumable': TUS, 'Upload-Offset': { schema: LENGTH, about: 'Where these bytes begin', required: true }, 'Upload-Checksum': { schema: TEXT, about: 'sha256, a space, and the digest in base64' } },
  },
  terminate: { summary: 'End a resumable upload; what came of it is removed', path: UPLOAD, answers: { 204: {} }, refusals: [410, 412], headers: { 'Tus-Resumable': TUS } },
} as const satisfies Record<string, RowDescription>;

export const GRAPHQL_SCHEMAS: Readonly<Record<string, Schema>> = {
  GraphqlRequest: { type: 'object', required: ['query'], properties: { query: TEXT, operationName: { type: ['string', 'null'] }, variables: { type: ['object', 'null'] } } },
  GraphqlResult: { type: 'object', properties: { data: { type: ['object', 'null'] }, errors: { type: 'array', items: { type: 'object', required: ['message'], properties: { message: TEXT } } } } },
};

export const GRAPHQL_ROW: RowDescription = {
  summary: 'Run one GraphQL operation', answers: { ...answer(200, schema('GraphqlResult')), ...answer(400, schema('GraphqlResult')) },
  headers: { 'X-File-Metadata': { schema: TEXT, about: 'A JSON object with purpose or category' } },
  body: { [JSON_TYPE]: schema('GraphqlRequest'), [FORM_TYPE]: { type: 'object', required: ['operations', 'map'], properties: { operations: TEXT, map: TEXT } } },
};
