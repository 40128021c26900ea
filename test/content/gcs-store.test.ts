// What is Google Cloud Storage's own: generations, tokens, which the emulator does not ask for, and trouble, which a server plays.
import { Storage, type Bucket } from '@google-cloud/storage';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ObjectExistsError, type ContentStore } from '../../src/content/content-store.ts';
import { openGcsStore } from '../../src/content/stores/gcs.ts';
import { createGoogleTokens } from '../../src/content/stores/google-tokens.ts';
import { collect, inPieces, manyPieces } from './byte-sources.ts';
import { json, listening, md5Of, refuse, stopListening, stopPlaying, storeOn } from './play-google.ts';

afterEach(stopPlaying);

describe('the Google store and a service in trouble', () => {
  it('is unavailable soon after the service fell silent, whatever was asked', async () => {
    const { store } = await storeOn(() => undefined);
    for (const work of [() => store.put('k', manyPieces(1), {}), () => store.put('k', manyPieces(20), {}), () => store.stat('k'), () => store.get('k', { start: 0, length: 1 }), () => store.remove('k'), () => store.versions?.('k'), () => store.probe()]) {
      await expect(work()).rejects.toMatchObject({ detail: 'unavailable', status: 503 });
    }
  });

  it('asks again when the service says "not now", and no longer than some seconds', async () => {
    for (const status of [429, 500, 503]) {
      let refused = 0;
      const { store } = await storeOn((_request, response) => {
        if (refused < 2) {
          refused += 1;
          return refuse(response, status, 'backendError');
        }
        json(response, 200, { size: '3', generation: '5' });
      });
      expect(await store.stat('k')).toEqual({ size: 3, version: '5', encryption: 'AES256' });
    }
    const { store, asked } = await storeOn((_request, response) => refuse(response, 503, 'backendError'));
    const begun = performance.now();
    await expect(store.stat('k')).rejects.toMatchObject({ detail: 'unavailable' });
    expect(asked.length).toBeGreaterThan(1);
    expect(asked.length).toBeLessThanOrEqual(5);
    expect(performance.now() - begun).toBeLessThan(12_000);
  });

  it('is not misled by connections that the service closed without a word', async () => {
    const used = new WeakSet<object>();
    const { store } = await storeOn((request, response) => {
      if (used.has(request.socket)) return void request.socket.resetAndDestroy();
      used.add(request.socket);
      if (request.url?.includes('alt=media') === true) response.writeHead(206, { 'content-length': 3 }).end('abc');
      else json(response, 200, { size: '3' });
    });
    for (const work of [() => store.stat('k'), async () => collect(await store.get('k', { start: 0, length: 3 }))]) {
      // Several connections are left waiting for use.
      await Promise.all([0, 1, 2, 3].map(() => store.stat('k')));
      await work();
    }
  });

  it('is unavailable when the service breaks off within an answer, or nobody listens', async () => {
    const { store } = await storeOn((request, response) => {
      response.writeHead(206, { 'content-length': 10 }).write('01234', () => request.socket.resetAndDestroy());
    });
    await expect(collect(await store.get('k', { start: 0, length: 10 }))).rejects.toMatchObject({ detail: 'unavailable' });
    stopListening();
    await expect(store.stat('k')).rejects.toMatchObject({ detail: 'unavailable' });
  });

  it('finds that a first try took effect whose answer was lost, and that the object of somebody else is not ours', async () => {
    for (const [md5Hash, size] of [[md5Of(Buffer.from('abc')), '3'], [md5Of(Buffer.from('abd')), '3']] as const) {
      let tries = 0;
      const { store } = await storeOn((request, response) => {
        if (request.method === 'GET') return json(response, 200, { size, md5Hash, generation: '4' });
        tries += 1;
        if (tries === 1) request.socket.resetAndDestroy();
        else refuse(response, 412, 'conditionNotMet');
      });
      const kept = store.put('k', inPieces(Buffer.from('abc')), {});
      if (md5Hash === md5Of(Buffer.from('abc'))) expect(await kept).toMatchObject({ size: 3, version: '4' });
      else await expect(kept).rejects.toThrow(ObjectExistsError);
    }
  });

  it('tells a missing object from a missing bucket and from one that may not be looked at', async () => {
    const lists = (status: number): Promise<{ store: ContentStore }> => storeOn((request, response) => (request.url?.includes('maxResults=1') === true ? json(response, status, {}) : refuse(response, 404, 'notFound')));
    const { store: there } = await lists(200);
    expect([await there.stat('k'), (await collect(await there.get('k', { start: 0, length: 1 }))).length, await there.remove('k')]).toEqual([undefined, 0, undefined]);
    for (const status of [404, 403]) {
      const { store } = await lists(status);
      for (const work of [() => store.stat('k'), () => store.get('k', { start: 0, length: 1 }), () => store.remove('k')]) await expect(work()).rejects.toMatchObject({ detail: 'unavailable' });
    }
  });

  it('is unavailable for an answer that is no JSON', async () => {
    const { store } = await storeOn((_request, response) => { response.end('<html>log in</html>'); });
    for (const work of [() => store.stat('k'), () => store.put('k', manyPieces(1), {}), () => store.versions?.('k')]) await expect(work()).rejects.toMatchObject({ detail: 'unavailable' });
  });
});

