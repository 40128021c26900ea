// Any S3: what is sent carries its SHA-256, so that the store refuses other bytes than were meant. The minio client
// reads and removes; bytes go in by requests of our own, since the client holds whole parts in memory.
import { createHash, randomUUID } from 'node:crypto';
import { Client } from 'minio';
import { FhirError } from '../../fhir/fhir-error.ts';
import type { ContentStore, StoredObject } from '../content-store.ts';
import { storeError, unreachable, type S3Caller } from './s3-call.ts';
import { openTransport, SILENCE_MS, type S3Answer } from './s3-request.ts';
import { encodePath, encodeQuery, signRequest, UNSIGNED_PAYLOAD, UNSIGNED_TRAILER, type S3Credentials } from './s3-signature.ts';
import { openMultipart } from './s3-multipart.ts';

export interface S3Options extends S3Credentials {
  /** Kept in each content row: minio, s3, r2. */
  name: string;
  endpoint: string;
  bucket: string;
}

/** Bodies up to this size are hashed before they are sent; they cost the store less. */
const BUFFERED_BYTES_MAX = 8 * 1024 * 1024;
const FRAME_BYTES = 64 * 1024;

function translate(error: unknown): unknown {
  if (error instanceof FhirError) return error;
  const { code } = error as { code?: string };
  return code !== undefined ? unreachable(error) : error;
}

async function collect(bytes: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of bytes) parts.push(part);
  return parts.length === 1 ? parts[0] as Buffer : Buffer.concat(parts);
}

/** aws-chunked framing: each frame with its length, the SHA-256 of all as a trailer. */
async function* framed(bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const digest = createHash('sha256');
  let held: Buffer[] = [];
  let size = 0;
  function* frame(): Generator<Buffer> {
    yield Buffer.from(`${size.toString(16)}\r\n`, 'latin1');
    yield* held;
    yield Buffer.from('\r\n', 'latin1');
  }
  for await (const part of bytes) {
    digest.update(part);
    held.push(part);
    size += part.length;
    if (size < FRAME_BYTES) continue;
    yield* frame();
    held = [];
    size = 0;
  }
  if (size > 0) yield* frame();
  yield Buffer.from(`0\r\nx-amz-checksum-sha256:${digest.digest('base64')}\r\n\r\n`, 'latin1');
}

