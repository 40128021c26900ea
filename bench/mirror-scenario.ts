// The mirror against the real HAPI with partitions (npm run engines -- start hapi-partitions), each kind of work in an organisation, and so in a
// partition, of its own: what HAPI takes by plain requests, one by one and in transactions; how fast the mirror drains; how fast an empty HAPI is
// filled, and with what memory; how fast everything is compared, and how fast it is read one by one.
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspectEngines } from '../scripts/engines/ensure-engines.ts';
import { partitionedHapiEngine } from '../scripts/engines/hapi-engine.ts';
import { createLogger } from '../src/logger.ts';
import { createDelivery } from '../src/mirror/deliver.ts';
import { startMirrorWorker } from '../src/mirror/mirror-worker.ts';
import { reportKey } from '../src/mirror/reconcile-report.ts';
import { runBackfill, runReconcile } from '../src/mirror/run-reconcile.ts';
import { PROJECT } from './child-server.ts';
import { benchDocument, openMirrorStore, PUBLIC_BASE, sentDocument, sentProvenance, type MirrorStore } from './mirror-documents.ts';

export interface MirrorResult {
  scenario: 'mirror';
  /** Documents of each kind of work; each has a Provenance as well. */
  documents: number;
  /** Documents a second. */
  direct: number;
  directBatched: number;
  drained: number;
  filled: number;
  /** Largest resident set above that at the beginning, while HAPI was filled. */
  fillMib: number;
  compared: number;
  readById: number;
  /** Verdict of the comparison of what was drained, and of what was filled. */
  verdicts: string[];
}

/** As many as the mirror has under way. */
const CLIENTS = 8;
const BATCH = 20;
const FHIR = { 'content-type': 'application/fhir+json', 'prefer': 'return=minimal', 'cache-control': 'no-cache' };

async function put(url: string, body: string): Promise<void> {
  const response = await fetch(url, { method: 'PUT', headers: { ...FHIR, 'if-match': 'W/"0"', 'x-retry-on-version-conflict': 'retry; max-retries=5' }, body });
  await response.arrayBuffer();
  if (response.status !== 201) throw new Error(`HAPI answers ${response.status}`);
}

async function post(url: string, body: string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const response = await fetch(url, { method: 'POST', headers: FHIR, body });
    const text = await response.text();
    if (response.status === 200) return;
    // Two transactions that make one placeholder.
    if (response.status !== 409 || attempt > 5) throw new Error(`HAPI answers ${response.status}: ${text.slice(0, 200)}`);
  }
}

/** How many a second, when `count` of them are done by CLIENTS at once, each with the positions of a share of the patients. */
async function rate(count: number, size: number, work: (positions: number[]) => Promise<void>): Promise<number> {
  const shares: number[][][] = Array.from({ length: CLIENTS }, () => []);
  for (let begin = 0; begin < count; begin += size) shares[(begin / size) % CLIENTS]?.push(Array.from({ length: Math.min(size, count - begin) }, (_, offset) => begin + offset));
  const begun = performance.now();
  await Promise.all(shares.map(async (share) => { for (const positions of share) await work(positions); }));
  return count / ((performance.now() - begun) / 1_000);
}

function transactionOf(orgName: string, positions: readonly number[]): string {
  const documents = positions.map((position) => benchDocument(orgName, position));
  const entries = documents.flatMap((document) => [
    `{"resource":${sentDocument(orgName, document)},"request":{"method":"PUT","url":"DocumentReference/${document.id}"}}`,
    `{"resource":${sentProvenance(orgName, document)},"request":{"method":"PUT","url":"Provenance/${document.event.id}"}}`,
  ]);
  return `{"resourceType":"Bundle","type":"transaction","entry":[${entries.join(',')}]}`;
}

async function drain(store: MirrorStore, baseUrl: string, count: number): Promise<number> {
  const begun = performance.now();
  const worker = startMirrorWorker({ database: store.database, delivery: createDelivery({ baseUrl, publicBase: PUBLIC_BASE, access: 'writes' }), log: createLogger('error') });
  while ((await store.sql('select from outbox limit 1')).length > 0) await sleep(20);
  const seconds = (performance.now() - begun) / 1_000;
  await worker.stop();
  return count / seconds;
}

