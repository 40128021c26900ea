// A HAPI that is not open to everybody: behind TLS and a door that asks who we are. Deliveries, the comparison and what is read
// through take the same way. The real HAPI JPA server, whose base stands in TEST_HAPI_URL.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { generateKeyPairSync, randomBytes, randomUUID, type KeyPairKeyObjectResult } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createServer as createTcpServer, type AddressInfo, type Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadConfig } from '../../src/config/config.ts';
import type { Environment } from '../../src/config/env.ts';
import { createDelivery } from '../../src/mirror/deliver.ts';
import { createHapiAccess } from '../../src/mirror/hapi-access.ts';
import { createCredentials } from '../../src/mirror/hapi-credentials.ts';
import { createTransport, type Transport } from '../../src/mirror/hapi-transport.ts';
import { startMirrorWorker, type MirrorWorker } from '../../src/mirror/mirror-worker.ts';
import { reportKey } from '../../src/mirror/reconcile-report.ts';
import { runReconcile } from '../../src/mirror/run-reconcile.ts';
import { eventually } from '../support/eventually.ts';
import { startSecuredProxy, type SecuredProxy } from '../support/secured-proxy.ts';
import { startMirrorDatabase, type MirrorDatabase } from './mirror-database.ts';

const HAPI = process.env['TEST_HAPI_URL'];
if (HAPI === undefined) console.log('Left out: a HAPI that is not open to everybody (TEST_HAPI_URL is not set)');

const PUBLIC = 'http://muniment.test/fhir';
const silent = { debug() {}, info() {}, warn() {}, error() {} };

jest.setTimeout(60_000);

