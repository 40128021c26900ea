// The folder of an export: files of rows that are whole or not there, what has been done so far, and at the end a manifest.
import { createHash } from 'node:crypto';
import { mkdir, open, readFile, rename, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { KeyRow } from './verify-keys.ts';

export interface ExportedFile {
  name: string;
  /** Leaves `start` to `end`, the last one not among them. */
  start: number;
  end: number;
  bytes: number;
  /** SHA-256 of the file, hexadecimal. */
  sha256: string;
}

export interface ExportManifest {
  format: 'muniment-record-1';
  /** The name of the log in its checkpoints. */
  origin: string;
  /** Leaves before this export, and the roots of their full subtrees, the largest first, hexadecimal. */
  start: { size: number; peaks: string[]; checkpoint: string | null };
  /** The signed note that covers all of it. */
  end: { size: number; checkpoint: string; sealedAt: string };
  keys: KeyRow[];
  files: ExportedFile[];
}

export const MANIFEST = 'manifest.json';
const PROGRESS = 'progress.json';
export const SCHEMA = 'schema.json';

async function readJson(path: string): Promise<ExportManifest | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as ExportManifest;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new Error(`${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

export const readManifest = (folder: string): Promise<ExportManifest | undefined> => readJson(join(folder, MANIFEST));
export const readProgress = (folder: string): Promise<ExportManifest | undefined> => readJson(join(folder, PROGRESS));

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  await handle.sync().finally(() => handle.close());
}

/** On the disk under its name when it returns, or not there. */
export async function writeWhole(folder: string, name: string, text: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const part = join(folder, `${name}.part`);
  const handle = await open(part, 'w', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally { await handle.close(); }
  await rename(part, join(folder, name));
  await syncFolder(folder);
}

export const keepProgress = (folder: string, manifest: ExportManifest): Promise<void> => writeWhole(folder, PROGRESS, `${JSON.stringify(manifest, undefined, 2)}\n`);
export async function finishExport(folder: string, manifest: ExportManifest): Promise<void> {
  await keepProgress(folder, manifest);
  await rename(join(folder, PROGRESS), join(folder, MANIFEST));
  await syncFolder(folder);
}

/** True when the file is there with the length that was noted. */
export async function isThere(folder: string, { name, bytes }: ExportedFile): Promise<boolean> {
  return (await stat(join(folder, name)).catch(() => undefined))?.size === bytes;
}

export class RowFile {
  readonly #folder: string;
  readonly #name: string;
  readonly #start: number;
  readonly #handle: FileHandle;
  readonly #sha256 = createHash('sha256');
  #bytes = 0;

  private constructor(folder: string, name: string, start: number, handle: FileHandle) {
    this.#folder = folder;
    this.#name = name;
    this.#start = start;
    this.#handle = handle;
  }

  static async open(folder: string, start: number): Promise<RowFile> {
    const name = `leaves-${String(start).padStart(15, '0')}.ndjson`;
    return new RowFile(folder, name, start, await open(join(folder, `${name}.part`), 'w', 0o600));
  }

  async write(lines: readonly string[]): Promise<void> {
    const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
    this.#sha256.update(bytes);
    this.#bytes += bytes.length;
    await this.#handle.appendFile(bytes);
  }

  async close(end: number): Promise<ExportedFile> {
    await this.#handle.sync();
    await this.#handle.close();
    await rename(join(this.#folder, `${this.#name}.part`), join(this.#folder, this.#name));
    await syncFolder(this.#folder);
    return { name: this.#name, start: this.#start, end, bytes: this.#bytes, sha256: this.#sha256.digest('hex') };
  }

  async abandon(): Promise<void> { await this.#handle.close(); }
}
