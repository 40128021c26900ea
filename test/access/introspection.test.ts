// Tokens that only their issuer can read (RFC 7662): what is believed of its answer, what it is asked, and how often.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthenticator, type Authenticator } from '../../src/access/authenticate.ts';
import type { IntrospectedIssuer } from '../../src/access/introspection-strategy.ts';
import type { Principal } from '../../src/access/principal.ts';
import { readTrustedIssuers } from '../../src/config/trusted-issuers.ts';
import { startFaultyServer, type FaultyServer } from '../support/faulty-server.ts';
import { FHIR_BASE, goodClaims, ISSUER, makeSigningKey, NOW, NOW_SECONDS, refusalOf, signToken } from './sample-tokens.ts';

let endpoint: FaultyServer;
let said: unknown;
let clock: number;
let subject: Authenticator;

function issuer(changes: Partial<IntrospectedIssuer> = {}): IntrospectedIssuer {
  return {
    issuer: ISSUER, audience: FHIR_BASE, audienceOptional: false, claims: {}, tokenPrefix: '',
    introspection: { endpoint: `${endpoint.url}/introspect`, clientId: 'muniment server', clientSecret: async () => 'p:w/ä', method: 'client_secret_basic' }, ...changes,
  };
}

const authenticator = (...issuers: IntrospectedIssuer[]): Authenticator => createAuthenticator([], () => clock, issuers);
const present = (token: string, to = subject): Promise<Principal> => Promise.resolve(to.authenticate({ authorization: `Bearer ${token}` }));
const active = (changes: Record<string, unknown> = {}): Record<string, unknown> => ({ active: true, ...goodClaims(changes) });

beforeEach(async () => {
  clock = NOW;
  said = active();
  endpoint = await startFaultyServer(() => ({ status: 200, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(said) }));
  subject = authenticator(issuer());
});

afterEach(() => endpoint.stop());

describe('an active token', () => {
  test('names the principal as a JWT with these claims would', async () => {
    expect(await present('opaque-1')).toMatchObject({ issuer: ISSUER, subject: 'ann', clientId: 'app', jti: 'j1', org: 'demo', fhirUser: 'Practitioner/ann', roles: ['practitioner'], expiresAt: NOW_SECONDS + 300 });
  });

  test('is described by the claims that the configuration maps', async () => {
    said = { active: true, client_id: 'app', scope: 'system/*.rs', exp: NOW_SECONDS + 60, aud: FHIR_BASE, realm: { tenant: 'north' }, groups: ['nurse'] };
    expect(await present('opaque-1', authenticator(issuer({ claims: { org: 'realm.tenant', role: 'groups' } })))).toMatchObject({ org: 'north', roles: ['nurse'], subject: 'app', clientId: 'app', issuer: ISSUER });
  });

  test('is asked about by POST of a form, with the credentials of this server form-encoded in the header', async () => {
    await present('opaque~1+/==');
    const [asked] = endpoint.requests;
    expect([asked?.method, asked?.path, asked?.headers['content-type'], asked?.headers['accept']]).toEqual(['POST', '/introspect', 'application/x-www-form-urlencoded', 'application/json']);
    expect(Object.fromEntries(new URLSearchParams(asked?.body))).toEqual({ token: 'opaque~1+/==', token_type_hint: 'access_token' });
    expect(Buffer.from(asked?.headers['authorization']?.slice(6) ?? '', 'base64').toString()).toBe('muniment+server:p%3Aw%2F%C3%A4');
  });

  test('is asked about with the credentials in the form, where the issuer wants them there', async () => {
    await present('opaque-1', authenticator(issuer({ introspection: { ...issuer().introspection, method: 'client_secret_post' } })));
    expect(endpoint.requests[0]?.headers['authorization']).toBeUndefined();
    expect(Object.fromEntries(new URLSearchParams(endpoint.requests[0]?.body))).toMatchObject({ client_id: 'muniment server', client_secret: 'p:w/ä' });
  });
});

describe('the answer is remembered', () => {
  test('for a minute, and requests that come together ask once', async () => {
    await Promise.all([present('opaque-1'), present('opaque-1'), present('opaque-1')]);
    clock += 59_999;
    await present('opaque-1');
    expect(endpoint.requests).toHaveLength(1);
    said = { active: false };
    clock += 1;
    expect((await refusalOf(() => present('opaque-1'))).detail).toBe('token-invalid');
  });

  test('never past the end of the token', async () => {
    said = active({ exp: NOW_SECONDS + 10 });
    await present('opaque-1');
    clock += 10_000;
    said = { active: false };
    expect((await refusalOf(() => present('opaque-1'))).status).toBe(401);
  });

  test('for a minute where the token has no end', async () => {
    said = active({ exp: undefined });
    expect((await present('opaque-1')).expiresAt).toBe(NOW_SECONDS + 60);
  });

  test('for its own token alone', async () => {
    await present('opaque-1');
    said = active({ org: 'north' });
    expect([(await present('opaque-2')).org, (await present('opaque-1')).org]).toEqual(['north', 'demo']);
  });
});

