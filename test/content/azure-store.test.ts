// What is Azure's own: versions, which its emulator does not keep, checksums that the service checks, and trouble. The server
// that plays the versions only answers; how bytes are kept is proved on the emulator.
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ContentStore } from '../../src/content/content-store.ts';
import { createAzureCaller } from '../../src/content/stores/azure-call.ts';
import { openAzureStore } from '../../src/content/stores/azure.ts';
import { openTransport } from '../../src/content/stores/store-request.ts';
import { startAzurite, type TestAzurite } from '../support/start-azurite.ts';
import { collect, inPieces, manyPieces } from './byte-sources.ts';

const KEY = Buffer.from('SECRETWORD').toString('base64');
const servers: Server[] = [];

afterEach(() => {
  for (const started of servers.splice(0)) {
    started.closeAllConnections();
    started.close();
  }
});

type Behaviour = (request: IncomingMessage, response: ServerResponse, asked: readonly string[]) => void;

/** A store on a server that answers so; `asked` has the methods and targets in their order. */
async function storeOn(behaviour: Behaviour): Promise<{ store: ContentStore; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    request.resume().on('end', () => behaviour(request, response, asked));
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { store: openAzureStore({ name: 'azure', endpoint, bucket: 'c', accessKey: 'KEYNAME', secretKey: KEY, silenceMs: 400 }), asked };
}

const refuse = (response: ServerResponse, status: number, code: string): void => { response.writeHead(status, { 'x-ms-error-code': code }).end(); };

describe('versions of Azure', () => {
  it('are named by what a write answers, and read, looked at and listed by that name', async () => {
    const { store, asked } = await storeOn((request, response) => {
      if (request.method === 'PUT') return void response.writeHead(201, { 'x-ms-version-id': '2026-11-28T08:00:00.0000001Z', 'x-ms-request-server-encrypted': 'true' }).end();
      if (request.method === 'HEAD') return void response.writeHead(200, { 'content-length': 3, 'x-ms-version-id': '2026-11-28T08:00:00.0000001Z' }).end();
      if (request.url?.includes('comp=list') !== true) return void response.writeHead(206).end('abc');
      const blob = (name: string, day: number): string => `<Blob><Name>${name}</Name><VersionId>2026-11-${day}T08:00:00.0000000Z</VersionId><Properties><Content-Length>${day}</Content-Length></Properties></Blob>`;
      response.end(request.url.includes('marker=next') ? `<R>${blob('k', 28)}${blob('k2', 9)}<NextMarker/></R>` : `<R>${blob('k', 26)}${blob('k', 27)}<NextMarker>next</NextMarker></R>`);
    });
    const version = '2026-11-28T08:00:00.0000001Z';
    expect(await store.put('k', inPieces(Buffer.from('abc')), {})).toEqual({ size: 3, version, encryption: 'AES256' });
    expect(await store.stat('k', version)).toEqual({ size: 3, version });
    expect((await collect(await store.get('k', { start: 0, length: 3 }, { version }))).toString()).toBe('abc');
    expect(asked.slice(1)).toEqual(['HEAD', 'GET'].map((method) => `${method} /c/k?versionid=2026-11-28T08%3A00%3A00.0000001Z`));
    expect((await store.versions?.('k'))?.map(({ size }) => size)).toEqual([28, 27, 26]);
  });

  it('are removed by their name; the newest, which Azure refuses so, once it is no longer the newest', async () => {
    let deleted = false;
    const { store, asked } = await storeOn((request, response) => {
      if (request.method === 'HEAD') return void response.writeHead(200, { 'etag': '"e1"', 'x-ms-version-id': 'v1' }).end();
      if (request.url === '/c/k') {
        deleted = request.headers['if-match'] === '"e1"';
        return void response.writeHead(202).end();
      }
      if (deleted) response.writeHead(202).end();
      else refuse(response, 403, 'OperationNotAllowedOnRootBlob');
    });
    await store.remove('k', 'v1');
    expect(asked).toEqual(['DELETE /c/k?versionid=v1', 'HEAD /c/k', 'DELETE /c/k', 'DELETE /c/k?versionid=v1']);
  });

  it('of which another became the newest meanwhile stay: nothing but the version that was meant is removed', async () => {
    const { store, asked } = await storeOn((request, response) => {
      if (request.method === 'HEAD') return void response.writeHead(200, { 'etag': '"e2"', 'x-ms-version-id': 'v2' }).end();
      refuse(response, 403, 'OperationNotAllowedOnRootBlob');
    });
    await expect(store.remove('k', 'v1')).rejects.toMatchObject({ detail: 'unavailable' });
    expect(asked).toEqual(['DELETE /c/k?versionid=v1', 'HEAD /c/k']);
  });
});

