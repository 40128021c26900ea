// PostgreSQL: the server of the embedded binaries, on a port of its own, with a database for Muniment and one for HAPI.
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import pg from 'pg';
import type { Engine, EngineContext, LaunchCommand } from './engine.ts';
import { engineCredentials } from './engine-folders.ts';

export const postgresEngine: Engine = {
  name: 'postgres',
  title: 'PostgreSQL',
  port: 5433,
  needs: [],
  startLimitMs: 120_000,
  stopLimitMs: 60_000,
  obtain: async (context) => launchCommand(context),
  probe: (context) => withSuperuser(context, async (client) => { await client.query('select 1'); }),
  furnish: (context) => withSuperuser(context, async (client) => {
    const { munimentPassword, hapiPassword } = engineCredentials(context.folders);
    // As an operator would give it to us: owner of its database, no superuser, able to make the runtime roles.
    await makeDatabase(client, 'muniment', munimentPassword, 'login nosuperuser createrole createdb');
    await makeDatabase(client, 'hapi', hapiPassword, 'login nosuperuser');
    await makeDatabase(client, 'hapi_partitions', hapiPassword, 'login nosuperuser', 'hapi');
  }),
  environment: ({ folders, port }) => ({
    DATABASE_URL: `postgres://muniment:${engineCredentials(folders).munimentPassword}@127.0.0.1:${port}/muniment`,
  }),
};

const directoryOf = ({ folders }: EngineContext): string => join(folders.state, 'postgres');

function launchCommand(context: EngineContext): LaunchCommand {
  const loader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  const keeper = join(import.meta.dirname, 'postgres-keeper.ts');
  return { program: process.execPath, args: ['--import', loader, keeper, directoryOf(context), String(context.port)] };
}

async function withSuperuser(context: EngineContext, work: (client: pg.Client) => Promise<void>): Promise<void> {
  const passwordFile = join(directoryOf(context), 'password');
  const password = existsSync(passwordFile) ? readFileSync(passwordFile, 'utf8').trim() : '';
  const client = new pg.Client({ host: '127.0.0.1', port: context.port, user: 'postgres', database: 'postgres', password, connectionTimeoutMillis: 5_000 });
  client.on('error', () => {});
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

async function makeDatabase(client: pg.Client, name: string, password: string, attributes: string, owner = name): Promise<void> {
  const roles = await client.query('select 1 from pg_roles where rolname = $1', [owner]);
  const verb = roles.rowCount === 0 ? 'create' : 'alter';
  await client.query(`${verb} role ${owner} with ${attributes} password ${client.escapeLiteral(password)}`);
  const databases = await client.query('select 1 from pg_database where datname = $1', [name]);
  if (databases.rowCount === 0) await client.query(`create database ${name} owner ${owner}`);
}
