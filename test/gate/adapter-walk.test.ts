// Walks the rows of the ways in beside FHIR: whatever is answered there is recorded, and what a row refuses is a problem document.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { createLogger } from '../../src/logger.ts';
import { fhirClient, type Answer, type Call, type FhirClient } from '../support/fhir-client.ts';
import { adapterBook, type AdapterRecipe, type AdapterRow } from './adapter-recipes.ts';
import { withoutTables } from '../support/withheld-tables.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

let server: TestMuniment;
let admin: FhirClient;
let nobody: string;
let book: (row: AdapterRow) => Promise<AdapterRecipe>;

beforeAll(async () => {
  // The failures of the walk are told to a log that nobody reads.
  server = await startMuniment({}, createLogger('error', { write: () => {} }));
  admin = fhirClient(server.fhirBase, await server.token());
  book = await adapterBook(server, admin);
  // Every right but a role that could use it.
  nobody = await server.token({ scope: 'openid', roles: [] });
});
afterAll(() => server.stop());

interface Row { method: string; path: string; secret: boolean; code: string; row: AdapterRow }

/** Each row with something in the place of what varies. */
const rows = (): Row[] => server.adapters.flatMap(({ prefix, routes, secretPath }) => routes.map(({ method, path, interaction }) => ({
  row: { method, path: [prefix, path].filter((part) => part !== '').join('/') }, code: interaction.code,
  method, path: [prefix, ...path.split('/')].filter((part) => part !== '').map((part) => (part.startsWith('[') ? 'nothing' : part)).join('/'), secret: secretPath === true,
})));

const send = (path: string, call: Call, requestId: string): Promise<Answer> => admin.call(`${server.fhirBase.replace(/\/fhir$/, '')}/${path}`, { ...call, headers: { ...call.headers, 'x-request-id': requestId } });

async function asked(path: string, call: Call): Promise<{ answer: Answer; events: any[] }> { // eslint-disable-line @typescript-eslint/no-explicit-any -- rendered resources
  const requestId = randomUUID();
  const answer = await send(path, call, requestId);
  return { answer, events: await admin.auditOf(requestId) };
}

/** Tells every row that differs, not the first alone. */
async function walk(check: (row: Row) => Promise<void>): Promise<void> {
  const wrong: string[] = [];
  for (const row of rows()) await check(row).catch((error: Error) => wrong.push(`${row.method} /${row.path}: ${error.message}`));
  expect(wrong).toEqual([]);
}

const seen = ({ answer, events }: { answer: Answer; events: unknown[] }): object => ({ status: answer.status, type: answer.headers.get('content-type'), events: events.length });

describe('the rows of the ways in beside FHIR', () => {
  it('are there, each below its prefix', () => {
    expect(server.adapters.map(({ prefix }) => prefix).sort()).toEqual(['admin', 'api/medical-records', 'api/patients', 'documents', 'files', 'graphql', 'profiles', 'uploads']);
    expect(rows().length).toBeGreaterThan(30);
  });

  it('answer with success and leave their events, one of which is of the row itself', () => walk(async ({ row, code }) => {
    const { path, call = {}, status, events = 1, code: told = code } = await book(row);
    const found = await asked(path, { method: row.method, ...call });
    expect({ status: found.answer.status, text: found.answer.status === status ? '' : found.answer.text, events: found.events.length }).toEqual({ status, text: '', events });
    expect(found.events.filter(({ subtype, outcome }) => subtype[0].code === told && outcome === '0')).toHaveLength(1);
  }), 120_000);

  it('without a recipe here are told by name', async () => {
    await expect(book({ method: 'POST', path: 'documents/unheard-of' })).rejects.toThrow('The walk has no recipe for POST documents/unheard-of');
  });

  it('refuse whoever shows no token, with a challenge, and leave one event', () => walk(async ({ method, path }) => {
    const found = await asked(path, { method, token: null });
    expect({ ...seen(found), challenge: found.answer.headers.has('www-authenticate') }).toEqual({ status: 401, type: 'application/problem+json', events: 1, challenge: true });
  }));

  it('refuse whoever has a token without scopes, or know nothing of it, and leave one event', () => walk(async ({ method, path, secret }) => {
    const found = await asked(path, { method, token: nobody, headers: { 'tus-resumable': '1.0.0' } });
    expect(secret ? [401] : [400, 403, 404, 415]).toContain(found.answer.status);
    expect(seen(found)).toMatchObject({ type: 'application/problem+json', events: 1 });
  }));

  it('know nothing under an id of nobody, and leave one event', () => walk(async ({ row, method, path, secret }) => {
    if (!row.path.includes('[') || secret) return;
    const found = await asked(path, { method, headers: { 'tus-resumable': '1.0.0', ...(method === 'GET' ? {} : { 'content-type': 'application/json' }) }, ...(['GET', 'HEAD', 'DELETE'].includes(method) ? {} : { body: '{}' }) });
    expect([400, 404, 415, 422, 428]).toContain(found.answer.status);
    expect(found.events.map(({ outcome }) => outcome)).toEqual(['4']);
  }));

  it('answer HEAD as GET without a body, and both are recorded alike', () => walk(async ({ row }) => {
    if (row.method !== 'GET') return;
    const { path, call = {} } = await book(row);
    const [head, get] = [await asked(path, { ...call, method: 'HEAD' }), await asked(path, { ...call, method: 'GET' })];
    expect([head.answer.status, head.answer.bytes.length, head.events.length]).toEqual([get.answer.status, 0, get.events.length]);
  }), 120_000);

  it('that take a body answer one that is none, and leave one event', () => walk(async ({ row }) => {
    // A grant takes any bytes, and these two look at no body.
    if (!['POST', 'PUT', 'PATCH'].includes(row.method) || /^(files\/|uploads$|api\/medical-records\/\[id\]\/finalise)/.test(row.path)) return;
    const { path, call = {} } = await book(row);
    const found = await asked(path, { method: row.method, ...call, body: '{"broken', headers: { ...call.headers, 'content-type': 'application/json' } });
    expect([400, 409, 413, 415, 422]).toContain(found.answer.status);
    expect(found.events.map(({ outcome }) => outcome)).toEqual(['4']);
  }), 120_000);

  it('answer a failure of ours with 500 and nothing of its reason, and leave one event of outcome 8', () => walk(async ({ row }) => {
    // Organisations are read by whoever records, so they stay; a policy is held in memory; GraphQL tells failures inside its 200.
    if (/^(admin\/organisations|admin\/policy\/versions\/|graphql)/.test(row.path)) return;
    const { path, call = {} } = await book(row);
    const requestId = randomUUID();
    const answer = await withoutTables(server, () => send(path, { method: row.method, ...call }, requestId));
    const found = { answer, events: await admin.auditOf(requestId) };
    expect({ ...seen(found), outcomes: found.events.map(({ outcome }) => outcome) }).toEqual({ status: 500, type: 'application/problem+json', events: 1, outcomes: ['8'] });
    expect(found.answer.text).not.toMatch(/permission|relation|resource_history/);
  }), 120_000);

  it('know no other path and no other method, and leave one event', () => walk(async ({ path, secret }) => {
    const unknown = await asked(`${path}/of/nothing/at/all`, {});
    expect(seen(unknown)).toMatchObject({ status: 404, events: 1 });
    const other = await asked(path, { method: 'PROPFIND' });
    expect(seen(other)).toMatchObject({ status: 405, events: 1 });
    expect(other.answer.headers.get('allow')).toContain('OPTIONS');
    if (secret) expect(JSON.stringify([unknown.events, other.events])).not.toContain(path);
  }));
});
