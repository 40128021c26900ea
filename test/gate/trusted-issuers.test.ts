// Tokens of foreign authorization servers: their keys, the rotation of keys, and what they call our claims.
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { documentReference, fhirClient, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startFaultyServer, type FaultyServer } from '../support/faulty-server.ts';
import { makeKey, sign, startKeyServer, type KeyServer, type SigningKey } from '../support/signed-token.ts';
import { freePort, startMuniment, type TestMuniment } from '../support/start-muniment.ts';

let server: TestMuniment;
let client: FhirClient;
let keys: KeyServer;
let first: SigningKey;
let others: KeyServer;
let other: SigningKey;
let introspection: FaultyServer;

/** What the issuer of opaque tokens says of each. */
const opaque = new Map<string, object>();

beforeAll(async () => {
  first = await makeKey('RS256');
  other = await makeKey('EdDSA');
  keys = await startKeyServer([first.publicKey]);
  others = await startKeyServer([other.publicKey]);
  introspection = await startFaultyServer(({ body }) => ({ status: 200, body: JSON.stringify(opaque.get(new URLSearchParams(body).get('token') ?? '') ?? { active: false }) }));
  const issuers = [
    { issuer: 'https://login.example/realm', jwks_uri: keys.url, audience: 'urn:documents', claims: { org: 'realm.tenant', role: 'realm_access.roles', fhirUser: 'practitioner', client_id: 'azp' } },
    { issuer: 'https://second.example', jwks_uri: others.url },
    { issuer: 'https://opaque.example', claims: { org: 'tenant' }, introspection: { endpoint: introspection.url, client_id: 'muniment', client_secret: 'pw-of-muniment' } },
    { issuer: 'https://ours-alone.example', audience_optional: true, claims: { org: 'tenant' }, introspection: { endpoint: introspection.url, client_id: 'muniment', client_secret: 'pw-of-muniment', token_prefix: 'ours-' } },
    { issuer: 'https://gone.example', jwks_uri: `http://127.0.0.1:${await freePort()}/jwks` },
  ];
  server = await startMuniment({ TRUSTED_ISSUERS: JSON.stringify(issuers) });
  client = fhirClient(server.fhirBase, await theirs());
});
afterAll(async () => {
  await server.stop();
  await keys.stop();
  await others.stop();
  await introspection.stop();
});

const times = (): Record<string, unknown> => ({ exp: Math.floor(Date.now() / 1_000) + 300, iat: Math.floor(Date.now() / 1_000), jti: randomUUID() });

function theirs(key: SigningKey = first, changes: Record<string, unknown> = {}): Promise<string> {
  return sign(key, { iss: 'https://login.example/realm', sub: 'u-17', aud: 'urn:documents', azp: 'ward-app', scope: 'user/*.cruds', realm: { tenant: 'riverside' }, realm_access: { roles: ['offline_access', 'admin'] }, practitioner: 'https://hapi.example/fhir/Practitioner/17', ...times(), ...changes });
}

const asked = (token: string): Promise<Answer> => client.call('DocumentReference?_count=1', { token });

it('claims are found where the issuer puts them, and the record names who it was', async () => {
  const made = await client.post('DocumentReference', documentReference());
  expect(made.status).toBe(201);
  const [event] = await client.auditOf(made.headers.get('x-request-id') ?? '');
  const user = event.agent.find((agent: { requestor: boolean }) => agent.requestor);
  expect(user.who).toMatchObject({ reference: 'Practitioner/17', identifier: { system: 'https://login.example/realm', value: 'u-17' } });
  expect(event.agent.some((agent: { who: { identifier?: { value: string } } }) => agent.who.identifier?.value === 'ward-app')).toBe(true);
  expect((await server.sql('select name from organisation order by 1')).map((row) => row['name'])).toContain('riverside');
});

it('what the access is for stands in the record with whoever asked, as code or as the coding of IHE IUA', async () => {
  for (const claim of [{ purpose_of_use: ['TREAT'] }, { extensions: { ihe_iua: { purpose_of_use: [{ system: 'http://terminology.hl7.org/CodeSystem/v3-ActReason', code: 'TREAT' }] } } }]) {
    const answer = await asked(await theirs(first, claim));
    const [event] = await client.auditOf(answer.headers.get('x-request-id') ?? '');
    const user = event.agent.find((agent: { requestor: boolean }) => agent.requestor);
    expect(user.purposeOfUse).toEqual([{ coding: [{ system: 'http://terminology.hl7.org/CodeSystem/v3-ActReason', code: 'TREAT' }] }]);
    expect((await client.get(`Provenance/${event.id}`)).json.reason).toEqual(user.purposeOfUse);
  }
});

it('the development issuer is not trusted beside configured ones', async () => {
  expect((await asked(await server.token())).status).toBe(401);
});

