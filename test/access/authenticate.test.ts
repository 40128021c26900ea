// Which tokens are believed (RFC 7519, 8725, 6750): each fault alone makes an otherwise good token worthless.
import { beforeAll, describe, expect, test } from '@jest/globals';
import { createHmac } from 'node:crypto';
import { base64url, exportSPKI, importJWK, SignJWT, type CryptoKey } from 'jose';
import { createAuthenticator, type Authenticator } from '../../src/access/authenticate.ts';
import { FHIR_BASE, goodClaims, ISSUER, makeSigningKey, NOW, NOW_SECONDS, refusalOf, signToken, type SigningKey } from './sample-tokens.ts';

let key: SigningKey;
let stranger: SigningKey;
let clock = NOW;

beforeAll(async () => {
  key = await makeSigningKey('ES256', 'key-1');
  stranger = await makeSigningKey('ES256', 'key-1');
});

function authenticator(claims: Record<string, string> = {}, audience = FHIR_BASE): Authenticator {
  return createAuthenticator([{ issuer: ISSUER, audience, claims, keys: { jwks: [key.publicJwk] } }], () => clock);
}

const presented = (token: string, subject = authenticator()): Promise<unknown> => Promise.resolve(subject.authenticate({ authorization: `Bearer ${token}` }));

/** A token made by hand; jose would not sign it. */
function handmade(header: object, claims: object, sign: (input: string) => string): string {
  const input = `${base64url.encode(JSON.stringify(header))}.${base64url.encode(JSON.stringify(claims))}`;
  return `${input}.${sign(input)}`;
}

describe('a good token', () => {
  test('names the principal', async () => {
    const token = await signToken(key, goodClaims({ patient: 'Patient/p1', encounter: 'e1', name: 'Ann' }));
    expect(await presented(token)).toEqual({
      issuer: ISSUER, subject: 'ann', clientId: 'app', jti: 'j1', org: 'demo', fhirUser: 'Practitioner/ann', name: 'Ann', patient: 'p1', encounter: 'e1', roles: ['practitioner'],
      scopes: [{ context: 'user', type: 'DocumentReference', permissions: new Set(['r', 's']) }], expiresAt: NOW_SECONDS + 300,
    });
  });

  test.each(['RS256', 'RS384', 'PS256', 'PS384', 'ES256', 'ES384', 'EdDSA'])('may be signed with %s', async (alg) => {
    const other = await makeSigningKey(alg, 'k');
    const subject = createAuthenticator([{ issuer: ISSUER, audience: FHIR_BASE, claims: {}, keys: { jwks: [other.publicJwk] } }], () => NOW);
    expect(await presented(await signToken(other), subject)).toMatchObject({ subject: 'ann' });
  });

  test('may have several audiences, and a scheme in any case', async () => {
    const token = await signToken(key, goodClaims({ aud: ['https://else.example', FHIR_BASE] }));
    expect(await authenticator().authenticate({ authorization: `bEARER  ${token}` })).toMatchObject({ org: 'demo' });
  });

  test('has its foreign claims mapped, in objects and under names with dots', async () => {
    const subject = authenticator({ 'org': 'https://clinic.example/org', 'role': 'realm_access.roles', 'client_id': 'azp', 'fhirUser': 'ext.user', 'scope': 'scp' });
    const claims = { ...goodClaims({ 'org': undefined, 'https://clinic.example/org': 'north', 'realm_access': { roles: ['nurse', 7] }, 'azp': 'portal', 'ext': { user: 'https://ehr.example/fhir/Practitioner/9' }, 'scp': ['user/*.r', 'openid'] }) };
    expect(await presented(await signToken(key, claims), subject)).toMatchObject({ org: 'north', roles: ['nurse'], clientId: 'portal', fhirUser: 'Practitioner/9', scopes: [{ type: '*' }] });
  });

  test('of a client alone is its own subject', async () => {
    expect(await presented(await signToken(key, goodClaims({ sub: undefined, fhirUser: undefined })))).toMatchObject({ subject: 'app', clientId: 'app' });
  });

  test('may end five seconds late', async () => {
    expect(await presented(await signToken(key, goodClaims({ exp: NOW_SECONDS - 4 })))).toMatchObject({ org: 'demo' });
  });
});