describe('the Azure store and a service in trouble', () => {
  it('is unavailable soon after the service fell silent, whatever was asked', async () => {
    const { store } = await storeOn(() => undefined);
    for (const work of [() => store.put('k', manyPieces(1), {}), () => store.put('k', manyPieces(20), {}), () => store.stat('k'), () => store.get('k', { start: 0, length: 1 }), () => store.remove('k'), () => store.probe()]) {
      await expect(work()).rejects.toMatchObject({ detail: 'unavailable', status: 503 });
    }
  });

  it('is unavailable when the service breaks off within an answer, or nobody listens', async () => {
    const { store } = await storeOn((request, response) => {
      response.writeHead(206, { 'content-length': 10 }).write('01234', () => request.socket.resetAndDestroy());
    });
    await expect(collect(await store.get('k', { start: 0, length: 10 }))).rejects.toMatchObject({ detail: 'unavailable' });
    for (const server of servers) server.close();
    await expect(store.stat('k')).rejects.toMatchObject({ detail: 'unavailable' });
  });

  it('sends a blob once more when the connection broke, and finds that the first try took effect', async () => {
    let md5 = '';
    const { store, asked } = await storeOn((request, response) => {
      if (request.method === 'HEAD') return void response.writeHead(200, { 'content-length': 3, 'content-md5': md5 }).end();
      if (md5 !== '') return refuse(response, 409, 'BlobAlreadyExists');
      md5 = String(request.headers['content-md5']);
      request.socket.resetAndDestroy();
    });
    expect(await store.put('k', inPieces(Buffer.from('abc')), {})).toEqual({ size: 3 });
    expect(asked.map((line) => line.split(' ')[0])).toEqual(['PUT', 'PUT', 'HEAD']);
  });

  it('shows neither account, key nor signature in what it throws', async () => {
    for (const behaviour of [((_request, response) => refuse(response, 403, 'AuthenticationFailed')) satisfies Behaviour, ((request) => { request.socket.resetAndDestroy(); }) satisfies Behaviour]) {
      const { store } = await storeOn(behaviour);
      for (const work of [() => store.put('k', manyPieces(1), {}), () => store.get('k', { start: 0, length: 1 }), () => store.stat('k'), () => store.remove('k')]) {
        const error = await work().then(() => undefined, (thrown: unknown) => thrown as Error);
        expect(error).toMatchObject({ detail: 'unavailable' });
        let shown = '';
        for (let at: unknown = error; at instanceof Error; at = at.cause) shown += `${at.stack ?? ''} ${JSON.stringify(at)}`;
        expect(shown).not.toMatch(/SECRETWORD|KEYNAME|SharedKey/);
        expect(shown).not.toContain(KEY);
      }
    }
  });
});

describe('the Azure store and its emulator', () => {
  let azurite: TestAzurite;
  beforeAll(async () => { azurite = await startAzurite(); });
  afterAll(() => azurite.stop());

  it('signs with the key of that moment, and is unavailable with another one', async () => {
    const container = await azurite.makeContainer();
    const login = { secretKey: azurite.key };
    const store = openAzureStore({ name: 'azure', endpoint: azurite.endpoint, bucket: container.containerName, accessKey: azurite.account, get secretKey() { return login.secretKey; } });
    await store.probe();
    login.secretKey = randomBytes(64).toString('base64');
    await expect(store.probe()).rejects.toMatchObject({ detail: 'unavailable' });
    login.secretKey = azurite.key;
    await store.probe();
    expect(await store.protection?.()).toEqual({ versioned: false, encrypted: true });
  });

  it('sends what the service compares: bytes that are not those of their MD5 are refused', async () => {
    const container = await azurite.makeContainer();
    const endpoint = new URL(azurite.endpoint);
    const { call } = createAzureCaller(openTransport(endpoint, 8_000), endpoint, container.containerName, { accessKey: azurite.account, secretKey: azurite.key });
    const wrong = { 'content-md5': Buffer.alloc(16).toString('base64') };
    const block = { comp: 'block', blockid: Buffer.from('1').toString('base64') };
    expect((await call({ method: 'PUT', key: 'k', query: block, body: [randomBytes(9)], headers: wrong })).status).toBe(400);
    expect((await call({ method: 'PUT', key: 'k', body: [randomBytes(9)], headers: { ...wrong, 'x-ms-blob-type': 'BlockBlob' } })).status).toBe(400);
  });

  it('lists what lies behind a key in the order of the keys, over several pages, and takes back blocks that were left behind', async () => {
    const container = await azurite.makeContainer();
    const store = openAzureStore({ name: 'azure', endpoint: azurite.endpoint, bucket: container.containerName, accessKey: azurite.account, secretKey: azurite.key });
    const keys = Array.from({ length: 100 }, (_, index) => `a/${String(index).padStart(3, '0')}`);
    for (const key of keys) await container.getBlockBlobClient(key).upload('x', 1);
    const listed: string[] = [];
    for await (const { key, size, modified } of store.list?.('a/009') ?? []) {
      listed.push(key);
      expect([size, Math.abs(Date.now() - modified.getTime()) < 60_000]).toEqual([1, true]);
    }
    expect(listed).toEqual(keys.slice(10));
    await container.getBlockBlobClient('b').stageBlock(Buffer.from('0001').toString('base64'), 'left', 4);
    await store.remove('b');
    const left: string[] = [];
    for await (const { name } of container.listBlobsFlat({ includeUncommitedBlobs: true, prefix: 'b' })) left.push(name);
    expect(left).toEqual([]);
  });
});
