// Tokens that are bound to a key: each fault of a proof alone makes a good token worthless (RFC 9449 4.3, RFC 8705 3).
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createHash, randomUUID } from 'node:crypto';
import { calculateJwkThumbprint, exportJWK, SignJWT, type JWTHeaderParameters } from 'jose';
import { createAuthenticator, type Authenticator, type Sender } from '../../src/access/authenticate.ts';
import type { Principal } from '../../src/access/principal.ts';
import { FHIR_BASE, goodClaims, ISSUER, makeSigningKey, NOW, NOW_SECONDS, refusalOf, signToken, type SigningKey } from './sample-tokens.ts';

const BASE_URL = 'https://muniment.test';
const TARGET = '/fhir/DocumentReference?patient=p1';
const HTU = `${BASE_URL}/fhir/DocumentReference`;
const CERTIFICATE = Buffer.from('a certificate');

let issuerKey: SigningKey;
let clientKey: SigningKey;
let strangerKey: SigningKey;
let token: string;
let clock: number;
let subject: Authenticator;

const ath = (text: string): string => createHash('sha256').update(text).digest('base64url');
const publicPart = ({ publicJwk: { kid: _kid, alg: _alg, ...jwk } }: SigningKey): Record<string, unknown> => jwk;

interface Wish {
  claims?: Record<string, unknown>;
  header?: Partial<JWTHeaderParameters> & Record<string, unknown>;
  key?: SigningKey;
}

function proof({ claims = {}, header = {}, key = clientKey }: Wish = {}): Promise<string> {
  return new SignJWT({ jti: randomUUID(), iat: NOW_SECONDS, htm: 'GET', htu: HTU, ath: ath(token), ...claims })
    .setProtectedHeader({ alg: key.alg, typ: 'dpop+jwt', jwk: publicPart(key), ...header }).sign(key.privateKey);
}

interface Call extends Partial<Sender> {
  scheme?: string;
  token?: string;
}

function present({ scheme = 'DPoP', token: sent = token, ...sender }: Call): Promise<Principal> {
  return (async () => subject.authenticate({ authorization: `${scheme} ${sent}` }, { method: 'GET', dpop: undefined, target: TARGET, certificate: () => undefined, ...sender }))();
}

beforeAll(async () => {
  [issuerKey, clientKey, strangerKey] = await Promise.all([makeSigningKey('ES256', 'key-1'), makeSigningKey('ES256', 'c'), makeSigningKey('ES256', 's')]);
});

beforeEach(async () => {
  clock = NOW;
  subject = createAuthenticator([{ issuer: ISSUER, audience: FHIR_BASE, claims: {}, keys: { jwks: [issuerKey.publicJwk] } }], () => clock, [], BASE_URL);
  token = await signToken(issuerKey, goodClaims({ cnf: { jkt: await calculateJwkThumbprint(clientKey.publicJwk) } }));
});