describe('tokens of Google', () => {
  let folder: string;
  beforeAll(async () => { folder = await mkdtemp(join(tmpdir(), 'muniment-google-')); });
  afterAll(() => rm(folder, { recursive: true }));

  /** A federated identity, whose tokens come from an address of the file's: the one kind that asks nobody at Google. */
  async function federated(tokenUrl: string): Promise<string> {
    const subject = join(folder, randomUUID());
    await writeFile(subject, 'SUBJECTSECRET');
    return JSON.stringify({ type: 'external_account', audience: '//iam.googleapis.com/x', subject_token_type: 'urn:ietf:params:oauth:token-type:jwt', token_url: tokenUrl, credential_source: { file: subject } });
  }

  it('are those of the credentials of that moment, and asked for once as long as they hold', async () => {
    let given = 0;
    const { endpoint, asked } = await listening((_request, response) => json(response, 200, { access_token: `t${given += 1}`, token_type: 'Bearer', issued_token_type: 'urn:ietf:params:oauth:token-type:access_token', expires_in: 3_600 }));
    let now = await federated(`${endpoint}/first`);
    const tokens = createGoogleTokens(() => now, 5_000);
    expect([await tokens(), await tokens()]).toEqual(['t1', 't1']);
    now = await federated(`${endpoint}/second`);
    expect([await tokens(), await tokens()]).toEqual(['t2', 't2']);
    expect(asked).toEqual(['POST /first', 'POST /second']);
  });

  it('that cannot be had are a store that cannot be reached, soon and without a word of what proves who we are', async () => {
    const { endpoint: silent } = await listening(() => undefined);
    const { endpoint: refusing } = await listening((_request, response) => json(response, 400, { error: 'invalid_grant', error_description: 'SUBJECTSECRET' }));
    const { privateKey } = generateKeyPairSync('ed25519');
    const unusable = { type: 'service_account', client_email: 'a@b', private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }) };
    for (const [credentials, told] of [[await federated(silent), 'ETIMEDOUT'], [await federated(refusing), 'invalid_grant'], [JSON.stringify(unusable), 'ERR_CRYPTO'], ['{"type":"external_account"}', 'cannot be used']] as const) {
      const error = await createGoogleTokens(() => credentials, 400)().then(() => undefined, (thrown: unknown) => thrown as Error);
      expect(error).toMatchObject({ name: 'StoreConnectionError', message: expect.stringContaining(told) });
      let shown = '';
      for (let at: unknown = error; at instanceof Error; at = at.cause) shown += `${at.stack ?? ''} ${JSON.stringify(at)}`;
      expect(shown).not.toMatch(/SUBJECTSECRET|PRIVATE KEY|a@b/);
    }
  });

  it('do not go to an address without TLS', async () => {
    let heard: string | undefined;
    const { endpoint } = await listening((request, response) => { heard = request.headers.authorization ?? 'none'; json(response, 200, { size: '1' }); });
    await openGcsStore({ name: 'gcs', endpoint, bucket: 'b', credentials: await federated(`${endpoint}/token`) }).stat('k');
    expect(heard).toBe('none');
  });
});

