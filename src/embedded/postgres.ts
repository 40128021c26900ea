// The embedded PostgreSQL: a real server, supervised by this process and ended with it. For a single machine without a
// database of its own; it keeps every promise of an ordinary server (fsync on, SCRAM passwords), on loopback only.
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { lockDirectory } from './directory-lock.ts';
import { choosePostgresAccount, type PostgresAccount } from './postgres-account.ts';
import { copyPostgresBinaries, findPostgresBinaries } from './postgres-binaries.ts';
import { clusterPassword, prepareCluster, SUPERUSER } from './postgres-cluster.ts';
import { endLeftoverPostgres } from './postgres-leftover.ts';
import { spawnPostgres, waitUntilAnswering, type PostgresProcess } from './postgres-process.ts';

export interface EmbeddedPostgres {
  /** postgres:// URL of the superuser and the database asked for, with password, on 127.0.0.1. */
  url: string;
  /** The same over the Unix socket, which costs less a message; `url` itself where there is no socket. */
  socketUrl: string;
  port: number;
  /** Ends running statements, writes a checkpoint, and returns when the process is gone. May be called twice. */
  stop(): Promise<void>;
}

export interface EmbeddedPostgresOptions {
  /** Holds the data directory `pgdata`, `password`, `lock` and `postgres.log`; made when absent. */
  directory: string;
  /** A free one by default. */
  port?: number;
  /** Made when absent; `muniment` by default. */
  database?: string;
  /** More settings of postgresql.conf, or other values for ours. */
  settings?: Record<string, string>;
  /** `copied` runs from a copy in the directory, for a server that outlives this installation; `installed` by default. */
  programs?: 'installed' | 'copied';
  /** Called when the server ends although nobody stopped it. */
  onExit?: (reason: string) => void;
  log?: (line: string) => void;
}

/** A quarter of the memory, as PostgreSQL's manual has it, within bounds: index rows go in everywhere, and a page that was put out is read again. */
const SHARED_BUFFERS_MIB = Math.round(Math.min(Math.max(totalmem() / 2 ** 20 / 4, 128), 1_024));

// Sized for one server. Left as PostgreSQL has it: fsync, full_page_writes, checksums.
const SETTINGS = {
  listen_addresses: '127.0.0.1',
  max_connections: '100',
  shared_buffers: `${SHARED_BUFFERS_MIB}MB`,
  synchronous_commit: 'on',
  wal_compression: 'on',
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
};

// The address of a Unix socket holds 104 bytes on macOS and 108 on Linux, with a zero at the end.
const SOCKET_PATH_BYTES_MAX = 103;
const START_ATTEMPTS_MAX = 40;

interface Launch {
  program: string;
  account: PostgresAccount;
  cluster: string;
  logPath: string;
  password: string;
  options: EmbeddedPostgresOptions;
}