describe('a token bound to a key (DPoP)', () => {
  test('is good with a proof of its own for each request, also when it is known already', async () => {
    for (let at = 0; at < 3; at += 1) expect(await present({ dpop: await proof() })).toMatchObject({ org: 'demo' });
  });

  test.each<[string, Wish]>([
    ['with a query and a fragment in htu', { claims: { htu: `${HTU}?patient=p1#x` } }],
    ['with htu written otherwise', { claims: { htu: 'HTTPS://MUNIMENT.test:443/fhir/./DocumentReference' } }],
    ['a minute old', { claims: { iat: NOW_SECONDS - 60 } }],
  ])('is good with a proof %s', async (_what, wish) => {
    expect(await present({ dpop: await proof(wish) })).toMatchObject({ org: 'demo' });
  });

  test.each<[string, () => Promise<Call>]>([
    ['without a proof', async () => ({})],
    ['by the scheme Bearer, with the proof', async () => ({ scheme: 'Bearer', dpop: await proof() })],
    ['by the scheme Bearer, without', async () => ({ scheme: 'Bearer' })],
    ['with two proofs', async () => ({ dpop: `${await proof()}, ${await proof()}` })],
    ['with no JWT', async () => ({ dpop: 'nonsense' })],
    ['with a proof that is too long', async () => ({ dpop: await proof({ claims: { filler: 'x'.repeat(8_192) } }) })],
    ['of another type', async () => ({ dpop: await proof({ header: { typ: 'JWT' } }) })],
    ['without a key', async () => ({ dpop: await proof({ header: { jwk: undefined } as never }) })],
    ['with a private key in it', async () => ({ dpop: await proof({ header: { jwk: await exportJWK(clientKey.privateKey) } }) })],
    ['of another key', async () => ({ dpop: await proof({ key: strangerKey }) })],
    ['signed by another key than it brings', async () => ({ dpop: await proof({ key: strangerKey, header: { jwk: publicPart(clientKey) } }) })],
    ['with a shared secret', async () => ({ dpop: `${Buffer.from(JSON.stringify({ alg: 'HS256', typ: 'dpop+jwt', jwk: { kty: 'oct', k: 'c2VjcmV0' } })).toString('base64url')}.e30.c2ln` })],
    ['unsigned', async () => ({ dpop: `${Buffer.from(JSON.stringify({ alg: 'none', typ: 'dpop+jwt', jwk: publicPart(clientKey) })).toString('base64url')}.e30.` })],
    ['that demands an extension', async () => ({ dpop: await proof({ header: { crit: ['exp'], exp: 1 } }).catch(() => 'a.b.c') })],
    ['for another method', async () => ({ dpop: await proof({ claims: { htm: 'POST' } }) })],
    ['for a method in another case', async () => ({ dpop: await proof({ claims: { htm: 'get' } }) })],
    ['for another path', async () => ({ dpop: await proof({ claims: { htu: `${BASE_URL}/fhir/Media` } }) })],
    ['for another server', async () => ({ dpop: await proof({ claims: { htu: 'https://other.test/fhir/DocumentReference' } }) })],
    ['for no URL', async () => ({ dpop: await proof({ claims: { htu: 'DocumentReference' } }) })],
    ['for another token', async () => ({ dpop: await proof({ claims: { ath: ath('another') } }) })],
    ['for no token', async () => ({ dpop: await proof({ claims: { ath: undefined } }) })],
    ['too old', async () => ({ dpop: await proof({ claims: { iat: NOW_SECONDS - 61 } }) })],
    ['from the future', async () => ({ dpop: await proof({ claims: { iat: NOW_SECONDS + 11 } }) })],
    ['without a time', async () => ({ dpop: await proof({ claims: { iat: undefined } }) })],
    ['that ended', async () => ({ dpop: await proof({ claims: { exp: NOW_SECONDS - 1 } }) })],
    ['without an id', async () => ({ dpop: await proof({ claims: { jti: undefined } }) })],
    ['with an id without end', async () => ({ dpop: await proof({ claims: { jti: 'x'.repeat(257) } }) })],
    ['for a request of which nothing is known', async () => ({ dpop: await proof(), target: undefined })],
  ])('is refused %s', async (_what, call) => {
    const error = await refusalOf(async () => present(await call()));
    expect([error.status, error.detail]).toEqual([401, 'token-invalid']);
    expect(error.headers['WWW-Authenticate']).toMatch(/^(DPoP realm="Muniment", algs="[A-Za-z0-9 ]+", error="invalid_(dpop_proof|token)"|Bearer realm="Muniment", error="invalid_token".*, DPoP algs=")/);
    // The same token with a good proof is good: the fault was the proof's alone.
    expect(await present({ dpop: await proof() })).toMatchObject({ org: 'demo' });
  });

  test('is refused with a proof that was used before, for as long as the proof would be good', async () => {
    const once = await proof();
    await present({ dpop: once });
    for (const later of [0, 59_000, 60_000]) {
      clock = NOW + later;
      expect((await refusalOf(() => present({ dpop: once }))).status).toBe(401);
    }
    clock = NOW;
    expect(await present({ dpop: await proof({ claims: { jti: 'same' } }) })).toBeDefined();
    expect((await refusalOf(async () => present({ dpop: await proof({ claims: { jti: 'same', iat: NOW_SECONDS - 1 } }) }))).message).toMatch(/used before/);
  });
});

describe('a token that is bound to no key', () => {
  test('is refused by the scheme DPoP: it was not made for it', async () => {
    token = await signToken(issuerKey);
    expect((await refusalOf(async () => present({ dpop: await proof() }))).status).toBe(401);
    expect(await present({ scheme: 'Bearer' })).toMatchObject({ org: 'demo' });
  });
});

describe('a token bound to a certificate', () => {
  beforeEach(async () => { token = await signToken(issuerKey, goodClaims({ cnf: { 'x5t#S256': createHash('sha256').update(CERTIFICATE).digest('base64url') } })); });

  test('is good on a connection that showed it, and on no other', async () => {
    expect(await present({ scheme: 'Bearer', certificate: () => CERTIFICATE })).toMatchObject({ org: 'demo' });
    for (const shown of [undefined, Buffer.from('another')]) expect((await refusalOf(() => present({ scheme: 'Bearer', certificate: () => shown }))).status).toBe(401);
    expect((await refusalOf(async () => present({ dpop: await proof(), certificate: () => CERTIFICATE }))).status).toBe(401);
  });

  test('and to a key needs both', async () => {
    token = await signToken(issuerKey, goodClaims({ cnf: { 'x5t#S256': createHash('sha256').update(CERTIFICATE).digest('base64url'), 'jkt': await calculateJwkThumbprint(clientKey.publicJwk) } }));
    expect(await present({ dpop: await proof(), certificate: () => CERTIFICATE })).toMatchObject({ org: 'demo' });
    expect((await refusalOf(async () => present({ dpop: await proof() }))).status).toBe(401);
    expect((await refusalOf(() => present({ scheme: 'Bearer', certificate: () => CERTIFICATE }))).status).toBe(401);
  });
});

describe('a binding that is not known', () => {
  test.each([{}, { kid: 'k' }, { jkt: 'short' }, { 'jkt': 'x'.repeat(43), 'x5t#S1': 'x' }, { jwk: {} }, 'text', null, [], 7])('%j makes the token worthless', async (cnf) => {
    token = await signToken(issuerKey, goodClaims({ cnf }));
    for (const scheme of ['Bearer', 'DPoP']) expect((await refusalOf(async () => present({ scheme, dpop: await proof(), certificate: () => CERTIFICATE }))).status).toBe(401);
  });
});
