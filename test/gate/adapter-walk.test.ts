// Walks the rows of the ways in beside FHIR: whatever is answered there is recorded, and what a row refuses is a problem document.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { fhirClient, type Answer, type Call, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

let server: TestMuniment;
let admin: FhirClient;
let nobody: string;

beforeAll(async () => {
  server = await startMuniment();
  admin = fhirClient(server.fhirBase, await server.token());
  // Every right but a role that could use it.
  nobody = await server.token({ scope: 'openid', roles: [] });
});
afterAll(() => server.stop());

interface Row { method: string; path: string; secret: boolean }

/** Each row with something in the place of what varies. */
const rows = (): Row[] => server.adapters.flatMap(({ prefix, routes, secretPath }) => routes.map(({ method, path }) => ({
  method, path: [prefix, ...path.split('/')].filter((part) => part !== '').map((part) => (part.startsWith('[') ? 'nothing' : part)).join('/'), secret: secretPath === true,
})));

async function asked(path: string, call: Call): Promise<{ answer: Answer; events: unknown[] }> {
  const requestId = randomUUID();
  const answer = await admin.call(`${server.fhirBase.replace(/\/fhir$/, '')}/${path}`, { ...call, headers: { ...call.headers, 'x-request-id': requestId } });
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

  it('refuse whoever shows no token, with a challenge, and leave one event', () => walk(async ({ method, path }) => {
    const found = await asked(path, { method, token: null });
    expect({ ...seen(found), challenge: found.answer.headers.has('www-authenticate') }).toEqual({ status: 401, type: 'application/problem+json', events: 1, challenge: true });
  }));

  it('refuse whoever has a token without scopes, or know nothing of it, and leave one event', () => walk(async ({ method, path, secret }) => {
    const found = await asked(path, { method, token: nobody, headers: { 'tus-resumable': '1.0.0' } });
    expect(secret ? [401] : [400, 403, 404, 415]).toContain(found.answer.status);
    expect(seen(found)).toMatchObject({ type: 'application/problem+json', events: 1 });
  }));

  it('know no other path and no other method, and leave one event', () => walk(async ({ path, secret }) => {
    const unknown = await asked(`${path}/of/nothing/at/all`, {});
    expect(seen(unknown)).toMatchObject({ status: 404, events: 1 });
    const other = await asked(path, { method: 'PROPFIND' });
    expect(seen(other)).toMatchObject({ status: 405, events: 1 });
    expect(other.answer.headers.get('allow')).toContain('OPTIONS');
    if (secret) expect(JSON.stringify([unknown.events, other.events])).not.toContain(path);
  }));
});
