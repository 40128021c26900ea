import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { ConfigurationError, loadConfig } from '../../src/config/config.ts';
import { readEnvironment, VARIABLES, type Environment, type VariableName } from '../../src/config/env.ts';
import { Secret } from '../../src/config/secrets.ts';
import { eventually } from '../support/eventually.ts';

const MIB = 1024 ** 2;
const ISSUER = { issuer: 'https://login.example', jwks_uri: 'https://login.example/jwks' };
const PRODUCTION: Environment = {
  NODE_ENV: 'production', BASE_URL: 'https://documents.example', DATABASE_URL: 'postgres://owner:pw-owner@db/muniment', STORAGE_TYPE: 's3', STORAGE_ENDPOINT: 'https://s3.example',
  STORAGE_BUCKET: 'documents', STORAGE_ACCESS_KEY: 'access-name', STORAGE_SECRET_KEY: 'storage-secret', TRUSTED_ISSUERS: JSON.stringify([ISSUER]), OPERATOR_ORG: 'operator', SCAN: 'off',
};

function problemsOf(environment: Environment): readonly string[] {
  try {
    loadConfig(environment);
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems;
    throw error;
  }
  return [];
}

describe('readEnvironment', () => {
  it('takes the variables of the table alone, and none that is empty', () => {
    expect(readEnvironment({ PORT: ' 3001 ', HOST: '', BASE_URL: '  ', PATH: '/bin', SHELL: 'x' })).toEqual({ PORT: '3001' });
  });

  it('has a description and a default for each', () => {
    for (const { description, default: fallback } of Object.values(VARIABLES)) {
      expect(description).not.toBe('');
      expect(fallback).not.toBe('');
    }
  });
});

