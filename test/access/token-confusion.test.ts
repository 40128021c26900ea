// The confusion corpus (RFC 8725 2 and 3): each row is one way to make a verifier believe what no issuer signed. The first
// rows are good, so that a verifier that refuses everything fails as well.
import { beforeAll, describe, expect, test } from '@jest/globals';
import { createHmac, createPrivateKey, createSign, type JsonWebKey } from 'node:crypto';
import { base64url, CompactEncrypt, CompactSign, exportJWK, exportSPKI, generateKeyPair, importJWK, SignJWT, type CryptoKey, type JWK } from 'jose';
import { createAuthenticator, type Authenticator } from '../../src/access/authenticate.ts';
import { FHIR_BASE, goodClaims, ISSUER, makeSigningKey, NOW, NOW_SECONDS, refusalOf, signToken, type SigningKey } from './sample-tokens.ts';

const ALGORITHMS = ['RS256', 'RS384', 'PS256', 'PS384', 'ES256', 'ES384', 'EdDSA'] as const;
const keys = new Map<string, SigningKey>();
let stranger: SigningKey;
/** Published with another issuer alone. */
let neighbour: SigningKey;
let subject: Authenticator;

const keyOf = (alg: string): SigningKey => keys.get(alg) as SigningKey;
const withoutAlg = ({ alg: _alg, ...jwk }: JWK): JWK => jwk;

beforeAll(async () => {
  for (const alg of ALGORITHMS) keys.set(alg, await makeSigningKey(alg, `kid-${alg}`));
  stranger = await makeSigningKey('ES256', 'kid-ES256');
  neighbour = await makeSigningKey('ES256', 'kid-neighbour');
  const open = await makeSigningKey('ES256', 'kid-open');
  const openRsa = await makeSigningKey('RS256', 'kid-open-rsa');
  keys.set('open', open).set('open-rsa', openRsa);
  const ours = [...ALGORITHMS.map((alg) => keyOf(alg).publicJwk), withoutAlg(open.publicJwk), withoutAlg(openRsa.publicJwk)];
  subject = createAuthenticator([
    { issuer: ISSUER, audience: FHIR_BASE, claims: {}, keys: { jwks: ours } },
    { issuer: 'https://neighbour.example', audience: FHIR_BASE, claims: {}, keys: { jwks: [neighbour.publicJwk] } },
  ], () => NOW);
});

const present = (token: string, to = subject): Promise<unknown> => Promise.resolve(to.authenticate({ authorization: `Bearer ${token}` }));
const encode = (value: unknown): string => base64url.encode(typeof value === 'string' ? value : JSON.stringify(value));

/** Parts put together by hand, for what jose would not sign. */
function handmade(header: unknown, payload: unknown, sign: (input: string) => string = () => ''): string {
  const input = `${encode(header)}.${encode(payload)}`;
  return `${input}.${sign(input)}`;
}

const hmac = (secret: string | Buffer, bits = 256) => (input: string): string => createHmac(`sha${bits}`, secret).update(input).digest('base64url');

async function spki(jwk: JWK, alg: string): Promise<string> {
  return exportSPKI((await importJWK(jwk, alg, { extractable: true })) as CryptoKey);
}

describe('what issuers sign', () => {
  test.each(ALGORITHMS)('with %s is accepted', async (alg) => {
    expect(await present(await signToken(keyOf(alg)))).toMatchObject({ subject: 'ann', org: 'demo' });
  });

  test.each(['at+jwt', 'AT+JWT', 'application/at+jwt', 'JWT'])('of the type %s is accepted', async (typ) => {
    expect(await present(await signToken(keyOf('ES256'), goodClaims(), { typ }))).toMatchObject({ subject: 'ann' });
  });

  test('with a key that is published without its algorithm is accepted', async () => {
    expect(await present(await signToken(keyOf('open')))).toMatchObject({ subject: 'ann' });
    expect(await present(await signToken({ ...keyOf('open-rsa'), alg: 'RS256' }))).toMatchObject({ subject: 'ann' });
  });

  test('and has nbf and iat within the skew of clocks is accepted', async () => {
    expect(await present(await signToken(keyOf('ES256'), goodClaims({ nbf: NOW_SECONDS + 4, iat: NOW_SECONDS + 30 })))).toMatchObject({ subject: 'ann' });
  });
});

