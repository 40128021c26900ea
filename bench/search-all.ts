// Every declared search of DocumentReference over many documents, one client, pages of 20: p50, p95 and p99 of each.
import { join } from 'node:path';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { openDatabase } from '../src/database/database.ts';
import { migrate } from '../src/database/migrate.ts';
import { startEmbeddedPostgres } from '../src/embedded/postgres.ts';
import { createOrganisations } from '../src/resources/organisation.ts';
import { PROJECT, SERVE, freePort, outputOf, startChildServer } from './child-server.ts';
import { quantile, runClosedLoop } from './closed-loop.ts';
import { expectReply } from './expected-reply.ts';
import { openConnections } from './keep-alive.ts';
import { loadDocuments } from './load-documents.ts';
import { searchQueries } from './search-queries.ts';

export interface SearchTime {
  query: string;
  p50Ms: number;
  p95Ms: number;
  p99Ms: number;
  errors: Record<string, number>;
}

export interface SearchAllResult {
  scenario: 'search-all';
  documents: number;
  loadSeconds: number;
  searches: SearchTime[];
}

const REQUESTS = 100;

/** A server on an embedded PostgreSQL of its own that holds `documents`; `folder` is removed with it. */
async function openLoaded(folder: string, documents: number): Promise<{ base: string; token: string; loadSeconds: number; close: () => Promise<void> }> {
  const postgres = await startEmbeddedPostgres({ directory: join(folder, 'postgres') });
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
  return { base, token: await outputOf(['scripts/muniment.mjs', 'token', '--ttl', '86400'], environment), loadSeconds, close: async () => { await server.stop(); await postgres.stop(); } };
}

export async function runSearchAll(documents: number, tell: (time: SearchTime) => void): Promise<SearchAllResult> {
  await mkdir(join(PROJECT, 'data'), { recursive: true });
  const folder = await mkdtemp(join(PROJECT, 'data', 'bench-search-'));
  try {
    const { base, token, loadSeconds, close } = await openLoaded(folder, documents);
    const connections = openConnections(1);
    try {
      const searches: SearchTime[] = [];
      for (const { name, urlOf } of searchQueries(documents)) {
        let turn = 0;
        const work = async (): Promise<void> => {
          turn += 1;
          await expectReply(connections, { method: 'GET', url: `${base}/${urlOf(turn)}`, headers: { authorization: `Bearer ${token}`, accept: 'application/fhir+json' } }, 200);
        };
        await runClosedLoop({ clients: 1, seconds: 5, countMax: 10 }, work);
        const { latencies, errors } = await runClosedLoop({ clients: 1, seconds: 20, countMax: REQUESTS }, work);
        const time = { query: name, p50Ms: quantile(latencies, 0.5), p95Ms: quantile(latencies, 0.95), p99Ms: quantile(latencies, 0.99), errors };
        searches.push(time);
        tell(time);
      }
      return { scenario: 'search-all', documents, loadSeconds, searches };
    } finally {
      connections.close();
      await close();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
