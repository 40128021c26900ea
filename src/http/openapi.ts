// The document of the API (OpenAPI 3.1.1): every row of the route tables, with the schemas that bodies are checked by and the
// statuses that the rows declare.
import type { AdapterGroup } from '../adapters/adapter-route.ts';
import { ADMIN_SCHEMAS } from '../adapters/describe-admin.ts';
import { PROFILE_SCHEMAS } from '../adapters/describe-profiles.ts';
import { DOCUMENT_SCHEMAS } from '../adapters/describe-documents.ts';
import { GRAPHQL_SCHEMAS } from '../adapters/describe-files.ts';
import { RECORD_SCHEMAS } from '../adapters/describe-records.ts';
import { DELIVERY_SCHEMAS } from '../adapters/describe-deliveries.ts';
import { RETENTION_SCHEMAS } from '../adapters/describe-retention.ts';
import { codesOf, declaredStatuses, schema, TEXT, type Parameter, type RowDescription, type Schema } from '../adapters/row-description.ts';
import { describeFhir } from './describe-fhir.ts';
import type { Route } from './match-route.ts';
import { PUBLIC_ROWS } from './public-routes.ts';

export interface OpenapiParts {
  /** Public base, without /fhir. */
  baseUrl: string;
  version: string;
  routes: readonly Route[];
  adapters: readonly AdapterGroup[];
  /** Where figures are told; undefined = nowhere. */
  metricsPort: number | undefined;
}

/** One operation, as the page for people reads it. */
export interface Operation {
  operationId: string;
  summary: string;
  tags: string[];
  parameters: { name: string; in: string; required?: boolean; description?: string; schema: Schema }[];
  requestBody?: { required: boolean; content: Record<string, { schema: Schema }> };
  responses: Record<string, { description: string; content?: Record<string, { schema: Schema }> }>;
  security?: object[];
}

export interface OpenapiDocument {
  openapi: '3.1.1';
  info: { title: string; version: string; description: string };
  servers: { url: string }[];
  security: object[];
  tags: { name: string; description: string }[];
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema>; securitySchemes: object };
}

const TAGS: Readonly<Record<string, string>> = {
  'documents': 'Files and what is written onto them, in flat JSON', 'api/medical-records': 'Forms and drawings of appointments', 'api/patients': 'Files about a patient', 'profiles': 'Pictures of people', 'files': 'What signed URLs lend',
  'uploads': 'Resumable uploads (tus 1.0)', 'graphql': 'One operation a request', 'admin': 'What administrators see and change', 'fhir': 'FHIR R4', 'server': 'The server itself',
};

const SCHEMAS: Readonly<Record<string, Schema>> = {
  ...DOCUMENT_SCHEMAS, ...PROFILE_SCHEMAS, ...RECORD_SCHEMAS, ...ADMIN_SCHEMAS, ...RETENTION_SCHEMAS, ...DELIVERY_SCHEMAS, ...GRAPHQL_SCHEMAS,
  Problem: {
    type: 'object', required: ['type', 'title', 'status', 'code', 'detail'],
    properties: {
      type: TEXT, title: TEXT, status: { type: 'integer' }, code: { type: 'string', description: 'A stable code' }, detail: TEXT, allowedTypes: { type: 'array', items: TEXT },
      errors: { type: 'array', items: { type: 'object', required: ['code', 'detail'], properties: { code: TEXT, detail: TEXT, expression: TEXT } } },
    },
  },
  Resource: { type: 'object', required: ['resourceType'], properties: { resourceType: TEXT } },
  Bundle: { type: 'object', required: ['resourceType', 'type'], properties: { resourceType: { const: 'Bundle' }, type: TEXT, entry: { type: 'array', items: { type: 'object' } } } },
  OperationOutcome: { type: 'object', required: ['resourceType', 'issue'], properties: { resourceType: { const: 'OperationOutcome' }, issue: { type: 'array', minItems: 1, items: { type: 'object', required: ['severity', 'code'] } } } },
  Health: { type: 'object', required: ['status'], properties: { status: { enum: ['up', 'degraded', 'down'] }, notes: { type: 'object', additionalProperties: TEXT } } },
};

const PROBLEM = { 'application/problem+json': schema('Problem') };
const OUTCOME = { 'application/fhir+json': schema('OperationOutcome'), 'application/fhir+xml': TEXT };
const FHIR_ID: Schema = { type: 'string', pattern: '^[A-Za-z0-9\\-.]{1,64}$' };

const shownPath = (path: string): string => path.replaceAll(/\[([^\]]+)\]/g, '{$1}');
const contentOf = (bodies: Readonly<Record<string, Schema>>): Record<string, { schema: Schema }> => Object.fromEntries(Object.entries(bodies).map(([type, body]) => [type, { schema: body }]));

function parametersOf(path: string, says: RowDescription | undefined): Operation['parameters'] {
  const given = (place: string, parameters: Readonly<Record<string, Parameter>> = {}): Operation['parameters'] =>
    Object.entries(parameters).map(([name, { schema: shape, about, required }]) => ({ name, in: place, ...(required === undefined ? {} : { required }), description: about, schema: shape }));
  const inPath = [...path.matchAll(/\[([^\]]+)\]/g)].map(([, name = '']) => ({ name, in: 'path', required: true, schema: says?.path?.[name] ?? FHIR_ID }));
  return [...inPath, ...given('query', says?.query), ...given('header', says?.headers)];
}