const attempts: [string, () => string | Promise<string>][] = [
  ...['none', 'None', 'nOnE', 'NONE', '', ' none', 'none\u0000'].map((alg): [string, () => string] => [`alg ${JSON.stringify(alg)}, without signature`, () => handmade({ alg, typ: 'at+jwt' }, goodClaims())]),
  ['alg none with the kid of a key and a signature', () => handmade({ alg: 'none', kid: 'kid-ES256' }, goodClaims(), () => 'AAAA')],
  ['no alg at all', () => handmade({ kid: 'kid-ES256' }, goodClaims())],
  ['alg that is a list', () => handmade({ alg: ['ES256', 'none'], kid: 'kid-ES256' }, goodClaims())],
  ['a signature left out of a good token', async () => `${(await signToken(keyOf('ES256'))).split('.').slice(0, 2).join('.')}.`],
  ['a good token without its third part', async () => (await signToken(keyOf('ES256'))).split('.').slice(0, 2).join('.')],
  ['HS256 over the PEM of the RSA key', async () => handmade({ alg: 'HS256', kid: 'kid-RS256' }, goodClaims(), hmac(await spki(keyOf('RS256').publicJwk, 'RS256')))],
  ['HS256 over the PEM without its last line end', async () => handmade({ alg: 'HS256', kid: 'kid-RS256' }, goodClaims(), hmac((await spki(keyOf('RS256').publicJwk, 'RS256')).trim()))],
  ['HS256 over the DER of the RSA key', async () => handmade({ alg: 'HS256', kid: 'kid-RS256' }, goodClaims(), hmac(Buffer.from((await spki(keyOf('RS256').publicJwk, 'RS256')).replace(/-----.*?-----|\s/g, ''), 'base64')))],
  ['HS256 over the modulus', () => handmade({ alg: 'HS256', kid: 'kid-RS256' }, goodClaims(), hmac(Buffer.from(keyOf('RS256').publicJwk.n ?? '', 'base64url')))],
  ['HS256 over the JWK of a key without alg', () => handmade({ alg: 'HS256', kid: 'kid-open' }, goodClaims(), hmac(JSON.stringify(withoutAlg(keyOf('open').publicJwk))))],
  ...[256, 384, 512].map((bits): [string, () => string] => [`HS${bits} over an empty secret`, () => handmade({ alg: `HS${bits}`, kid: 'kid-ES256' }, goodClaims(), hmac('', bits))]),
  ...['../../../../dev/null', '/dev/null', 'file:///etc/passwd', "' or 1=1 --", "x' UNION SELECT 'secret", 'https://evil.example/jwks', 'http://127.0.0.1/', '|id', '__proto__', 'constructor', 'kid-ES256\u0000', '*', '', 'a'.repeat(4_000)]
    .flatMap((kid): [string, () => string | Promise<string>][] => [
      [`HS256 over nothing, kid ${JSON.stringify(kid.slice(0, 40))}`, () => handmade({ alg: 'HS256', kid }, goodClaims(), hmac(''))],
      [`a stranger's signature, kid ${JSON.stringify(kid.slice(0, 40))}`, () => signToken({ ...stranger, kid })],
    ]),
  ['a kid that is an object', () => handmade({ alg: 'ES256', kid: { $ne: null } }, goodClaims(), () => 'AAAA')],
  ["the kid of ours, signed by a stranger's key", () => signToken(stranger)],
  ['a stranger without a kid', () => signToken(stranger, goodClaims(), { kid: undefined as unknown as string })],
  ['jku to the forger', () => signToken(stranger, goodClaims(), { jku: 'https://evil.example/jwks' })],
  ['jku that begins like the issuer', () => signToken(stranger, goodClaims(), { jku: `${ISSUER}@evil.example/jwks` })],
  ['x5u to the forger', () => signToken(stranger, goodClaims(), { x5u: 'https://evil.example/cert.pem' })],
  ['x5c of the forger', () => signToken(stranger, goodClaims(), { x5c: ['MIIB'] })],
  ['a jwk of its own', () => signToken(stranger, goodClaims(), { jwk: stranger.publicJwk })],
  ['a jwk of its own with the kid of ours', () => signToken(stranger, goodClaims(), { kid: 'kid-ES256', jwk: { ...stranger.publicJwk, kid: 'kid-ES256' } })],
  ['a good signature, and a jku', () => signToken(keyOf('ES256'), goodClaims(), { jku: `${ISSUER}/jwks` })],
  ['a token in a token (cty JWT), the inner one good', async () => new CompactSign(new TextEncoder().encode(await signToken(keyOf('ES256')))).setProtectedHeader({ alg: 'ES256', kid: 'kid-ES256', cty: 'JWT' }).sign(keyOf('ES256').privateKey)],
  ['a token in a token, the outer one without signature', async () => handmade({ alg: 'none', cty: 'JWT' }, await signToken(keyOf('ES256')))],
  ['a good token, encrypted to somebody', async () => {
    const { publicKey } = await generateKeyPair('ECDH-ES');
    return new CompactEncrypt(new TextEncoder().encode(await signToken(keyOf('ES256')))).setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', cty: 'JWT' }).encrypt(publicKey);
  }],
  ['a payload that is a list', () => new CompactSign(new TextEncoder().encode('[]')).setProtectedHeader({ alg: 'ES256', kid: 'kid-ES256' }).sign(keyOf('ES256').privateKey)],
  ['an unknown crit', () => new SignJWT(goodClaims()).setProtectedHeader({ alg: 'ES256', kid: 'kid-ES256', crit: ['x'], x: 1 }).sign(keyOf('ES256').privateKey, { crit: { x: true } })],
  ['crit that names what is not there', () => new SignJWT(goodClaims()).setProtectedHeader({ alg: 'ES256', kid: 'kid-ES256' }).sign(keyOf('ES256').privateKey).then((token) => { const [, payload, signature] = token.split('.'); return `${encode({ alg: 'ES256', kid: 'kid-ES256', crit: ['exp'] })}.${payload}.${signature}`; })],
  ['an empty crit', async () => { const [, payload, signature] = (await signToken(keyOf('ES256'))).split('.'); return `${encode({ alg: 'ES256', kid: 'kid-ES256', crit: [] })}.${payload}.${signature}`; }],
  ['a crit that RFC 7797 knows (b64)', () => new CompactSign(new TextEncoder().encode(JSON.stringify(goodClaims()))).setProtectedHeader({ alg: 'ES256', kid: 'kid-ES256', b64: true, crit: ['b64'] }).sign(keyOf('ES256').privateKey)],
  ['expired', () => signToken(keyOf('ES256'), goodClaims({ exp: NOW_SECONDS - 120 }))],
  ['exp 0', () => signToken(keyOf('ES256'), goodClaims({ exp: 0 }))],
  ['exp that is no number', () => signToken(keyOf('ES256'), goodClaims({ exp: '9999999999' }))],
  ['exp left out', () => signToken(keyOf('ES256'), goodClaims({ exp: undefined }))],
  ['nbf in the future', () => signToken(keyOf('ES256'), goodClaims({ nbf: NOW_SECONDS + 120 }))],
  ['iat in the future', () => signToken(keyOf('ES256'), goodClaims({ iat: NOW_SECONDS + 120 }))],
  ['iat that is no number', () => signToken(keyOf('ES256'), goodClaims({ iat: 'now' }))],
  ...[undefined, '', 'https://else.example/fhir', `${FHIR_BASE}/`, `${FHIR_BASE}.evil.example`, FHIR_BASE.toUpperCase(), '*', [], ['https://else.example'], { 0: FHIR_BASE }, null]
    .map((aud): [string, () => Promise<string>] => [`aud ${JSON.stringify(aud)}`, () => signToken(keyOf('ES256'), goodClaims({ aud }))]),
  ...[undefined, '', `${ISSUER}/`, `${ISSUER}.evil.example`, 'https://else.example', 'HTTPS://ISSUER.EXAMPLE', [ISSUER], null, '__proto__']
    .map((iss): [string, () => Promise<string>] => [`iss ${JSON.stringify(iss)}`, () => signToken(keyOf('ES256'), goodClaims({ iss }))]),
  ["a neighbour's key under our iss", () => signToken(neighbour)],
  ["our key under a neighbour's iss", () => signToken(keyOf('ES256'), goodClaims({ iss: 'https://neighbour.example' }))],
  ...[{ jkt: '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I' }, { 'x5t#S256': 'bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2' }, {}, null]
    .map((cnf): [string, () => Promise<string>] => [`bound to a key and without its proof, cnf ${JSON.stringify(cnf)}`, () => signToken(keyOf('ES256'), goodClaims({ cnf }))]),
  ['over 16 KiB', () => signToken(keyOf('ES256'), goodClaims({ filler: 'x'.repeat(16_384) }))],
  ['ES256 named over an RSA key', () => handmade({ alg: 'ES256', kid: 'kid-RS256' }, goodClaims(), () => 'A'.repeat(86))],
  ['RS256 named over an EC key', () => handmade({ alg: 'RS256', kid: 'kid-ES256' }, goodClaims(), () => 'A'.repeat(342))],
  ['PS256 made with a key that is published for RS256', () => signAs(keyOf('RS256'), 'PS256')],
  ['RS384 made with a key that is published for RS256', () => signAs(keyOf('RS256'), 'RS384')],
  ['RS512, which is not on the list', () => signAs(keyOf('open-rsa'), 'RS512')],
  ['RS1', async () => { const pem = await pkcs8(keyOf('open-rsa')); return handmade({ alg: 'RS1', kid: 'kid-open-rsa' }, goodClaims(), (input) => createSign('sha1').update(input).sign(pem, 'base64url')); }],
  ['an ECDSA signature of zeros (CVE-2022-21449)', () => handmade({ alg: 'ES256', kid: 'kid-ES256' }, goodClaims(), () => Buffer.alloc(64).toString('base64url'))],
  ['a signature in DER', async () => { const pem = await pkcs8(keyOf('ES256')); return handmade({ alg: 'ES256', kid: 'kid-ES256' }, goodClaims(), (input) => createSign('sha256').update(input).sign({ key: pem, dsaEncoding: 'der' }, 'base64url')); }],
  ...['dpop+jwt', 'logout+jwt', 'secevent+jwt', 'token-introspection+jwt', 'JWE', 'x'].map((typ): [string, () => Promise<string>] => [`another kind of token, typ ${typ}`, () => signToken(keyOf('ES256'), goodClaims(), { typ })]),
  ['claims changed after signing', async () => { const [header, , signature] = (await signToken(keyOf('ES256'))).split('.'); return `${header}.${encode(goodClaims({ org: 'north' }))}.${signature}`; }],
  ['a header changed after signing', async () => { const [, payload, signature] = (await signToken(keyOf('ES256'))).split('.'); return `${encode({ alg: 'ES256', kid: 'kid-ES256', extra: 1 })}.${payload}.${signature}`; }],
  ['a fourth part', async () => `${await signToken(keyOf('ES256'))}.e30`],
  ['padding in the signature', async () => `${await signToken(keyOf('ES256'))}==`],
  ['a header with doubled alg', () => `${encode('{"alg":"ES256","alg":"none","kid":"kid-ES256"}')}.${encode(goodClaims())}.`],
];

