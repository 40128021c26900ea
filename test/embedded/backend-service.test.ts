import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash, randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { decodeJwt, exportJWK, generateKeyPair, SignJWT } from 'jose';
import { createSigningKeys } from '../../src/access/signing-keys.ts';
import { fhirClient } from '../support/fhir-client.ts';
import { discover, postForm, register, signIn, type SmartConfiguration, type TokenAnswer } from '../support/smart-app.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

let muniment: TestMuniment;
let base: string;
let smart: SmartConfiguration;

beforeAll(async () => {
  muniment = await startMuniment();
  base = muniment.fhirBase;
  smart = await discover(base);
}, 120_000);
afterAll(async () => { await muniment.stop(); });

interface Service {
  clientId: string;
  /** `claims` replace those of a good assertion. */
  assertion(claims?: Record<string, unknown>): Promise<string>;
}

async function openService(algorithm: string, metadata: object = {}): Promise<Service> {
  const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true });
  const key = { ...await exportJWK(publicKey), kid: randomUUID(), alg: algorithm, use: 'sig' };
  const client = await register(smart, { redirect_uris: undefined, client_name: 'Archive', grant_types: ['client_credentials'], token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [key] }, ...metadata });
  const clientId = client['client_id'] ?? '';
  return {
    clientId,
    assertion: (claims = {}) => {
      const now = Math.floor(Date.now() / 1_000);
      return new SignJWT({ iss: clientId, sub: clientId, aud: smart.token_endpoint, iat: now, exp: now + 240, jti: randomUUID(), ...claims })
        .setProtectedHeader({ alg: algorithm, kid: key.kid, typ: 'JWT' }).sign(privateKey);
    },
  };
}