interface Row {
  method: string;
  path: string;
  says?: RowDescription;
}

function operationOf(row: Row, tag: string, fullPath: string, failure: Readonly<Record<string, Schema>>): Operation {
  const { says } = row;
  const refused = [...declaredStatuses(row)].filter((status) => !Object.hasOwn(says?.answers ?? {}, status));
  const responses = [
    ...Object.entries(says?.answers ?? {}).map(([status, bodies]) => {
      const shown = Number(status) < 400 ? bodies : { ...bodies, ...failure };
      return [Number(status), { description: Number(status) < 400 ? 'Done' : `Refused: ${codesOf(Number(status))}`, ...(Object.keys(shown).length === 0 ? {} : { content: contentOf(shown) }) }] as const;
    }),
    ...refused.map((status) => [status, { description: `Refused or failed: ${codesOf(status)}`, content: contentOf(failure) }] as const),
  ].sort(([one], [other]) => one - other);
  return {
    operationId: `${row.method.toLowerCase()}${fullPath.replaceAll(/[^A-Za-z0-9]+/g, '-').replace(/-$/, '')}`,
    summary: says?.summary ?? `${row.method} ${fullPath}`, tags: [tag], parameters: parametersOf(row.path, says),
    ...(says?.body === undefined ? {} : { requestBody: { required: says.bodyOptional !== true, content: contentOf(says.body) } }),
    responses: Object.fromEntries(responses.map(([status, response]) => [String(status), response])),
  };
}

type Paths = OpenapiDocument['paths'];

/** Two rows on one path and method are one operation: the first says what it is. */
function add(paths: Paths, path: string, method: string, operation: Operation): void {
  const here = (paths[path] ??= {});
  here[method.toLowerCase()] ??= operation;
}

function addGroup(paths: Paths, group: AdapterGroup): void {
  for (const route of group.routes) {
    const path = shownPath(`/${group.prefix}${route.path === '' ? '' : `/${route.path}`}`);
    const operation = operationOf(route, group.prefix, path, PROBLEM);
    add(paths, path, route.method, group.secretPath === true ? { ...operation, security: [] } : operation);
  }
}

const plain = (summary: string, answers: RowDescription['answers'], operationId: string): Operation => ({
  operationId, summary, tags: ['server'], parameters: [], security: [],
  responses: Object.fromEntries(Object.entries(answers).map(([status, bodies]) => [status, { description: Number(status) < 400 ? 'Done' : 'Not now', content: contentOf(bodies) }])),
});

const HEALTH = { 'application/json': schema('Health') };

/** What is neither FHIR nor a way in. */
function addServer(paths: Paths, metricsPort: number | undefined): void {
  add(paths, '/', 'get', plain('The first page for people', { 200: { 'text/html': TEXT } }, 'get-start'));
  add(paths, '/openapi.json', 'get', plain('This document', { 200: { 'application/json': { type: 'object' } } }, 'get-openapi-json'));
  add(paths, '/openapi', 'get', plain('This document as a page', { 200: { 'text/html': TEXT } }, 'get-openapi'));
  add(paths, '/health/live', 'get', plain('Say that the process runs', { 200: HEALTH }, 'get-health-live'));
  add(paths, '/health/ready', 'get', plain('Say whether each part works', { 200: HEALTH, 503: HEALTH }, 'get-health-ready'));
  for (const { path, title, types } of PUBLIC_ROWS) {
    add(paths, `/fhir${path}`, 'get', plain(title, { 200: Object.fromEntries(types.map((type) => [type, {}])), 304: {}, 400: OUTCOME, 406: OUTCOME, 503: OUTCOME }, `get-fhir${path.replaceAll(/[^a-z]+/g, '-')}`));
  }
  if (metricsPort === undefined) return;
  const metrics = { ...plain('Figures for Prometheus', { 200: { 'text/plain': TEXT } }, 'get-metrics'), servers: [{ url: `http://127.0.0.1:${metricsPort}` }] };
  add(paths, '/metrics', 'get', metrics);
}

/** The same text for the same rows. */
export function openapiDocument({ baseUrl, version, routes, adapters, metricsPort }: OpenapiParts): OpenapiDocument {
  const paths: Paths = {};
  addServer(paths, metricsPort);
  for (const group of adapters) addGroup(paths, group);
  for (const route of routes) {
    const path = shownPath(`/fhir${route.path === '' ? '' : `/${route.path}`}`);
    add(paths, path, route.method, operationOf({ method: route.method, path: route.path, says: describeFhir(route) }, 'fhir', path, OUTCOME));
  }
  const used = new Set(Object.values(paths).flatMap((operations) => Object.values(operations).flatMap(({ tags }) => tags)));
  return {
    openapi: '3.1.1',
    info: {
      title: 'Muniment', version,
      description: 'Clinical documents: what is held, who saw it, and that nothing is missing. Every request needs a bearer token unless it says otherwise, and every answer is recorded before it leaves. An Idempotency-Key makes a repeated POST answer what the first one did.',
    },
    servers: [{ url: baseUrl }],
    security: [{ bearer: [] }],
    tags: [...used].map((name) => ({ name, description: TAGS[name] ?? name })),
    paths,
    components: { schemas: SCHEMAS, securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } } },
  };
}

