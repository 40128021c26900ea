// What production keeps out: organisations that nobody opened, the development authorization server and its key.
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { fhirClient, type FhirClient } from '../support/fhir-client.ts';
import { makeKey, sign, startKeyServer } from '../support/signed-token.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

const ALLOWED = { NODE_ENV: 'production', ALLOW_EMBEDDED_IN_PRODUCTION: 'true', OPERATOR_ORG: 'operations', SCAN: 'off' };

let server: TestMuniment;
let operator: FhirClient;

beforeAll(async () => {
  server = await startMuniment(ALLOWED);
  operator = fhirClient(server.fhirBase, await server.token({ org: 'operations' }));
});
afterAll(() => server.stop());

it.each([
  ['a request without a token', null, 401],
  ['a token of an organisation that nobody opened', 'stranger', 403],
])('in production %s is recorded under the operator', async (_title, org, status) => {
  const requestId = randomUUID();
  const token = org === null ? null : await server.token({ org });
  const answer = await operator.call('DocumentReference', { token, headers: { 'x-request-id': requestId } });
  expect(answer.status).toBe(status);
  expect(await operator.auditOf(requestId)).toHaveLength(1);
  expect(await server.sql(`select 1 from organisation where name = 'stranger'`)).toEqual([]);
});

it('in production there is no development authorization server, though embedded parts are allowed', async () => {
  expect((await fetch(new URL('/oauth/.well-known/openid-configuration', server.fhirBase))).status).toBe(404);
  expect((await fetch(new URL('/oauth/register', server.fhirBase), { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' })).status).toBe(404);
  const { json } = await operator.call('.well-known/smart-configuration', { token: null });
  for (const endpoint of ['authorization_endpoint', 'token_endpoint', 'registration_endpoint']) expect(json).not.toHaveProperty(endpoint);
});

it('the development key is not trusted beside configured issuers, though embedded parts are allowed', async () => {
  const key = await makeKey();
  const keys = await startKeyServer([key.publicKey]);
  const guarded = await startMuniment({ ...ALLOWED, TRUSTED_ISSUERS: JSON.stringify([{ issuer: 'https://login.example', jwks_uri: keys.url }]) });
  try {
    const seconds = Math.floor(Date.now() / 1_000);
    const theirs = await sign(key, { iss: 'https://login.example', sub: 'ann', aud: guarded.fhirBase, client_id: 'app', org: 'operations', role: ['admin'], scope: 'user/*.cruds', iat: seconds, exp: seconds + 300, jti: randomUUID() });
    const client = fhirClient(guarded.fhirBase, theirs);
    expect((await client.get('DocumentReference')).status).toBe(200);
    const answer = await client.call('DocumentReference', { token: await guarded.token({ org: 'operations' }) });
    expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([401, expect.stringContaining('error="invalid_token"')]);
  } finally {
    await guarded.stop();
    await keys.stop();
  }
});
