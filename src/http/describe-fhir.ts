// The rows of the FHIR route table, as the document of the API tells of them: what each interaction answers (R4 http.html).
import { ANY_BYTES, BYTES_OUT, TEXT, type RowDescription, type Schema } from '../adapters/row-description.ts';
import type { Route, RouteCode } from './match-route.ts';

const RESOURCE = 'application/fhir+json';
const resource = (name: string): Readonly<Record<string, Schema>> => ({ [RESOURCE]: { $ref: `#/components/schemas/${name}` }, 'application/fhir+xml': TEXT });
const BUNDLE = resource('Bundle');
const PATCHES: RowDescription['body'] = { 'application/json-patch+json': { type: 'array', items: { type: 'object' } }, 'application/fhir+json': { $ref: '#/components/schemas/Resource' } };
const FORM: RowDescription['body'] = { 'application/x-www-form-urlencoded': { type: 'object', additionalProperties: TEXT } };

const FORMAT = { _format: { schema: { enum: ['json', 'xml', 'application/fhir+json', 'application/fhir+xml'] }, about: 'The format of the answer' } };
const SEARCH: RowDescription['query'] = { ...FORMAT, _count: { schema: { type: 'integer', minimum: 0, maximum: 1_000, default: 20 }, about: 'How many at most; the other parameters stand in the CapabilityStatement' } };
const IF_MATCH = { 'If-Match': { schema: TEXT, about: 'W/"version" that the caller has seen' } };
const IF_NONE_EXIST = { 'If-None-Exist': { schema: TEXT, about: 'Criteria of a search; nothing is made where one resource meets them' } };

const WRITE_REFUSED = [404, 406, 409, 410, 412, 413, 414, 415, 422, 423, 507] as const;
const READ_REFUSED = [404, 406, 410, 412, 414, 416, 422] as const;

const BY_CODE: Readonly<Record<RouteCode, Omit<RowDescription, 'summary'> & { verb: string }>> = {
  'create': { verb: 'Create', answers: { 200: resource('Resource'), 201: resource('Resource') }, refusals: WRITE_REFUSED, headers: IF_NONE_EXIST },
  'read': { verb: 'Read', answers: { 200: resource('Resource'), 304: {} }, refusals: READ_REFUSED, query: FORMAT },
  'vread': { verb: 'Read a version of', answers: { 200: resource('Resource'), 304: {} }, refusals: READ_REFUSED, query: FORMAT },
  'update': { verb: 'Update', answers: { 200: resource('Resource'), 201: resource('Resource') }, refusals: WRITE_REFUSED, headers: IF_MATCH },
  'patch': { verb: 'Patch', answers: { 200: resource('Resource') }, refusals: WRITE_REFUSED, headers: IF_MATCH },
  'delete': { verb: 'Delete', answers: { 200: resource('OperationOutcome'), 204: {} }, refusals: [404, 406, 409, 410, 412, 414, 423], headers: IF_MATCH },
  'history-instance': { verb: 'List the versions of one', answers: { 200: BUNDLE }, refusals: READ_REFUSED, query: SEARCH },
  'history-type': { verb: 'List the versions of all', answers: { 200: BUNDLE }, refusals: READ_REFUSED, query: SEARCH },
  'history-system': { verb: 'List the versions of everything:', answers: { 200: BUNDLE }, refusals: READ_REFUSED, query: SEARCH },
  'search-type': { verb: 'Search', answers: { 200: BUNDLE }, refusals: READ_REFUSED, query: SEARCH },
  'search-system': { verb: 'Search several types:', answers: { 200: BUNDLE }, refusals: READ_REFUSED, query: SEARCH },
  'operation': { verb: 'Call an operation on', answers: { 200: resource('Resource') }, refusals: WRITE_REFUSED, query: FORMAT },
  'transaction': { verb: 'Send a transaction or batch:', answers: { 200: BUNDLE }, refusals: WRITE_REFUSED },
  'batch': { verb: 'Send a transaction or batch:', answers: { 200: BUNDLE }, refusals: WRITE_REFUSED },
};

const BODY = resource('Resource');

function bodyOf({ method, type, code }: Route): RowDescription['body'] {
  if (method === 'GET' || method === 'DELETE') return undefined;
  if (code === 'patch') return PATCHES;
  if (code === 'search-type' || code === 'search-system') return FORM;
  return type === 'Binary' && (code === 'create' || code === 'update') ? { ...ANY_BYTES, ...BODY } : BODY;
}

const PDF: Schema = { type: 'string', contentMediaType: 'application/pdf' };

/** Bytes as they are, and in ranges. */
const RAW: RowDescription['answers'] = { 200: { ...BYTES_OUT, ...BODY }, 206: BYTES_OUT, 304: {} };

export function describeFhir(route: Route): RowDescription {
  const { verb, ...known } = BY_CODE[route.code];
  const operation = /\$[a-z-]+$/.exec(route.path)?.[0];
  const body = bodyOf(route);
  const isRaw = route.type === 'Binary' && (route.code === 'read' || route.code === 'vread');
  return {
    ...known,
    ...(isRaw ? { answers: RAW } : route.answersAlso === undefined ? {} : { answers: { 200: { ...BODY, 'text/csv': TEXT, 'text/html': TEXT, 'application/pdf': PDF } } }),
    summary: operation === undefined ? `${verb} ${route.type}` : `${operation} of ${route.path.includes('/') ? route.type : 'the server'}`,
    ...(body === undefined ? {} : { body, ...(route.code === 'operation' ? { bodyOptional: true as const } : {}) }),
  };
}