export function openS3Store(options: S3Options): ContentStore {
  const endpoint = new URL(options.endpoint);
  const transport = openTransport(endpoint);
  const client = new Client({
    endPoint: endpoint.hostname, port: Number(endpoint.port) || (endpoint.protocol === 'https:' ? 443 : 80), useSSL: endpoint.protocol === 'https:',
    accessKey: options.accessKey, secretKey: options.secretKey, region: options.region, pathStyle: true,
  });

  const call: S3Caller = async ({ method, key, query = {}, headers = {}, body, payloadHash = UNSIGNED_PAYLOAD }) => {
    const path = `/${options.bucket}/${key}`;
    const length: Record<string, string> = Buffer.isBuffer(body) ? { 'content-length': String(body.length) } : {};
    const signed = signRequest({ method, host: endpoint.host, path, query, headers: { ...headers, ...length }, payloadHash }, options, new Date());
    const search = encodeQuery(query);
    return transport.exchange({ method, target: encodePath(path) + (search === '' ? '' : `?${search}`), headers: signed, ...(body === undefined ? {} : { body }) });
  };

  const stored = (size: number, answer: S3Answer): StoredObject => {
    const version = answer.headers['x-amz-version-id'];
    return { size, ...(typeof version === 'string' ? { version } : {}) };
  };

  async function putBuffered(key: string, body: Buffer): Promise<StoredObject> {
    const checksum = createHash('sha256').update(body).digest('base64');
    const answer = await call({ method: 'PUT', key, body, headers: { 'x-amz-checksum-sha256': checksum, 'if-none-match': '*' } });
    if (answer.status !== 200) throw storeError(answer);
    return stored(body.length, answer);
  }

  async function putStreamed(key: string, bytes: AsyncIterable<Buffer>, size: number): Promise<StoredObject> {
    const headers = { 'content-encoding': 'aws-chunked', 'x-amz-decoded-content-length': String(size), 'x-amz-trailer': 'x-amz-checksum-sha256', 'transfer-encoding': 'chunked', 'if-none-match': '*' };
    const answer = await call({ method: 'PUT', key, body: framed(bytes), headers, payloadHash: UNSIGNED_TRAILER });
    if (answer.status !== 200) throw storeError(answer);
    return stored(size, answer);
  }

  async function put(key: string, bytes: AsyncIterable<Buffer>, size: number | undefined): Promise<StoredObject> {
    if (size === undefined) return openMultipart(call, key, bytes, putBuffered);
    return size <= BUFFERED_BYTES_MAX ? putBuffered(key, await collect(bytes)) : putStreamed(key, bytes, size);
  }

  async function stat(key: string, version?: string): Promise<StoredObject | undefined> {
    const answer = await call({ method: 'HEAD', key, query: version === undefined ? {} : { versionId: version }, headers: { 'x-amz-checksum-mode': 'ENABLED' } });
    if (answer.status === 404) return undefined;
    if (answer.status !== 200) throw storeError(answer);
    const checksum = answer.headers['x-amz-checksum-sha256'];
    const whole = answer.headers['x-amz-checksum-type'] !== 'COMPOSITE' && typeof checksum === 'string' && !checksum.includes('-');
    return { ...stored(Number(answer.headers['content-length']), answer), ...(whole ? { sha256: Buffer.from(checksum, 'base64') } : {}) };
  }

  return {
    name: options.name,
    lengthProves: false,
    async put(key, bytes, { size }) {
      try {
        return await put(key, bytes, size);
      } catch (error) { throw translate(error); }
    },
    async stat(key, version) {
      try {
        return await stat(key, version);
      } catch (error) { throw translate(error); }
    },
    async get(key, range, { version } = {}) {
      try {
        const stream = await client.getPartialObject(options.bucket, key, range.start, range.length, version === undefined ? {} : { versionId: version });
        return listened(stream);
      } catch (error) {
        if (/^(NoSuchKey|NoSuchVersion|NotFound|InvalidRange)$/.test((error as { code?: string }).code ?? '')) return nothing();
        throw translate(error);
      }
    },
    async remove(key, version) {
      try {
        await client.removeObject(options.bucket, key, version === undefined ? {} : { versionId: version });
      } catch (error) { throw translate(error); }
    },
    async probe() {
      const key = `.probe/${randomUUID()}`;
      try {
        const body = Buffer.from('probe');
        const written = await putBuffered(key, body);
        if ((await stat(key))?.size !== body.length) throw unreachable(new Error('A probe that was written cannot be found'));
        await client.removeObject(options.bucket, key, written.version === undefined ? {} : { versionId: written.version });
      } catch (error) { throw translate(error); }
    },
  };
}

async function* nothing(): AsyncGenerator<Buffer> {
  // A missing object has no bytes; the reader finds that they do not match.
}

/** The client of the store has no limit of its own: a stream that falls silent is cut. */
async function* listened(stream: AsyncIterable<Buffer> & { destroy(error?: Error): void }): AsyncGenerator<Buffer> {
  const iterator = stream[Symbol.asyncIterator]();
  try {
    for (;;) {
      let timer: NodeJS.Timeout | undefined;
      const silence = new Promise<never>((_resolve, reject) => {
        timer = setTimeout(() => reject(unreachable(new Error('The store fell silent'))), SILENCE_MS);
      });
      try {
        const next = await Promise.race([iterator.next(), silence]);
        if (next.done === true) return;
        yield next.value;
      } finally { clearTimeout(timer); }
    }
  } catch (error) {
    throw translate(error);
  } finally {
    stream.destroy();
  }
}
