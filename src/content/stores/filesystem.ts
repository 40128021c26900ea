// The local store: one file for each content, written once under its final name; durable when `put` resolves.
import { constants } from 'node:fs';
import { mkdir, open, readFile, rm, stat, writeFile, type FileHandle } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import { randomUUID } from 'node:crypto';
import { fhirError } from '../../fhir/fhir-error.ts';
import type { ContentStore, StoredObject } from '../content-store.ts';

const SEGMENT = /^(?!\.+$)[A-Za-z0-9._-]{1,200}$/;
const READ_BYTES = 1024 * 1024;
const MARKER = 'muniment-store.json';
const FULL = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** Ties a folder to one database. Raises an Error that says so when it belongs to another. */
export async function ensureStoreMarker(directory: string, databaseId: string): Promise<void> {
  const path = join(directory, MARKER);
  try {
    await writeFile(path, JSON.stringify({ database: databaseId }), { flag: 'wx', mode: 0o600 });
    await syncDirectory(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    const marker = JSON.parse(await readFile(path, 'utf8')) as { database?: string };
    if (marker.database !== databaseId) throw new Error(`The store in ${directory} belongs to another database; its bytes would look like orphans here`);
  }
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function translate(error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (FULL.has(code)) return fhirError('storage-full', 'The store has no room; nothing was kept', { cause: error });
  if (['EACCES', 'EROFS', 'EIO', 'EMFILE', 'ENFILE', 'EPERM'].includes(code)) return fhirError('unavailable', 'The store cannot be used now', { cause: error, headers: { 'Retry-After': '10' } });
  return error;
}

export function openFilesystemStore(options: { directory: string }): ContentStore {
  const root = resolve(options.directory);
  const durable = new Set<string>();

  function pathOf(key: string): string {
    const segments = key.split('/');
    if (!segments.every((part) => SEGMENT.test(part))) throw new Error('A key outside the layout of the store');
    const path = join(root, ...segments);
    if (!path.startsWith(root + sep)) throw new Error('A key outside the store');
    return path;
  }

  /** Makes the folder, and makes it last: each new folder's parent is synced once. */
  async function prepareDirectory(directory: string): Promise<void> {
    if (durable.has(directory)) return;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    for (let at = directory; at !== root && at.startsWith(root); at = dirname(at)) await syncDirectory(dirname(at));
    durable.add(directory);
  }

  async function openNew(path: string): Promise<FileHandle> {
    try {
      return await open(path, 'wx', 0o600);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      durable.delete(dirname(path));
      await prepareDirectory(dirname(path));
      return open(path, 'wx', 0o600);
    }
  }

  async function put(key: string, bytes: AsyncIterable<Buffer>): Promise<StoredObject> {
    const path = pathOf(key);
    await prepareDirectory(dirname(path));
    const handle = await openNew(path);
    try {
      const size = await writeAll(handle, bytes);
      await handle.sync();
      await handle.close();
      await syncDirectory(dirname(path));
      const { size: held } = await stat(path);
      if (held !== size) throw fhirError('unavailable', 'The store holds another length than was written');
      return { size };
    } catch (error) {
      await handle.close().catch(() => { /* Closed already; what matters is the error that led here. */ });
      await rm(path, { force: true });
      throw error;
    }
  }

  return {
    name: 'local',
    put: async (key, bytes) => {
      try {
        return await put(key, bytes);
      } catch (error) { throw translate(error); }
    },
    async stat(key) {
      try {
        return { size: (await stat(pathOf(key))).size };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw translate(error);
      }
    },
    async get(key, range) {
      try {
        return readRange(await open(pathOf(key), constants.O_RDONLY | constants.O_NOFOLLOW), range.start, range.length);
      } catch (error) {
        // A missing file has no bytes; the reader finds that they do not match.
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return nothing();
        throw translate(error);
      }
    },
    async remove(key) {
      await rm(pathOf(key), { force: true });
    },
    async probe() {
      const path = join(root, `.probe-${randomUUID()}`);
      try {
        await writeFile(path, 'probe', { flag: 'wx', flush: true });
        if ((await readFile(path, 'utf8')) !== 'probe') throw new Error('The store gives back other bytes than were written');
      } catch (error) { throw translate(error); } finally { await rm(path, { force: true }); }
    },
  };
}

async function* nothing(): AsyncGenerator<Buffer> {
  // See get.
}

async function writeAll(handle: FileHandle, bytes: AsyncIterable<Buffer>): Promise<number> {
  let size = 0;
  for await (const chunk of bytes) {
    let at = 0;
    while (at < chunk.length) at += (await handle.write(chunk, at, chunk.length - at)).bytesWritten;
    size += chunk.length;
  }
  return size;
}

async function* readRange(handle: FileHandle, start: number, length: number): AsyncGenerator<Buffer> {
  try {
    for (let at = 0; at < length;) {
      const buffer = Buffer.allocUnsafeSlow(Math.min(READ_BYTES, length - at));
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, start + at);
      if (bytesRead === 0) return;
      at += bytesRead;
      yield bytesRead === buffer.length ? buffer : buffer.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}