async function pkcs8(key: SigningKey): Promise<string> {
  return createPrivateKey({ key: (await exportJWK(key.privateKey)) as JsonWebKey, format: 'jwk' }).export({ type: 'pkcs8', format: 'pem' }) as string;
}

/** The same private key with another algorithm. */
async function signAs(key: SigningKey, alg: string): Promise<string> {
  const privateKey = (await importJWK({ ...(await exportJWK(key.privateKey)), alg }, alg)) as CryptoKey;
  return signToken({ ...key, alg, privateKey });
}

describe('what no issuer signed for this server is 401', () => {
  test.each(attempts)('%s', async (_, make) => {
    const token = await make();
    const error = await refusalOf(() => present(token));
    expect([error.status, ['token-invalid', 'token-expired'].includes(error.detail)]).toEqual([401, true]);
    expect(error.headers['WWW-Authenticate']).toMatch(/^Bearer realm="Muniment"/);
    if (token.length > 20) expect(JSON.stringify([error.message, error.headers])).not.toContain(token.slice(0, 20));
  });
});

describe('a kid that two keys share', () => {
  test('names neither of two of one kind, and the fitting one of two kinds', async () => {
    const es = await makeSigningKey('ES256', 'twice');
    const other = await makeSigningKey('ES256', 'twice');
    const rsa = await makeSigningKey('RS256', 'twice');
    const of = (jwks: JWK[]): Authenticator => createAuthenticator([{ issuer: ISSUER, audience: FHIR_BASE, claims: {}, keys: { jwks } }], () => NOW);
    expect((await refusalOf(async () => present(await signToken(es), of([es.publicJwk, other.publicJwk])))).detail).toBe('token-invalid');
    expect(await present(await signToken(rsa), of([es.publicJwk, rsa.publicJwk]))).toMatchObject({ subject: 'ann' });
  });
});
