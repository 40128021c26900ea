// One server for each directory: a lock file that names its process, so that a lock left by a killed one is seen as such.
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { processIdentity } from './process-identity.ts';

export class DirectoryInUseError extends Error {}

/**
 * Takes the lock and gives the function that lets it go. Throws DirectoryInUseError when a running process holds it, naming its id.
 * A lock whose process has ended is taken over.
 */
export async function lockDirectory(path: string): Promise<() => void> {
  const own = JSON.stringify({ pid: process.pid, started: processIdentity(process.pid) });
  for (;;) {
    if (createLock(path, own)) return () => { releaseLock(path, own); };
    const found = await readLock(path);
    if (found === undefined) continue;
    const holder = runningHolder(found);
    if (holder !== undefined) throw new DirectoryInUseError(`${dirname(path)} is in use by process ${holder}; end it first, or choose another directory`);
    removeStaleLock(path, found);
  }
}

function createLock(path: string, content: string): boolean {
  try {
    writeFileSync(path, content, { flag: 'wx', mode: 0o644 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function releaseLock(path: string, own: string): void {
  if (readIfThere(path) === own) rmSync(path, { force: true });
}

async function readLock(path: string): Promise<string | undefined> {
  const content = readIfThere(path);
  if (content !== '') return content;
  // Made but not yet written: its process is between two system calls, or was killed there.
  await sleep(200);
  return readIfThere(path);
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function runningHolder(content: string): number | undefined {
  try {
    const { pid, started } = JSON.parse(content) as { pid: number; started: string };
    return processIdentity(pid) === started ? pid : undefined;
  } catch {
    return undefined;
  }
}

// Two processes may find the same stale lock. It is moved aside and looked at again, so that the slower one does not
// delete the lock that the faster one has made in between.
function removeStaleLock(path: string, stale: string): void {
  const aside = `${path}.${process.pid}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if (readIfThere(aside) === stale) rmSync(aside, { force: true });
  else renameSync(aside, path);
}