describe('a faulty token', () => {
  const claims: [string, Record<string, unknown>][] = [
    ['for another audience', { aud: 'https://else.example/fhir' }], ['for the base without /fhir', { aud: 'https://muniment.test' }], ['without audience', { aud: undefined }],
    ['of another issuer', { iss: 'https://else.example' }], ['of an issuer that looks alike', { iss: `${ISSUER}/` }], ['without issuer', { iss: undefined }],
    ['that is not valid yet', { nbf: NOW_SECONDS + 30 }], ['from the future', { iat: NOW_SECONDS + 120 }], ['without end', { exp: undefined }], ['whose end is a text', { exp: '2999-01-01' }],
    ['without organisation', { org: undefined }], ['with two organisations', { org: ['demo', 'north'] }], ['with a path as organisation', { org: '../demo' }], ['with an empty organisation', { org: '' }],
    ['with an organisation of 65 characters', { org: 'a'.repeat(65) }], ['without subject and client', { sub: undefined, client_id: undefined }], ['over 16 KiB', { scope: 'x'.repeat(16_384) }],
  ];
  test.each(claims)('%s is 401 `token-invalid`', async (_, changes) => {
    const error = await refusalOf(async () => presented(await signToken(key, goodClaims(changes))));
    expect([error.status, error.detail]).toEqual([401, 'token-invalid']);
    expect(error.headers['WWW-Authenticate']).toMatch(/^Bearer realm="Muniment", error="invalid_token", error_description="[^"]+"$/);
  });

  test('that has expired is 401 `token-expired`', async () => {
    const token = await signToken(key, goodClaims({ exp: NOW_SECONDS - 6 }));
    const error = await refusalOf(() => presented(token));
    expect([error.status, error.detail]).toEqual([401, 'token-expired']);
    expect(error.headers['WWW-Authenticate']).toBe('Bearer realm="Muniment", error="invalid_token", error_description="The token has expired"');
    expect(error.message).not.toContain(token);
  });

  test.each(['jku', 'x5u', 'jwk', 'x5c'])('that brings a key in the header %s is refused, though the signature is good', async (name) => {
    const value = { jku: 'https://issuer.example/keys', x5u: 'https://issuer.example/cert', jwk: key.publicJwk, x5c: ['MII'] }[name];
    expect((await refusalOf(async () => presented(await signToken(key, goodClaims(), { [name]: value })))).detail).toBe('token-invalid');
  });

  test('signed by a stranger with the same key id is refused, also with its key embedded', async () => {
    expect((await refusalOf(async () => presented(await signToken(stranger)))).detail).toBe('token-invalid');
    expect((await refusalOf(async () => presented(await signToken(stranger, goodClaims(), { jwk: stranger.publicJwk })))).detail).toBe('token-invalid');
  });

  test('with an unknown key id is refused', async () => {
    expect((await refusalOf(async () => presented(await signToken(key, goodClaims(), { kid: 'key-2' })))).detail).toBe('token-invalid');
  });

  test('with an unknown critical header is refused', async () => {
    const signed = new SignJWT(goodClaims()).setProtectedHeader({ alg: 'ES256', kid: 'key-1', crit: ['exp-policy'], 'exp-policy': 'strict' });
    const token = await signed.sign(key.privateKey, { crit: { 'exp-policy': true } });
    expect((await refusalOf(() => presented(token))).detail).toBe('token-invalid');
  });

  test.each(['none', 'None', 'NONE', ''])('with the algorithm %j is refused', async (alg) => {
    expect((await refusalOf(() => presented(handmade({ alg, kid: 'key-1' }, goodClaims(), () => '')))).detail).toBe('token-invalid');
  });

  test('with HS256 over the public key is refused', async () => {
    const pem = await exportSPKI((await importJWK(key.publicJwk, 'ES256', { extractable: true })) as CryptoKey);
    for (const secret of [pem, JSON.stringify(key.publicJwk)]) {
      const token = handmade({ alg: 'HS256', kid: 'key-1' }, goodClaims(), (input) => createHmac('sha256', secret).update(input).digest('base64url'));
      expect((await refusalOf(() => presented(token))).detail).toBe('token-invalid');
    }
  });

  test('with changed claims is refused', async () => {
    const [header, , signature] = (await signToken(key)).split('.');
    const token = `${header}.${base64url.encode(JSON.stringify(goodClaims({ org: 'north' })))}.${signature}`;
    expect((await refusalOf(() => presented(token))).detail).toBe('token-invalid');
  });

  test.each(['x', 'a.b.c', '....', 'e30.e30.', `${base64url.encode('[]')}.e30.x`, base64url.encode('{"alg":"ES256"}'), 'null'])('%j is refused', async (token) => {
    expect((await refusalOf(() => presented(token))).detail).toBe('token-invalid');
  });
});

