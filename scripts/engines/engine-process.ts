// A detached process that outlives the command that started it, found again by a file with its id and start time.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, closeSync, constants, existsSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { processIdentity } from '../../src/embedded/process-identity.ts';
import { EngineUnavailable, type LaunchCommand } from './engine.ts';

export interface ProcessFiles { pidFile: string; logFile: string }

export function processFiles(state: string, name: string): ProcessFiles {
  return { pidFile: join(state, `${name}.pid.json`), logFile: join(state, `${name}.log`) };
}

/** The process of an earlier start, when that very one still runs. */
export function runningProcess({ pidFile }: ProcessFiles): number | undefined {
  if (!existsSync(pidFile)) return undefined;
  const { pid, started } = JSON.parse(readFileSync(pidFile, 'utf8')) as { pid: number; started: string };
  return processIdentity(pid) === started ? pid : undefined;
}

/** Starts the command in a session of its own, with a fresh log. */
export async function launchDetached(command: LaunchCommand, { pidFile, logFile }: ProcessFiles): Promise<number> {
  if (existsSync(logFile)) renameSync(logFile, `${logFile}.1`);
  const log = openSync(logFile, 'a', 0o600);
  const child = spawn(command.program, command.args, {
    detached: true, stdio: ['ignore', log, log], cwd: command.cwd, env: { ...process.env, NODE_OPTIONS: '', ...command.env },
  });
  closeSync(log);
  await once(child, 'spawn');
  child.unref();
  const pid = child.pid as number;
  writeFileSync(`${pidFile}.partial`, JSON.stringify({ pid, started: processIdentity(pid) }));
  renameSync(`${pidFile}.partial`, pidFile);
  return pid;
}

/** Ends the process of the file, if that very one still runs. Returns its id. */
export async function endProcess(files: ProcessFiles, limitMs: number): Promise<number | undefined> {
  const pid = runningProcess(files);
  if (pid !== undefined) {
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      process.kill(pid, signal);
      const until = Date.now() + limitMs;
      while (runningProcess(files) !== undefined && Date.now() < until) await sleep(25);
      if (runningProcess(files) === undefined) break;
    }
  }
  rmSync(files.pidFile, { force: true });
  return pid;
}

export function logTail({ logFile }: ProcessFiles): string {
  return existsSync(logFile) ? readFileSync(logFile, 'utf8').trim().split('\n').slice(-15).join('\n') : '';
}

export async function isPortTaken(port: number): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port, timeout: 2_000 });
  try {
    await Promise.race([once(socket, 'connect'), once(socket, 'timeout')]);
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** The program's path, from PATH or the system's own folders. Throws EngineUnavailable with `remedy`. */
export function programOnPath(name: string, remedy: string): string {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'].filter((folder) => folder !== '');
  const found = folders.map((folder) => join(folder, name)).find((path) => isExecutable(path));
  if (found === undefined) throw new EngineUnavailable(`${name} is not installed (${remedy})`);
  return found;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Runs a program to its end. Throws EngineUnavailable with the line of its output that says most. */
export async function runToEnd(command: LaunchCommand, what: string): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(command.program, command.args, {
      cwd: command.cwd, env: { ...process.env, NODE_OPTIONS: '', ...command.env }, maxBuffer: 64 * 1024 * 1024,
    });
    return stdout;
  } catch (cause) {
    const { stdout, stderr, message } = cause as { stdout?: string; stderr?: string; message: string };
    const lines = `${stdout ?? ''}\n${stderr ?? ''}`.split('\n').map((line) => line.trim()).filter((line) => line !== '');
    const telling = lines.find((line) => /error|cannot|could not|no such|refused|denied/i.test(line)) ?? lines.at(-1) ?? message;
    throw new EngineUnavailable(`${what} failed: ${telling.slice(0, 300)}`, { cause });
  }
}
