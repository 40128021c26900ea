// The local store on a real folder.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { ObjectExistsError, type ContentStore } from '../../src/content/content-store.ts';
import { openFilesystemStore } from '../../src/content/stores/filesystem.ts';
import { ensureStoreMarker } from '../../src/content/stores/store-marker.ts';
import { mountSmallDisk } from '../support/small-disk.ts';
import { brokenOff, collect, inPieces, manyPieces, MIB, sameBytes } from './byte-sources.ts';

let directory: string;
let store: ContentStore;
let keys = 0;
const newKey = (): string => `org/2026/11/${keys += 1}`;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'muniment-store-'));
  store = openFilesystemStore({ directory });
});
afterAll(() => rm(directory, { recursive: true }));

async function put(bytes: Buffer, pieceBytes?: number): Promise<string> {
  const key = newKey();
  expect(await store.put(key, inPieces(bytes, pieceBytes), {})).toEqual({ size: bytes.length });
  return key;
}

/** A file system of 4 MiB, where this account may mount one. */
describe('the local store', () => {
  it.each([0, 1, 65_537, MIB - 1, MIB, MIB + 1, 3 * MIB + 5])('gives back %d bytes as they were written', async (size) => {
    const bytes = randomBytes(size);
    const key = await put(bytes);
    expect(sameBytes(await readFile(join(directory, key)), bytes)).toBe(true);
    expect(await store.stat(key)).toEqual({ size });
    if (size > 0) expect(sameBytes(await collect(await store.get(key, { start: 0, length: size })), bytes)).toBe(true);
  });

  it('gathers pieces of any size', async () => {
    const bytes = randomBytes(5 * MIB);
    for (const pieceBytes of [1_000_003, 3 * MIB, 4_099]) expect(sameBytes(await readFile(join(directory, await put(bytes, pieceBytes))), bytes)).toBe(true);
  });

  it('gives every range as the same slice of the bytes', async () => {
    const bytes = randomBytes(2 * MIB + 100);
    const key = await put(bytes);
    await fc.assert(fc.asyncProperty(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: bytes.length }), async (start, length) => {
      expect((await collect(await store.get(key, { start, length }))).equals(bytes.subarray(start, start + length))).toBe(true);
    }), { numRuns: 100 });
  });

  it('refuses a key that exists and leaves its bytes alone', async () => {
    const key = await put(Buffer.from('first'));
    await expect(store.put(key, inPieces(Buffer.from('second')), {})).rejects.toThrow(ObjectExistsError);
    expect(await readFile(join(directory, key), 'utf8')).toBe('first');
  });

  it('leaves no file when the source breaks off, and passes its error on', async () => {
    const error = Object.assign(new Error('gone'), { code: 'ECONNRESET', syscall: 'read' });
    const key = newKey();
    await expect(store.put(key, brokenOff(randomBytes(3 * MIB), error), {})).rejects.toBe(error);
    expect(existsSync(join(directory, key))).toBe(false);
  });

  it('answers a full disk with storage-full and leaves no file', async () => {
    const mounted = await mkdtemp(join(tmpdir(), 'muniment-full-'));
    const limit = mountSmallDisk(mounted);
    if (limit === undefined) {
      await rm(mounted, { recursive: true, force: true });
      return;
    }
    const limited = openFilesystemStore({ directory: limit.directory });
    try {
      await expect(limited.put('a/b', manyPieces(8), {})).rejects.toMatchObject({ detail: 'storage-full', status: 507 });
      expect(await readdir(join(limit.directory, 'a'))).toEqual([]);
      expect(await limited.put('a/c', inPieces(Buffer.from('small')), {})).toEqual({ size: 5 });
    } finally {
      limit.end();
      await rm(mounted, { recursive: true, force: true });
    }
  });

  it.each(['', '.', '..', '../x', 'a/../b', 'a//b', '/a', 'a/', 'a\\b', 'a/\0', 'ä', 'a b', '...'])('refuses the key %j', async (key) => {
    await expect(store.put(key, inPieces(Buffer.from('x')), {})).rejects.toThrow(/key outside/);
    await expect(store.get(key, { start: 0, length: 1 })).rejects.toThrow(/key outside/);
    await expect(store.remove(key)).rejects.toThrow(/key outside/);
  });

  it('follows no link, neither of a file nor of a folder', async () => {
    const outside = await mkdtemp(join(tmpdir(), 'muniment-outside-'));
    await writeFile(join(outside, 'secret'), 'secret');
    await symlink(join(outside, 'secret'), join(directory, 'link'));
    await symlink(outside, join(directory, 'folder'));
    for (const key of ['link', 'folder/secret']) await expect(store.get(key, { start: 0, length: 6 })).rejects.toMatchObject({ detail: 'unavailable' });
    await expect(store.put('folder/new', inPieces(Buffer.from('x')), {})).rejects.toMatchObject({ detail: 'unavailable' });
    await expect(store.remove('folder/secret')).rejects.toMatchObject({ detail: 'unavailable' });
    expect(await readdir(outside)).toEqual(['secret']);
    await rm(outside, { recursive: true });
  });

  it('gives no bytes and no size for a missing file, and removes it without complaint', async () => {
    expect(await store.stat('org/missing')).toBeUndefined();
    expect(await collect(await store.get('org/nowhere/missing', { start: 0, length: 9 }))).toHaveLength(0);
    await store.remove('org/nowhere/missing');
  });

  it('gives fewer bytes when the file was cut short', async () => {
    const key = await put(Buffer.from('0123456789'));
    await writeFile(join(directory, key), '01234');
    expect((await collect(await store.get(key, { start: 3, length: 7 }))).toString()).toBe('34');
  });

  it('is unavailable, not empty, when its folder is not there', async () => {
    const lost = openFilesystemStore({ directory: join(directory, 'never-mounted') });
    await expect(lost.get('a', { start: 0, length: 1 })).rejects.toMatchObject({ detail: 'unavailable' });
    await expect(lost.stat('a')).rejects.toMatchObject({ detail: 'unavailable' });
    await expect(lost.put('a/b', inPieces(Buffer.from('x')), {})).rejects.toMatchObject({ detail: 'unavailable' });
    await expect(lost.probe()).rejects.toMatchObject({ detail: 'unavailable' });
  });

  it('makes a folder again that somebody removed', async () => {
    await store.put('gone/1', inPieces(Buffer.from('x')), {});
    await rm(join(directory, 'gone'), { recursive: true });
    expect(await store.put('gone/2', inPieces(Buffer.from('y')), {})).toEqual({ size: 1 });
  });

  it('probes by a real write that leaves nothing behind', async () => {
    const before = await readdir(directory);
    await store.probe();
    expect(await readdir(directory)).toEqual(before);
  });
});

describe('the marker of a store', () => {
  it('ties a folder to one database', async () => {
    const marked = await mkdtemp(join(tmpdir(), 'muniment-marker-'));
    await ensureStoreMarker(marked, 'one');
    await ensureStoreMarker(marked, 'one');
    await expect(ensureStoreMarker(marked, 'two')).rejects.toThrow(/belongs to another database \(one\)/);
    await writeFile(join(marked, 'muniment-store.json'), '{');
    await expect(ensureStoreMarker(marked, 'one')).rejects.toThrow(/cannot be understood/);
    await rm(marked, { recursive: true });
  });
});
