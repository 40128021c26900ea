// What an earlier server left in a data directory when it was killed: a PostgreSQL that still runs, or only its lock file.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync, realpathSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { processIdentity } from './process-identity.ts';

const FAST_SHUTDOWN_MS = 15_000;
const IMMEDIATE_SHUTDOWN_MS = 10_000;

/**
 * Ends the PostgreSQL of this data directory that outlived its starter. To be called only by the holder of the
 * directory's own lock. Throws when it cannot be ended; never touches a process of another program.
 */
export async function endLeftoverPostgres(cluster: string, log: (line: string) => void): Promise<void> {
  const lockFile = join(cluster, 'postmaster.pid');
  if (!existsSync(lockFile)) return;
  const postmaster = Number(readFileSync(lockFile, 'utf8').split('\n')[0]);
  if (processesIn(cluster, postmaster).length > 0) {
    log(`PostgreSQL of an earlier server (process ${postmaster}) is still there; it is ended`);
    await endProcesses(cluster, postmaster);
    return;
  }
  // The id belongs to another program by now. PostgreSQL would take that for a running server. With a dead id the file
  // stays: PostgreSQL then reads from it which shared memory must be free, and removes it itself.
  if (processIdentity(postmaster) !== undefined) {
    log(`${lockFile} names process ${postmaster}, which is another program; the file is removed`);
    rmSync(lockFile, { force: true });
    removeSockets(cluster);
  }
}

// A socket has a lock file of its own, with the same id in it.
function removeSockets(cluster: string): void {
  for (const name of readdirSync(cluster)) {
    if (name.startsWith('.s.PGSQL.')) rmSync(join(cluster, name), { force: true });
  }
}

async function endProcesses(cluster: string, postmaster: number): Promise<void> {
  const steps: [NodeJS.Signals, number][] = [['SIGINT', FAST_SHUTDOWN_MS], ['SIGQUIT', IMMEDIATE_SHUTDOWN_MS]];
  for (const [signal, limitMs] of steps) {
    const running = processesIn(cluster, postmaster);
    // Without their postmaster the backends end by themselves; SIGINT would only cancel their statement.
    const targets = running.includes(postmaster) ? [postmaster] : signal === 'SIGQUIT' ? running : [];
    for (const pid of targets) sendSignal(pid, signal);
    if (await isFree(cluster, postmaster, limitMs)) return;
  }
  throw new Error(`PostgreSQL of an earlier server (process ${processesIn(cluster, postmaster).join(', ')}) does not end; end it by hand`);
}

async function isFree(cluster: string, postmaster: number, limitMs: number): Promise<boolean> {
  const until = Date.now() + limitMs;
  while (processesIn(cluster, postmaster).length > 0) {
    if (Date.now() > until) return false;
    await sleep(20);
  }
  return true;
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** The processes of PostgreSQL that work in this data directory: each makes it its current directory. */
function processesIn(cluster: string, postmaster: number): number[] {
  if (process.platform !== 'linux') return isPostmasterByPs(cluster, postmaster) ? [postmaster] : [];
  const home = realpathSync(cluster);
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number)
    .filter((pid) => currentDirectory(pid) === home && isPostgres(pid) && processIdentity(pid) !== undefined);
}

function currentDirectory(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return undefined; // Ended meanwhile, or another user's.
  }
}

function isPostgres(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'postgres';
  } catch {
    return false;
  }
}

function isPostmasterByPs(cluster: string, pid: number): boolean {
  if (process.platform === 'win32' || processIdentity(pid) === undefined) return false;
  return execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).includes(`-D ${cluster}`);
}
