// The rows of /profiles, as the document of the API tells of them.
import { answer, BYTES_OUT, FILE, FORM_TYPE, JSON_TYPE, schema, TEXT, type RowDescription, type Schema } from './row-description.ts';

const PATH: RowDescription['path'] = { kind: { enum: ['patient', 'practitioner'] } };
const IMAGE: Schema = { type: 'string', format: 'binary' };
const IF_MATCH = { schema: TEXT, about: 'The ETag that the caller has seen' };

export const PROFILE_SCHEMAS: Readonly<Record<string, Schema>> = {
  ProfileImage: {
    type: 'object', required: ['type', 'id', 'image_url', 'avatar_url', 'content_type', 'updated_at', 'media'],
    properties: { type: { enum: ['patient', 'practitioner'] }, id: TEXT, image_url: TEXT, avatar_url: TEXT, content_type: TEXT, updated_at: { type: ['string', 'null'] }, media: TEXT },
  },
};

export const PROFILE_ROWS = {
  put: {
    summary: 'Set the image of a person', path: PATH, answers: { 200: { [JSON_TYPE]: schema('ProfileImage') }, 201: { [JSON_TYPE]: schema('ProfileImage') } }, refusals: [409, 410, 412, 422, 507], headers: { 'If-Match': IF_MATCH },
    body: { 'image/jpeg': IMAGE, 'image/png': IMAGE, 'image/webp': IMAGE, [FORM_TYPE]: { type: 'object', required: ['file'], properties: { file: FILE } } },
  },
  get: {
    summary: 'See the image of a person', path: PATH, answers: { 200: BYTES_OUT, 206: BYTES_OUT, 304: {} }, refusals: [410, 412, 416],
    query: { size: { schema: { enum: [512, 96], default: 512 }, about: 'Pixels of each edge' } }, headers: { 'If-None-Match': { schema: TEXT, about: 'The ETag that the caller holds already' } },
  },
  delete: { summary: 'Delete the image of a person', path: PATH, answers: answer(200, schema('Success')), refusals: [409, 410, 412, 423], headers: { 'If-Match': IF_MATCH } },
} as const satisfies Record<string, RowDescription>;
