// What test runs that were killed have left in the temporary folder: a PostgreSQL of hundreds of megabytes each.
import { readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lockDirectory } from '../../src/embedded/directory-lock.ts';
import { endLeftoverPostgres } from '../../src/embedded/postgres-leftover.ts';

/** The beginning of the name of a run's folder in the temporary folder. */
export const RUN_FOLDER = 'muniment-test-';
// A run that began a moment ago may not hold its lock yet.
const YOUNG_MS = 600_000;

/** Removes the folders of ended runs, and ends the PostgreSQL that still works in one. Running runs hold their lock. */
export async function removeEndedRuns(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    if (name.startsWith(RUN_FOLDER)) await removeEnded(join(tmpdir(), name)).catch(() => undefined); // In use, or another user's.
  }
}

async function removeEnded(directory: string): Promise<void> {
  if (Date.now() - (await stat(directory)).mtimeMs < YOUNG_MS) return;
  const unlock = await lockDirectory(join(directory, 'lock'));
  try {
    await endLeftoverPostgres(join(directory, 'pgdata'), () => undefined);
    await rm(directory, { recursive: true, force: true });
  } finally {
    unlock();
  }
}
