// Verified reads over the local store, with a wrapper that damages what the store gives on purpose.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, open, readdir, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { CHUNK_BYTES, startDigestPass } from '../../src/content/chunk-digests.ts';
import type { ContentStore } from '../../src/content/content-store.ts';
import { ContentIntegrityError, createContentReader, type ByteSpan } from '../../src/content/read-content.ts';
import { openFilesystemStore } from '../../src/content/stores/filesystem.ts';
import type { ContentRow } from '../../src/database/tables.ts';
import { fhirError } from '../../src/fhir/fhir-error.ts';
import { collect, inPieces, sameBytes } from './byte-sources.ts';

let directory: string;
let store: ContentStore;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'muniment-read-'));
  store = openFilesystemStore({ directory });
});
afterAll(() => rm(directory, { recursive: true }));

interface Kept {
  bytes: Buffer;
  row: ContentRow;
  path: string;
}

async function keep(size: number): Promise<Kept> {
  const bytes = randomBytes(size);
  const key = randomUUID();
  await store.put(key, inPieces(bytes), {});
  const pass = startDigestPass();
  pass.update(bytes);
  const { sha256, sha1, chunkDigests } = pass.finish();
  const row: ContentRow = {
    org: 1, id: randomUUID(), state: 'live', store: 'local', key, store_version: null, size: String(size), sha256, sha1, chunk_bytes: CHUNK_BYTES, chunk_digests: chunkDigests,
    declared_type: null, sniffed_type: null, creator: null, created_at: new Date(), published_at: new Date(), verified_at: null, quarantine_reason: null, replica_key: null, scan_verdict: null, scan_engine: null, scan_signatures: null, scan_finding: null, scanned_at: null, replicated_at: null, replica_until: null, purge: null,
  };
  return { bytes, row, path: join(directory, key) };
}

async function flip(kept: Kept, at: number): Promise<void> {
  const handle = await open(kept.path, 'r+');
  await handle.write(Buffer.from([(kept.bytes[at] ?? 0) ^ 1]), 0, 1, at);
  await handle.close();
}

interface Read {
  bytes: Buffer;
  error: unknown;
  damage: ContentIntegrityError[];
  /** Whether the failure came before anything could be sent. */
  early: boolean;
}

async function read(row: ContentRow, range?: ByteSpan, from: ContentStore = store): Promise<Read> {
  const result: Read = { bytes: Buffer.alloc(0), error: undefined, damage: [], early: true };
  const reader = createContentReader({ stores: [from], onDamage: async (_row, error) => { result.damage.push(error); } });
  const pieces: Buffer[] = [];
  try {
    const stream = await reader.open(row, range);
    result.early = false;
    for await (const piece of stream) pieces.push(piece);
  } catch (error) { result.error = error; }
  result.bytes = Buffer.concat(pieces);
  return result;
}

/** The store with its answers changed: `change` sees the number of the call from 1 on. */
function tampered(change: (call: number, bytes: AsyncIterable<Buffer>) => AsyncIterable<Buffer>): ContentStore {
  let calls = 0;
  return { ...store, get: async (key, range, options) => change(calls += 1, await store.get(key, range, options)) };
}

async function* spoilt(bytes: AsyncIterable<Buffer>, from: number): AsyncGenerator<Buffer> {
  let at = 0;
  for await (const piece of bytes) {
    const copy = Buffer.from(piece);
    if (from >= at && from < at + copy.length) copy[from - at] = (copy[from - at] ?? 0) ^ 0x80;
    at += copy.length;
    yield copy;
  }
}

async function* breaking(bytes: AsyncIterable<Buffer>, after: number): AsyncGenerator<Buffer> {
  let at = 0;
  for await (const piece of bytes) {
    if (at >= after) throw fhirError('unavailable', 'broken', { cause: Object.assign(new Error('reset'), { code: 'ECONNRESET' }) });
    at += piece.length;
    yield piece;
  }
}