describe('a secret in a file', () => {
  let folder: string;
  beforeAll(async () => { folder = await mkdtemp(join(tmpdir(), 'muniment-config-')); });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  const file = async (text: string): Promise<string> => {
    const path = join(folder, `${Math.random()}`);
    await writeFile(path, text);
    return path;
  };

  it('is taken as the variable would be, without the end of its line', async () => {
    const { DATABASE_URL: _url, STORAGE_SECRET_KEY: _key, ...rest } = PRODUCTION;
    const config = loadConfig({ ...rest, DATABASE_URL_FILE: await file('postgres://owner:pw@db/muniment/\n'), STORAGE_SECRET_KEY_FILE: await file(' hidden \n') });
    expect([config.databaseUrl?.reveal(), config.storage.secretKey.reveal()]).toEqual(['postgres://owner:pw@db/muniment', 'hidden']);
    expect(inspect(config, { depth: 9 })).not.toMatch(/hidden|owner:pw/);
  });

  it('holds the credentials of Google as JSON, and what is none is said without a word of it', async () => {
    const google = { STORAGE_TYPE: 'gcs', STORAGE_BUCKET: 'b', STORAGE_REPLICA_TYPE: 'gcs', STORAGE_REPLICA_BUCKET: 'c' };
    const path = await file('{\n  "type": "service_account",\n  "private_key": "hidden-7f3a"\n}\n');
    const config = loadConfig({ ...google, STORAGE_GOOGLE_CREDENTIALS_FILE: path, STORAGE_REPLICA_GOOGLE_CREDENTIALS_FILE: path });
    for (const place of [config.storage, config.storage.replica]) expect([place?.endpoint, JSON.parse(place?.googleCredentials?.reveal() ?? '')]).toEqual(['https://storage.googleapis.com', { type: 'service_account', private_key: 'hidden-7f3a' }]);
    expect(inspect(config, { depth: 9 })).not.toContain('hidden');
    expect(loadConfig(google).storage.googleCredentials).toBeUndefined();
    for (const wrong of [join(folder, 'none'), await file('hidden-7f3a'), await file('["hidden-7f3a"]')]) {
      expect(() => loadConfig({ ...google, STORAGE_GOOGLE_CREDENTIALS_FILE: wrong })).toThrow(/^The configuration has problems:\n {2}STORAGE_GOOGLE_CREDENTIALS_FILE must name a file with a JSON object$/);
    }
  });

  it('is looked into again, and kept as it was while the file is empty, gone or no such value', async () => {
    const path = await file('postgres://owner:one@db/muniment');
    const url = loadConfig({ DATABASE_URL_FILE: path }).databaseUrl as Secret;
    const becomes = (text: string): Promise<string> => eventually(async () => url.reveal(), (value) => value === text);
    await writeFile(path, 'postgres://owner:two@db/muniment');
    await becomes('postgres://owner:two@db/muniment');
    for (const text of ['', 'mysql://owner:three@db/muniment', 'postgres://owner:four@db/muniment\npostgres://x']) {
      await writeFile(path, text);
      await sleep(1_100);
      expect([text, url.reveal()]).toEqual([text, 'postgres://owner:two@db/muniment']);
    }
    await rm(path);
    await sleep(1_100);
    expect(url.reveal()).toBe('postgres://owner:two@db/muniment');
    await writeFile(path, 'postgres://owner:five@db/muniment');
    await becomes('postgres://owner:five@db/muniment');
  });

  it('that cannot be read, is no such value or stands beside the variable is a problem, and is not printed', async () => {
    const wrong = await file('hidden words that are no address');
    for (const DATABASE_URL_FILE of [wrong, join(folder, 'none'), await file('')]) {
      const problems = problemsOf({ DATABASE_URL_FILE });
      expect(problems).toEqual(['DATABASE_URL_FILE must name a file with one line that DATABASE_URL could be']);
    }
    expect(problemsOf({ DATABASE_URL: 'postgres://db/a', DATABASE_URL_FILE: await file('postgres://db/b') })).toEqual(['DATABASE_URL and DATABASE_URL_FILE are not set together']);
  });

  it('counts as set where others are needed with it', async () => {
    const login = await file('postgres://login:pw@db/muniment');
    expect(problemsOf({ DATABASE_APP_URL_FILE: login })).toEqual(['DATABASE_AUDIT_URL is needed: DATABASE_APP_URL, DATABASE_AUDIT_URL, DATABASE_WORKER_URL are set together or not at all', 'DATABASE_WORKER_URL is needed: DATABASE_APP_URL, DATABASE_AUDIT_URL, DATABASE_WORKER_URL are set together or not at all', 'DATABASE_URL is needed by the logins of the runtime roles: they are of its database']);
    expect(problemsOf({ DATABASE_URL_FILE: login, DATABASE_APP_URL_FILE: login, DATABASE_AUDIT_URL_FILE: login, DATABASE_WORKER_URL_FILE: login })).toEqual([]);
  });
});

