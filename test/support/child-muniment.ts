// A server in a process of its own, which can be killed like one.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { mintToken } from '../../src/access/development-issuer.ts';
import type { Environment } from '../../src/config/env.ts';

export interface ChildMuniment {
  process: ChildProcess;
  fhirBase: string;
  token(): Promise<string>;
  /** Sends the signal and waits for the end; answers the exit code, null when the signal ended it. */
  end(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null>;
}

const ROOT = join(import.meta.dirname, '..', '..');
const READY_MS = 60_000;

/** Starts `muniment serve` over `dataDir`, with embedded PostgreSQL unless told otherwise, and waits for its ready line. */
export async function startChild(dataDir: string, port: number, more: Environment = {}): Promise<ChildMuniment> {
  const { NODE_OPTIONS: _options, ...outer } = process.env;
  const child = spawn(process.execPath, ['--import', 'tsx', join(ROOT, 'src', 'main.ts'), 'serve'], {
    cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'], env: { ...outer, PORT: String(port), DATA_DIR: dataDir, METRICS_PORT: '0', LOG_LEVEL: 'warn', ...more },
  });
  let output = '';
  const ready = new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`Not ready in time:\n${output}`)), READY_MS);
    const heard = (chunk: Buffer): void => {
      output += chunk.toString('utf8');
      if (!/^Muniment is ready: /m.test(output)) return;
      clearTimeout(timer);
      resolve();
    };
    child.stdout.on('data', heard);
    child.stderr.on('data', heard);
    child.once('exit', (code) => { clearTimeout(timer); reject(new Error(`Ended with ${code} before it was ready:\n${output}`)); });
  });
  await ready;
  const fhirBase = `http://localhost:${port}/fhir`;
  return {
    process: child,
    fhirBase,
    token: () => mintToken({ dataDir, audience: fhirBase, scope: 'user/*.cruds', org: 'demo', user: 'Practitioner/demo', roles: ['admin'], client: 'muniment-cli', ttlSeconds: 3_600 }),
    async end(signal) {
      const ended = once(child, 'exit') as Promise<[number | null]>;
      child.kill(signal);
      return (await ended)[0];
    },
  };
}