describe('the Authorization header', () => {
  test.each([undefined, '', 'Basic YTpi', 'Bearer', 'Bearer ', 'Digest username="a", realm="b"', 'token'])('%j is 401 without an error code', async (authorization) => {
    const error = await refusalOf(() => authenticator().authenticate(authorization === undefined ? {} : { authorization }));
    expect([error.status, error.detail, error.headers['WWW-Authenticate']]).toEqual([401, 'login-required', 'Bearer realm="Muniment"']);
  });

  test('sent twice is 400, even when both are good', async () => {
    const token = await signToken(key);
    for (const authorization of [[`Bearer ${token}`, `Bearer ${token}`], `Bearer ${token}, Bearer ${token}`, `Bearer ${token},Bearer ${token}`, `Basic YTpi, Bearer ${token}`, [`Basic YTpi`, `Bearer ${token}`]]) {
      const error = await refusalOf(() => authenticator().authenticate({ authorization }));
      expect([error.status, error.detail]).toEqual([400, 'malformed-request']);
      expect(error.headers['WWW-Authenticate']).toContain('error="invalid_request"');
    }
  });
});

describe('a remembered token', () => {
  test('is answered at once, with the same principal', async () => {
    const subject = authenticator();
    const authorization = `Bearer ${await signToken(key)}`;
    const first = await subject.authenticate({ authorization });
    expect(subject.authenticate({ authorization })).toBe(first);
  });

  test('is verified again after a minute', async () => {
    const subject = authenticator();
    const authorization = `Bearer ${await signToken(key)}`;
    clock = NOW;
    await subject.authenticate({ authorization });
    clock = NOW + 59_999;
    expect(subject.authenticate({ authorization })).not.toBeInstanceOf(Promise);
    clock = NOW + 60_000;
    expect(subject.authenticate({ authorization })).toBeInstanceOf(Promise);
    clock = NOW;
  });

  test('is refused once it has expired', async () => {
    const subject = authenticator();
    const authorization = `Bearer ${await signToken(key, goodClaims({ exp: NOW_SECONDS + 10 }))}`;
    clock = NOW;
    await subject.authenticate({ authorization });
    clock = NOW + 9_999;
    expect(subject.authenticate({ authorization })).not.toBeInstanceOf(Promise);
    clock = NOW + 10_000;
    expect(subject.authenticate({ authorization })).toBeInstanceOf(Promise);
    clock = NOW + 15_001;
    expect((await refusalOf(() => subject.authenticate({ authorization }))).detail).toBe('token-expired');
    clock = NOW;
  });

  test('is not taken for another with the same beginning', async () => {
    const subject = authenticator();
    const token = await signToken(key);
    await presented(token, subject);
    const [header, claims, signature = ''] = token.split('.');
    const changed = `${header}.${claims}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`;
    expect((await refusalOf(() => presented(changed, subject))).detail).toBe('token-invalid');
  });
});
