// Bytes of unknown length go in parts, each hashed before it is sent; one part is in memory at a time.
import { createHash } from 'node:crypto';
import type { StoredObject } from '../content-store.ts';
import { storeError, type S3Caller } from './s3-call.ts';

const PART_BYTES = 16 * 1024 * 1024;

async function* cutParts(bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let held: Buffer[] = [];
  let size = 0;
  for await (const piece of bytes) {
    for (let at = 0; at < piece.length;) {
      const take = Math.min(PART_BYTES - size, piece.length - at);
      held.push(piece.subarray(at, at + take));
      size += take;
      at += take;
      if (size < PART_BYTES) continue;
      yield Buffer.concat(held, size);
      held = [];
      size = 0;
    }
  }
  if (size > 0) yield Buffer.concat(held, size);
}

interface SentPart {
  number: number;
  etag: string;
  checksum: string;
}

async function sendPart(call: S3Caller, key: string, uploadId: string, number: number, body: Buffer): Promise<SentPart> {
  const checksum = createHash('sha256').update(body).digest('base64');
  const answer = await call({ method: 'PUT', key, query: { partNumber: String(number), uploadId }, body, headers: { 'x-amz-checksum-sha256': checksum } });
  const etag = answer.headers.etag;
  if (answer.status !== 200 || etag === undefined) throw storeError(answer);
  return { number, etag, checksum };
}

async function complete(call: S3Caller, key: string, uploadId: string, parts: readonly SentPart[], size: number): Promise<StoredObject> {
  const list = parts.map((part) => `<Part><PartNumber>${part.number}</PartNumber><ETag>${part.etag}</ETag><ChecksumSHA256>${part.checksum}</ChecksumSHA256></Part>`);
  const answer = await call({ method: 'POST', key, query: { uploadId }, body: Buffer.from(`<CompleteMultipartUpload>${list.join('')}</CompleteMultipartUpload>`), headers: { 'if-none-match': '*' } });
  // A failure may come behind a status of 200, as an error document.
  if (answer.status !== 200 || answer.code !== undefined) throw storeError(answer);
  const version = answer.headers['x-amz-version-id'];
  return { size, ...(typeof version === 'string' ? { version } : {}) };
}

async function begin(call: S3Caller, key: string): Promise<string> {
  const answer = await call({ method: 'POST', key, query: { uploads: '' }, headers: { 'x-amz-checksum-algorithm': 'SHA256' }, body: Buffer.alloc(0) });
  const uploadId = /<UploadId>([^<]+)/.exec(answer.text)?.[1];
  if (answer.status !== 200 || uploadId === undefined) throw storeError(answer);
  return uploadId;
}

/** A single part becomes a plain object by `putWhole`. A failure ends the upload at the store. */
export async function openMultipart(call: S3Caller, key: string, bytes: AsyncIterable<Buffer>, putWhole: (key: string, body: Buffer) => Promise<StoredObject>): Promise<StoredObject> {
  const source = cutParts(bytes);
  const first = await source.next();
  if (first.done === true) return putWhole(key, Buffer.alloc(0));
  const second = first.value.length < PART_BYTES ? undefined : await source.next();
  if (second === undefined || second.done === true) return putWhole(key, first.value);
  const uploadId = await begin(call, key);
  try {
    const parts = [await sendPart(call, key, uploadId, 1, first.value), await sendPart(call, key, uploadId, 2, second.value)];
    let size = first.value.length + second.value.length;
    for await (const part of source) {
      parts.push(await sendPart(call, key, uploadId, parts.length + 1, part));
      size += part.length;
    }
    return await complete(call, key, uploadId, parts, size);
  } catch (error) {
    await call({ method: 'DELETE', key, query: { uploadId } }).catch(() => { /* The store ends stale uploads itself. */ });
    throw error;
  }
}
