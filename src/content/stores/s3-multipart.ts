// Bytes of unknown length, and more than one PUT takes, go in parts, each hashed before it is sent. Two parts are on their
// way while a third is gathered: 24 MiB up to a length of 78 GiB.
import { createHash } from 'node:crypto';
import type { StoredObject } from '../content-store.ts';
import { storedObject, storeError, type S3Caller } from './s3-call.ts';

export const PART_BYTES = 8 * 1024 * 1024;
/** As many as S3 takes for one object: 78 GiB in parts of PART_BYTES. */
const PARTS_MAX = 10_000;
const PARTS_IN_FLIGHT = 2;

export interface Part {
  pieces: Buffer[];
  size: number;
}

/** Bytes of a part, so that `size` bytes are 10,000 parts at most: whole MiB, and PART_BYTES at least. */
export function partBytes(size: number): number {
  return Math.max(PART_BYTES, Math.ceil(size / PARTS_MAX / 1024 ** 2) * 1024 ** 2);
}

/** Parts of `bytesMax`, the last one shorter; one empty part when there are no bytes. Nothing is copied. */
export async function* cutParts(bytes: AsyncIterable<Buffer>, bytesMax = PART_BYTES): AsyncGenerator<Part> {
  let part: Part = { pieces: [], size: 0 };
  let first = true;
  for await (const piece of bytes) {
    for (let at = 0; at < piece.length;) {
      if (part.size === bytesMax) {
        yield part;
        first = false;
        part = { pieces: [], size: 0 };
      }
      const taken = piece.subarray(at, at + bytesMax - part.size);
      part.pieces.push(taken);
      part.size += taken.length;
      at += taken.length;
    }
  }
  if (first || part.size > 0) yield part;
}

/** The first two parts, or the only one. */
export async function firstParts(parts: AsyncIterator<Part>): Promise<Part[]> {
  const taken: Part[] = [];
  while (taken.length < 2) {
    const next = await parts.next();
    if (next.done === true) break;
    taken.push(next.value);
  }
  return taken;
}

/** What was taken, which is let go as it passes, before what is still to come. */
export async function* following(taken: Part[], rest: AsyncIterable<Part>): AsyncGenerator<Part> {
  for (let part = taken.shift(); part !== undefined; part = taken.shift()) yield part;
  yield* rest;
}

export function checksumOf(part: Part): string {
  const hash = createHash('sha256');
  for (const piece of part.pieces) hash.update(piece);
  return hash.digest('base64');
}

interface SentPart {
  number: number;
  etag: string;
  checksum: string;
}

async function sendPart(call: S3Caller, key: string, uploadId: string, number: number, part: Part): Promise<SentPart> {
  const checksum = checksumOf(part);
  const answer = await call({ method: 'PUT', key, query: { partNumber: String(number), uploadId }, body: part.pieces, headers: { 'x-amz-checksum-sha256': checksum } });
  const { etag } = answer.headers;
  if (answer.status !== 200 || etag === undefined) throw storeError(answer);
  return { number, etag, checksum };
}

/** Starts each part as soon as fewer than two are on their way; resolves, or rejects, when none is any more. Parts count from 1. */
export async function sendParts<Sent>(parts: AsyncIterable<Part>, send: (number: number, part: Part) => Promise<Sent>): Promise<{ sent: Sent[]; size: number }> {
  const sending: Promise<Sent>[] = [];
  let size = 0;
  try {
    for await (const part of parts) {
      await sending.at(-PARTS_IN_FLIGHT);
      const task = send(sending.length + 1, part);
      // Its failure is told when it is waited for.
      task.catch(() => undefined);
      sending.push(task);
      size += part.size;
    }
    return { sent: await Promise.all(sending), size };
  } finally {
    await Promise.allSettled(sending);
  }
}

async function begin(call: S3Caller, key: string): Promise<string> {
  const answer = await call({ method: 'POST', key, query: { uploads: '' }, headers: { 'x-amz-checksum-algorithm': 'SHA256' }, body: [] });
  const uploadId = /<UploadId>([^<]+)/.exec(answer.text)?.[1];
  if (answer.status !== 200 || uploadId === undefined) throw storeError(answer);
  return uploadId;
}

async function complete(call: S3Caller, key: string, uploadId: string, parts: readonly SentPart[], size: number): Promise<StoredObject> {
  const list = parts.map((part) => `<Part><PartNumber>${part.number}</PartNumber><ETag>${part.etag}</ETag><ChecksumSHA256>${part.checksum}</ChecksumSHA256></Part>`);
  const body = [Buffer.from(`<CompleteMultipartUpload>${list.join('')}</CompleteMultipartUpload>`)];
  const answer = await call({ method: 'POST', key, query: { uploadId }, body, headers: { 'if-none-match': '*' }, mayRepeat: false, own: true });
  // A failure may come behind a status of 200, as an error document.
  if (answer.status !== 200 || answer.code !== undefined) throw storeError(answer);
  return storedObject(size, answer);
}

/** All parts as one object. A failure ends the upload at the store. */
export async function putMultipart(call: S3Caller, key: string, parts: AsyncIterable<Part>): Promise<StoredObject> {
  const uploadId = await begin(call, key);
  try {
    const { sent, size } = await sendParts(parts, (number, part) => sendPart(call, key, uploadId, number, part));
    return await complete(call, key, uploadId, sent, size);
  } catch (error) {
    await call({ method: 'DELETE', key, query: { uploadId } }).catch(() => { /* Removing the object ends it, or the store by itself. */ });
    throw error;
  }
}
