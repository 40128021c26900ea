// The S3 store on a real MinIO, in a bucket of its own; without one these tests are left out and say so.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'minio';
import { startDigestPass } from '../../src/content/chunk-digests.ts';
import { ContentIntegrityError, createContentReader } from '../../src/content/read-content.ts';
import type { ContentRow } from '../../src/database/tables.ts';
import { ObjectExistsError, type ContentStore, type PutOptions } from '../../src/content/content-store.ts';
import { openS3Store } from '../../src/content/stores/s3.ts';
import { brokenOff, collect, inPieces, manyPieces, MIB, sameBytes } from './byte-sources.ts';

const endpoint = process.env['TEST_S3_ENDPOINT'];
const credentials = { accessKey: process.env['TEST_S3_ACCESS_KEY'] ?? '', secretKey: process.env['TEST_S3_SECRET_KEY'] ?? '', region: 'us-east-1' };
if (endpoint === undefined) process.stderr.write('Left out: the S3 store (no TEST_S3_ENDPOINT)\n');

const sha256 = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest();

(endpoint === undefined ? describe.skip : describe)('the S3 store', () => {
  const bucket = `content-${randomUUID().slice(0, 8)}`;
  const versioned = `${bucket}-versions`;
  let client: Client;
  let store: ContentStore;
  let keys = 0;
  const newKey = (): string => `0a/2026/11/${keys += 1}`;
  const open = (name: string, at = bucket, secretKey = credentials.secretKey): ContentStore => openS3Store({ ...credentials, secretKey, name, endpoint: endpoint ?? '', bucket: at });
  const known = (bytes: Buffer): PutOptions => ({ size: bytes.length, sha256: () => sha256(bytes) });

  beforeAll(async () => {
    const url = new URL(endpoint ?? '');
    client = new Client({ endPoint: url.hostname, port: Number(url.port), useSSL: false, ...credentials });
    for (const name of [bucket, versioned]) await client.makeBucket(name);
    await client.setBucketVersioning(versioned, { Status: 'Enabled' });
    store = open('minio');
  });
  afterAll(async () => {
    for (const name of [bucket, versioned]) {
      for await (const object of client.listObjects(name, '', true, { IncludeVersion: true })) {
        const { name: key, versionId } = object as { name: string; versionId?: string };
        await client.removeObject(name, key, versionId === undefined ? {} : { versionId });
      }
      await client.removeBucket(name);
    }
  });

  async function incomplete(): Promise<string[]> {
    const found: string[] = [];
    for await (const upload of client.listIncompleteUploads(bucket, '', true)) found.push((upload as { key: string }).key);
    return found;
  }

  it.each([0, 1, 100_000, 8 * MIB, 8 * MIB + 1, 20 * MIB + 3])('stores %d bytes of known length under a SHA-256 that the server validated', async (size) => {
    const bytes = randomBytes(size);
    const key = newKey();
    await store.put(key, inPieces(bytes), known(bytes));
    expect(await store.stat(key)).toEqual({ size, sha256: sha256(bytes) });
    if (size > 0) expect(sameBytes(await collect(await store.get(key, { start: 0, length: size })), bytes)).toBe(true);
  });

  it.each([0, 5, 8 * MIB, 8 * MIB + 1, 25 * MIB + 3])('stores %d bytes of unknown length', async (size) => {
    const bytes = randomBytes(size);
    const key = newKey();
    await store.put(key, inPieces(bytes, 100_001), {});
    const held = await store.stat(key);
    expect(held?.size).toBe(size);
    // Only what went in one piece has a SHA-256 of the whole.
    expect(held?.sha256?.toString('hex')).toBe(size <= 8 * MIB ? sha256(bytes).toString('hex') : undefined);
    if (size > 0) expect(sameBytes(await collect(await store.get(key, { start: 0, length: size })), bytes)).toBe(true);
  });

  it('a read of an object that was overwritten or removed comes from an earlier version, as far as the digests hold', async () => {
    const at = open('minio', versioned);
    const bytes = randomBytes(2 * MIB + 9);
    const pass = startDigestPass();
    pass.update(bytes);
    const { sha1, chunkDigests } = pass.finish();
    const rowOf = (key: string, version: string | null): ContentRow => ({
      org: 1, id: randomUUID(), state: 'live', store: 'minio', key, store_version: version, size: String(bytes.length), sha256: sha256(bytes), sha1, chunk_bytes: MIB, chunk_digests: chunkDigests,
      declared_type: null, sniffed_type: null, creator: null, created_at: new Date(), published_at: new Date(), verified_at: null, quarantine_reason: null, replica_key: null, scan_verdict: null, scan_engine: null, scan_signatures: null, scan_finding: null, scanned_at: null, replicated_at: null, replica_until: null, purge: null,
    });
    const rescued: string[] = [];
    const reader = createContentReader({ stores: [at], onDamage: async () => undefined, onRescue: (_row, _chunk, from) => { rescued.push(from); } });
    const overwritten = newKey();
    await at.put(overwritten, inPieces(bytes), known(bytes));
    await client.putObject(versioned, overwritten, randomBytes(bytes.length));
    expect((await at.versions?.(overwritten))?.map(({ size }) => size)).toEqual([bytes.length, bytes.length]);
    expect(sameBytes(await collect(await reader.open(rowOf(overwritten, null))), bytes)).toBe(true);
    expect(rescued).toEqual(['version', 'version', 'version']);
    const removed = newKey();
    const { version } = await at.put(removed, inPieces(bytes), known(bytes));
    await client.putObject(versioned, removed, bytes);
    await at.remove(removed, version);
    expect(sameBytes(await collect(await reader.open(rowOf(removed, version ?? null), { start: MIB, length: 5 })), bytes.subarray(MIB, MIB + 5))).toBe(true);
    await at.remove(removed, (await at.stat(removed))?.version);
    await expect(reader.open(rowOf(removed, version ?? null))).rejects.toBeInstanceOf(ContentIntegrityError);
  });

  it('stores large bytes in parts where trailers are not known to be taken', async () => {
    const bytes = randomBytes(9 * MIB);
    const key = newKey();
    await open('r2').put(key, inPieces(bytes), known(bytes));
    expect(await store.stat(key)).toEqual({ size: bytes.length });
  });

  it('stores what is more than one PUT takes in parts', async () => {
    const bytes = randomBytes(17 * MIB);
    const key = newKey();
    const most = openS3Store({ ...credentials, name: 'minio', endpoint: endpoint ?? '', bucket, putBytesMax: bytes.length - 1 });
    await most.put(key, inPieces(bytes), known(bytes));
    // The store has digests of the parts alone.
    expect(await store.stat(key)).toEqual({ size: bytes.length });
    expect(sameBytes(await collect(await store.get(key, { start: 0, length: bytes.length })), bytes)).toBe(true);
  });

  it('gives ranges, and fewer bytes past the end', async () => {
    const bytes = randomBytes(3 * MIB);
    const key = newKey();
    await store.put(key, inPieces(bytes), known(bytes));
    for (const [start, length] of [[0, 1], [7, MIB], [MIB, 2 * MIB], [bytes.length - 1, 1], [bytes.length - 5, 100]] as const) {
      expect(sameBytes(await collect(await store.get(key, { start, length })), bytes.subarray(start, start + length))).toBe(true);
    }
    expect(await collect(await store.get(key, { start: bytes.length, length: 1 }))).toHaveLength(0);
    expect(await collect(await store.get('no/such/key', { start: 0, length: 1 }))).toHaveLength(0);
  });

  it.each([['in memory', 100_000, true], ['streamed', 9 * MIB, true], ['in parts', 9 * MIB, false]] as const)('refuses a key that exists, %s, and leaves its bytes alone', async (_how, size, announced) => {
    const key = newKey();
    const first = Buffer.from('first');
    await store.put(key, inPieces(first), known(first));
    const second = randomBytes(size);
    await expect(store.put(key, inPieces(second), announced ? known(second) : {})).rejects.toThrow(ObjectExistsError);
    expect(await store.stat(key)).toEqual({ size: 5, sha256: sha256(first) });
  });

  it.each([['in memory', 1_000], ['streamed', 9 * MIB]] as const)('keeps nothing when the digest is another than that of the bytes, %s', async (_how, size) => {
    const key = newKey();
    await expect(store.put(key, inPieces(randomBytes(size)), { size, sha256: () => sha256(Buffer.from('other')) })).rejects.toMatchObject({ detail: 'unavailable' });
    expect(await store.stat(key)).toBeUndefined();
  });

  it.each([['in memory', 4 * MIB, 3 * MIB], ['streamed', 30 * MIB, 12 * MIB], ['in parts', undefined, 30 * MIB]] as const)('keeps nothing when the source breaks off, %s, and passes its error on', async (_how, size, sent) => {
    const key = newKey();
    const error = Object.assign(new Error('gone'), { code: 'ECONNRESET' });
    await expect(store.put(key, brokenOff(randomBytes(sent), error), size === undefined ? {} : { size, sha256: () => Buffer.alloc(32) })).rejects.toBe(error);
    await sleep(200);
    expect(await store.stat(key)).toBeUndefined();
    expect(await incomplete()).toEqual([]);
  });

  it('keeps an upload alive while its source pauses', async () => {
    const bytes = randomBytes(9 * MIB);
    async function* pausing(): AsyncGenerator<Buffer> {
      yield bytes.subarray(0, 5 * MIB);
      await sleep(33_000);
      yield bytes.subarray(5 * MIB);
    }
    const key = newKey();
    await store.put(key, pausing(), known(bytes));
    expect(await store.stat(key)).toEqual({ size: bytes.length, sha256: sha256(bytes) });
  }, 60_000);

  it('signs each request with the keys of that moment, and refuses what is signed by none of the store', async () => {
    const login = { ...credentials };
    const exchanged = openS3Store(Object.defineProperty({ ...credentials, name: 'minio', endpoint: endpoint ?? '', bucket }, 'secretKey', { enumerable: true, get: () => login.secretKey }));
    const bytes = randomBytes(100);
    const key = newKey();
    const readBack = async (): Promise<Buffer> => {
      const pieces: Buffer[] = [];
      for await (const piece of await exchanged.get(key, { start: 0, length: bytes.length })) pieces.push(piece);
      return Buffer.concat(pieces);
    };
    await exchanged.put(key, inPieces(bytes), known(bytes));
    login.secretKey = 'another-secret';
    await expect(readBack()).rejects.toMatchObject({ status: 503 });
    await expect(exchanged.put(newKey(), inPieces(bytes), known(bytes))).rejects.toMatchObject({ status: 503 });
    login.secretKey = credentials.secretKey;
    expect(await readBack()).toEqual(bytes);
    await exchanged.put(newKey(), inPieces(bytes), known(bytes));
  });

  it('reads on after whoever takes the bytes paused longer than a store may be silent', async () => {
    const impatient = openS3Store({ ...credentials, name: 'minio', endpoint: endpoint ?? '', bucket, silenceMs: 400 });
    const bytes = randomBytes(24 * MIB);
    const key = newKey();
    await store.put(key, inPieces(bytes), known(bytes));
    let size = 0;
    for await (const piece of await impatient.get(key, { start: 0, length: bytes.length })) {
      if (size === 0) await sleep(1_000);
      size += piece.length;
    }
    expect(size).toBe(bytes.length);
  });

  it('removes objects, missing ones without complaint, and uploads that were left behind', async () => {
    const key = newKey();
    await store.put(key, manyPieces(1), {});
    await store.remove(key);
    await store.remove(key);
    expect(await store.stat(key)).toBeUndefined();
    await client.initiateNewMultipartUpload(bucket, key, {});
    await store.remove(key);
    expect(await incomplete()).toEqual([]);
  });

  it('names the version that a bucket with versions gave, and reads and removes that one', async () => {
    const versions = open('minio', versioned);
    const bytes = Buffer.from('one version');
    const stored = await versions.put('v', inPieces(bytes), known(bytes));
    expect(stored.version).toBeDefined();
    const version = stored.version as string;
    expect(await versions.stat('v')).toEqual({ size: bytes.length, sha256: sha256(bytes), version });
    expect((await collect(await versions.get('v', { start: 0, length: 3 }, { version }))).toString()).toBe('one');
    await versions.remove('v', version);
    expect(await versions.stat('v')).toBeUndefined();
    expect(await versions.stat('v', version)).toBeUndefined();
  });

  it('proves by a probe that the bucket can be written and read', async () => {
    await store.probe();
    await open('minio', versioned).probe();
    await expect(open('minio', 'no-such-bucket').probe()).rejects.toMatchObject({ detail: 'unavailable' });
    await expect(open('minio', bucket, 'wrong-secret').probe()).rejects.toMatchObject({ detail: 'unavailable' });
  });

  it('is unavailable, not empty, when the bucket is not there', async () => {
    await expect(open('minio', 'no-such-bucket').get('k', { start: 0, length: 1 })).rejects.toMatchObject({ detail: 'unavailable' });
  });
});