(HAPI === undefined ? describe.skip : describe)('a HAPI behind TLS and a door', () => {
  const origin = new URL(HAPI ?? 'http://none.test');
  let store: MirrorDatabase;
  let proxy: SecuredProxy;
  let worker: MirrorWorker | undefined;
  let org: string;

  beforeAll(async () => { store = await startMirrorDatabase(); });
  afterAll(() => store.stop());
  beforeEach(async () => {
    proxy = await startSecuredProxy(origin.origin);
    org = `s${randomBytes(6).toString('hex')}`;
    await store.empty();
    await store.sql('update organisation set name = $1', [org]);
  });
  afterEach(async () => {
    await worker?.stop();
    worker = undefined;
    await proxy.stop();
  });

  /** As the server reads it. */
  function settings(environment: Environment): { baseUrl: string; security: ReturnType<typeof loadConfig>['mirrorSecurity'] } {
    const { mirrorBaseUrl, mirrorSecurity } = loadConfig({ MIRROR_BASE_URL: `${proxy.url}${origin.pathname}`, MIRROR_TLS_CA: proxy.files.ca, ...environment });
    return { baseUrl: mirrorBaseUrl?.reveal() ?? '', security: mirrorSecurity };
  }

  function startWorker(environment: Environment): void {
    worker = startMirrorWorker({ database: store.database, delivery: createDelivery({ ...settings(environment), publicBase: PUBLIC, timeoutMs: 5_000, access: 'writes' }), log: silent, pollMs: 50, random: () => 0.01 });
  }

  const publish = (description = 'one'): Promise<number> => store.publish(`DocumentReference/${randomUUID()}`, { status: 'current', description }, { org });
  const drained = (): Promise<unknown> => eventually(() => store.sql('select from outbox'), (rows) => rows.length === 0, 20_000);
  const paused = (): Promise<{ reason: string }[]> => eventually(() => store.sql<{ reason: string }>('select reason from mirror_pause'), (rows) => rows.length > 0, 20_000);

  const KEYS: Record<string, () => KeyPairKeyObjectResult> = {
    'RSA': () => generateKeyPairSync('rsa', { modulusLength: 2_048 }), 'P-384': () => generateKeyPairSync('ec', { namedCurve: 'P-384' }),
    'P-256': () => generateKeyPairSync('ec', { namedCurve: 'P-256' }), 'Ed25519': () => generateKeyPairSync('ed25519'),
  };

  function keyed(kind: string): Environment {
    const { publicKey, privateKey } = KEYS[kind]!();
    Object.assign(proxy, { admitted: new Set() });
    proxy.client.key = { public: publicKey, id: `key-${kind}` };
    return {
      MIRROR_OAUTH_TOKEN_URL: `${proxy.url}/token`, MIRROR_OAUTH_CLIENT_ID: 'muniment', MIRROR_OAUTH_KEY_ID: `key-${kind}`,
      MIRROR_OAUTH_KEY_FILE: proxy.file('client.pem', privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()),
    };
  }

  const WAYS: Record<string, () => Environment> = {
    'basic authentication': () => {
      proxy.admitted = new Set([`Basic ${Buffer.from('mirror:päss:word').toString('base64')}`]);
      return { MIRROR_USER: 'mirror', MIRROR_PASSWORD_FILE: proxy.file('password', 'päss:word\n') };
    },
    'a user of each organisation': () => {
      proxy.admitted = new Set([`Basic ${Buffer.from(`mirror-${org}:word`).toString('base64')}`]);
      return { MIRROR_USER: 'mirror-{org}', MIRROR_PASSWORD_FILE: proxy.file(`password-${org}`, 'word').replace(org, '{org}') };
    },
    'a bearer token': () => {
      proxy.admitted = new Set(['Bearer abc.def']);
      return { MIRROR_TOKEN_FILE: proxy.file('token', 'abc.def\n') };
    },
    'client credentials': () => {
      Object.assign(proxy, { admitted: new Set() });
      // As in a form: RFC 6749 2.3.1.
      proxy.client.secret = 'a%2Bsecret';
      return { MIRROR_OAUTH_TOKEN_URL: `${proxy.url}/token`, MIRROR_OAUTH_CLIENT_ID: 'muniment', MIRROR_OAUTH_CLIENT_SECRET_FILE: proxy.file('secret', 'a+secret'), MIRROR_OAUTH_SCOPE: 'system/*.cruds' };
    },
    'client credentials that a key signs for': () => keyed('P-384'),
    'a certificate': () => {
      proxy.certified = true;
      return { MIRROR_TLS_CERT: proxy.files.cert, MIRROR_TLS_KEY: proxy.files.key };
    },
    'client credentials that a certificate vouches for': () => {
      Object.assign(proxy, { certified: true, admitted: new Set() });
      return { MIRROR_TLS_CERT: proxy.files.cert, MIRROR_TLS_KEY: proxy.files.key, MIRROR_OAUTH_TOKEN_URL: `${proxy.url}/token`, MIRROR_OAUTH_CLIENT_ID: 'muniment' };
    },
  };

  it.each(Object.keys(WAYS))('lets deliveries, the comparison and reads in by %s', async (way) => {
    const environment = WAYS[way]!();
    await publish();
    startWorker(environment);
    await drained();
    const done = await runReconcile({ ...settings(environment), database: store.database, publicBase: PUBLIC, access: 'writes' },
      { scope: 'ours', repair: false, removeOthers: false, again: true, pace: async () => {}, stop: new AbortController().signal }, { key: reportKey(Buffer.from('test')) });
    expect(done?.report).toMatchObject({ verdict: 'equal', types: { DocumentReference: { atHapi: 1, compared: 1 } } });
    const access = createHapiAccess({ ...settings(environment), log: silent });
    const answered = await access.ask(org, { path: 'Patient?_count=1' }, { deadline: performance.now() + 10_000, bytesMax: 1_000_000 });
    expect(answered.kind).toBe('resource');
  });

  it('does not let anybody in otherwise, and the pause is noted without the secret', async () => {
    proxy.admitted = new Set(['Bearer right']);
    await publish();
    startWorker({ MIRROR_TOKEN_FILE: proxy.file('token', 'wrong-token') });
    const rows = await paused();
    expect(rows[0]?.reason).toBe('HAPI does not let us in: HTTP 401');
    const access = createHapiAccess({ ...settings({ MIRROR_TOKEN_FILE: proxy.file('token', 'wrong-token') }), log: silent });
    await expect(access.ask(org, { path: 'Patient?_count=1' }, { deadline: performance.now() + 5_000, bytesMax: 1_000_000 })).rejects.toMatchObject({ status: 503 });
    expect(proxy.served).toBe(0);
  });

  it('goes on by itself when the file has the new token', async () => {
    proxy.admitted = new Set(['Bearer new']);
    await publish();
    startWorker({ MIRROR_TOKEN_FILE: proxy.file('token', 'old') });
    await paused();
    proxy.file('token', 'new');
    await drained();
    await eventually(() => store.sql('select from mirror_pause'), (rows) => rows.length === 0, 10_000);
  });

  it('takes one token for many deliveries, and another one at once when HAPI refuses it', async () => {
    Object.assign(proxy, { admitted: new Set() });
    proxy.client.secret = 'secret';
    for (let count = 0; count < 10; count++) await publish();
    startWorker({ MIRROR_OAUTH_TOKEN_URL: `${proxy.url}/token`, MIRROR_OAUTH_CLIENT_ID: 'muniment', MIRROR_OAUTH_CLIENT_SECRET_FILE: proxy.file('secret', 'secret') });
    await drained();
    expect(proxy.client.given).toHaveLength(1);
    // A token that is refused as soon as it was made would not be asked for again.
    await sleep(2_100);
    proxy.admitted?.clear();
    await publish();
    worker?.wake();
    await drained();
    expect(proxy.client.given).toHaveLength(2);
    expect(await store.sql('select from mirror_pause')).toEqual([]);
  });

  it('pauses where the authorization server refuses the client, and says that it was that one', async () => {
    Object.assign(proxy, { admitted: new Set() });
    proxy.client.secret = 'secret';
    await publish();
    startWorker({ MIRROR_OAUTH_TOKEN_URL: `${proxy.url}/token`, MIRROR_OAUTH_CLIENT_ID: 'muniment', MIRROR_OAUTH_CLIENT_SECRET_FILE: proxy.file('secret', 'wrong') });
    expect((await paused())[0]?.reason).toBe('The authorization server does not let us in: invalid_client');
  });

  it.each(Object.keys(KEYS))('signs each assertion anew with a key of %s, and is not let in with another one', async (kind) => {
    const environment = keyed(kind);
    for (const _ of [1, 2]) {
      const access = createHapiAccess({ ...settings(environment), log: silent });
      expect((await access.ask(org, { path: 'Patient?_count=1' }, { deadline: performance.now() + 10_000, bytesMax: 1_000_000 })).kind).toBe('resource');
    }
    expect(proxy.client.asserted.size).toBe(2);
    proxy.client.key = { public: KEYS[kind]!().publicKey, id: `key-${kind}` };
    await publish();
    startWorker(environment);
    expect((await paused())[0]?.reason).toBe('The authorization server does not let us in: invalid_client');
  });

  it('says what is wrong with a file that holds no key, and quotes nothing of it', async () => {
    await publish();
    startWorker({ ...keyed('RSA'), MIRROR_OAUTH_KEY_FILE: proxy.file('client.pem', 'my secret') });
    const [row] = await eventually(() => store.sql<{ last_error: string | null }>('select last_error from mirror_head'), (rows) => (rows[0]?.last_error ?? '') !== '', 20_000);
    expect(row?.last_error).toBe('No answer: The file of MIRROR_OAUTH_KEY_FILE holds no private key in PEM');
  });

  it.each(['an authority that we do not know', 'a certificate that HAPI does not know'])('sends nothing past %s', async (who) => {
    proxy.certified = true;
    await publish();
    startWorker(who.startsWith('an authority') ? { MIRROR_TLS_CA: proxy.files.strangeCert } : { MIRROR_TLS_CERT: proxy.files.strangeCert, MIRROR_TLS_KEY: proxy.files.strangeKey });
    await eventually(() => store.sql<{ last_error: string | null }>('select last_error from mirror_head'), (rows) => (rows[0]?.last_error ?? '') !== '', 20_000);
    expect(proxy.served).toBe(0);
    expect(await store.sql('select from outbox')).toHaveLength(1);
  });

  it('follows no redirect: neither a document nor a credential reaches the other address', async () => {
    let reached = 0;
    const other = createServer((_, response) => { reached += 1; response.end(); });
    other.listen(0, '127.0.0.1');
    await once(other, 'listening');
    try {
      proxy.redirect = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
      await publish();
      startWorker({});
      await eventually(() => store.sql<{ last_error: string | null }>('select last_error from mirror_head'), (rows) => /HTTP 307/.test(rows[0]?.last_error ?? ''), 20_000);
      const access = createHapiAccess({ ...settings({}), log: silent });
      await expect(access.ask(org, { path: 'Patient?_count=1' }, { deadline: performance.now() + 5_000, bytesMax: 1_000_000 })).rejects.toMatchObject({ status: 503 });
      expect(reached).toBe(0);
    } finally {
      other.close();
    }
  });
});

