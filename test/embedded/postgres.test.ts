import { afterAll, afterEach, describe, expect, it } from '@jest/globals';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { joinEmbeddedPostgres } from '../../src/embedded/join-postgres.ts';
import { startEmbeddedPostgres, type EmbeddedPostgres, type EmbeddedPostgresOptions } from '../../src/embedded/postgres.ts';
import { processIdentity } from '../../src/embedded/process-identity.ts';

const STARTER = join(import.meta.dirname, 'postgres-starter.ts');
const NOBODY = 65534;
const asNobody = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];
const canBeNobody = process.getuid?.() === 0 && spawnSync(asNobody[0] as string, [...asNobody.slice(1), 'test', '-r', STARTER, '-a', '-x', process.execPath]).status === 0;

const scratch = mkdtempSync(join(tmpdir(), 'muniment-postgres-'));
chmodSync(scratch, 0o711); // Where PostgreSQL has to run as another user, that one must get in.
const running: EmbeddedPostgres[] = [];
const children: ChildProcess[] = [];
let count = 0;

const newDirectory = (): string => join(scratch, `server-${count += 1}`);

async function start(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres(options);
  running.push(server);
  return server;
}

async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}

/** A server in a process of its own; resolves with its URL when it answers. */
async function startChild(directory: string, prefix: string[] = []): Promise<{ child: ChildProcess; url: string }> {
  const command = [...prefix, process.execPath, '--import', 'tsx', STARTER, directory];
  const child = spawn(command[0] as string, command.slice(1), { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, NODE_OPTIONS: '', HOME: scratch } });
  children.push(child);
  const [url] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return { child, url };
}

async function kill9(child: ChildProcess): Promise<void> {
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}

const postmasterOf = (directory: string): number => Number(readFileSync(join(directory, 'pgdata', 'postmaster.pid'), 'utf8').split('\n')[0]);

async function isGoneSoon(pid: number): Promise<boolean> {
  for (let turn = 0; turn < 250; turn += 1) {
    if (processIdentity(pid) === undefined) return true;
    await sleep(20);
  }
  return false;
}

afterEach(async () => {
  for (const server of running.splice(0)) await server.stop();
  for (const child of children.splice(0)) if (child.exitCode === null && child.signalCode === null) await kill9(child);
});
afterAll(() => { rmSync(scratch, { recursive: true, force: true }); });

