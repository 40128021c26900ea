// A whole server in this process: the real composition root over a database of its own and a store of its own.
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer } from 'node:net';
import pg from 'pg';
import { mintToken } from '../../src/access/development-issuer.ts';
import { loadConfig } from '../../src/config/config.ts';
import type { Environment } from '../../src/config/env.ts';
import { createLogger, type Logger } from '../../src/logger.ts';
import { startServer, type RunningServer } from '../../src/server.ts';
import { TEMPLATE } from './global-setup.ts';

export interface TokenOptions {
  scope?: string;
  org?: string;
  user?: string;
  roles?: string[];
  client?: string;
  ttlSeconds?: number;
  patient?: string;
}

export interface TestMuniment extends RunningServer {
  dataDir: string;
  /** postgres:// of the owner of this server's database: for looking at rows, and for breaking them on purpose. */
  ownerUrl: string;
  token(options?: TokenOptions): Promise<string>;
  /** Owner's connection; row-level security does not hold for it. */
  sql<Row = Record<string, unknown>>(text: string, values?: unknown[]): Promise<Row[]>;
  /** Another server on the same database and store. */
  startSecond(overrides?: Environment): Promise<TestMuniment>;
}

/**
 * A port below those that the kernel gives to outgoing connections (32768 and up): one of them could take a port between our
 * look and the server's start. Each worker looks in a range of its own.
 */
export async function freePort(): Promise<number> {
  const worker = Number(process.env['JEST_WORKER_ID'] ?? 0) % 10;
  for (;;) {
    const port = 20_000 + worker * 1_000 + Math.floor(Math.random() * 1_000);
    const server = createServer();
    const free = await new Promise<boolean>((resolve) => {
      server.once('error', () => { resolve(false); });
      server.listen(port, '127.0.0.1', () => { resolve(true); });
    });
    if (!free) continue;
    await new Promise<void>((resolve) => { server.close(() => resolve()); });
    return port;
  }
}

/** A fresh database from the template; answers its owner's URL. */
export async function createDatabase(): Promise<string> {
  const base = process.env['TEST_POSTGRES_URL'];
  if (base === undefined) throw new Error('TEST_POSTGRES_URL is not set: this file belongs to the project "engines"');
  const name = `t_${randomUUID().replaceAll('-', '')}`;
  const admin = new pg.Client({ connectionString: base });
  await admin.connect();
  await admin.query(`create database ${name} template ${TEMPLATE} strategy wal_log`);
  await admin.end();
  return base.replace(/\/[^/]*$/, `/${name}`);
}

/** MinIO's variables, or undefined where it could not be had. */
export function minioEnvironment(): Environment | undefined {
  const endpoint = process.env['TEST_S3_ENDPOINT'];
  if (endpoint === undefined) return undefined;
  return {
    STORAGE_TYPE: 'minio', STORAGE_ENDPOINT: endpoint, STORAGE_BUCKET: process.env['TEST_S3_BUCKET'] ?? '',
    STORAGE_ACCESS_KEY: process.env['TEST_S3_ACCESS_KEY'] ?? '', STORAGE_SECRET_KEY: process.env['TEST_S3_SECRET_KEY'] ?? '',
  };
}

/** `logger` takes what the server would print. */
export async function startMuniment(overrides: Environment = {}, logger?: Logger): Promise<TestMuniment> {
  const dataDir = await mkdtemp(join(tmpdir(), 'muniment-data-'));
  const remove = (): Promise<void> => rm(dataDir, { recursive: true, force: true });
  try {
    const server = await start(await createDatabase(), dataDir, overrides, logger);
    return { ...server, stop: async () => { await server.stop(); await remove(); } };
  } catch (error) {
    await remove();
    throw error;
  }
}

async function start(ownerUrl: string, dataDir: string, overrides: Environment, logger?: Logger): Promise<TestMuniment> {
  const port = await freePort();
  const environment: Environment = { PORT: String(port), DATA_DIR: dataDir, DATABASE_URL: ownerUrl, METRICS_PORT: '0', LOG_LEVEL: 'error', ...overrides };
  const config = loadConfig(environment);
  const running = await startServer(config, logger ?? createLogger(config.logLevel), (reason) => { throw new Error(reason); });
  return {
    ...running, dataDir, ownerUrl,
    token: ({ scope = 'user/*.cruds', org = 'demo', user = 'Practitioner/demo', roles = ['admin'], client = 'muniment-cli', ttlSeconds = 3_600, patient } = {}) =>
      mintToken({ dataDir, audience: config.fhirBase, scope, org, user, roles, client, ttlSeconds, ...(patient === undefined ? {} : { patient }) }),
    async sql<Row>(text: string, values: unknown[] = []) {
      const client = new pg.Client({ connectionString: ownerUrl });
      await client.connect();
      try {
        return (await client.query(text, values)).rows as Row[];
      } finally { await client.end(); }
    },
    startSecond: (more = {}) => start(ownerUrl, dataDir, { ...overrides, ...more }),
  };
}