export async function runMirrorScenario(documents: number, say: (line: string) => void): Promise<MirrorResult> {
  if (!(await inspectEngines()).some(({ name, state }) => name === 'hapi-partitions' && state === 'running')) throw new Error('mirror needs a HAPI with partitions: npm run engines -- start hapi-partitions');
  const baseUrl = `http://127.0.0.1:${partitionedHapiEngine.port}/fhir/{org}`;
  const mark = Date.now().toString(36);
  const [direct, batched, drained, filled] = ['direct', 'batched', 'drained', 'filled'].map((name) => `b${mark}-${name}`) as [string, string, string, string];
  const base = (orgName: string): string => baseUrl.replace('{org}', orgName);
  const parent = join(PROJECT, 'data');
  await mkdir(parent, { recursive: true });
  const folder = await mkdtemp(join(parent, 'bench-mirror-'));
  const store = await openMirrorStore(folder);
  const pace = async (): Promise<void> => {};
  const stop = new AbortController().signal;
  const config = { database: store.database, baseUrl, publicBase: PUBLIC_BASE, access: 'writes' as const };
  try {
    const single = (orgName: string) => async (positions: number[]): Promise<void> => {
      for (const position of positions) {
        const document = benchDocument(orgName, position);
        await put(`${base(orgName)}/DocumentReference/${document.id}`, sentDocument(orgName, document));
        await put(`${base(orgName)}/Provenance/${document.event.id}`, sentProvenance(orgName, document));
      }
    };
    await rate(Math.min(400, documents), 10, single(`${direct}-warm`));
    const result: MirrorResult = { scenario: 'mirror', documents, direct: 0, directBatched: 0, drained: 0, filled: 0, fillMib: 0, compared: 0, readById: 0, verdicts: [] };
    result.direct = await rate(documents, 10, single(direct));
    say(`direct, one by one        ${result.direct.toFixed(1)} documents/s`);
    await store.publish(drained, documents);
    result.drained = await drain(store, baseUrl, documents);
    say(`drained by the mirror     ${result.drained.toFixed(1)} documents/s, ${(result.drained / result.direct).toFixed(2)} of direct`);
    result.directBatched = await rate(documents, BATCH, (positions) => post(base(batched), transactionOf(batched, positions)));
    say(`direct, transactions of ${BATCH} ${result.directBatched.toFixed(1)} documents/s, ${(result.directBatched / result.direct).toFixed(2)} of direct`);
    await compareAndRead(result, { store, config, drained, base: base(drained) }, say);
    await store.publish(filled, documents);
    await store.sql('delete from outbox');
    const begin = process.memoryUsage().rss;
    let peak = begin;
    const watch = setInterval(() => { peak = Math.max(peak, process.memoryUsage().rss); }, 100);
    const fill = await runBackfill(config, { org: filled, again: true, pace, stop });
    clearInterval(watch);
    result.filled = (fill?.sent ?? 0) / 2 / (fill?.seconds ?? 1);
    result.fillMib = (peak - begin) / 1024 ** 2;
    say(`filled by backfill        ${result.filled.toFixed(1)} documents/s, ${result.fillMib.toFixed(0)} MiB above the beginning`);
    const done = await runReconcile(config, { org: filled, scope: 'all', repair: false, removeOthers: false, again: true, pace, stop }, { key: reportKey(Buffer.from('bench')) });
    result.verdicts.push(done?.report.verdict ?? 'stopped');
    say(`verdicts                  ${result.verdicts.join(', ')}`);
    return result;
  } finally {
    await store.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

interface Compared {
  store: MirrorStore;
  config: Parameters<typeof runReconcile>[0];
  drained: string;
  base: string;
}

/** Everything compared with content in both directions, and the same resources read one by one. */
async function compareAndRead(result: MirrorResult, { store, config, drained, base }: Compared, say: (line: string) => void): Promise<void> {
  const begun = performance.now();
  const done = await runReconcile(config, { org: drained, scope: 'all', repair: false, removeOthers: false, again: true, pace: async () => {}, stop: new AbortController().signal }, { key: reportKey(Buffer.from('bench')) });
  const resources = Object.values(done?.report.types ?? {}).reduce((sum, { compared }) => sum + compared, 0);
  result.compared = resources / ((performance.now() - begun) / 1_000);
  result.verdicts.push(done?.report.verdict ?? 'stopped');
  const ids = (await store.sql('select r.id from resource r join organisation g on g.id = r.org where g.name = $1 limit 1000', [drained])).map(({ id }) => String(id));
  const from = performance.now();
  for (const id of ids) await (await fetch(`${base}/DocumentReference/${id}`, { headers: FHIR })).json();
  result.readById = ids.length / ((performance.now() - from) / 1_000);
  say(`compared                  ${result.compared.toFixed(1)} resources/s, ${(result.compared / result.readById).toFixed(1)} times reading one by one (${result.readById.toFixed(1)}/s)`);
}
