// The local store: one file for each content, written once under its final name; durable when `put` resolves.
import { constants } from 'node:fs';
import { lstat, mkdir, open, readdir, readFile, rm, stat, writeFile, type FileHandle } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { randomUUID } from 'node:crypto';
import { fhirError, FhirError } from '../../fhir/fhir-error.ts';
import { ObjectExistsError, type ContentStore, type ListedObject, type StoredObject } from '../content-store.ts';
import { writeGathered } from './gathered-writes.ts';
import { syncDirectory } from './store-marker.ts';

const SEGMENT = /^(?!\.+$)[A-Za-z0-9._-]{1,200}$/;
const READ_BYTES = 1024 * 1024;
const FULL = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);
/** Folders that are known to last; forgotten when there are many. */
const KNOWN_FOLDERS_MAX = 10_000;

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? '';
}

function unavailable(cause: unknown): FhirError {
  return fhirError('unavailable', 'The store of bytes cannot be used now', { cause, headers: { 'Retry-After': '10' } });
}

/** What the operating system refuses becomes an error of ours; what else was thrown, such as by the source, stays. */
function translate(error: unknown): unknown {
  if (error instanceof FhirError || (error as NodeJS.ErrnoException).syscall === undefined) return error;
  if (FULL.has(codeOf(error))) return fhirError('storage-full', 'The store has no room; nothing was kept', { cause: error });
  return unavailable(error);
}

async function translated<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) { throw translate(error); }
}

/** The source's errors pass as they are, even those that carry a system call. */
class SourceFailure extends Error {}

async function* marked(bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* bytes;
  } catch (error) { throw new SourceFailure('The source failed', { cause: error }); }
}

export function openFilesystemStore(options: { directory: string }): ContentStore {
  const root = resolve(options.directory);
  const known = new Set<string>();

  function pathOf(key: string): string {
    const segments = key.split('/');
    if (!segments.every((segment) => SEGMENT.test(segment))) throw new Error('A key outside the layout of the store');
    return join(root, ...segments);
  }

  /** Folders from the one below the root to `directory`. */
  function foldersTo(directory: string): string[] {
    const folders: string[] = [];
    for (let at = directory; at !== root; at = dirname(at)) folders.unshift(at);
    return folders;
  }

  /** No folder on the way may be a link: it could lead out of the store. */
  async function refuseLinks(directory: string): Promise<void> {
    if (known.has(directory)) return;
    for (const folder of foldersTo(directory)) {
      if (!(await lstat(folder)).isDirectory()) throw unavailable(new Error(`${folder} is not a folder of the store`));
    }
  }

  /** Makes the folder, and makes it last: every folder on the way is synced once, whoever made it. */
  async function prepareFolder(directory: string): Promise<void> {
    if (known.has(directory)) return;
    for (const folder of foldersTo(directory)) {
      await mkdir(folder, { mode: 0o700 }).catch((error: unknown) => { if (codeOf(error) !== 'EEXIST') throw error; });
      await syncDirectory(dirname(folder));
    }
    await refuseLinks(directory);
    if (known.size >= KNOWN_FOLDERS_MAX) known.clear();
    known.add(directory);
  }

  async function openNew(path: string): Promise<FileHandle> {
    const folder = dirname(path);
    await prepareFolder(folder);
    try {
      return await open(path, 'wx', 0o600);
    } catch (error) {
      if (codeOf(error) === 'EEXIST') throw new ObjectExistsError();
      if (codeOf(error) !== 'ENOENT') throw error;
      // Somebody removed an empty folder that was known.
      known.delete(folder);
      await prepareFolder(folder);
      return open(path, 'wx', 0o600);
    }
  }

  async function put(path: string, bytes: AsyncIterable<Buffer>): Promise<StoredObject> {
    const handle = await translated(openNew(path));
    try {
      const written = await writeGathered(handle, marked(bytes));
      const { size } = await handle.stat();
      await handle.close();
      if (size !== written) throw unavailable(new Error(`${written} bytes were written, the file has ${size}`));
      await syncDirectory(dirname(path));
      return { size };
    } catch (error) {
      await handle.close().catch(() => { /* Closed already; what matters is the error that led here. */ });
      await rm(path, { force: true }).catch(() => { /* The sweeper removes what the disk does not let go now. */ });
      throw error instanceof SourceFailure ? error.cause : translate(error);
    }
  }

  async function openObject(path: string): Promise<FileHandle | undefined> {
    try {
      await refuseLinks(dirname(path));
      const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
      known.add(dirname(path));
      return handle;
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
      // Without its root the store is not there at all, and nothing can be said of what it holds.
      await stat(root);
      return undefined;
    }
  }

  return {
    name: 'local',
    lengthProves: true,
    put: async (key, bytes) => put(pathOf(key), bytes),
    async stat(key) {
      const handle = await translated(openObject(pathOf(key)));
      if (handle === undefined) return undefined;
      try {
        return { size: (await handle.stat()).size };
      } finally { await handle.close(); }
    },
    async get(key, range) {
      const handle = await translated(openObject(pathOf(key)));
      return handle === undefined ? nothing() : readRange(handle, range.start, range.length);
    },
    list: (after) => listFolder(root, '', after),
    async remove(key) {
      const path = pathOf(key);
      await translated(refuseLinks(dirname(path)).then(() => rm(path, { force: true })).catch((error: unknown) => { if (codeOf(error) !== 'ENOENT') throw error; }));
    },
    probe: async () => translated(probe(root)),
  };
}

/** Files below a folder in the order of their keys: a folder stands where its name with a slash does. */
async function* listFolder(folder: string, prefix: string, after: string): AsyncGenerator<ListedObject> {
  const entries = (await translated(readdir(folder, { withFileTypes: true }))).map((entry) => ({ entry, key: `${prefix}${entry.name}${entry.isDirectory() ? '/' : ''}` }));
  for (const { entry, key } of entries.sort((one, other) => Buffer.compare(Buffer.from(one.key), Buffer.from(other.key)))) {
    if (entry.isDirectory()) {
      // All of it lies before the begin.
      if (!after.startsWith(key) && Buffer.compare(Buffer.from(key), Buffer.from(after)) < 0) continue;
      yield* listFolder(join(folder, entry.name), key, after);
    } else if (Buffer.compare(Buffer.from(key), Buffer.from(after)) > 0) {
      const found = await lstat(join(folder, entry.name)).catch(() => undefined);
      if (found !== undefined) yield { key, size: found.size, modified: found.mtime };
    }
  }
}

async function probe(root: string): Promise<void> {
  const path = join(root, `.probe-${randomUUID()}`);
  try {
    await writeFile(path, 'probe', { flag: 'wx', flush: true });
    if ((await readFile(path, 'utf8')) !== 'probe') throw unavailable(new Error('Other bytes came back than were written'));
  } finally {
    await rm(path, { force: true });
  }
}

async function* nothing(): AsyncGenerator<Buffer> {
  // A missing file has no bytes; the reader finds that they do not match.
}

async function* readRange(handle: FileHandle, start: number, length: number): AsyncGenerator<Buffer> {
  try {
    for (let at = 0; at < length;) {
      const buffer = Buffer.allocUnsafeSlow(Math.min(READ_BYTES, length - at));
      const { bytesRead } = await translated(handle.read(buffer, 0, buffer.length, start + at));
      if (bytesRead === 0) return;
      at += bytesRead;
      yield bytesRead === buffer.length ? buffer : buffer.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}