describe('defaults', () => {
  it('serve on loopback with embedded parts', () => {
    expect(loadConfig({})).toMatchObject({
      production: false, port: 3000, host: '127.0.0.1', baseUrl: 'http://localhost:3000', fhirBase: 'http://localhost:3000/fhir', databaseUrl: undefined, mirrorBaseUrl: undefined, mirrorAccess: 'writes',
      clamav: undefined, scan: 'optional', trustedProxies: [], trustedIssuers: [], metricsPort: 9464, operatorOrg: 'demo', bodyBytesMax: 36 * MIB, inlineBytesMax: 24 * MIB, uploadBytesMax: 5 * 1024 * MIB, logLevel: 'info',
      storage: { type: 'local', keyTemplate: '{org}/{year}/{month}/{uuid}' },
    });
  });

  it('cannot be changed afterwards, at no depth', () => {
    const config = loadConfig({ CLAMAV_HOST: 'clamav', TRUSTED_ISSUERS: JSON.stringify([{ ...ISSUER, claims: { org: 'tenant' } }]) });
    for (const part of [config, config.storage, config.clamav, config.trustedIssuers, config.trustedIssuers[0], config.trustedIssuers[0]?.claims]) expect(Object.isFrozen(part)).toBe(true);
    expect(() => { (config.storage as { bucket: string }).bucket = 'another'; }).toThrow(TypeError);
  });

  it('the address of HAPI is a secret that loses its last slash', () => {
    expect(loadConfig({ MIRROR_BASE_URL: 'http://hapi:8080/fhir/{org}/' }).mirrorBaseUrl?.reveal()).toBe('http://hapi:8080/fhir/{org}');
  });

  it('HAPI is let in to in one way, whose parts belong together', () => {
    expect(loadConfig({ MIRROR_TOKEN_FILE: '/run/token' }).mirrorSecurity).toMatchObject({ login: { kind: 'bearer', tokenFile: '/run/token' }, connectMs: 5_000, timeoutMs: 30_000 });
    const oauth = { MIRROR_OAUTH_TOKEN_URL: 'https://login.example/token', MIRROR_OAUTH_CLIENT_ID: 'muniment' };
    expect(loadConfig({ ...oauth, MIRROR_TLS_CERT: '/c', MIRROR_TLS_KEY: '/k' }).mirrorSecurity.login).toMatchObject({ kind: 'oauth', proof: undefined });
    expect(loadConfig({ ...oauth, MIRROR_OAUTH_KEY_FILE: '/k.pem', MIRROR_OAUTH_KEY_ID: 'one' }).mirrorSecurity.login).toMatchObject({ proof: { kind: 'key', keyFile: '/k.pem', keyId: 'one' } });
    expect([loadConfig({}).mirrorBinaryBytesMax, loadConfig({ MIRROR_BINARY_BYTES_MAX: '256KiB' }).mirrorBinaryBytesMax]).toEqual([0, 262_144]);
    expect(() => loadConfig({ MIRROR_BINARY_BYTES_MAX: '1MiB' })).toThrow(/MIRROR_BINARY_BYTES_MAX must be 256KiB at most/);
    const wrong: [Environment, RegExp][] = [
      [{ MIRROR_TOKEN_FILE: '/t', MIRROR_USER: 'u', MIRROR_PASSWORD_FILE: '/p' }, /Only one of/],
      [{ MIRROR_BASE_URL: 'http://user:word@hapi/fhir', MIRROR_TOKEN_FILE: '/t' }, /Only one of/],
      [{ MIRROR_USER: 'u' }, /MIRROR_USER and MIRROR_PASSWORD_FILE/],
      [{ MIRROR_OAUTH_CLIENT_ID: 'c' }, /MIRROR_OAUTH_TOKEN_URL and MIRROR_OAUTH_CLIENT_ID/],
      [oauth, /MIRROR_OAUTH_CLIENT_SECRET_FILE or MIRROR_OAUTH_KEY_FILE is needed/],
      [{ ...oauth, MIRROR_OAUTH_CLIENT_SECRET_FILE: '/s', MIRROR_OAUTH_KEY_FILE: '/k' }, /Only one of MIRROR_OAUTH_CLIENT_SECRET_FILE and MIRROR_OAUTH_KEY_FILE/],
      [{ ...oauth, MIRROR_OAUTH_TOKEN_URL: 'http://login.example/token', MIRROR_OAUTH_CLIENT_SECRET_FILE: '/s' }, /must be https/],
      [{ MIRROR_TLS_CERT: '/c' }, /MIRROR_TLS_CERT and MIRROR_TLS_KEY/],
      [{ MIRROR_TIMEOUT_SECONDS: '31' }, /from 1 to 30/],
      [{ MIRROR_CONNECT_SECONDS: '0' }, /from 1 to 60/],
    ];
    for (const [environment, problem] of wrong) expect(problemsOf(environment).join()).toMatch(problem);
  });

  it('every origin may call, unless some are named; those are compared as browsers send them', () => {
    expect([loadConfig({}).corsOrigins, loadConfig({ CORS_ORIGINS: '*' }).corsOrigins]).toEqual([undefined, undefined]);
    expect(loadConfig({ CORS_ORIGINS: 'https://app.example, http://localhost:5173' }).corsOrigins).toEqual(['https://app.example', 'http://localhost:5173']);
    for (const wrong of ['https://app.example/', 'app.example', 'https://APP.example', 'https://*.example', 'file:///x']) expect(problemsOf({ CORS_ORIGINS: wrong }).join()).toMatch(/CORS_ORIGINS/);
  });

  it('with a certificate and its key the base is https; one of the two is a problem', () => {
    expect(loadConfig({ TLS_CERT: '/c.pem', TLS_KEY: '/k.pem' })).toMatchObject({ tls: { cert: '/c.pem', key: '/k.pem', clientCertificates: false }, baseUrl: 'https://localhost:3000' });
    expect(loadConfig({}).tls).toBeUndefined();
    expect(problemsOf({ TLS_CERT: '/c.pem' }).join()).toMatch(/TLS_CERT and TLS_KEY/);
    expect(problemsOf({ TLS_CLIENT_CERTIFICATES: 'request' }).join()).toMatch(/TLS_CLIENT_CERTIFICATES/);
  });

  it.each<[Environment, object]>([
    [{ PORT: '4000' }, { baseUrl: 'http://localhost:4000', metricsPort: 10_464 }],
    [{ PORT: '60000' }, { metricsPort: 0 }],
    [{ PORT: '59071' }, { metricsPort: 65_535 }],
    [{ METRICS_PORT: '0' }, { metricsPort: 0 }],
    [{ BASE_URL: 'https://documents.example/' }, { baseUrl: 'https://documents.example', fhirBase: 'https://documents.example/fhir' }],
    [{ BASE_URL: 'https://documents.example/muniment' }, { fhirBase: 'https://documents.example/muniment/fhir' }],
    [{ CLAMAV_HOST: 'clamav' }, { clamav: { host: 'clamav', port: 3310, streamBytesMax: 2_000 * MIB, connectionsMax: 32 } }],
    [{ BODY_BYTES_MAX: '1048576' }, { bodyBytesMax: MIB }],
    [{ BODY_BYTES_MAX: '2MiB' }, { bodyBytesMax: 2 * MIB }],
    [{ UPLOAD_BYTES_MAX: '3 GiB' }, { uploadBytesMax: 3 * 1024 * MIB }],
    [{ INLINE_BYTES_MAX: '7KiB' }, { inlineBytesMax: 7 * 1024 }],
    [{ TRUSTED_PROXIES: '10.0.0.0/8, 192.168.1.1,2001:db8::/32' }, { trustedProxies: ['10.0.0.0/8', '192.168.1.1', '2001:db8::/32'] }],
  ])('%j gives %j', (environment, expected) => {
    expect(loadConfig(environment)).toMatchObject(expected);
  });
});

