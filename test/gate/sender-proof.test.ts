// Bound tokens over the wire: TLS with a certificate of the client, and proofs for what was really asked.
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { createHash, randomUUID, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { request, type RequestOptions } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose';
import { createUsedProofs } from '../../src/resources/used-proofs.ts';
import { eventually } from '../support/eventually.ts';
import { makeKey, sign, startKeyServer, type KeyServer, type SigningKey } from '../support/signed-token.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

const ISSUER = 'https://login.example';
const folder = mkdtempSync(join(tmpdir(), 'mtls-'));

let server: TestMuniment;
let keys: KeyServer;
let issuerKey: SigningKey;
let proofKey: { privateKey: CryptoKey; jwk: JWK };

const file = (name: string): string => join(folder, name);

function makeCertificate(name: string): { cert: Buffer; key: Buffer } {
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', `/CN=${name}`, '-keyout', file(`${name}-key.pem`), '-out', file(`${name}.pem`)], { stdio: 'ignore' });
  return { cert: readFileSync(file(`${name}.pem`)), key: readFileSync(file(`${name}-key.pem`)) };
}

beforeAll(async () => {
  makeCertificate('localhost');
  issuerKey = await makeKey('ES256');
  keys = await startKeyServer([issuerKey.publicKey]);
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  proofKey = { privateKey, jwk: await exportJWK(publicKey) };
  server = await startMuniment({ TLS_CERT: file('localhost.pem'), TLS_KEY: file('localhost-key.pem'), TLS_CLIENT_CERTIFICATES: 'request', TRUSTED_ISSUERS: JSON.stringify([{ issuer: ISSUER, jwks_uri: keys.url }]) });
});
afterAll(async () => {
  await server.stop();
  await keys.stop();
  rmSync(folder, { recursive: true });
});

function token(cnf: object): Promise<string> {
  const now = Math.floor(Date.now() / 1_000);
  return sign(issuerKey, { iss: ISSUER, sub: 'ann', aud: server.fhirBase, client_id: 'app', org: 'demo', role: ['admin'], scope: 'user/*.cruds', iat: now, exp: now + 300, jti: randomUUID(), cnf });
}

async function ask(path: string, headers: Record<string, string>, options: RequestOptions = {}): Promise<IncomingMessage> {
  const asking = request(`${server.fhirBase}/${path}`, { ca: readFileSync(file('localhost.pem')), headers: { accept: 'application/fhir+json', ...headers }, agent: false, ...options });
  asking.end();
  const [response] = await once(asking, 'response') as [IncomingMessage];
  response.resume();
  return response;
}

async function proof(method: string, url: string, bound: string): Promise<string> {
  return new SignJWT({ htm: method, htu: url, ath: createHash('sha256').update(bound).digest('base64url'), jti: randomUUID() })
    .setIssuedAt().setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: proofKey.jwk }).sign(proofKey.privateKey);
}

it('the base is https, by TLS 1.3, and browsers are told to stay there', async () => {
  expect(server.fhirBase).toMatch(/^https:\/\/localhost:/);
  const response = await ask('metadata', {});
  expect([response.statusCode, response.headers['strict-transport-security']]).toEqual([200, 'max-age=31536000']);
  await expect(ask('metadata', {}, { maxVersion: 'TLSv1.2' })).rejects.toThrow();
});

it('a token bound to a certificate is good on a connection that shows it alone', async () => {
  const [mine, other] = [makeCertificate('mine'), makeCertificate('other')];
  const bound = await token({ 'x5t#S256': createHash('sha256').update(new X509Certificate(mine.cert).raw).digest('base64url') });
  const status = async (options: RequestOptions): Promise<number | undefined> => (await ask('DocumentReference?_count=1', { authorization: `Bearer ${bound}` }, options)).statusCode;
  expect([await status(mine), await status(other), await status({}), await status(mine)]).toEqual([200, 401, 401, 200]);
});

it('a token bound to a key is good with a proof for this request, once', async () => {
  const bound = await token({ jkt: await calculateJwkThumbprint(proofKey.jwk) });
  const status = async (headers: Record<string, string>): Promise<number | undefined> => (await ask('DocumentReference?_count=1', headers)).statusCode;
  const once = await proof('GET', `${server.fhirBase}/DocumentReference`, bound);
  expect(await status({ authorization: `DPoP ${bound}`, dpop: once })).toBe(200);
  expect(await status({ authorization: `DPoP ${bound}`, dpop: once })).toBe(401);
  expect(await status({ authorization: `DPoP ${bound}`, dpop: await proof('GET', `${server.fhirBase}/Media`, bound) })).toBe(401);
  expect(await status({ authorization: `Bearer ${bound}` })).toBe(401);
  const wrong = await ask('DocumentReference', { authorization: `DPoP ${bound}` });
  expect([wrong.statusCode, wrong.headers['www-authenticate']]).toEqual([401, expect.stringMatching(/^DPoP .*error="invalid_dpop_proof"/)]);
});

it('a proof that one server took is good at no other server of the database, and of many at once for one', async () => {
  const issuers = JSON.stringify([{ issuer: ISSUER, jwks_uri: keys.url }]);
  const first = await startMuniment({ BASE_URL: 'http://documents.example', TRUSTED_ISSUERS: issuers });
  const second = await first.startSecond();
  try {
    const claims = { iss: ISSUER, sub: 'ann', aud: first.fhirBase, client_id: 'app', org: 'demo', role: ['admin'], scope: 'user/*.cruds', exp: Math.floor(Date.now() / 1_000) + 300, cnf: { jkt: await calculateJwkThumbprint(proofKey.jwk) } };
    const bound = await sign(issuerKey, claims);
    const status = async ({ port }: TestMuniment, dpop: string): Promise<number> => (await fetch(`http://127.0.0.1:${port}/fhir/Media?_count=1`, { headers: { authorization: `DPoP ${bound}`, dpop } })).status;
    const once = await proof('GET', `${first.fhirBase}/Media`, bound);
    expect([await status(first, once), await status(second, once), await status(first, once)]).toEqual([200, 401, 401]);
    const raced = await proof('GET', `${first.fhirBase}/Media`, bound);
    expect((await Promise.all(Array.from({ length: 20 }, (_, at) => status(at % 2 === 0 ? first : second, raced)))).sort()).toEqual([200, ...Array.from({ length: 19 }, () => 401)]);
    const fresh = await Promise.all(Array.from({ length: 20 }, async (_, at) => status(at % 2 === 0 ? first : second, await proof('GET', `${first.fhirBase}/Media`, bound))));
    expect(new Set(fresh)).toEqual(new Set([200]));
  } finally {
    await second.stop();
    await first.stop();
  }
});

it('what is remembered of proofs ends with them', async () => {
  await server.sql(`insert into used_proof select sha256(n::text::bytea), now() - interval '5 minutes' from generate_series(1, 50) n`);
  let asked = 0;
  const useProof = createUsedProofs({ query: async ({ text, values }) => { const rows = await server.sql<never>(text, values); return { rows, rowCount: rows.length }; } }, () => Date.now() + 20_000 * asked++);
  expect(await useProof(Buffer.alloc(32, 1), Date.now() / 1_000 + 60)).toBe(true);
  expect(await useProof(Buffer.alloc(32, 1), Date.now() / 1_000 + 60)).toBe(false);
  await eventually(() => server.sql(`select 1 from used_proof where until < now() - interval '3 minutes'`), (rows) => rows.length === 0);
});
