// A server on an embedded PostgreSQL of its own that holds many documents already.
import { readFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { openDatabase } from '../src/database/database.ts';
import { migrate } from '../src/database/migrate.ts';
import { startEmbeddedPostgres } from '../src/embedded/postgres.ts';
import { createOrganisations } from '../src/resources/organisation.ts';
import { PROJECT, SERVE, freePort, outputOf, startChildServer } from './child-server.ts';
import { loadDocuments } from './load-documents.ts';

export interface LoadedServer {
  base: string;
  /** Of the server, and of its database. */
  pids: { server: number; database: number };
  loadSeconds: number;
  /** A token of one day; `words` are further flags of `muniment token`. */
  token(...words: string[]): Promise<string>;
  close(): Promise<void>;
}

/** `name` is that of its folder, which is removed with it. */
export async function openLoadedServer(name: string, documents: number): Promise<LoadedServer> {
  await mkdir(join(PROJECT, 'data'), { recursive: true });
  const folder = await mkdtemp(join(PROJECT, 'data', `bench-${name}-`));
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  try {
    const server = await openIn(folder, documents);
    return { ...server, close: async () => { await server.close(); await remove(); } };
  } catch (error) {
    await remove();
    throw error;
  }
}

async function openIn(folder: string, documents: number): Promise<LoadedServer> {
  const directory = join(folder, 'postgres');
  const postgres = await startEmbeddedPostgres({ directory });
  await migrate(postgres.url);
  const port = await freePort();
  const base = `http://localhost:${port}/fhir`;
  const database = openDatabase({ appUrl: postgres.url, auditUrl: postgres.url, workerUrl: postgres.url, setRoles: true });
  const begun = performance.now();
  const org = await createOrganisations(database, true).open('demo');
  await loadDocuments(database, org, base, documents);
  const loadSeconds = (performance.now() - begun) / 1_000;
  await database.close();
  const environment = { PORT: String(port), HOST: '127.0.0.1', DATA_DIR: join(folder, 'muniment'), DATABASE_URL: postgres.url, LOG_LEVEL: 'warn', METRICS_PORT: '0', NODE_ENV: '', MIRROR_BASE_URL: '', CLAMAV_HOST: '', STORAGE_TYPE: '', BASE_URL: '' };
  const server = await startChildServer({ arguments: SERVE, environment, ready: 'Muniment is ready' });
  const [databasePid = ''] = (await readFile(join(directory, 'pgdata', 'postmaster.pid'), 'utf8')).split('\n');
  return {
    base, loadSeconds, pids: { server: server.pid, database: Number(databasePid) },
    token: (...words) => outputOf(['scripts/muniment.mjs', 'token', '--ttl', '86400', ...words], environment),
    close: async () => { await server.stop(); await postgres.stop(); },
  };
}
