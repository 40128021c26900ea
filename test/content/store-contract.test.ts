// What every store of bytes must do, asked of each on the real thing: a folder, MinIO, the emulator of Azure.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { randomBytes, randomUUID } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { startDigestPass, type ContentDigests } from '../../src/content/chunk-digests.ts';
import { ObjectExistsError, type ContentStore, type PutOptions, type StoredObject } from '../../src/content/content-store.ts';
import { ContentIntegrityError, createContentReader } from '../../src/content/read-content.ts';
import { eraseObject, verifyStored } from '../../src/content/stored-object.ts';
import type { ContentRow } from '../../src/database/tables.ts';
import { brokenOff, collect, inPieces, MIB, sameBytes } from './byte-sources.ts';
import { CONTRACT_STORES, type ContractStore } from './contract-stores.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function digestsOf(bytes: Buffer): ContentDigests {
  const pass = startDigestPass();
  pass.update(bytes);
  return pass.finish();
}

const told = (bytes: Buffer): PutOptions => ({ size: bytes.length, sha256: () => digestsOf(bytes).sha256 });

/** The row of a published content, as far as reading looks at it. */
function rowOf(store: ContentStore, key: string, bytes: Buffer, { version }: StoredObject): ContentRow {
  const { sha256, sha1, chunkDigests } = digestsOf(bytes);
  return {
    org: 1, id: randomUUID(), state: 'live', store: store.name, key, store_version: version ?? null, size: String(bytes.length), sha256, sha1, chunk_bytes: MIB, chunk_digests: chunkDigests,
    declared_type: null, sniffed_type: null, creator: null, created_at: new Date(), published_at: new Date(), verified_at: null, quarantine_reason: null, replica_key: null, scan_verdict: null,
    scan_engine: null, scan_signatures: null, scan_finding: null, scanned_at: null, replicated_at: null, replica_until: null, purge: null,
  };
}

/** Bytes of buffers that are still held, above those of the beginning: what the heap keeps, and not what waits to be collected. */
async function heldBuffers(): Promise<() => number> {
  const now = (): number => {
    collectGarbage();
    return process.memoryUsage().arrayBuffers;
  };
  // What earlier tests left is given back in the background: the beginning is when no more of it goes.
  let [begin, rounds] = [now(), 0];
  for (let still = 0; still < 3 && rounds < 50; rounds += 1) {
    await sleep(20);
    const next = now();
    still = next < begin ? 0 : still + 1;
    begin = Math.min(begin, next);
  }
  return () => now() - begin;
}

