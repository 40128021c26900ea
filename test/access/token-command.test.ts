// `muniment token`: what it prints is accepted by the server of the same DATA_DIR, and nothing else is printed.
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeJwt } from 'jose';
import { createAuthenticator } from '../../src/access/authenticate.ts';
import { DEVELOPMENT_ISSUER, loadDevelopmentKey } from '../../src/access/development-issuer.ts';
import type { Principal } from '../../src/access/principal.ts';
import type { Environment } from '../../src/config/env.ts';
import { runTokenCommand } from '../../src/token-command.ts';
import { refusalOf } from './sample-tokens.ts';

const DEFAULT_BASE = 'http://localhost:3000/fhir';
let folder: string;
let dataDir: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'muniment-token-'));
  dataDir = join(folder, 'data');
});

afterEach(async () => {
  jest.restoreAllMocks();
  await rm(folder, { recursive: true });
});

async function run(argv: string[], environment: Environment = {}): Promise<{ code: number; printed: string; complained: string }> {
  const texts = { printed: '', complained: '' };
  const output = jest.spyOn(process.stdout, 'write').mockImplementation((text) => { texts.printed += String(text); return true; });
  const errors = jest.spyOn(process.stderr, 'write').mockImplementation((text) => { texts.complained += String(text); return true; });
  const code = await runTokenCommand(argv, { DATA_DIR: dataDir, ...environment });
  output.mockRestore();
  errors.mockRestore();
  return { code, ...texts };
}

/** As the server of this DATA_DIR with that base sees it. */
async function accepted(token: string, fhirBase = DEFAULT_BASE): Promise<Principal> {
  const { publicKey, kid } = await loadDevelopmentKey(dataDir);
  const authenticator = createAuthenticator([{ issuer: DEVELOPMENT_ISSUER, audience: fhirBase, claims: {}, keys: { jwks: [{ ...publicKey, kid, alg: 'ES256' }] } }]);
  return authenticator.authenticate({ authorization: `Bearer ${token.trim()}` });
}

describe('muniment token', () => {
  test('prints one token that the server accepts, with the documented defaults', async () => {
    const { code, printed, complained } = await run([]);
    expect([code, complained]).toEqual([0, '']);
    expect(printed).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
    expect(await accepted(printed)).toMatchObject({
      issuer: DEVELOPMENT_ISSUER, subject: 'demo', clientId: 'muniment-cli', org: 'demo', fhirUser: 'Practitioner/demo', roles: ['admin'], scopes: [{ context: 'user', type: '*' }],
    });
    const { iat = 0, exp, jti } = decodeJwt(printed);
    expect(exp).toBe(iat + 3_600);
    expect(jti).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('puts every flag into the token', async () => {
    const { printed } = await run(['--scope', 'system/*.cruds', '--org', 'north', '--user', 'Patient/p9', '--role', 'nurse,auditor', '--patient', 'p1', '--client', 'app', '--ttl', '60', '--launch']);
    expect(await accepted(printed)).toMatchObject({ subject: 'p9', fhirUser: 'Patient/p9', org: 'north', roles: ['nurse', 'auditor'], patient: 'p1', clientId: 'app', scopes: [{ context: 'system' }] });
    const { iat = 0, exp, scope } = decodeJwt(printed);
    expect([exp, scope]).toEqual([iat + 60, 'system/*.cruds launch']);
  });

  test('makes a token without roles, and one that has expired', async () => {
    expect(await accepted((await run(['--role', ''])).printed)).toMatchObject({ roles: [] });
    expect((await refusalOf(async () => accepted((await run(['--ttl=-60'])).printed))).detail).toBe('token-expired');
  });

  test.each<[Environment, string | undefined, string]>([
    [{}, undefined, DEFAULT_BASE], [{}, 'http://localhost:4000/fhir\n', 'http://localhost:4000/fhir'], [{}, '', DEFAULT_BASE], [{ PORT: '5000' }, 'http://localhost:4000/fhir\n', 'http://localhost:5000/fhir'],
    [{ PORT: '0' }, 'http://localhost:4000/fhir\n', 'http://localhost:4000/fhir'], [{ PORT: '5000', BASE_URL: 'https://docs.example/' }, undefined, 'https://docs.example/fhir'],
  ])('with %j and base-url %j is for %s', async (environment, left, expected) => {
    await loadDevelopmentKey(dataDir);
    if (left !== undefined) await writeFile(join(dataDir, 'base-url'), left);
    expect(decodeJwt((await run([], environment)).printed).aud).toBe(expected);
  });

  test.each([
    ['--ttl', 'soon'], ['--ttl', ''], ['--ttl', '1.5'], ['--user', 'demo'], ['--org', '../x'], ['--org', ''], ['--patient', 'Patient/p1'], ['--client', ''], ['--nonsense'], ['stray'], ['--scope'],
  ])('ends with 2 and makes nothing for %j %j', async (...argv) => {
    const { code, printed, complained } = await run(argv.filter((flag) => flag !== undefined));
    expect([code, printed]).toEqual([2, '']);
    expect(complained).not.toBe('');
    expect(await readdir(folder)).toEqual([]);
  });

  test.each([{}, { ALLOW_EMBEDDED_IN_PRODUCTION: 'true' }])('is refused with 2 in production, with %j too', async (environment) => {
    expect(await run([], { NODE_ENV: 'production', ...environment })).toMatchObject({ code: 2, printed: '', complained: expect.stringContaining('production') });
    expect(await readdir(folder)).toEqual([]);
  });

  test('explains itself', async () => {
    expect(await run(['--help'])).toMatchObject({ code: 0, printed: expect.stringContaining('--scope'), complained: '' });
  });

  test('ends with 1 and a reason when DATA_DIR cannot be used', async () => {
    await writeFile(dataDir, 'a file');
    expect(await run([])).toMatchObject({ code: 1, printed: '', complained: expect.stringContaining('data') });
  });
});

describe('the development key', () => {
  test('is one for all who start at once, and readable by its owner alone', async () => {
    const keys = await Promise.all(Array.from({ length: 8 }, () => loadDevelopmentKey(dataDir)));
    expect(new Set(keys.map((key) => key.kid)).size).toBe(1);
    expect(await readdir(dataDir)).toEqual(['development-issuer.json']);
    expect((await stat(join(dataDir, 'development-issuer.json'))).mode & 0o777).toBe(0o600);
  });

  test('of another DATA_DIR is refused', async () => {
    const { printed } = await run([]);
    dataDir = join(folder, 'other');
    expect((await refusalOf(() => accepted(printed))).detail).toBe('token-invalid');
  });

  test('that is damaged is named', async () => {
    await loadDevelopmentKey(dataDir);
    await writeFile(join(dataDir, 'development-issuer.json'), '{');
    expect(await run([])).toMatchObject({ code: 1, complained: expect.stringContaining('development-issuer.json is damaged') });
  });
});
