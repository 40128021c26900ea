// How the S3 store takes a server that is silent, breaks connections or refuses. The server here only misbehaves; what
// a real one does is proved elsewhere.
import { afterEach, describe, expect, it } from '@jest/globals';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ObjectExistsError, type ContentStore } from '../../src/content/content-store.ts';
import { openS3Store } from '../../src/content/stores/s3.ts';
import { partBytes } from '../../src/content/stores/s3-multipart.ts';
import { collect, inPieces, manyPieces, MIB } from './byte-sources.ts';

type Behaviour = (request: IncomingMessage, response: ServerResponse, count: number) => void;

const SILENCE_MS = 400;
/** Where silence is not what is looked at: client and server are one process here, which a busy machine may stop for longer. */
const PATIENT_MS = 4_000;
let server: Server;
const servers: Server[] = [];
let counts: Record<string, number>;

afterEach(() => {
  for (const started of servers.splice(0)) {
    started.closeAllConnections();
    started.close();
  }
});

async function storeOn(behaviour: Behaviour, silenceMs = SILENCE_MS): Promise<ContentStore> {
  counts = {};
  server = createServer((request, response) => {
    const method = request.method ?? '';
    counts[method] = (counts[method] ?? 0) + 1;
    behaviour(request, response, counts[method] ?? 0);
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return openS3Store({ name: 's3', endpoint: `http://127.0.0.1:${port}`, bucket: 'bucket', region: 'us-east-1', accessKey: 'KEYNAME', secretKey: 'SECRETWORD', silenceMs });
}

const refuse = (status: number, code: string): Behaviour => (request, response) => {
  request.resume();
  request.on('end', () => response.writeHead(status).end(`<Error><Code>${code}</Code></Error>`));
};

const bytes = randomBytes(1_000);
const sha256 = createHash('sha256').update(bytes).digest();
const put = (store: ContentStore): Promise<unknown> => store.put('k', inPieces(bytes), { size: bytes.length, sha256: () => sha256 });

it.each([0, 1, 8 * MIB, 50 * 1024 * MIB, 79 * 1024 * MIB, 5 * 1024 * 1024 * MIB])('%d bytes are 10,000 parts at most, each of 8 MiB to 5 GiB', (size) => {
  const bytes = partBytes(size);
  expect(Math.ceil(size / bytes)).toBeLessThanOrEqual(10_000);
  expect(bytes).toBeGreaterThanOrEqual(8 * MIB);
  expect(bytes).toBeLessThanOrEqual(5 * 1024 * MIB);
});

describe('the S3 store and a server in trouble', () => {
  it('is unavailable soon after the server fell silent, whatever was asked', async () => {
    const store = await storeOn(() => undefined);
    const large = { size: 64 * MIB, sha256: () => Buffer.alloc(32) };
    for (const work of [() => put(store), () => store.put('k', manyPieces(64), large), () => store.put('k', manyPieces(64), {}), () => store.stat('k'), () => store.get('k', { start: 0, length: 1 }), () => store.remove('k'), () => store.probe()]) {
      const begin = performance.now();
      await expect(work()).rejects.toMatchObject({ detail: 'unavailable', status: 503 });
      expect(performance.now() - begin).toBeLessThan(SILENCE_MS * 5);
    }
  });

  it('is unavailable when the server falls silent within an answer', async () => {
    const store = await storeOn((_request, response) => { response.writeHead(206, { 'content-length': 10 }).write('01234'); });
    await expect(collect(await store.get('k', { start: 0, length: 10 }))).rejects.toMatchObject({ detail: 'unavailable' });
  });

  it('is unavailable when nobody listens', async () => {
    const store = await storeOn(() => undefined);
    server.close();
    await expect(put(store)).rejects.toMatchObject({ detail: 'unavailable' });
    await expect(store.get('k', { start: 0, length: 1 })).rejects.toMatchObject({ detail: 'unavailable' });
  });

  it('sends a body in memory once more when the connection broke', async () => {
    const store = await storeOn((request, response, count) => {
      if (count === 1) return void request.socket.resetAndDestroy();
      request.resume().on('end', () => response.writeHead(200).end());
    });
    expect(await put(store)).toEqual({ size: bytes.length });
    expect(counts['PUT']).toBe(2);
  });

  it('finds that the first try took effect when the second finds the key taken', async () => {
    const store = await storeOn((request, response, count) => {
      if (request.method === 'HEAD') return void response.writeHead(200, { 'content-length': bytes.length, 'x-amz-checksum-sha256': sha256.toString('base64') }).end();
      if (count === 1) return void request.resume().on('end', () => { request.socket.resetAndDestroy(); });
      refuse(412, 'PreconditionFailed')(request, response, count);
    });
    expect(await put(store)).toMatchObject({ size: bytes.length });
  });

  it('gives up after a second break, and never sends a stream twice', async () => {
    const store = await storeOn((request) => { request.socket.resetAndDestroy(); });
    await expect(put(store)).rejects.toMatchObject({ detail: 'unavailable' });
    expect(counts['PUT']).toBe(2);
    await expect(store.put('k', manyPieces(64), { size: 64 * MIB, sha256: () => Buffer.alloc(32) })).rejects.toMatchObject({ detail: 'unavailable' });
    expect(counts['PUT']).toBe(3);
  });

  it('asks what stands under the key when the connection broke: what is ours is kept, what is not makes the key taken', async () => {
    const large = { size: 16 * MIB, sha256: () => sha256 };
    const other = Buffer.alloc(32).toString('base64');
    for (const [held, ours] of [[sha256.toString('base64'), true], [other, false], [undefined, false]] as const) {
      for (const [early, work] of [[true, (store: ContentStore) => store.put('k', manyPieces(16), large)], [false, (store: ContentStore) => store.put('k', manyPieces(16), large)], [false, put]] as const) {
        const store = await storeOn((request, response) => {
          if (request.method === 'HEAD') return void (held === undefined ? response.writeHead(404).end() : response.writeHead(200, { 'content-length': 9, 'x-amz-checksum-sha256': held }).end());
          // Refused with the first bytes, and the answer is lost; or all of it was taken, and the answer is lost.
          if (early) request.once('data', () => { request.socket.resetAndDestroy(); });
          else request.resume().on('end', () => { request.socket.resetAndDestroy(); });
        }, PATIENT_MS);
        const end = await work(store).then(() => 'kept', (error: Error & { detail?: string }) => error.detail ?? error.name);
        expect([early, held, end]).toEqual([early, held, held === undefined ? 'unavailable' : ours && !early ? 'kept' : 'ObjectExistsError']);
      }
    }
  });

  it('is not misled by connections that the server closed without a word after it had refused on them', async () => {
    const used = new WeakSet<object>();
    const store = await storeOn((request, response) => {
      // Each connection answers once; whoever comes back on it finds it gone.
      if (used.has(request.socket)) return void request.socket.resetAndDestroy();
      used.add(request.socket);
      request.resume().on('end', () => {
        // Without a length Node keeps no connection after it.
        if (request.method === 'HEAD') return void response.writeHead(404, { 'content-length': 0 }).end();
        if (request.method === 'POST' && request.url?.includes('uploads') === true) return void response.writeHead(200).end('<R><UploadId>up-1</UploadId></R>');
        if (request.method === 'POST') return void response.writeHead(412).end('<Error><Code>PreconditionFailed</Code></Error>');
        if (request.url?.includes('partNumber') === true) return void response.writeHead(200, { etag: '"1"' }).end();
        response.writeHead(request.method === 'GET' ? 404 : 412).end('<Error><Code>NoSuchKey</Code></Error>');
      });
    });
    for (let round = 0; round < 3; round += 1) {
      // Several connections are left waiting for use.
      await Promise.all([0, 1, 2, 3].map(() => store.stat('k')));
      await expect(put(store)).rejects.toThrow(ObjectExistsError);
      await Promise.all([0, 1, 2, 3].map(() => store.stat('k')));
      expect(await store.stat('k')).toBeUndefined();
      await Promise.all([0, 1, 2, 3].map(() => store.stat('k')));
      expect(await collect(await store.get('k', { start: 0, length: 1 }))).toHaveLength(0);
      await Promise.all([0, 1, 2, 3].map(() => store.stat('k')));
      await expect(store.put('k', manyPieces(9), {})).rejects.toThrow(ObjectExistsError);
    }
  });

  it('stops reading the source when the answer comes early', async () => {
    const store = await storeOn((_request, response) => { response.writeHead(412).end('<Error><Code>PreconditionFailed</Code></Error>'); });
    let taken = 0;
    async function* counted(): AsyncGenerator<Buffer> {
      for await (const piece of manyPieces(256)) {
        taken += 1;
        yield piece;
      }
    }
    await expect(store.put('k', counted(), { size: 256 * MIB, sha256: () => Buffer.alloc(32) })).rejects.toThrow(ObjectExistsError);
    expect(taken).toBeLessThan(100);
  });

  it('does not wait for a source that pauses when the answer came early', async () => {
    const store = await storeOn((_request, response) => { response.writeHead(507).end('<Error><Code>XMinioStorageFull</Code></Error>'); });
    async function* stuck(): AsyncGenerator<Buffer> {
      yield Buffer.alloc(MIB);
      await new Promise(() => undefined);
    }
    await expect(store.put('k', stuck(), { size: 64 * MIB, sha256: () => Buffer.alloc(32) })).rejects.toMatchObject({ detail: 'storage-full', status: 507 });
  });

  it.each([[507, 'XMinioStorageFull', 'storage-full'], [500, 'XMinioStorageFull', 'storage-full'], [500, 'InternalError', 'unavailable'], [403, 'AccessDenied', 'unavailable'], [403, 'SignatureDoesNotMatch', 'unavailable'], [503, 'SlowDown', 'unavailable'], [400, 'XAmzContentChecksumMismatch', 'unavailable']])('takes a refusal %d %s as %s, with the code for the log alone', async (status, code, detail) => {
    const store = await storeOn(refuse(status, code));
    const error = await put(store).then(() => undefined, (thrown: unknown) => thrown as Error);
    expect(error).toMatchObject({ detail });
    expect(String((error?.cause as Error).message)).toContain(code);
    expect(error?.message).not.toContain(code);
  });

  it('shows neither key nor signature in what it throws', async () => {
    for (const behaviour of [refuse(403, 'AccessDenied'), ((request) => { request.socket.resetAndDestroy(); }) satisfies Behaviour]) {
      const store = await storeOn(behaviour);
      for (const work of [() => put(store), () => store.get('k', { start: 0, length: 1 }), () => store.stat('k')]) {
        const error = await work().then(() => undefined, (thrown: unknown) => thrown as Error);
        let shown = '';
        for (let at: unknown = error; at instanceof Error; at = at.cause) shown += `${at.stack ?? ''} ${JSON.stringify(at)}`;
        expect(shown).not.toMatch(/SECRETWORD|KEYNAME|Signature=/);
      }
    }
  });

  it('ends an upload in parts at the store when a part fails', async () => {
    const store = await storeOn((request, response, count) => {
      request.resume().on('end', () => {
        if (request.method === 'POST') return void response.writeHead(200).end('<R><UploadId>up-1</UploadId></R>');
        if (request.method === 'DELETE') return void response.writeHead(204).end();
        if (count === 1) return void response.writeHead(200, { etag: '"1"' }).end();
        response.writeHead(500).end('<Error><Code>InternalError</Code></Error>');
      });
    });
    await expect(store.put('k', manyPieces(40), {})).rejects.toMatchObject({ detail: 'unavailable' });
    expect(counts['DELETE']).toBe(1);
  });

  it('finds an error that comes behind the status 200 of a completed upload', async () => {
    const store = await storeOn((request, response) => {
      request.resume().on('end', () => {
        if (request.method === 'PUT') return void response.writeHead(200, { etag: '"1"' }).end();
        response.writeHead(200).end(request.url?.includes('uploads') === true ? '<R><UploadId>up-1</UploadId></R>' : '<Error><Code>InternalError</Code></Error>');
      });
    });
    await expect(store.put('k', manyPieces(9), {})).rejects.toMatchObject({ detail: 'unavailable' });
  });
});
