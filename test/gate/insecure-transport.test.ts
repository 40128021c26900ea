// What comes to a proxy without TLS where the public base is https is refused before its token is looked at, and recorded.
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { fhirClient, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

let server: TestMuniment;
let client: FhirClient;
let root: string;

beforeAll(async () => {
  server = await startMuniment({ BASE_URL: 'https://records.example', TRUSTED_PROXIES: '127.0.0.1,::1' });
  root = `http://127.0.0.1:${server.port}`;
  client = fhirClient(`${root}/fhir`, await server.token());
});
afterAll(() => server.stop());

const asked = (path: string, headers: Record<string, string>): Promise<Answer> => client.call(`${root}${path}`, { headers });

it.each(['/fhir/DocumentReference', '/documents', '/files/AAAA', '/admin/policy', '/fhir/nothing'])('%s is 403 insecure-transport by http, never a redirect, and recorded', async (path) => {
  const requestId = randomUUID();
  const refused = await asked(path, { 'x-forwarded-proto': 'http', 'x-request-id': requestId });
  expect([refused.status, refused.headers.get('location')]).toEqual([403, null]);
  expect(refused.json.code ?? refused.json.issue[0].details.coding[0].code).toBe('insecure-transport');
  const events = await client.auditOf(requestId);
  expect(events).toHaveLength(1);
  expect(JSON.stringify(events)).not.toContain('Practitioner/demo');
});

it('by https, and without a word of the proxy, is served', async () => {
  for (const headers of [{ 'x-forwarded-proto': 'https' }, {}]) expect((await asked('/documents', headers as Record<string, string>)).status).toBe(200);
});