describe('problems', () => {
  it('are reported all at once, one a line', () => {
    const environment: Environment = { PORT: 'many', BASE_URL: 'documents.example', STORAGE_TYPE: 'tape', LOG_LEVEL: 'loud', UPLOAD_BYTES_MAX: '5TB', OPERATOR_ORG: 'no spaces', TRUSTED_ISSUERS: '{', DATABASE_URL: 'mysql://db', MIRROR_ACCESS: 'some', SCAN: 'never' };
    const problems = problemsOf(environment);
    for (const name of Object.keys(environment)) expect(problems.filter((problem) => problem.startsWith(name))).toHaveLength(1);
    expect(problems).toHaveLength(Object.keys(environment).length);
    expect(new ConfigurationError(problems).message.split('\n')).toHaveLength(problems.length + 1);
  });

  it.each<[VariableName, string]>([
    ['PORT', '-1'], ['PORT', '65536'], ['PORT', '3000.5'], ['PORT', '0x10000'], ['METRICS_PORT', 'off'],
    ['BODY_BYTES_MAX', '0'], ['BODY_BYTES_MAX', '-1'], ['BODY_BYTES_MAX', '1.5MiB'], ['BODY_BYTES_MAX', '36MB'], ['BODY_BYTES_MAX', 'MiB'],
    ['BASE_URL', 'ftp://documents.example'], ['BASE_URL', '/fhir'], ['MIRROR_BASE_URL', 'hapi:8080/fhir'], ['DATABASE_URL', 'http://db'], ['DATABASE_APP_URL', 'db'],
    ['TRUSTED_PROXIES', 'proxy.example'], ['TRUSTED_PROXIES', '10.0.0.0/33'], ['TRUSTED_PROXIES', '10.0.0.0/8/8'], ['TRUSTED_PROXIES', '10.0.0.1 10.0.0.2'],
    ['OPERATOR_ORG', '-x'], ['OPERATOR_ORG', 'ü'], ['OPERATOR_ORG', 'x'.repeat(65)],
  ])('%s=%s is one', (name, value) => {
    expect(problemsOf({ [name]: value }).some((problem) => problem.startsWith(name))).toBe(true);
  });

  it.each<[Environment, string[]]>([
    [{ DATABASE_APP_URL: 'postgres://app@db/m' }, ['DATABASE_AUDIT_URL', 'DATABASE_WORKER_URL']],
    [{ DATABASE_APP_URL: 'postgres://app@db/m', DATABASE_WORKER_URL: 'postgres://worker@db/m' }, ['DATABASE_AUDIT_URL']],
    [{ DATABASE_AUDIT_URL: 'postgres://audit@db/m' }, ['DATABASE_APP_URL', 'DATABASE_WORKER_URL']],
    [{ DATABASE_APP_URL: 'postgres://app@db/m', DATABASE_AUDIT_URL: 'postgres://audit@db/m', DATABASE_WORKER_URL: 'postgres://worker@db/m' }, []],
  ])('name the logins that %j lacks', (logins, missing) => {
    expect(problemsOf({ DATABASE_URL: 'postgres://owner@db/m', ...logins }).map((problem) => problem.split(' ')[0])).toEqual(missing);
    expect(problemsOf(logins).map((problem) => problem.split(' ')[0])).toEqual([...missing, 'DATABASE_URL']);
  });

  it('name what an object store lacks', () => {
    expect(problemsOf({ STORAGE_TYPE: 'minio' }).map((problem) => problem.split(' ')[0])).toEqual(['STORAGE_ENDPOINT', 'STORAGE_BUCKET', 'STORAGE_ACCESS_KEY', 'STORAGE_SECRET_KEY']);
    expect(problemsOf({ STORAGE_TYPE: 'gcs' })).toEqual(['STORAGE_BUCKET is needed by STORAGE_TYPE=gcs']);
    expect(problemsOf({ STORAGE_REPLICA_TYPE: 'gcs' })).toEqual(['STORAGE_REPLICA_BUCKET is needed by STORAGE_REPLICA_TYPE=gcs']);
  });

  it.each([
    ['[]', 'TRUSTED_ISSUERS must NOT have fewer than 1 items'],
    ['{}', 'TRUSTED_ISSUERS must be array'],
    ['[{"issuer":"x"}]', "TRUSTED_ISSUERS/0 must have required property 'jwks_uri'"],
    ['[{"issuer":"x","jwks_uri":"file:///keys"}]', 'TRUSTED_ISSUERS/0/jwks_uri must match pattern "^https?://"'],
    ['[{"issuer":"x","jwks_uri":"https://x","secret":"y"}]', 'TRUSTED_ISSUERS/0 must NOT have additional properties'],
    ['[{"issuer":"x","jwks_uri":"https://x","claims":{"org":1}}]', 'TRUSTED_ISSUERS/0/claims/org must be string'],
    ['nonsense', 'TRUSTED_ISSUERS is not JSON'],
  ])('TRUSTED_ISSUERS=%s says where', (text, problem) => {
    expect(problemsOf({ TRUSTED_ISSUERS: text })).toContain(problem);
  });

  it('never hold a value', () => {
    const value = fc.string({ minLength: 12, maxLength: 40 }).map((text) => `zq7${text.replaceAll('\n', '')}zq7`);
    fc.assert(fc.property(fc.dictionary(fc.constantFrom(...(Object.keys(VARIABLES) as VariableName[])), value), (environment) => {
      expect(problemsOf(environment as Environment).join('\n')).not.toContain('zq7');
    }));
  });
});