function ask(assertion: string, scope: string, headers: Record<string, string> = {}): Promise<TokenAnswer> {
  return postForm(smart.token_endpoint, { grant_type: 'client_credentials', scope, client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer', client_assertion: assertion }, headers);
}

const document = { resourceType: 'DocumentReference', status: 'current', content: [{ attachment: { contentType: 'text/plain', data: 'aGk=' } }] };

describe('a backend service', () => {
  it.each(['ES256', 'EdDSA'])('that proves a key (%s) to the token endpoint has a token that is good with proofs of that key alone', async (algorithm) => {
    expect(smart.dpop_signing_alg_values_supported).toContain(algorithm);
    const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true });
    const jwk = await exportJWK(publicKey);
    const proof = (method: string, url: string, more: object = {}): Promise<string> =>
      new SignJWT({ htm: method, htu: url, jti: randomUUID(), ...more }).setIssuedAt().setProtectedHeader({ alg: algorithm, typ: 'dpop+jwt', jwk }).sign(privateKey);
    const service = await openService('ES384');
    const { body } = await ask(await service.assertion(), 'system/DocumentReference.rs', { dpop: await proof('POST', smart.token_endpoint) });
    expect(body.token_type).toBe('DPoP');
    const url = `${base}/DocumentReference`;
    const ath = createHash('sha256').update(body.access_token).digest('base64url');
    const status = async (authorization: string, dpop?: string): Promise<number> => (await fetch(url, { headers: { authorization, ...(dpop === undefined ? {} : { dpop }) } })).status;
    expect(await status(`DPoP ${body.access_token}`, await proof('GET', url, { ath }))).toBe(200);
    expect(await status(`Bearer ${body.access_token}`)).toBe(401);
    expect(await status(`DPoP ${body.access_token}`)).toBe(401);
  });

  it.each(['RS384', 'ES384'])('proves itself with a key (%s), and works with what it was given', async (algorithm) => {
    const service = await openService(algorithm);
    const { status, body } = await ask(await service.assertion(), 'system/DocumentReference.cruds system/Media.rs');
    expect(status).toBe(200);
    expect(body).toMatchObject({ token_type: 'Bearer', expires_in: 300, scope: 'system/DocumentReference.cruds system/Media.rs' });
    expect(body.refresh_token).toBeUndefined();
    expect(decodeJwt(body.access_token)).toMatchObject({ sub: service.clientId, client_id: service.clientId, org: 'demo', role: ['integration'] });
    const client = fhirClient(base, body.access_token);
    expect((await client.post('DocumentReference', document)).status).toBe(201);
    expect((await client.get('List')).status).toBe(403);
  });

  it('belongs to the organisation and has the role of its registration', async () => {
    const service = await openService('ES384', { org: 'harbour', role: ['read-only'] });
    const { body } = await ask(await service.assertion(), 'system/*.cruds');
    expect(decodeJwt(body.access_token)).toMatchObject({ org: 'harbour', role: ['read-only'] });
    expect((await fhirClient(base, body.access_token).post('DocumentReference', document)).status).toBe(403);
  });

  it('gets the scopes that it may have, and no token where there is none', async () => {
    const service = await openService('ES384', { scope: 'system/DocumentReference.read' });
    const { body } = await ask(await service.assertion(), 'system/DocumentReference.r system/DocumentReference.c system/Media.r user/*.r openid');
    expect(body.scope).toBe('system/DocumentReference.r');
    for (const scope of ['user/*.cruds', 'system/Media.r', 'system/documentreference.r', '']) expect({ scope, status: (await ask(await service.assertion(), scope)).status }).toEqual({ scope, status: 400 });
  });

  it('keeps its keys at an address of its own', async () => {
    const { privateKey, publicKey } = await generateKeyPair('RS384', { extractable: true });
    const key = { ...await exportJWK(publicKey), kid: 'k1', alg: 'RS384' };
    const server: Server = createServer((_request, response) => { response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: [key] })); });
    await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
    const jwksUri = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`;
    const { client_id: id = '' } = await register(smart, { redirect_uris: undefined, grant_types: ['client_credentials'], token_endpoint_auth_method: 'private_key_jwt', jwks_uri: jwksUri });
    const now = Math.floor(Date.now() / 1_000);
    const assertion = await new SignJWT({ iss: id, sub: id, aud: smart.token_endpoint, iat: now, exp: now + 60, jti: randomUUID() }).setProtectedHeader({ alg: 'RS384', kid: 'k1', typ: 'JWT' }).sign(privateKey);
    const { status } = await ask(assertion, 'system/*.rs');
    server.close();
    expect(status).toBe(200);
  });

  it('gets nothing for an assertion that is used twice, over, for somebody else or signed by another key', async () => {
    const service = await openService('ES384');
    const other = await openService('ES384');
    const once = await service.assertion();
    expect((await ask(once, 'system/*.rs')).status).toBe(200);
    const past = Math.floor(Date.now() / 1_000) - 600;
    for (const assertion of [once, await service.assertion({ iat: past - 60, exp: past }), await service.assertion({ aud: 'https://elsewhere.example/token' }), await service.assertion({ jti: undefined }), await other.assertion({ iss: service.clientId, sub: service.clientId })]) {
      const { status, body } = await ask(assertion, 'system/*.rs');
      expect([status, body.error]).toEqual([401, 'invalid_client']);
    }
    expect((await ask('not.a.jwt', 'system/*.rs')).status).toBe(400);
    expect((await postForm(smart.token_endpoint, { grant_type: 'password', client_id: service.clientId, username: 'demo', password: 'demo' })).status).toBeGreaterThanOrEqual(400);
  });
});

describe('introspection and revocation', () => {
  const secretOf = async (): Promise<Record<string, string>> => {
    const { client_id: id = '', client_secret: secret = '' } = await register(smart, { redirect_uris: undefined, grant_types: ['client_credentials'], token_endpoint_auth_method: 'client_secret_post' });
    return { client_id: id, client_secret: secret };
  };

  it('say what a token is worth, until it is taken back', async () => {
    const server = await secretOf();
    const { client_id: clientId = '' } = await register(smart);
    const { body } = await signIn({ fhirBase: base, clientId, scope: 'launch/patient openid fhirUser patient/*.rs', answers: { patient: 'p9', username: 'nurse' } });
    const look = async (token: string): Promise<unknown> => (await postForm(smart.introspection_endpoint, { ...server, token })).body;
    expect(await look(body.access_token)).toMatchObject({ active: true, client_id: clientId, scope: body.scope, patient: 'p9', iss: smart.issuer, sub: 'nurse', fhirUser: 'Practitioner/demo-nurse', org: 'demo', exp: expect.any(Number) });
    expect((await fhirClient(base, body.access_token).get('Media')).status).toBe(200);

    expect((await postForm(smart.revocation_endpoint, { client_id: clientId, token: body.access_token })).status).toBe(200);
    expect(await look(body.access_token)).toEqual({ active: false });
    const refused = await fhirClient(base, body.access_token).get('Media');
    expect(refused.status).toBe(401);
    expect(refused.headers.get('www-authenticate')).toContain('error="invalid_token"');
  });

  it('with the refresh token everything ends that came of it', async () => {
    const { client_id: clientId = '' } = await register(smart);
    const { body } = await signIn({ fhirBase: base, clientId, scope: 'offline_access user/*.rs' });
    const { client_id: another = '' } = await register(smart);
    await postForm(smart.revocation_endpoint, { client_id: another, token: body.refresh_token });
    expect((await fhirClient(base, body.access_token).get('Media')).status).toBe(200);
    await postForm(smart.revocation_endpoint, { client_id: clientId, token: body.refresh_token, token_type_hint: 'refresh_token' });
    expect((await fhirClient(base, body.access_token).get('Media')).status).toBe(401);
    expect((await postForm(smart.token_endpoint, { grant_type: 'refresh_token', refresh_token: body.refresh_token, client_id: clientId })).body.error).toBe('invalid_grant');
  });

  it('tell nothing of a token that is not from here, nor to who does not say who asks', async () => {
    const server = await secretOf();
    const foreign = await muniment.token();
    for (const token of [foreign, `${foreign.slice(0, -4)}AAAA`, 'invented']) expect((await postForm(smart.introspection_endpoint, { ...server, token })).body).toEqual({ active: false });
    expect((await postForm(smart.introspection_endpoint, { token: 'invented' })).status).toBe(400);
    expect((await postForm(smart.introspection_endpoint, { ...server, client_secret: 'wrong', token: 'invented' })).status).toBe(401);
  });
});

describe('keys', () => {
  it('change without a restart: the new one signs, tokens of the one before are still good', async () => {
    const { client_id: clientId = '' } = await register(smart);
    const before = await signIn({ fhirBase: base, clientId, scope: 'offline_access user/*.rs' });
    const unseen = await signIn({ fhirBase: base, clientId, scope: 'user/*.rs' });
    const keys = createSigningKeys(join(muniment.dataDir, 'authorization-server', 'keys'));
    await keys.rotate();
    const published = (await (await fetch(smart.jwks_uri)).json()) as { keys: { kid: string; d?: string }[] };
    expect(published.keys).toHaveLength(2);
    expect(published.keys.every(({ d }) => d === undefined)).toBe(true);
    const { body } = await postForm(smart.token_endpoint, { grant_type: 'refresh_token', refresh_token: before.body.refresh_token });
    const kidOf = (token: string): unknown => (JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()) as { kid: string }).kid;
    expect(published.keys.map(({ kid }) => kid)).toEqual([kidOf(body.access_token), kidOf(before.body.access_token)]);
    for (const token of [before.body.access_token, body.access_token]) expect((await fhirClient(base, token).get('Media')).status).toBe(200);
    await keys.rotate();
    // Never shown before: what was verified a moment ago is remembered for a minute.
    expect((await fhirClient(base, unseen.body.access_token).get('Media')).status).toBe(401);
  });
});
