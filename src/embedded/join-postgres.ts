// The embedded PostgreSQL of a server that runs: a command joins it, and leaves it running.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SUPERUSER } from './postgres-cluster.ts';

/** postgres:// URL of the server that runs on a directory, with its password; undefined where its files do not say. */
export async function joinEmbeddedPostgres(directory: string, database = 'muniment'): Promise<string | undefined> {
  try {
    // The fourth line of PostgreSQL's own file is its port.
    const port = (await readFile(join(directory, 'pgdata', 'postmaster.pid'), 'utf8')).split('\n')[3]?.trim() ?? '';
    const password = (await readFile(join(directory, 'password'), 'utf8')).trim();
    return /^\d{1,5}$/.test(port) ? `postgres://${SUPERUSER}:${password}@127.0.0.1:${port}/${encodeURIComponent(database)}` : undefined;
  } catch (error) {
    if (/^(ENOENT|EACCES)$/.test((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}