describe('a token is refused with 401', () => {
  test.each<[string, unknown]>([
    ['token-invalid', { active: false }],
    ['token-invalid', { ...active(), active: false }],
    ['token-invalid', active({ org: undefined })],
    ['token-invalid', active({ org: ['demo', 'north'] })],
    ['token-invalid', active({ iss: 'https://another.example' })],
    ['token-invalid', active({ aud: 'https://another.example/fhir' })],
    ['token-invalid', active({ aud: [] , iss: '' })],
    ['token-invalid', active({ exp: 'tomorrow' })],
    ['token-expired', active({ exp: NOW_SECONDS - 60 })],
    ['token-invalid', active({ nbf: NOW_SECONDS + 60 })],
    ['token-invalid', active({ iat: NOW_SECONDS + 600 })],
    ['token-invalid', active({ cnf: { jkt: 'thumbprint' } })],
    ['token-invalid', active({ sub: undefined, client_id: undefined })],
  ])('as %s when the issuer says %j', async (detail, answer) => {
    said = answer;
    const error = await refusalOf(() => present('opaque-1'));
    expect([error.status, error.detail]).toEqual([401, detail]);
    expect(error.headers['WWW-Authenticate']).toContain('error="invalid_token"');
  });

  test.each([undefined, []])('when it names no audience (%j), unless that is optional', async (aud) => {
    said = active({ aud });
    expect((await refusalOf(() => present('opaque-1'))).detail).toBe('token-invalid');
    expect(await present('opaque-2', authenticator(issuer({ audienceOptional: true })))).toMatchObject({ org: 'demo' });
  });

  test('when it is for another server, though the audience is optional', async () => {
    said = active({ aud: ['https://another.example/fhir'] });
    expect((await refusalOf(() => present('opaque-1', authenticator(issuer({ audienceOptional: true }))))).detail).toBe('token-invalid');
  });

  test.each(['a"b', 'ä', 'a=b', `t${'x'.repeat(16_384)}`])('without a question when it cannot be one: %p', async (token) => {
    expect((await refusalOf(() => present(token))).status).toBe(401);
    expect(endpoint.requests).toHaveLength(0);
  });
});

describe('an endpoint that does not do its work is 503 with Retry-After', () => {
  test.each([
    [500, '{"active":true}'], [401, '{"error":"invalid_client"}'], [204, ''], [302, '{"active":true}'], [307, ''], [200, '<html>'], [200, '[]'], [200, 'null'], [200, '{}'], [200, '{"active":"true"}'], [200, '{"active":1}'],
    [200, `{"active":true,"filler":"${'x'.repeat(65_536)}"}`],
  ])('%i %.40s', async (status, body) => {
    endpoint.fault = () => ({ kind: 'answer', answer: { status, body, headers: status >= 300 && status < 400 ? { Location: `${endpoint.url}/elsewhere` } : {} } });
    const error = await refusalOf(() => present('opaque-1'));
    expect([error.status, error.detail, error.headers['Retry-After']]).toEqual([503, 'unavailable', '5']);
    expect(error.message).not.toContain('opaque-1');
    expect(endpoint.requests).toHaveLength(1);
  });

  test('when it closes the connection; and the next question is asked', async () => {
    endpoint.fault = () => ({ kind: 'refuse' });
    expect((await refusalOf(() => present('opaque-1'))).status).toBe(503);
    endpoint.fault = () => undefined;
    expect(await present('opaque-1')).toMatchObject({ org: 'demo' });
  });

  test('when it does not answer within three seconds', async () => {
    endpoint.fault = () => ({ kind: 'slow', ms: 4_000 });
    const start = performance.now();
    expect((await refusalOf(() => present('opaque-1'))).status).toBe(503);
    expect(performance.now() - start).toBeLessThan(3_900);
  });

  test('when too many questions are under way already', async () => {
    endpoint.fault = () => ({ kind: 'slow', ms: 200 });
    const answers = await Promise.allSettled(Array.from({ length: 80 }, (_, at) => present(`opaque-${at}`)));
    expect([answers.filter(({ status }) => status === 'fulfilled').length, endpoint.requests.length]).toEqual([64, 64]);
  });

  test('when its secret cannot be read', async () => {
    const broken = authenticator(issuer({ introspection: { ...issuer().introspection, clientSecret: () => Promise.reject(new Error('gone')) } }));
    expect((await refusalOf(() => present('opaque-1', broken))).status).toBe(503);
  });
});