it('each issuer has its own audience and its own keys', async () => {
  const second = { iss: 'https://second.example', sub: 'x', aud: server.fhirBase, org: 'riverside', role: 'admin', scope: 'user/*.rs', client_id: 'y', ...times() };
  expect((await asked(await sign(other, second))).status).toBe(200);
  expect((await asked(await sign(first, second))).status).toBe(401);
  expect((await asked(await sign(other, { ...second, aud: 'urn:documents' }))).status).toBe(401);
  expect((await asked(await theirs(other))).status).toBe(401);
  expect((await asked(await theirs(first, { aud: server.fhirBase }))).status).toBe(401);
});

it('a new key of the issuer is found when the first token names it, and invented key ids do not storm the issuer', async () => {
  await sleep(5_100);
  const next = await makeKey('ES384');
  keys.keys = [first.publicKey, next.publicKey];
  expect((await asked(await theirs(next))).status).toBe(200);
  const before = keys.asked;
  const invented = await makeKey('ES256');
  for (let n = 0; n < 20; n += 1) expect((await asked(await theirs({ ...invented, kid: randomUUID() }))).status).toBe(401);
  expect(keys.asked - before).toBeLessThanOrEqual(1);
}, 20_000);

it('an issuer that cannot be reached is 503 for its people alone, and recorded', async () => {
  const stranger = await makeKey();
  const requestId = randomUUID();
  const answer = await client.call('DocumentReference', { token: await sign(stranger, { iss: 'https://gone.example', sub: 'x', aud: server.fhirBase, org: 'riverside', ...times() }), headers: { 'x-request-id': requestId } });
  expect([answer.status, answer.headers.get('retry-after') !== null]).toEqual([503, true]);
  expect(await server.sql(`select outcome from access_event where request_id = $1`, [requestId])).toEqual([{ outcome: 8 }]);
  expect((await asked(await theirs())).status).toBe(200);
});

it('an issuer that fails after its keys were had does not lock its people out', async () => {
  keys.status = 500;
  try {
    expect((await asked(await theirs(first, { sub: randomUUID() }))).status).toBe(200);
  } finally {
    keys.status = 200;
  }
});

it('discovery names the issuer', async () => {
  const { json } = await client.call('.well-known/smart-configuration', { token: null });
  expect(json).toMatchObject({ issuer: 'https://login.example/realm', jwks_uri: keys.url, capabilities: ['permission-patient', 'permission-user', 'permission-v1', 'permission-v2'] });
  expect(json).toHaveProperty('dpop_signing_alg_values_supported', expect.arrayContaining(['ES256', 'ES384', 'RS384', 'EdDSA']));
});

it('a token that only its issuer can read is asked about, and acts and is recorded as what the issuer says, never with its own text', async () => {
  const token = `secret-${randomUUID()}`;
  opaque.set(token, { active: true, sub: 'u-18', aud: server.fhirBase, client_id: 'ward-app', scope: 'user/*.cruds', tenant: 'riverside', role: ['admin'], fhirUser: 'Practitioner/18', ...times(), jti: 'opaque-jti-1' });
  const answer = await asked(token);
  expect(answer.status).toBe(200);
  const [event] = await client.auditOf(answer.headers.get('x-request-id') ?? '');
  expect(event.agent.find((agent: { requestor: boolean }) => agent.requestor).who).toMatchObject({ reference: 'Practitioner/18', identifier: { system: 'https://opaque.example', value: 'u-18' } });
  const [row] = await server.sql<{ body: string }>('select e.body from access_event e where e.request_id = $1', [answer.headers.get('x-request-id')]);
  expect(row?.body).toContain('opaque-jti-1');
  expect(row?.body).not.toContain(token);

  const inactive = await asked(`secret-${randomUUID()}`);
  expect([inactive.status, inactive.headers.get('www-authenticate')]).toEqual([401, expect.stringContaining('error="invalid_token"')]);
  introspection.fault = () => ({ kind: 'refuse' });
  try {
    const broken = await asked(`secret-${randomUUID()}`);
    expect([broken.status, broken.headers.get('retry-after')]).toEqual([503, '5']);
  } finally {
    introspection.fault = () => undefined;
  }
});

it.each([
  ['secret', undefined, 401], ['secret', 'https://another.example/fhir', 401], ['secret', 'ours', 200],
  ['ours', undefined, 200], ['ours', 'https://another.example/fhir', 401], ['ours', 'ours', 200],
])('a token %s-… whose issuer tells the audience %s is answered %i: the audience is optional where the configuration says so', async (prefix, audience, status) => {
  const token = `${prefix}-${randomUUID()}`;
  const aud = audience === 'ours' ? server.fhirBase : audience;
  opaque.set(token, { active: true, sub: 'u-19', scope: 'user/*.rs', tenant: 'riverside', role: ['admin'], ...(aud === undefined ? {} : { aud }), ...times() });
  expect((await asked(token)).status).toBe(status);
});