describe('production', () => {
  it('starts with everything that it needs', () => {
    expect(problemsOf(PRODUCTION)).toEqual([]);
    expect(loadConfig(PRODUCTION)).toMatchObject({ production: true, scan: 'off', operatorOrg: 'operator' });
  });

  it.each<[VariableName, string]>([
    ['DATABASE_URL', 'DATABASE_URL must be set'],
    ['STORAGE_TYPE', 'STORAGE_TYPE must name an object store'],
    ['TRUSTED_ISSUERS', 'TRUSTED_ISSUERS must be set'],
    ['OPERATOR_ORG', 'OPERATOR_ORG must be set'],
    ['SCAN', 'CLAMAV_HOST must be set'],
  ])('refuses to start without %s', (name, problem) => {
    const { [name]: _left, ...rest } = PRODUCTION;
    const problems = problemsOf(rest);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(problem);
  });

  it('says everything that is missing at once', () => {
    expect(problemsOf({ NODE_ENV: 'production' })).toHaveLength(5);
  });

  it('takes embedded parts and development keys only when told so in full', () => {
    const bare: Environment = { NODE_ENV: 'production', OPERATOR_ORG: 'operator', SCAN: 'off' };
    expect(problemsOf({ ...bare, ALLOW_EMBEDDED_IN_PRODUCTION: 'true' })).toEqual([]);
    for (const value of ['1', 'yes', 'TRUE', 'false']) expect(problemsOf({ ...bare, ALLOW_EMBEDDED_IN_PRODUCTION: value })).toHaveLength(3);
  });

  it('still needs to hear of scanning and of the operator when embedded parts are allowed', () => {
    expect(problemsOf({ NODE_ENV: 'production', ALLOW_EMBEDDED_IN_PRODUCTION: 'true' }).map((problem) => problem.split(' ')[0])).toEqual(['OPERATOR_ORG', 'CLAMAV_HOST']);
  });

  it('scans by default', () => {
    const { SCAN: _left, ...rest } = PRODUCTION;
    expect(loadConfig({ ...rest, CLAMAV_HOST: 'clamav' }).scan).toBe('required');
  });
});