describe('the bounds of a request', () => {
  const servers: Server[] = [];
  afterAll(() => { for (const server of servers) server.close(); });

  async function listen(server: Server): Promise<string> {
    servers.push(server.listen(0, '127.0.0.1'));
    await once(server, 'listening');
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  const transport: Transport = createTransport({ cert: undefined, key: undefined, ca: undefined, connectMs: 150 }, 'demo');
  const sending = { method: 'GET', headers: {}, timeoutMs: 300, bytesMax: 1_000 };

  it('end what finds no connection, no headers, or no end of the body, each by its name', async () => {
    // Takes the connection and never speaks TLS.
    const mute = await listen(createTcpServer((socket) => socket.on('error', () => {})));
    await expect(transport({ ...sending, url: `https://${mute}/` })).rejects.toThrow('No connection within 150 ms');
    await expect(transport({ ...sending, url: `http://${mute}/` })).rejects.toThrow('No answer within 300 ms');
    const dripping = await listen(createServer((_, response) => {
      response.writeHead(200);
      const drip = setInterval(() => response.write(' '), 20);
      response.on('close', () => clearInterval(drip));
    }));
    await expect(transport({ ...sending, url: `http://${dripping}/` })).rejects.toThrow('No end of the answer within 300 ms');
  });

  it('end what is too long, and what is stopped', async () => {
    const long = await listen(createServer((_, response) => { response.end('x'.repeat(1_001)); }));
    expect(await transport({ ...sending, url: `http://${long}/` })).toMatchObject({ status: 200, text: undefined });
    const stop = new AbortController();
    const mute = await listen(createTcpServer((socket) => socket.on('error', () => {})));
    const running = transport({ ...sending, timeoutMs: 10_000, url: `http://${mute}/`, stop: stop.signal });
    stop.abort();
    await expect(running).rejects.toThrow('The server stops');
  });

  it('take a request up again whose connection the server had closed', async () => {
    let count = 0;
    const forgetful = await listen(createServer((request, response) => {
      count += 1;
      if (count === 2) request.socket.destroy();
      else response.end(String(count));
    }));
    expect(await transport({ ...sending, url: `http://${forgetful}/` })).toMatchObject({ text: '1' });
    expect(await transport({ ...sending, url: `http://${forgetful}/` })).toMatchObject({ text: '3' });
  });
});

describe('an access token', () => {
  const login = { kind: 'oauth' as const, tokenUrl: 'https://login.test/{org}/token', clientId: 'muniment-{org}', proof: undefined, scope: undefined };
  const bounds = { timeoutMs: 1_000 };

  function endpoint(answer: (count: number) => object, status = 200): { transport: Transport; asked: string[] } {
    const asked: string[] = [];
    return {
      asked,
      transport: async ({ url, body }) => {
        asked.push(`${url} ${body}`);
        return { status, headers: {}, text: JSON.stringify(answer(asked.length)) };
      },
    };
  }

  it('is fetched once by all who wait for it, and again shortly before it ends', async () => {
    let now = 0;
    const { transport, asked } = endpoint((count) => ({ access_token: `t${count}`, token_type: 'bearer', expires_in: 300 }));
    const { authorization } = createCredentials(login, 'a', transport, () => now);
    expect(await Promise.all([authorization(bounds), authorization(bounds)])).toEqual(['Bearer t1', 'Bearer t1']);
    now = 269_000;
    expect(await authorization(bounds)).toBe('Bearer t1');
    now = 270_000;
    expect(await authorization(bounds)).toBe('Bearer t2');
    expect(asked).toEqual(Array.from({ length: 2 }, () => 'https://login.test/a/token grant_type=client_credentials&client_id=muniment-a'));
  });

  it('is not fetched in a circle when it is refused as soon as it is there', async () => {
    const { transport } = endpoint((count) => ({ access_token: `t${count}`, token_type: 'Bearer' }));
    const credentials = createCredentials(login, 'a', transport, () => 0);
    expect(credentials.renew(await credentials.authorization(bounds))).toBe(false);
  });

  it.each([
    [{ token_type: 'Bearer' }, 200, /without a bearer token/],
    [{ access_token: 'a b', token_type: 'Bearer' }, 200, /without a bearer token/],
    [{ access_token: 'a', token_type: 'mac' }, 200, /without a bearer token/],
    [{ error: '<b>' }, 400, /HTTP 400$/],
    [{}, 302, /HTTP 302$/],
  ])('is none in %j with %i', async (answer, status, message) => {
    const { transport } = endpoint(() => answer, status);
    await expect(createCredentials(login, 'a', transport).authorization(bounds)).rejects.toThrow(message);
  });
});
