// A MinIO of one test file, over a folder of its own: it can be killed, frozen, and started again with what it holds.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'minio';
import { engineFolders } from '../../scripts/engines/engine-folders.ts';
import { freePort } from './start-muniment.ts';

const PROGRAM = join(engineFolders().programs, 'minio', 'bin', 'minio');
const [USER, PASSWORD] = ['tests', 'tests-of-their-own'];
export const OWN_BUCKET = 'own';

export interface OwnMinio {
  port: number;
  /** With a bucket that keeps versions; the endpoint is MinIO itself. */
  environment: Record<string, string>;
  client: Client;
  /** Keeps its connections and does nothing. */
  freeze(): void;
  thaw(): void;
  kill(): Promise<void>;
  /** Resolves once it answers. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Left out where it was never built, unless all engines are required. */
export const ownMinioCanBeHad = existsSync(PROGRAM) || process.env['ENGINES'] === 'required';

/** `directory` is where it keeps its data; a new folder by default, which goes with it. */
export async function startOwnMinio(directory?: string): Promise<OwnMinio> {
  const port = await freePort();
  const data = directory ?? await mkdtemp(join(tmpdir(), 'muniment-minio-'));
  const client = new Client({ endPoint: '127.0.0.1', port, useSSL: false, accessKey: USER, secretKey: PASSWORD, region: 'us-east-1', retryOptions: { disableRetry: true } });
  let child: ChildProcess | undefined;

  async function start(): Promise<void> {
    child = spawn(PROGRAM, ['server', '--quiet', '--address', `127.0.0.1:${port}`, data], {
      stdio: 'ignore', env: { ...process.env, MINIO_ROOT_USER: USER, MINIO_ROOT_PASSWORD: PASSWORD, MINIO_UPDATE: 'off', MINIO_BROWSER: 'off' },
    });
    for (let tries = 0; ; tries += 1) {
      try {
        await client.bucketExists(OWN_BUCKET);
        return;
      } catch (error) {
        if (tries > 200 || child.exitCode !== null) throw error;
      }
      await sleep(50);
    }
  }

  async function kill(): Promise<void> {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  await start();
  await client.makeBucket(OWN_BUCKET);
  await client.setBucketVersioning(OWN_BUCKET, { Status: 'Enabled' });
  return {
    port, client, start, kill,
    environment: { STORAGE_TYPE: 'minio', STORAGE_ENDPOINT: `http://127.0.0.1:${port}`, STORAGE_BUCKET: OWN_BUCKET, STORAGE_REGION: 'us-east-1', STORAGE_ACCESS_KEY: USER, STORAGE_SECRET_KEY: PASSWORD },
    freeze: () => { child?.kill('SIGSTOP'); },
    thaw: () => { child?.kill('SIGCONT'); },
    async stop() {
      await kill();
      if (directory === undefined) await rm(data, { recursive: true, force: true });
    },
  };
}