/**
 * Starts the server of a directory, after whatever an earlier one left there by being killed. Throws with one readable
 * reason: the directory is in use, the port is taken, no way to run PostgreSQL here.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const directory = resolve(options.directory);
  await mkdir(directory, { recursive: true, mode: 0o711 });
  const unlock = await lockDirectory(join(directory, 'lock'));
  try {
    const launch = await prepareLaunch(directory, options);
    const { postgres, port, socketDirectory } = await startOnFreePort(launch);
    void postgres.ended.then(unlock);
    return superviseStarted(launch, postgres, { port, socketDirectory }, unlock);
  } catch (error) {
    unlock();
    throw error;
  }
}

async function prepareLaunch(directory: string, options: EmbeddedPostgresOptions): Promise<Launch> {
  const cluster = join(directory, 'pgdata');
  const log = options.log ?? (() => {});
  await endLeftoverPostgres(cluster, log);
  const installed = await findPostgresBinaries(directory);
  const found = options.programs === 'copied' ? await copyPostgresBinaries(installed, directory) : installed;
  const { account, binaries } = await choosePostgresAccount(found, directory, cluster);
  const password = await clusterPassword(directory);
  await prepareCluster(directory, cluster, binaries, account, log);
  return { program: binaries.postgres, account, cluster, logPath: join(directory, 'postgres.log'), password, options };
}

async function startOnFreePort(launch: Launch): Promise<{ postgres: PostgresProcess; port: number; socketDirectory: string }> {
  let withSocket = process.platform !== 'win32';
  for (let attempt = 1; ; attempt += 1) {
    const port = launch.options.port ?? await freePort();
    const settings = settingsFor(launch, port, withSocket);
    const postgres = spawnPostgres(launch.program, launch.account, launch.cluster, settings, launch.logPath);
    try {
      if (!(await waitUntilAnswering(postgres, urlOf(launch, port)))) await createDatabase(launch, port);
      return { postgres, port, socketDirectory: settings['unix_socket_directories'] ?? '' };
    } catch (cause) {
      await postgres.stop();
      const tail = postgres.logTail();
      const obstacle = obstacleIn(tail);
      if (obstacle === 'port' && launch.options.port !== undefined) throw new Error(`Port ${port} of 127.0.0.1 is taken by another program`, { cause });
      if (obstacle === undefined || attempt >= START_ATTEMPTS_MAX) throw new Error(`${(cause as Error).message} (${await postgres.ended}): ${tail || 'nothing in its log'}`, { cause });
      if (obstacle === 'socket') withSocket = false;
      if (obstacle === 'memory') await sleep(250);
    }
  }
}

// What a further attempt can overcome: a port that was taken between our look and the start; a file system without
// sockets; backends of a killed server that have not yet noticed its end.
function obstacleIn(logTail: string): 'port' | 'socket' | 'memory' | undefined {
  if (/Address already in use|could not create any TCP\/IP sockets/.test(logTail)) return 'port';
  if (/could not create any Unix-domain sockets/.test(logTail)) return 'socket';
  if (/pre-existing shared memory block/.test(logTail)) return 'memory';
  return undefined;
}

function settingsFor(launch: Launch, port: number, withSocket: boolean): Record<string, string> {
  const fits = Buffer.byteLength(join(launch.cluster, `.s.PGSQL.${port}`)) <= SOCKET_PATH_BYTES_MAX;
  return { ...SETTINGS, unix_socket_directories: withSocket && fits ? launch.cluster : '', ...launch.options.settings, port: String(port) };
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

function urlOf(launch: Launch, port: number, database = launch.options.database ?? 'muniment'): string {
  return `postgres://${SUPERUSER}:${launch.password}@127.0.0.1:${port}/${encodeURIComponent(database)}`;
}

async function createDatabase(launch: Launch, port: number): Promise<void> {
  const client = new pg.Client({ connectionString: urlOf(launch, port, 'postgres') });
  await client.connect();
  try {
    await client.query(`create database ${client.escapeIdentifier(launch.options.database ?? 'muniment')}`);
  } finally {
    await client.end();
  }
}

function superviseStarted(launch: Launch, postgres: PostgresProcess, { port, socketDirectory }: { port: number; socketDirectory: string }, unlock: () => void): EmbeddedPostgres {
  let stopping: Promise<void> | undefined;
  void postgres.ended.then((how) => {
    if (stopping === undefined) launch.options.onExit?.(`the embedded PostgreSQL ended by itself (${how}): ${postgres.logTail().split('\n').at(-1) ?? ''}`);
  });
  const stop = async (): Promise<void> => {
    await postgres.stop();
    unlock();
  };
  const url = urlOf(launch, port);
  const socketUrl = socketDirectory === '' ? url : `${url.replace(/@127\.0\.0\.1:\d+/, '@')}?host=${encodeURIComponent(socketDirectory)}&port=${port}`;
  return { url, socketUrl, port, stop: () => (stopping ??= stop()) };
}
