// The keys of a remote issuer: rotation, an issuer that cannot be reached, and how often it is asked.
import { afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { JWK } from 'jose';
import { createAuthenticator, type Authenticator } from '../../src/access/authenticate.ts';
import type { Principal } from '../../src/access/principal.ts';
import { FHIR_BASE, goodClaims, ISSUER, makeSigningKey, NOW, NOW_SECONDS, refusalOf, signToken, type SigningKey } from './sample-tokens.ts';

const MINUTE_MS = 60_000;

let server: Server;
let port: number;
let published: JWK[];
let asked: number;
/** undefined = the keys. */
let answer: { status: number; body: string } | undefined;
let clock: number;
let first: SigningKey;
let second: SigningKey;
let subject: Authenticator;

async function startIssuer(on = 0): Promise<void> {
  server = createServer((_, response) => {
    asked += 1;
    response.writeHead(answer?.status ?? 200, { 'Content-Type': 'application/json', 'Location': '/elsewhere', 'Connection': 'close' });
    response.end(answer?.body ?? JSON.stringify({ keys: published }));
  });
  server.listen(on, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
}

async function stopIssuer(): Promise<void> {
  if (!server.listening) return;
  server.close();
  server.closeAllConnections();
  await once(server, 'close');
}

/** A fresh token each time, so that none is remembered. */
let serial = 0;
async function present(key: SigningKey): Promise<Principal> {
  serial += 1;
  const token = await signToken(key, goodClaims({ jti: `j${serial}`, exp: NOW_SECONDS + 86_400 }));
  return subject.authenticate({ authorization: `Bearer ${token}` });
}

beforeAll(async () => {
  first = await makeSigningKey('ES256', 'key-1');
  second = await makeSigningKey('ES256', 'key-2');
});

beforeEach(async () => {
  published = [first.publicJwk];
  asked = 0;
  answer = undefined;
  clock = NOW;
  await startIssuer();
  subject = createAuthenticator([{ issuer: ISSUER, audience: FHIR_BASE, claims: {}, keys: { jwksUri: `http://127.0.0.1:${port}/jwks` } }], () => clock);
});

afterEach(stopIssuer);

describe('keys of a remote issuer', () => {
  test('are fetched once for many tokens', async () => {
    await Promise.all([present(first), present(first), present(first)]);
    await present(first);
    expect(asked).toBe(1);
  });

  test('are fetched again for a key that is not known yet', async () => {
    await present(first);
    published = [first.publicJwk, second.publicJwk];
    clock += 5_000;
    expect(await present(second)).toMatchObject({ org: 'demo' });
    expect(await present(first)).toMatchObject({ org: 'demo' });
    expect(asked).toBe(2);
  });

  test('are asked for at most every five seconds by tokens with invented key ids', async () => {
    await present(first);
    for (let at = 0; at < 50; at += 1) {
      clock += 200;
      expect((await refusalOf(() => present(second))).detail).toBe('token-invalid');
    }
    expect(asked).toBe(3);
  });

  test('that were withdrawn are refused after five minutes', async () => {
    await present(first);
    published = [second.publicJwk];
    clock += 5 * MINUTE_MS + 1;
    expect((await refusalOf(() => present(first))).detail).toBe('token-invalid');
    expect(await present(second)).toMatchObject({ org: 'demo' });
  });

  test('that were withdrawn are refused although the clock was set back, and new ones are found', async () => {
    await present(first);
    published = [second.publicJwk];
    // Not so far that the tokens of this moment would not be valid yet.
    clock -= 30_000;
    expect(await present(second)).toMatchObject({ org: 'demo' });
    expect((await refusalOf(() => present(first))).detail).toBe('token-invalid');
  });

  test('go on for an hour while the issuer cannot be reached, then 503', async () => {
    await present(first);
    await stopIssuer();
    clock += 59 * MINUTE_MS;
    expect(await present(first)).toMatchObject({ org: 'demo' });
    clock += MINUTE_MS + 1;
    expect(await refusalOf(() => present(first))).toMatchObject({ status: 503, detail: 'unavailable' });
  });

  test('that could never be fetched are 503, and the issuer is tried again', async () => {
    await stopIssuer();
    const error = await refusalOf(() => present(first));
    expect([error.status, error.detail, error.headers['Retry-After']]).toEqual([503, 'unavailable', '5']);
    await startIssuer(port);
    clock += 4_999;
    expect((await refusalOf(() => present(first))).status).toBe(503);
    clock += 1;
    expect(await present(first)).toMatchObject({ org: 'demo' });
  });

  test.each([[500, ''], [302, ''], [404, '{"keys":[]}'], [200, '<html>'], [200, '{}'], [200, '[]'], [200, `{"keys":[],"filler":"${'x'.repeat(65_536)}"}`]])('answered with %i %.40s are 503', async (status, body) => {
    answer = { status, body };
    expect((await refusalOf(() => present(first))).status).toBe(503);
  });

  test('do not verify a token with a shared secret, even when the issuer publishes one', async () => {
    published = [{ kty: 'oct', k: 'c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0', kid: 'key-1', alg: 'HS256' }];
    expect((await refusalOf(() => present(first))).detail).toBe('token-invalid');
  });
});