describe('the embedded PostgreSQL', () => {
  it('makes its database at the first start, durable, on loopback, with a password kept from others', async () => {
    const directory = newDirectory();
    const { url } = await start({ directory });
    const [row] = await query(url, `select current_database() as database, current_setting('fsync') as fsync, current_setting('listen_addresses') as addresses,
      current_setting('synchronous_commit') as commits, current_setting('server_encoding') as encoding, current_setting('password_encryption') as passwords`);
    expect(row).toEqual({ database: 'muniment', fsync: 'on', addresses: '127.0.0.1', commits: 'on', encoding: 'UTF8', passwords: 'scram-sha-256' });
    expect(statSync(join(directory, 'password')).mode & 0o777).toBe(0o600);
    await expect(query(url.replace(/:[^:@]+@/, ':wrong@'), 'select 1')).rejects.toMatchObject({ code: '28P01' });
  }, 60_000);

  it('knows letters beyond ASCII', async () => {
    const { url } = await start({ directory: newDirectory() });
    expect(await query(url, `select lower('MÜLLER ÉTÉ') as lower, 'Ω' ilike 'ω' as same`)).toEqual([{ lower: 'müller été', same: true }]);
  }, 60_000);

  it('starts again within a second and still holds its rows', async () => {
    const directory = newDirectory();
    const first = await start({ directory });
    await query(first.url, 'create table kept as select 42 as n');
    await first.stop();
    const began = performance.now();
    const second = await start({ directory });
    const tookMs = performance.now() - began;
    expect(await query(second.url, 'select n from kept')).toEqual([{ n: 42 }]);
    expect(tookMs).toBeLessThan(1_000);
  }, 60_000);

  it('ends with a server that is killed, and the next start holds every committed row', async () => {
    const directory = newDirectory();
    const { child, url } = await startChild(directory);
    await query(url, 'create table kept as select generate_series(1, 1000) as n');
    const postmaster = postmasterOf(directory);
    await kill9(child);
    if (process.platform === 'linux') expect(await isGoneSoon(postmaster)).toBe(true);
    const { url: again } = await start({ directory });
    expect(await query(again, 'select count(*)::int as rows from kept')).toEqual([{ rows: 1000 }]);
  }, 60_000);

  it('starts at once after a killed server, while its PostgreSQL is still there', async () => {
    const directory = newDirectory();
    const { child, url } = await startChild(directory);
    // An open transaction in a foreign connection keeps the old server busy for a moment.
    const client = new pg.Client({ connectionString: url });
    client.on('error', () => {});
    await client.connect();
    await client.query('create table kept (n int); insert into kept values (1)');
    await client.query('begin; insert into kept values (2)');
    await kill9(child);
    const { url: again } = await start({ directory });
    expect(await query(again, 'select n from kept')).toEqual([{ n: 1 }]);
    await client.end().catch(() => {});
  }, 60_000);

  it('recovers when PostgreSQL itself was killed, and says so through onExit', async () => {
    const directory = newDirectory();
    const reasons: string[] = [];
    const { url } = await start({ directory, onExit: (reason) => { reasons.push(reason); } });
    await query(url, 'create table kept as select 7 as n');
    const postmaster = postmasterOf(directory);
    process.kill(postmaster, 'SIGKILL');
    expect(await isGoneSoon(postmaster)).toBe(true);
    const { url: again } = await start({ directory });
    expect(await query(again, 'select n from kept')).toEqual([{ n: 7 }]);
    expect(reasons).toEqual([expect.stringContaining('ended by itself (signal SIGKILL)')]);
  }, 60_000);

  it('leaves alone a foreign process whose id stands in a stale postmaster.pid', async () => {
    const directory = newDirectory();
    await (await start({ directory })).stop();
    const bystander = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
    children.push(bystander);
    writeFileSync(join(directory, 'pgdata', 'postmaster.pid'), `${bystander.pid}\n${join(directory, 'pgdata')}\n0\n5432\n\n127.0.0.1\n0 0\nready\n`);
    const { url } = await start({ directory });
    expect(await query(url, 'select 1 as one')).toEqual([{ one: 1 }]);
    expect(processIdentity(bystander.pid as number)).toBeDefined();
  }, 60_000);

  it('refuses a second server on the same directory and names the process that has it', async () => {
    const directory = newDirectory();
    const { url } = await start({ directory });
    await expect(startEmbeddedPostgres({ directory })).rejects.toThrow(`in use by process ${process.pid}`);
    expect(await query(url, 'select 1 as one')).toEqual([{ one: 1 }]);
  }, 60_000);

  it('takes over a lock whose process is gone, also when the id is in use again', async () => {
    const directory = newDirectory();
    mkdirSync(directory);
    writeFileSync(join(directory, 'lock'), JSON.stringify({ pid: process.pid, started: 'another boot:1' }));
    await (await start({ directory })).stop();
    writeFileSync(join(directory, 'lock'), '{"pid":');
    await (await start({ directory })).stop();
    expect(existsSync(join(directory, 'lock'))).toBe(false);
  }, 60_000);

  it('begins anew when the first start was cut off half way', async () => {
    const directory = newDirectory();
    mkdirSync(join(directory, 'pgdata.partial', 'base'), { recursive: true });
    writeFileSync(join(directory, 'pgdata.partial', 'PG_VERSION'), '18\n');
    writeFileSync(join(directory, 'password.partial'), 'half');
    const { url } = await start({ directory });
    expect(await query(url, 'select 1 as one')).toEqual([{ one: 1 }]);
    expect(existsSync(join(directory, 'pgdata.partial'))).toBe(false);
  }, 60_000);

  it('survives being killed at any moment of the first start', async () => {
    for (const afterMs of [300, 500, 700, 900]) {
      const directory = newDirectory();
      const child = spawn(process.execPath, ['--import', 'tsx', STARTER, directory], { stdio: 'ignore', env: { ...process.env, NODE_OPTIONS: '' } });
      children.push(child);
      await sleep(afterMs);
      await kill9(child);
      const { url, stop } = await start({ directory });
      expect(await query(url, 'select 1 as one')).toEqual([{ one: 1 }]);
      await stop();
    }
  }, 120_000);

  it('says in one sentence that a fixed port is taken, and takes another when none was asked for', async () => {
    const directory = newDirectory();
    const squatter = createServer().listen(0, '127.0.0.1');
    await once(squatter, 'listening');
    squatter.unref();
    const { port } = squatter.address() as AddressInfo;
    await expect(startEmbeddedPostgres({ directory, port })).rejects.toThrow(`Port ${port} of 127.0.0.1 is taken`);
    expect((await start({ directory })).port).not.toBe(port);
  }, 60_000);

  it('refuses a data directory of another PostgreSQL version, with both versions in the message', async () => {
    const directory = newDirectory();
    await (await start({ directory })).stop();
    writeFileSync(join(directory, 'pgdata', 'PG_VERSION'), '15\n');
    await expect(startEmbeddedPostgres({ directory })).rejects.toThrow(/made by PostgreSQL 15, and the embedded one is 18/);
  }, 60_000);

  it('takes settings and a database name', async () => {
    const { url } = await start({ directory: newDirectory(), database: 'archive "x"', settings: { max_connections: '20' } });
    expect(await query(url, `select current_database() as name, current_setting('max_connections') as max`)).toEqual([{ name: 'archive "x"', max: '20' }]);
  }, 60_000);

  (canBeNobody ? it : it.skip)('runs as an ordinary user, and ends with that user\'s killed server', async () => {
    const directory = newDirectory();
    mkdirSync(directory);
    chownSync(scratch, NOBODY, NOBODY);
    chownSync(directory, NOBODY, NOBODY);
    const { child, url } = await startChild(directory, asNobody);
    await query(url, 'create table kept as select 5 as n');
    const postmaster = postmasterOf(directory);
    await kill9(child);
    expect(await isGoneSoon(postmaster)).toBe(true);
    const { url: again } = await startChild(directory, asNobody);
    expect(await query(again, 'select n from kept')).toEqual([{ n: 5 }]);
  }, 60_000);
});

it('a command joins the server that runs on a directory, and finds none where none runs', async () => {
  const directory = newDirectory();
  expect(await joinEmbeddedPostgres(directory)).toBeUndefined();
  const server = await start({ directory });
  const joined = await joinEmbeddedPostgres(directory);
  expect(joined).toBe(server.url);
  expect(await query(joined ?? '', 'select 1 as one')).toEqual([{ one: 1 }]);
  await server.stop();
  expect(await joinEmbeddedPostgres(directory)).toBeUndefined();
});
