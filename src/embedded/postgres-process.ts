// One run of the PostgreSQL server process: started, known to answer, ended.
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, renameSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { POSTGRES_ENVIRONMENT, type PostgresAccount } from './postgres-account.ts';

const LOG_BYTES_MAX = 16 * 1024 * 1024;
const START_LIMIT_MS = 120_000;
const FAST_SHUTDOWN_MS = 30_000;
const IMMEDIATE_SHUTDOWN_MS = 10_000;

export interface PostgresProcess {
  /** Settles when the process has ended, with how it ended; never rejects. */
  ended: Promise<string>;
  hasEnded(): boolean;
  /** What this run wrote to the log, its last lines. */
  logTail(): string;
  stop(): Promise<void>;
}

export function spawnPostgres(
  program: string, account: PostgresAccount, cluster: string, settings: Record<string, string>, logPath: string,
): PostgresProcess {
  const logOffset = rotateLog(logPath);
  const command = [...account.prefix, program, '-D', cluster, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
  const logFile = openSync(logPath, 'a', 0o600);
  // Detached: a Ctrl-C in the terminal reaches the whole foreground group, and the server must be able to finish its
  // transactions before the database goes. The log is the file itself, which outlives us, and no pipe.
  const child = spawn(command[0] as string, command.slice(1), {
    ...POSTGRES_ENVIRONMENT, ...account.identity, cwd: '/', detached: true, stdio: ['ignore', logFile, logFile],
  });
  closeSync(logFile);
  child.unref();
  let isOver = false;
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => { isOver = true; resolve(error.message); });
    child.once('exit', (code, signal) => { isOver = true; resolve(signal === null ? `exit code ${code}` : `signal ${signal}`); });
  });
  const hasEnded = (): boolean => isOver;
  return { ended, hasEnded, logTail: () => readLogTail(logPath, logOffset), stop: () => stopProcess(child, { ended, hasEnded }) };
}

/** True as soon as the database takes a connection; false when there is a server but no such database. Throws when the process ends first. */
export async function waitUntilAnswering(postgres: PostgresProcess, url: string): Promise<boolean> {
  const until = Date.now() + START_LIMIT_MS;
  for (;;) {
    // Whoever has the port instead of us may take the connection and say nothing.
    const code = await Promise.race([connectOnce(url), postgres.ended]);
    if (postgres.hasEnded()) throw new Error('PostgreSQL ended while it started');
    if (code === undefined) return true;
    if (code === '3D000') return false;
    // 57P03: it is starting up, perhaps replaying its log after a crash. Any other refusal may come from a foreign
    // server on the same port, in which case our own process is about to end.
    if (!['ECONNREFUSED', '57P03'].includes(code) && !(await endsWithin(postgres, 1_000))) throw new Error(`PostgreSQL refuses the connection (${code})`);
    if (Date.now() > until) throw new Error(`PostgreSQL did not answer within ${START_LIMIT_MS / 1000} s`);
    await endsWithin(postgres, 5);
  }
}

async function connectOnce(url: string): Promise<string | undefined> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  client.on('error', () => {});
  try {
    await client.connect();
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code ?? (error as Error).message;
  } finally {
    await client.end().catch(() => {});
  }
}

async function endsWithin(postgres: Pick<PostgresProcess, 'ended' | 'hasEnded'>, limitMs: number): Promise<boolean> {
  const clock = new AbortController();
  await Promise.race([postgres.ended, sleep(limitMs, undefined, { signal: clock.signal }).catch(() => {})]);
  clock.abort();
  return postgres.hasEnded();
}

async function stopProcess(child: ChildProcess, process: Pick<PostgresProcess, 'ended' | 'hasEnded'>): Promise<void> {
  child.ref();
  const steps: [NodeJS.Signals, number][] = [['SIGINT', FAST_SHUTDOWN_MS], ['SIGQUIT', IMMEDIATE_SHUTDOWN_MS], ['SIGKILL', IMMEDIATE_SHUTDOWN_MS]];
  for (const [signal, limitMs] of steps) {
    if (process.hasEnded()) return;
    child.kill(signal);
    if (await endsWithin(process, limitMs)) return;
  }
}

function rotateLog(path: string): number {
  if (!existsSync(path)) return 0;
  const { size } = statSync(path);
  if (size < LOG_BYTES_MAX) return size;
  renameSync(path, `${path}.1`);
  return 0;
}

function readLogTail(path: string, offset: number): string {
  if (!existsSync(path)) return '';
  return readFileSync(path).subarray(offset).toString('utf8').trim().split('\n').slice(-20).join('\n');
}