describe('a verified read', () => {
  it.each([0, 1, 100_000, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 4 * CHUNK_BYTES, 5 * CHUNK_BYTES + 7])('gives all of %d bytes', async (size) => {
    const kept = await keep(size);
    const { bytes, error } = await read(kept.row);
    expect(error).toBeUndefined();
    expect(sameBytes(bytes, kept.bytes)).toBe(true);
  });

  it('gives every range as the same slice of the bytes', async () => {
    const kept = await keep(3 * CHUNK_BYTES + 11);
    await fc.assert(fc.asyncProperty(fc.nat(kept.bytes.length - 1), fc.nat(kept.bytes.length), async (start, wanted) => {
      const length = Math.min(wanted, kept.bytes.length - start);
      const { bytes, error } = await read(kept.row, { start, length });
      expect(error).toBeUndefined();
      expect(sameBytes(bytes, kept.bytes.subarray(start, start + length))).toBe(true);
    }), { numRuns: 80 });
  });

  it('takes pieces of any size from the store', async () => {
    const kept = await keep(2 * CHUNK_BYTES + 500);
    for (const pieceBytes of [1_000, 65_536, 3 * CHUNK_BYTES]) {
      const from: ContentStore = { ...store, get: async (_key, { start, length }) => inPieces(kept.bytes.subarray(start, start + length), pieceBytes) };
      expect(sameBytes((await read(kept.row, undefined, from)).bytes, kept.bytes)).toBe(true);
    }
  });

  it('gives no byte of a damaged chunk and every byte before it, wherever the bit flipped', async () => {
    for (const at of [0, 5, CHUNK_BYTES - 1, CHUNK_BYTES, 2 * CHUNK_BYTES + 3, 3 * CHUNK_BYTES]) {
      const kept = await keep(3 * CHUNK_BYTES + 1);
      await flip(kept, at);
      const chunk = Math.floor(at / CHUNK_BYTES);
      const { bytes, error, damage, early } = await read(kept.row);
      expect(error).toBeInstanceOf(ContentIntegrityError);
      expect(damage).toEqual([error]);
      expect(damage[0]).toMatchObject({ contentId: kept.row.id, chunk });
      expect(early).toBe(chunk === 0);
      expect(sameBytes(bytes, kept.bytes.subarray(0, chunk * CHUNK_BYTES))).toBe(true);
    }
  });

  it('does not look at chunks that a range leaves out, and fails early for one that it touches', async () => {
    const kept = await keep(3 * CHUNK_BYTES);
    await flip(kept, CHUNK_BYTES + 9);
    expect((await read(kept.row, { start: 0, length: CHUNK_BYTES })).error).toBeUndefined();
    expect((await read(kept.row, { start: 2 * CHUNK_BYTES, length: 5 })).error).toBeUndefined();
    expect(await read(kept.row, { start: CHUNK_BYTES + 500, length: 1 })).toMatchObject({ error: expect.any(ContentIntegrityError), early: true, bytes: Buffer.alloc(0) });
  });

  it('reads the chunks that a range touches and no other byte', async () => {
    const kept = await keep(5 * CHUNK_BYTES + 77);
    await fc.assert(fc.asyncProperty(fc.nat(kept.bytes.length - 1), fc.nat(3 * CHUNK_BYTES), async (start, wanted) => {
      const length = Math.max(1, Math.min(wanted, kept.bytes.length - start));
      const asked = new Set<number>();
      let bytes = 0;
      const counting: ContentStore = { ...store, get(key, range, options) {
        for (let at = range.start; at < range.start + range.length; at += CHUNK_BYTES) asked.add(at / CHUNK_BYTES);
        bytes += range.length;
        return store.get(key, range, options);
      } };
      expect((await read(kept.row, { start, length }, counting)).error).toBeUndefined();
      const [first, last] = [Math.floor(start / CHUNK_BYTES), Math.floor((start + length - 1) / CHUNK_BYTES)];
      expect([...asked].sort()).toEqual(Array.from({ length: last - first + 1 }, (_none, index) => first + index));
      expect(bytes).toBe(Math.min((last + 1) * CHUNK_BYTES, kept.bytes.length) - first * CHUNK_BYTES);
    }), { numRuns: 40 });
  });

  it('finds a file that was cut short or is missing', async () => {
    const cut = await keep(2 * CHUNK_BYTES + 9);
    await truncate(cut.path, CHUNK_BYTES + 3);
    expect(await read(cut.row)).toMatchObject({ error: { chunk: 1 }, early: false });
    const missing = await keep(10);
    await rm(missing.path);
    expect(await read(missing.row)).toMatchObject({ error: { chunk: 0 }, early: true });
  });

  it('asks the store once more, and a fault on the way does no harm', async () => {
    const kept = await keep(4 * CHUNK_BYTES + 5);
    for (const at of [0, CHUNK_BYTES + 1]) {
      const once = tampered((call, bytes) => (call === 1 || call === 2 ? spoilt(bytes, at) : bytes));
      const { bytes, error, damage } = await read(kept.row, undefined, at === 0 ? tampered((call, stream) => (call === 1 ? spoilt(stream, 0) : stream)) : once);
      expect([error, damage]).toEqual([undefined, []]);
      expect(sameBytes(bytes, kept.bytes)).toBe(true);
    }
  });

  it('goes on after a connection to the store broke', async () => {
    const kept = await keep(5 * CHUNK_BYTES);
    const { bytes, error } = await read(kept.row, undefined, tampered((call, stream) => (call === 2 ? breaking(stream, 2 * CHUNK_BYTES) : stream)));
    expect(error).toBeUndefined();
    expect(sameBytes(bytes, kept.bytes)).toBe(true);
  });

  it('takes a chunk that is wrong in its store from the replica, and only that one', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'muniment-replica-'));
    const replica = openFilesystemStore({ directory: folder });
    try {
      for (const [size, damage, wrong] of [[3 * CHUNK_BYTES + 5, [CHUNK_BYTES + 9], [1]], [3 * CHUNK_BYTES + 5, [0, 3 * CHUNK_BYTES], [0, 3]], [900, [13], [0]]] as const) {
        const kept = await keep(size);
        await replica.put(kept.row.key, inPieces(kept.bytes), {});
        for (const at of damage) await flip(kept, at);
        const rescued: [number, string][] = [];
        const asked: number[] = [];
        const counting: ContentStore = { ...replica, get(key, range, options) { asked.push(range.start / CHUNK_BYTES); return replica.get(key, range, options); } };
        const reader = createContentReader({ stores: [store], replica: counting, onDamage: async () => { throw new Error('damage'); }, onRescue: (_row, chunk, from) => { rescued.push([chunk, from]); } });
        expect(sameBytes(await collect(await reader.open(kept.row)), kept.bytes)).toBe(true);
        expect([rescued, asked]).toEqual([wrong.map((chunk) => [chunk, 'replica']), [...wrong]]);
        await rm(join(folder, kept.row.key));
        await expect(reader.open(kept.row, { start: damage[0], length: 1 })).rejects.toThrow('damage');
      }
    } finally { await rm(folder, { recursive: true }); }
  });

  it('finds damage when the replica is as wrong as the store', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'muniment-replica-'));
    const kept = await keep(2 * CHUNK_BYTES);
    const replica = openFilesystemStore({ directory: folder });
    await replica.put(kept.row.key, inPieces(randomBytes(2 * CHUNK_BYTES)), {});
    await flip(kept, 5);
    const damage: ContentIntegrityError[] = [];
    const reader = createContentReader({ stores: [store], replica, onDamage: async (_row, error) => { damage.push(error); } });
    await expect(reader.open(kept.row)).rejects.toBeInstanceOf(ContentIntegrityError);
    expect(damage).toHaveLength(1);
    await rm(folder, { recursive: true });
  });

  it('is unavailable, without damage, when the store cannot be reached', async () => {
    const kept = await keep(2 * CHUNK_BYTES);
    const result = await read(kept.row, undefined, tampered((_call, stream) => breaking(stream, 0)));
    expect(result).toMatchObject({ error: { detail: 'unavailable' }, damage: [], early: true });
  });

  it('withholds the last chunk when all chunks match and the digest of the whole does not', async () => {
    for (const size of [3 * CHUNK_BYTES, 100]) {
      const kept = await keep(size);
      const { bytes, error } = await read({ ...kept.row, sha256: randomBytes(32) });
      expect(error).toBeInstanceOf(ContentIntegrityError);
      expect(bytes).toHaveLength(size === 100 ? 0 : 2 * CHUNK_BYTES);
    }
  });

  it('holds no file open while nobody reads, nor after somebody stopped', async () => {
    const kept = await keep(4 * CHUNK_BYTES);
    const openFiles = async (): Promise<number> => (await readdir('/proc/self/fd')).length;
    const reader = createContentReader({ stores: [store], onDamage: async () => undefined });
    const before = await openFiles();
    for (let round = 0; round < 20; round += 1) {
      await reader.open(kept.row);
      for await (const piece of await reader.open(kept.row)) if (piece.length > 0) break;
      for await (const piece of await reader.open(kept.row, { start: CHUNK_BYTES, length: 2 * CHUNK_BYTES })) if (piece.length > 0) break;
    }
    expect(await openFiles()).toBeLessThanOrEqual(before + 2);
  });

  it('hands the bytes on as they were when everybody reads at once', async () => {
    const kept = await keep(3 * CHUNK_BYTES + 1);
    const results = await Promise.all(Array.from({ length: 12 }, () => read(kept.row)));
    expect(results.every((result) => result.error === undefined && sameBytes(result.bytes, kept.bytes))).toBe(true);
    expect(await collect(await createContentReader({ stores: [store], onDamage: async () => undefined }).open(kept.row, { start: 3, length: 0 }))).toHaveLength(0);
  });
});