describe.each(Object.entries(CONTRACT_STORES))('the store %s', (name, open) => {
  if (open === undefined) {
    it.skip(`is left out: ${name} could not be had`, () => undefined);
    return;
  }
  let at: ContractStore;
  let store: ContentStore;
  let keys = 0;
  const newKey = (): string => `0a/2026/11/${name}-${keys += 1}`;
  const read = (key: string, start: number, length: number): Promise<Buffer> => store.get(key, { start, length }).then(collect);

  beforeAll(async () => {
    at = await open();
    store = at.store;
  });
  afterAll(() => at.end());

  it.each([1, 100_000, 8 * MIB, 8 * MIB + 1, 20 * MIB + 3])('keeps %d bytes, their length told or not, and another client finds the same', async (size) => {
    const bytes = randomBytes(size);
    for (const options of [told(bytes), {}]) {
      const key = newKey();
      const stored = await store.put(key, inPieces(bytes, 100_001), options);
      expect(await verifyStored(store, key, digestsOf(bytes), stored)).toMatchObject({ size });
      expect(sameBytes(await at.look(key), bytes)).toBe(true);
      expect(sameBytes(await read(key, 0, size), bytes)).toBe(true);
    }
  });

  it('keeps an object without bytes', async () => {
    const key = newKey();
    await store.put(key, inPieces(Buffer.alloc(0)), told(Buffer.alloc(0)));
    expect(await store.stat(key)).toMatchObject({ size: 0 });
  });

  it('gives ranges as slices of the bytes, and fewer past the end', async () => {
    const bytes = randomBytes(9 * MIB);
    const key = newKey();
    await store.put(key, inPieces(bytes), told(bytes));
    for (const [start, length] of [[0, 1], [7, MIB], [8 * MIB - 1, 2], [MIB, 8 * MIB], [bytes.length - 1, 1], [bytes.length - 5, 100]] as const) {
      expect(sameBytes(await read(key, start, length), bytes.subarray(start, start + length))).toBe(true);
    }
    expect(await read(key, bytes.length, 1)).toHaveLength(0);
  });

  it('has no size and no bytes for an object that is not there, and removes it without complaint', async () => {
    const key = newKey();
    expect(await store.stat(key)).toBeUndefined();
    expect(await read(key, 0, 1)).toHaveLength(0);
    await store.remove(key);
    await eraseObject(store, key, undefined);
  });

  it('never writes over an object, in one piece or in parts, and the first bytes stay', async () => {
    const key = newKey();
    const first = Buffer.from('first');
    await store.put(key, inPieces(first), told(first));
    for (const size of [5, 9 * MIB]) {
      const second = randomBytes(size);
      for (const options of [told(second), {}]) await expect(store.put(key, inPieces(second), options)).rejects.toThrow(ObjectExistsError);
    }
    expect((await at.look(key)).toString()).toBe('first');
  });

  it('refuses many writers of a taken key at once, and what is asked next finds the store as it was', async () => {
    const key = newKey();
    await store.put(key, inPieces(Buffer.from('first')), {});
    // A store may close a connection after it refused, without a word: several of them wait for use then.
    const sizes = Array.from({ length: 24 }, (_, index) => [5, 200_000, 300_000, 2_000_000][index % 4] as number);
    const taken = (bytes: Buffer, options: PutOptions): Promise<void> => expect(store.put(key, inPieces(bytes), options)).rejects.toThrow(ObjectExistsError);
    await Promise.all(sizes.map((size) => taken(randomBytes(size), {})));
    const large = randomBytes(9 * MIB);
    const [held] = await Promise.all([store.stat(key), taken(large, {}), taken(large, told(large)), taken(large.subarray(0, 8 * MIB), {})]);
    expect(held).toMatchObject({ size: 5 });
  });

  it('lets one of two writers at once have a key; the other finds it taken', async () => {
    for (const size of [10_000, 9 * MIB]) {
      const key = newKey();
      const both = [randomBytes(size), randomBytes(size)];
      const ends = await Promise.allSettled(both.map((bytes) => store.put(key, inPieces(bytes), {})));
      const winners = ends.flatMap(({ status }, index) => (status === 'fulfilled' ? [index] : []));
      expect(winners).toHaveLength(1);
      expect(ends.find(({ status }) => status === 'rejected')).toMatchObject({ reason: expect.any(ObjectExistsError) });
      expect(sameBytes(await at.look(key), both[winners[0] as number] as Buffer)).toBe(true);
    }
  });

  it('keeps the same bytes of two publishers apart: one is removed, the other stays', async () => {
    const bytes = randomBytes(3 * MIB);
    const [one, other] = [newKey(), newKey()];
    const [stored] = await Promise.all([one, other].map((key) => store.put(key, inPieces(bytes), told(bytes))));
    await eraseObject(store, one, stored?.version);
    expect(await store.stat(one)).toBeUndefined();
    expect(sameBytes(await read(other, 0, bytes.length), bytes)).toBe(true);
  });

  // A disk of our own is proved by length.
  (name === 'local' ? it.skip : it)('does not count as stored when it holds other bytes than were sent', async () => {
    const bytes = randomBytes(2 * MIB);
    const key = newKey();
    await store.put(key, inPieces(bytes), {});
    await at.overwrite(key, randomBytes(bytes.length));
    await expect(verifyStored(store, key, digestsOf(bytes), { size: bytes.length })).rejects.toMatchObject({ detail: 'unavailable' });
  });

  it.each([
    ['changed', (bytes: Buffer) => Buffer.concat([bytes.subarray(0, bytes.length - 1), Buffer.from([(bytes.at(-1) as number) ^ 1])])],
    ['cut short', (bytes: Buffer) => bytes.subarray(0, MIB + 5)],
    ['emptied', () => Buffer.alloc(0)],
  ])('lets no byte of a chunk leave that was %s', async (_how, spoil) => {
    const bytes = randomBytes(2 * MIB + 9);
    const key = newKey();
    const stored = await store.put(key, inPieces(bytes), told(bytes));
    await eraseObject(store, key, stored.version);
    await at.overwrite(key, spoil(bytes));
    const reader = createContentReader({ stores: [store], onDamage: async () => undefined });
    const row = rowOf(store, key, bytes, { size: bytes.length });
    const given: Buffer[] = [];
    await expect((async () => { for await (const piece of await reader.open(row)) given.push(piece); })()).rejects.toBeInstanceOf(ContentIntegrityError);
    expect(sameBytes(Buffer.concat(given), bytes.subarray(0, Buffer.concat(given).length))).toBe(true);
  });

  it('removes exactly one version, and all of an object in the end', async () => {
    const before = await at.leftovers();
    const key = newKey();
    const first = Buffer.from('first version');
    const stored = await store.put(key, inPieces(first), told(first));
    await at.overwrite(key, Buffer.from('second'));
    if (stored.version !== undefined) {
      const newest = await store.stat(key);
      await store.remove(key, newest?.version);
      expect((await collect(await store.get(key, { start: 0, length: 100 }, { version: stored.version }))).toString()).toBe('first version');
      expect(await store.versions?.(key)).toEqual([{ size: first.length, version: stored.version }]);
    }
    await eraseObject(store, key, stored.version);
    expect(await store.stat(key, stored.version)).toBeUndefined();
    expect(await store.versions?.(key) ?? []).toEqual([]);
    expect(await at.leftovers()).toEqual(before);
  });

  it.each([['a small one', MIB, 0.5], ['of a length that was told', 30 * MIB, 20], ['of any length', undefined, 30]])('leaves nothing of an upload that breaks off in the middle, %s, and passes the error on', async (_how, size, sentMib) => {
    const before = await at.leftovers();
    const error = Object.assign(new Error('gone'), { code: 'ECONNRESET' });
    await expect(store.put(newKey(), brokenOff(randomBytes(sentMib * MIB), error), size === undefined ? {} : { size, sha256: () => Buffer.alloc(32) })).rejects.toBe(error);
    expect(await at.leftovers()).toEqual(before);
  });

  it('takes and gives 64 MiB with less than 40 MiB in memory', async () => {
    const key = newKey();
    const held = await heldBuffers();
    let most = 0;
    async function* fresh(): AsyncGenerator<Buffer> {
      for (let sent = 0; sent < 64; sent += 1) {
        if (sent % 8 === 7) most = Math.max(most, held());
        yield randomBytes(MIB);
      }
    }
    await store.put(key, fresh(), {});
    let size = 0;
    for await (const piece of await store.get(key, { start: 0, length: 64 * MIB })) {
      if (size % (8 * MIB) < piece.length) most = Math.max(most, held());
      size += piece.length;
    }
    expect(size).toBe(64 * MIB);
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThan(40 * MIB);
  });

  it('proves by a probe that it works, and leaves nothing of it', async () => {
    const before = await at.leftovers();
    await store.probe();
    expect(await at.leftovers()).toEqual(before);
  });

  it('is unavailable, not empty, when it is not there', async () => {
    const bytes = Buffer.from('x');
    for (const work of [() => at.lost.get('k', { start: 0, length: 1 }), () => at.lost.put('k', inPieces(bytes), told(bytes)), () => at.lost.probe()]) {
      await expect(work()).rejects.toMatchObject({ detail: 'unavailable', status: 503 });
    }
  });
});
