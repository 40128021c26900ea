// Rate limits over HTTP: 429 with Retry-After, and a record that tells of all of them in few rows.
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { documentReference, fhirClient, type FhirClient } from '../support/fhir-client.ts';
import { eventually } from '../support/eventually.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

let server: TestMuniment;

beforeAll(async () => {
  server = await startMuniment({ RATE_USER: 'requests=1', RATE_CLIENT: 'bytes=1KiB', RATE_ORG: 'search=1' });
});
afterAll(() => server.stop());

async function client(user: string, more: { client?: string; org?: string } = {}): Promise<FhirClient> {
  return fhirClient(server.fhirBase, await server.token({ user: `Practitioner/${user}`, client: `app-${user}`, ...more }));
}

it('a user past the limit is 429 with Retry-After; another user is served, and the record counts what it does not list', async () => {
  const [ann, ben] = [await client('ann'), await client('ben')];
  const answers = await Promise.all(Array.from({ length: 200 }, () => ann.get('DocumentReference/none')));
  const throttled = answers.filter(({ status }) => status === 429);
  expect(answers.filter(({ status }) => status === 404).length).toBeLessThan(20);
  expect(throttled.length).toBeGreaterThan(180);
  expect(throttled[0]?.json.issue[0]).toMatchObject({ code: 'throttled', details: { coding: [{ code: 'throttled' }] }, diagnostics: 'Too many requests of this user' });
  for (const { headers } of throttled) expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
  expect((await ben.get('DocumentReference/none')).status).toBe(404);

  const rows = await eventually(
    () => server.sql<{ body: string }>(`select e.body from access_event e where e.body like '%"status":429%'`),
    (found) => found.map(({ body }) => (JSON.parse(body) as { count?: number }).count ?? 1).reduce((sum, count) => sum + count, 0) === throttled.length,
  );
  expect(rows.length).toBeLessThan(70);
  for (const { body } of rows) expect(JSON.parse(body)).toMatchObject({ org: 'demo', outcome: 4, agent: { client: 'app-ann', user: 'Practitioner/ann' } });
}, 20_000);

it('bytes that a client sends and is sent are charged, and a debt is waited for', async () => {
  const heavy = await client('heavy', { org: 'bytes' });
  expect((await heavy.post('DocumentReference', documentReference({ description: 'x'.repeat(12_000) }))).status).toBe(201);
  const refused = await heavy.get('DocumentReference/none');
  expect([refused.status, refused.json.issue[0].diagnostics]).toEqual([429, 'Too many bytes of this client']);
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(5);
});

it('the time of searches is charged to the organisation, and a debt of it stops reads of another user there as well', async () => {
  const searching = await client('searching', { org: 'searches' });
  let last = 200;
  for (let at = 0; at < 9 && last === 200; at += 1) last = (await searching.get('DocumentReference?_count=1')).status;
  const other = await (await client('other', { org: 'searches' })).get('DocumentReference/none');
  expect([other.status, other.json.issue[0].diagnostics]).toEqual([429, 'Too many searches of this organisation']);
});