describe('which issuer is asked', () => {
  test('is decided by the longest prefix, and none for a token of nobody', async () => {
    const at = (path: string, tokenPrefix: string): IntrospectedIssuer => issuer({ tokenPrefix, introspection: { ...issuer().introspection, endpoint: `${endpoint.url}${path}` } });
    const both = authenticator(at('/short', 'a_'), at('/long', 'a_b_'));
    await present('a_1', both);
    await present('a_b_1', both);
    expect((await refusalOf(() => present('c_1', both))).status).toBe(401);
    expect(endpoint.requests.map(({ path }) => path)).toEqual(['/short', '/long']);
  });

  test('a JWT is never carried there: neither a good one, nor one of a stranger, nor an encrypted one', async () => {
    const key = await makeSigningKey('ES256', 'key-1');
    const withKeys = createAuthenticator([{ issuer: ISSUER, audience: FHIR_BASE, claims: {}, keys: { jwks: [key.publicJwk] } }], () => clock, [issuer()]);
    expect(await present(await signToken(key), withKeys)).toMatchObject({ org: 'demo' });
    for (const token of [await signToken(key, goodClaims({ iss: 'https://another.example' })), 'eyJhbGciOiJkaXIifQ..a.b.c', 'eyJ', 'a.b.c']) expect((await refusalOf(() => present(token, withKeys))).status).toBe(401);
    expect(endpoint.requests).toHaveLength(0);
  });
});

describe('TRUSTED_ISSUERS', () => {
  const read = (introspection: object, more: object = {}): { problems: string[]; issuers: ReturnType<typeof readTrustedIssuers> } => {
    const problems: string[] = [];
    const issuers = readTrustedIssuers(JSON.stringify([{ issuer: ISSUER, introspection: { endpoint: 'https://issuer.example/introspect', client_id: 'us', ...introspection }, ...more }]), problems);
    return { problems, issuers };
  };

  test('takes a secret, which is printed nowhere, or a file, which is read anew', async () => {
    const held = read({ client_secret: 'pw-held' });
    expect([held.problems, await held.issuers[0]?.introspection?.clientSecret(), JSON.stringify(held.issuers).includes('pw-held')]).toEqual([[], 'pw-held', false]);
    const folder = mkdtempSync(join(tmpdir(), 'secret-'));
    const file = join(folder, 'client');
    writeFileSync(file, 'first\n');
    const filed = read({ client_secret_file: file });
    expect([filed.problems, await filed.issuers[0]?.introspection?.clientSecret()]).toEqual([[], 'first']);
    writeFileSync(file, 'second\n');
    expect(await filed.issuers[0]?.introspection?.clientSecret()).toBe('second');
    rmSync(folder, { recursive: true });
  });

  test.each<[object, RegExp]>([
    [{}, /must have required property 'client_secret'|oneOf/],
    [{ client_secret: 'pw', client_secret_file: '/f' }, /exactly one/],
    [{ client_secret: 'pw', token_prefix: 'eyJhbGci' }, /token_prefix/],
    [{ client_secret: 'pw', method: 'none' }, /method/],
    [{ client_secret: 'pw', endpoint: 'ftp://issuer.example' }, /endpoint/],
    [{ client_secret_file: '/does/not/exist' }, /client_secret_file cannot be read/],
  ])('says what is wrong with %j', (introspection, problem) => {
    const { problems } = read(introspection);
    expect(problems.join('\n')).toMatch(problem);
    expect(problems.join('\n')).not.toContain('pw');
  });

  test('has an optional audience where it is said of an issuer that is asked, and nowhere else', () => {
    expect(read({ client_secret: 'pw' }, { audience_optional: true })).toMatchObject({ problems: [], issuers: [{ audience_optional: true }] });
    expect(read({ client_secret: 'pw' }, { audience_optional: 'true' }).problems.join()).toMatch(/audience_optional must be boolean/);
    const problems: string[] = [];
    readTrustedIssuers(JSON.stringify([{ issuer: ISSUER, jwks_uri: 'https://issuer.example/keys', audience_optional: true }]), problems);
    expect(problems.join()).toMatch(/introspection when property audience_optional/);
  });

  test('needs keys or introspection, and prefixes that differ', () => {
    const problems: string[] = [];
    readTrustedIssuers(JSON.stringify([{ issuer: ISSUER }]), problems);
    expect(problems.join('\n')).toMatch(/jwks_uri/);
    const doubled: string[] = [];
    const introspection = { endpoint: 'https://issuer.example/i', client_id: 'us', client_secret: 's' };
    readTrustedIssuers(JSON.stringify([{ issuer: 'a', introspection }, { issuer: 'b', introspection }]), doubled);
    expect(doubled.join('\n')).toMatch(/token_prefix of its own/);
  });
});