it('a replica is named in full or not at all', () => {
  expect(loadConfig({}).storage.replica).toBeUndefined();
  expect(problemsOf({ STORAGE_REPLICA_ENDPOINT: 'https://replica.example', STORAGE_REPLICA_BUCKET: 'copies' }).map((problem) => problem.split(' ')[0])).toEqual(['STORAGE_REPLICA_ACCESS_KEY', 'STORAGE_REPLICA_SECRET_KEY']);
});

describe('secrets', () => {
  const secretNames = (Object.keys(VARIABLES) as VariableName[]).filter((name) => 'secret' in VARIABLES[name]);
  const HIDDEN = 'hidden-7f3a';

  function withSecrets(): Environment {
    const address = (name: string): string => (name.startsWith('DATABASE') ? `postgres://user:${HIDDEN}@db/muniment` : `https://user:${HIDDEN}@hapi.example/fhir`);
    const own = Object.fromEntries(secretNames.map((name) => [name, name.endsWith('_URL') ? address(name) : HIDDEN]));
    return { ...PRODUCTION, STORAGE_REPLICA_ENDPOINT: 'https://replica.example', STORAGE_REPLICA_BUCKET: 'copies', ...own };
  }

  it('are revealed where they are used', () => {
    expect(loadConfig(withSecrets()).storage.secretKey.reveal()).toBe(HIDDEN);
    expect(loadConfig(withSecrets()).databaseUrl?.reveal()).toContain(HIDDEN);
    expect(loadConfig(withSecrets()).mirrorBaseUrl?.reveal()).toContain(HIDDEN);
  });

  it('are not printed with the configuration', () => {
    const config = loadConfig(withSecrets());
    for (const printed of [JSON.stringify(config), inspect(config, { depth: 9, showHidden: true }), String(config.storage.secretKey), String(config.databaseUrl)]) expect(printed).not.toContain(HIDDEN);
  });

  it('print as one word, whatever they hold', () => {
    fc.assert(fc.property(fc.string({ minLength: 1 }), (value) => {
      const secret = new Secret(value);
      expect([String(secret), JSON.stringify({ secret }), inspect(secret), inspect({ nested: [secret] }), secret.toString()]).toEqual(['[secret]', '{"secret":"[secret]"}', '[secret]', '{ nested: [ [secret] ] }', '[secret]']);
      expect(Object.keys(secret)).toEqual([]);
      expect(secret.reveal()).toBe(value);
    }));
  });
});
