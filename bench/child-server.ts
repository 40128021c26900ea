// Servers under measurement run as processes of their own; each is ended by its id, and only those begun here.
import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

export const PROJECT = new URL('..', import.meta.url).pathname;

const READY_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 40_000;

export interface ChildServer {
  pid: number;
  /** The line that said it was ready. */
  readyLine: string;
  stop(): Promise<void>;
}

/** What `npm start` runs. */
export const SERVE = ['--max-semi-space-size=64', 'scripts/muniment.mjs', 'serve'];

interface Command {
  arguments: string[];
  environment?: Record<string, string>;
  /** Prefix of the line on standard output that ends the wait. */
  ready: string;
}

/** Starts `node ARGUMENTS` in the project and waits for its line; rejects when it ends or is silent for two minutes. */
export async function startChildServer(command: Command): Promise<ChildServer> {
  const child = spawn(process.execPath, command.arguments, {
    cwd: PROJECT, env: { ...process.env, ...command.environment }, stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const readyLine = await waitForLine(child, command);
    // A server that ends by itself would else only show as refused connections.
    const tell = (code: number | null, signal: string | null): void => {
      process.stderr.write(`${command.arguments.join(' ')} ended by itself: ${code ?? signal}\n`);
    };
    child.once('exit', tell);
    return { pid: child.pid as number, readyLine, stop: () => stopChild(child.off('exit', tell)) };
  } catch (error) {
    await stopChild(child);
    throw error;
  }
}

function waitForLine(child: ChildProcess, { ready, arguments: words }: Command): Promise<string> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${words[0]} was not ready in time`)), READY_TIMEOUT_MS);
    // Reading goes on after that line: a full pipe would hold the server up. Log lines are shown, as they are JSON.
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      if (line.startsWith('{')) process.stderr.write(`${line}\n`);
      if (!line.startsWith(ready)) return;
      clearTimeout(timer);
      resolve(line);
    });
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      reject(new Error(`${words[0]} ended with ${code ?? signal} before it was ready`));
    });
  });
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await ended;
  clearTimeout(timer);
}

export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

/** Standard output of `node ARGUMENTS` in the project, trimmed. */
export async function outputOf(words: string[], environment: Record<string, string>): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, words, { cwd: PROJECT, env: { ...process.env, ...environment } });
  return stdout.trim();
}
