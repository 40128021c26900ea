// A clamd of one test file, with small limits and the signature of the EICAR test file alone.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { askClamd } from '../../src/content/clamd.ts';
import { freePort } from './start-muniment.ts';

export interface TestClamd {
  port: number;
  /** Keeps its connections and does nothing. */
  freeze(): void;
  thaw(): void;
  /** Ends, and may be started again with other signatures. */
  restart(signatures?: Record<string, string>): Promise<void>;
  end(): Promise<void>;
  stop(): Promise<void>;
}

/** Left out where the machine has no clamd, unless all engines are required. */
export const clamdCanBeHad = spawnSync('sh', ['-c', 'command -v clamd']).status === 0 || process.env['ENGINES'] === 'required';

/** The EICAR test file, put together here so that this source is no match. */
export const eicar = (): Buffer => Buffer.from('X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR' + '-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*');

const SIGNATURES = { 'eicar.ndb': `Eicar-Test-Body:0:*:${eicar().toString('hex')}\n` };

export async function startClamd(settings: Record<string, string> = {}): Promise<TestClamd> {
  const home = await mkdtemp(join(tmpdir(), 'muniment-clamd-'));
  const port = await freePort();
  await mkdir(join(home, 'tmp'));
  let child = await launch(SIGNATURES);

  async function launch(signatures: Record<string, string>): Promise<ReturnType<typeof spawn>> {
    await rm(join(home, 'signatures'), { recursive: true, force: true });
    await mkdir(join(home, 'signatures'));
    for (const [name, text] of Object.entries(signatures)) await writeFile(join(home, 'signatures', name), text);
    const lines = { Foreground: 'yes', DatabaseDirectory: join(home, 'signatures'), TemporaryDirectory: join(home, 'tmp'), LogFile: join(home, 'clamd.log'), TCPAddr: '127.0.0.1', TCPSocket: String(port), SelfCheck: '0', AlertExceedsMax: 'yes', ...settings };
    await writeFile(join(home, 'clamd.conf'), Object.entries(lines).map(([name, value]) => `${name} ${value}\n`).join(''));
    const started = spawn('clamd', [`--config-file=${join(home, 'clamd.conf')}`], { stdio: 'ignore' });
    for (let tries = 0; ; tries += 1) {
      try { await askClamd({ host: '127.0.0.1', port }, 'PING'); return started; } catch (error) { if (tries > 200) throw error; }
      await sleep(50);
    }
  }

  async function end(): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGCONT');
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  return {
    port,
    freeze: () => { child.kill('SIGSTOP'); },
    thaw: () => { child.kill('SIGCONT'); },
    async restart(signatures = SIGNATURES) { await end(); child = await launch(signatures); },
    end,
    async stop() { await end(); await rm(home, { recursive: true, force: true }); },
  };
}
