// The yardstick for bytes: a plain Node server that hashes, stores and checks exactly as much as Muniment does, and
// nothing else. POST / stores a body, GET /NAME streams it, a Range is answered from the chunks that it touches.
import { createHash, randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

const CHUNK_BYTES = 1_048_576;

interface Kept {
  size: number;
  chunkDigests: Buffer[];
}

const folder = process.argv[2];
if (folder === undefined) throw new Error('Usage: bare-pipeline FOLDER');
const stored = new Map<string, Kept>();

/** SHA-256 and SHA-1 of all, SHA-256 of each chunk of 1 MiB. */
function createHashes(): { update(part: Buffer): void; finish(): Kept } {
  const [sha256, sha1] = [createHash('sha256'), createHash('sha1')];
  const chunkDigests: Buffer[] = [];
  let [chunk, filled, size] = [createHash('sha256'), 0, 0];
  const closeChunk = (): void => {
    chunkDigests.push(chunk.digest());
    [chunk, filled] = [createHash('sha256'), 0];
  };
  return {
    update(part) {
      sha256.update(part);
      sha1.update(part);
      size += part.length;
      for (let at = 0; at < part.length;) {
        const piece = part.subarray(at, at + CHUNK_BYTES - filled);
        chunk.update(piece);
        filled += piece.length;
        at += piece.length;
        if (filled === CHUNK_BYTES) closeChunk();
      }
    },
    finish() {
      if (filled > 0) closeChunk();
      sha256.digest();
      sha1.digest();
      return { size, chunkDigests };
    },
  };
}

async function store(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const name = randomUUID();
  const hashes = createHashes();
  const hashed = async function* (parts: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const part of parts) { hashes.update(part); yield part; }
  };
  // `flush` is an fsync before the file is closed.
  const file = createWriteStream(join(folder as string, name), { flags: 'wx', flush: true, highWaterMark: CHUNK_BYTES });
  await pipeline(request, hashed, file);
  await syncFolder();
  stored.set(name, hashes.finish());
  response.writeHead(201, { location: `/${name}` }).end();
}

async function syncFolder(): Promise<void> {
  const handle = await open(folder as string, 'r');
  await handle.sync().finally(() => handle.close());
}

async function readChunk(file: FileHandle, kept: Kept, index: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, kept.size - index * CHUNK_BYTES));
  const { bytesRead } = await file.read(buffer, 0, buffer.length, index * CHUNK_BYTES);
  const digest = createHash('sha256').update(buffer).digest();
  if (bytesRead !== buffer.length || !digest.equals(kept.chunkDigests[index] as Buffer)) throw new Error('A chunk has another digest');
  return buffer;
}

/** First and last byte that are asked for. */
function wanted(request: IncomingMessage, size: number): [start: number, end: number, partial: boolean] {
  const match = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
  return match === null ? [0, size - 1, false] : [Number(match[1]), Math.min(Number(match[2]), size - 1), true];
}

async function send(name: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const kept = stored.get(name);
  if (kept === undefined) { response.writeHead(404).end(); return; }
  const [start, end, partial] = wanted(request, kept.size);
  response.writeHead(partial ? 206 : 200, {
    'content-type': 'application/octet-stream', 'content-length': end - start + 1,
    ...(partial && { 'content-range': `bytes ${start}-${end}/${kept.size}` }),
  });
  // A Readable made of a generator reads one chunk ahead of what the socket takes.
  await pipeline(Readable.from(verified(name, kept, start, end)), response);
}

async function* verified(name: string, kept: Kept, start: number, end: number): AsyncGenerator<Buffer> {
  const file = await open(join(folder as string, name), 'r');
  try {
    const last = Math.floor(end / CHUNK_BYTES);
    for (let index = Math.floor(start / CHUNK_BYTES); index <= last; index += 1) {
      const from = index * CHUNK_BYTES;
      yield (await readChunk(file, kept, index)).subarray(Math.max(0, start - from), end - from + 1);
    }
  } finally {
    await file.close();
  }
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const name = (request.url ?? '/').slice(1);
  if (request.method === 'POST') await store(request, response);
  else if (request.method === 'DELETE') {
    await rm(join(folder as string, name), { force: true });
    stored.delete(name);
    response.writeHead(204).end();
  } else await send(name, request, response);
}

const server = createServer((request, response) => {
  answer(request, response).catch((error: unknown) => {
    process.stderr.write(`${(error as Error).message}\n`);
    response.destroy();
  });
});
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`ready http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});
process.on('SIGTERM', () => process.exit(0));
