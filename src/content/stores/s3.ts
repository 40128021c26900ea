// Any S3: what is sent carries its SHA-256, so that the store refuses other bytes than were meant. Bytes go in by
// requests of our own, since the minio client holds whole parts in memory; it reads and removes.
import { randomUUID } from 'node:crypto';
import { ObjectExistsError, type ContentStore, type PutOptions, type StoredObject, type StoreProtection } from '../content-store.ts';
import { createS3Caller, storedObject, storeError } from './s3-call.ts';
import { openDirectUrls, type DirectOptions } from './s3-direct.ts';
import { checksumOf, cutParts, firstParts, following, partBytes, PART_BYTES, putMultipart, type Part } from './s3-multipart.ts';
import { openS3Reading } from './s3-reading.ts';
import type { S3Credentials } from './s3-signature.ts';
import { putStreamed } from './s3-streamed-put.ts';
import { reaching, unreachable } from './store-errors.ts';
import { openTransport } from './store-request.ts';
import { SILENCE_MS, StoreConnectionError } from './store-silence.ts';

export interface S3Options extends S3Credentials {
  /** Kept in each content row: minio, s3, r2. */
  name: string;
  endpoint: string;
  bucket: string;
  /** For tests; how long the store may be silent while we wait for it. */
  silenceMs?: number;
  /** Set where clients may be sent to the bucket itself. */
  direct?: DirectOptions | undefined;
  /** For tests; what one PUT takes. */
  putBytesMax?: number;
}

/** S3 takes no more in one PUT. */
const PUT_BYTES_MAX = 5 * 1024 ** 3;

/** Stores that are not known to take a checksum behind the bytes: what is large goes there in parts. */
const WITHOUT_TRAILER = new Set(['r2']);

/** A store on one bucket of an S3 endpoint, addressed by path. Opens no connection by itself. */
export function openS3Store(options: S3Options): ContentStore {
  const endpoint = new URL(options.endpoint);
  const { silenceMs = SILENCE_MS, putBytesMax = PUT_BYTES_MAX } = options;
  const transport = openTransport(endpoint, silenceMs);
  const call = createS3Caller(transport, endpoint, options.bucket, options);
  const reading = openS3Reading(endpoint, options.bucket, options, transport.agent, silenceMs);

  /** A body in memory is hashed before, which is cheaper for the store than a trailer. */
  async function putBuffered(key: string, part: Part, checksum: string): Promise<StoredObject> {
    const answer = await call({ method: 'PUT', key, body: part.pieces, headers: { 'x-amz-checksum-sha256': checksum, 'if-none-match': '*' } });
    if (answer.status === 200) return storedObject(part.size, answer);
    // The first try took effect, and its answer was lost with the connection.
    const held = answer.repeated && answer.status === 412 ? await stat(key) : undefined;
    if (held?.sha256?.toString('base64') === checksum) return held;
    throw storeError(answer);
  }

  /**
   * A store that refuses before the last byte closes the connection, and its answer is lost where more bytes were on their way:
   * what stands under the key then tells. `checksum` answers that of the bytes, once all of them were sent.
   */
  async function afterBreak(key: string, error: unknown, checksum: () => string | undefined): Promise<StoredObject> {
    if (!(error instanceof StoreConnectionError) || error.code === 'ETIMEDOUT') throw error;
    const held = await stat(key).catch(() => undefined);
    if (held === undefined) throw error;
    if (held.sha256 !== undefined && held.sha256.toString('base64') === checksum()) return held;
    throw new ObjectExistsError();
  }

  async function put(key: string, bytes: AsyncIterable<Buffer>, { size, sha256 }: PutOptions): Promise<StoredObject> {
    if (size !== undefined && size > PART_BYTES && size <= putBytesMax && sha256 !== undefined && !WITHOUT_TRAILER.has(options.name)) {
      let sent: string | undefined;
      return putStreamed(call, key, bytes, size, () => (sent = sha256().toString('base64'))).catch((error: unknown) => afterBreak(key, error, () => sent));
    }
    const parts = cutParts(bytes, partBytes(size ?? 0));
    try {
      const begin = await firstParts(parts);
      if (begin.length > 1) return await putMultipart(call, key, following(begin, parts));
      const only = begin[0] as Part;
      const checksum = sha256?.().toString('base64') ?? checksumOf(only);
      return await putBuffered(key, only, checksum).catch((error: unknown) => afterBreak(key, error, () => checksum));
    } finally {
      await parts.return(undefined);
    }
  }

  async function stat(key: string, version?: string): Promise<StoredObject | undefined> {
    const answer = await call({ method: 'HEAD', key, query: version === undefined ? {} : { versionId: version }, headers: { 'x-amz-checksum-mode': 'ENABLED' } });
    if (answer.status === 404) return undefined;
    if (answer.status !== 200) throw storeError(answer);
    const checksum = answer.headers['x-amz-checksum-sha256'];
    // A composite one is over the digests of parts; the SHA-256 of the whole is said to be so, or said without a type.
    const type = answer.headers['x-amz-checksum-type'] ?? 'FULL_OBJECT';
    const whole = type === 'FULL_OBJECT' && typeof checksum === 'string' && /^[A-Za-z0-9+/]{43}=$/.test(checksum);
    const encryption = answer.headers['x-amz-server-side-encryption'];
    return { ...storedObject(Number(answer.headers['content-length']), answer), ...(typeof encryption === 'string' ? { encryption } : {}), ...(whole ? { sha256: Buffer.from(checksum, 'base64') } : {}) };
  }

  async function probe(): Promise<void> {
    const key = `.probe/${randomUUID()}`;
    const body = Buffer.from('probe');
    const part = { pieces: [body], size: body.length };
    const { version } = await putBuffered(key, part, checksumOf(part));
    const pieces: Buffer[] = [];
    for await (const piece of await reading.get(key, { start: 0, length: body.length }, version)) pieces.push(piece);
    if (!Buffer.concat(pieces).equals(body)) throw unreachable(new Error('A probe that was written does not come back'));
    await reading.remove(key, version);
  }

  /** By an object of ours, not by the bucket's settings: they need rights that a server should not have. */
  async function protection(): Promise<StoreProtection> {
    const key = `.probe/${randomUUID()}`;
    const body = Buffer.from('probe');
    const part = { pieces: [body], size: body.length };
    const { version } = await putBuffered(key, part, checksumOf(part));
    try {
      return { versioned: version !== undefined, encrypted: (await stat(key, version))?.encryption !== undefined };
    } finally { await reading.remove(key, version); }
  }

  return {
    name: options.name,
    lengthProves: false,
    put: (key, bytes, wish) => reaching(put(key, bytes, wish)),
    stat: (key, version) => reaching(stat(key, version)),
    get: (key, range, { version } = {}) => reading.get(key, range, version),
    versions: (key) => reading.versions(key),
    list: (after) => reading.list(after),
    remove: (key, version) => reading.remove(key, version),
    protection: () => reaching(protection()),
    probe: () => reaching(probe()),
    ...(options.direct === undefined ? {} : { direct: openDirectUrls(options.direct, options.bucket, options, silenceMs) }),
  };
}
