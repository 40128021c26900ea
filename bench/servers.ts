// The three servers of a run: Muniment on embedded parts, the bare pipeline and the stub.
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PROJECT, SERVE, freePort, outputOf, startChildServer } from './child-server.ts';

export interface Peer {
  /** Base of its URLs, without a slash at the end. */
  base: string;
  headers: Record<string, string>;
  pid: number;
  stop(): Promise<void>;
}

/** A folder on the disk where data would really lie: a temporary file system has no fsync worth measuring. */
async function makeFolder(name: string): Promise<string> {
  const parent = join(PROJECT, 'data');
  await mkdir(parent, { recursive: true });
  return mkdtemp(join(parent, `bench-${name}-`));
}

/** The same server that records nothing. */
export const startUnrecorded = (): Promise<Peer> => startMuniment(['--import', 'tsx', '--import', './bench/without-record.ts']);

/** Muniment with an empty data folder of its own; `base` is its FHIR base, `headers` hold a token of one day. `options` are those of Node. */
export async function startMuniment(options: readonly string[] = [], more: Readonly<Record<string, string>> = {}): Promise<Peer & { dataDir: string }> {
  const folder = await makeFolder('muniment');
  const port = await freePort();
  const environment = {
    PORT: String(port), HOST: '127.0.0.1', DATA_DIR: folder, LOG_LEVEL: 'warn', METRICS_PORT: '0', NODE_ENV: '',
    DATABASE_URL: '', MIRROR_BASE_URL: '', CLAMAV_HOST: '', STORAGE_TYPE: '', BASE_URL: '', ...more,
  };
  try {
    const child = await startChildServer({ arguments: [...options, ...SERVE], environment, ready: 'Muniment is ready' });
    const stop = (): Promise<void> => child.stop().finally(() => rm(folder, { recursive: true, force: true }));
    try {
      const token = await outputOf(['scripts/muniment.mjs', 'token', '--ttl', '86400'], environment);
      return { base: `http://localhost:${port}/fhir`, headers: { authorization: `Bearer ${token}` }, pid: child.pid, stop, dataDir: folder };
    } catch (error) {
      await stop();
      throw error;
    }
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

export async function startBarePipeline(): Promise<Peer> {
  const folder = await makeFolder('bare');
  const peer = await startYardstick('bench/bare-pipeline.ts', folder);
  return { ...peer, stop: () => peer.stop().finally(() => rm(folder, { recursive: true, force: true })) };
}

export async function startStub(): Promise<Peer> {
  const peer = await startYardstick('bench/stub-server.ts');
  return { ...peer, base: `${peer.base}/fhir` };
}

async function startYardstick(...words: string[]): Promise<Peer> {
  const child = await startChildServer({ arguments: ['--import', 'tsx', ...words], ready: 'ready ' });
  return { base: child.readyLine.slice('ready '.length), headers: {}, pid: child.pid, stop: () => child.stop() };
}