const emulator = process.env['TEST_GCS_ENDPOINT'];

(emulator === undefined ? describe.skip : describe)('the Google store and its emulator', () => {
  const endpoint = emulator ?? '';
  const made: Bucket[] = [];
  afterEach(async () => {
    for (const bucket of made.splice(0)) {
      for (const { name, generation } of (await bucket.getFiles({ versions: true }))[0]) await bucket.file(name, { generation: Number(generation) }).delete();
      await bucket.delete();
    }
  });

  async function newBucket(versioned: boolean): Promise<{ bucket: Bucket; store: ContentStore }> {
    const bucket = new Storage({ apiEndpoint: endpoint, projectId: 'muniment' }).bucket(`own-${randomUUID()}`);
    await bucket.create({ versioning: { enabled: versioned } });
    made.push(bucket);
    return { bucket, store: openGcsStore({ name: 'gcs', endpoint, bucket: bucket.name }) };
  }

  it.each([true, false])('finds by an object of its own whether the bucket keeps versions: %s', async (versioned) => {
    const { bucket, store } = await newBucket(versioned);
    expect(await store.protection?.()).toEqual({ versioned, encrypted: true });
    expect((await bucket.getFiles({ versions: true }))[0]).toHaveLength(0);
  });

  it('lists what lies behind a key in the order of the keys, over several pages', async () => {
    const { bucket, store } = await newBucket(true);
    const keys = Array.from({ length: 1_105 }, (_, index) => `a/${String(index).padStart(4, '0')}`);
    for (let at = 0; at < keys.length; at += 50) await Promise.all(keys.slice(at, at + 50).map((key) => bucket.file(key).save('x', { resumable: false })));
    const listed: string[] = [];
    for await (const { key, size, modified } of store.list?.('a/0009') ?? []) {
      listed.push(key);
      if (size !== 1 || Math.abs(Date.now() - modified.getTime()) > 60_000) throw new Error(`${key} is listed with ${size} bytes of ${modified.toISOString()}`);
    }
    expect(listed).toEqual(keys.slice(10));
  });

  it('names the versions of one object alone, the newest first', async () => {
    const { bucket, store } = await newBucket(true);
    for (const [key, text] of [['k', '1'], ['k', '22'], ['k2', 'x'], ['k', '333']] as const) await bucket.file(key).save(text, { resumable: false });
    expect((await store.versions?.('k'))?.map(({ size }) => size)).toEqual([3, 2, 1]);
  });

  it('sends what the service compares: bytes that are not those of their MD5 are refused', async () => {
    const { bucket } = await newBucket(true);
    const body = (md5Hash: string): string => `--b\r\nContent-Type: application/json\r\n\r\n${JSON.stringify({ name: 'k', md5Hash })}\r\n--b\r\nContent-Type: text/plain\r\n\r\nabc\r\n--b--\r\n`;
    const send = async (md5Hash: string): Promise<number> => (await fetch(`${endpoint}/upload/storage/v1/b/${bucket.name}/o?uploadType=multipart`, { method: 'POST', headers: { 'content-type': 'multipart/related; boundary=b' }, body: body(md5Hash) })).status;
    expect([await send(md5Of(Buffer.from('abd'))), await send(md5Of(Buffer.from('abc')))]).toEqual([400, 200]);
  });
});
