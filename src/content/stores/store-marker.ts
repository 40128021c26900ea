// The marker in the folder of a local store ties it to one database: with another, all its bytes would be orphans.
import { constants } from 'node:fs';
import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const MARKER = 'muniment-store.json';

/** Makes what was made or removed in the folder last over a power cut. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function readMarker(path: string): Promise<string | undefined> {
  try {
    return (JSON.parse(await readFile(path, 'utf8')) as { database?: string }).database;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Ties `directory` (which exists) to one database. Raises an Error for people when it belongs to another one. */
export async function ensureStoreMarker(directory: string, databaseId: string): Promise<void> {
  const path = join(directory, MARKER);
  try {
    await writeFile(path, `${JSON.stringify({ database: databaseId })}\n`, { flag: 'wx', mode: 0o600, flush: true });
    await syncDirectory(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    const owner = await readMarker(path);
    if (owner === databaseId) return;
    throw new Error(owner === undefined
      ? `${path} cannot be understood. It names the database that this store belongs to; restore it, or remove it when you are sure`
      : `The store in ${directory} belongs to another database (${owner}); with this one (${databaseId}) its bytes would be orphans. Start with the database that wrote it, or with another DATA_DIR`);
  }
}
