// Rounds of faults while the same resources are written again and again: workers of two servers killed or paused past their leases, PostgreSQL
// and HAPI killed or stopped, the way between them broken. After each, HAPI has to hold the same, in our order.
import { randomUUID } from 'node:crypto';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ensureEngines } from '../scripts/engines/ensure-engines.ts';
import { engineFolders } from '../scripts/engines/engine-folders.ts';
import { processFiles, runningProcess } from '../scripts/engines/engine-process.ts';
import { partitionedHapiEngine } from '../scripts/engines/hapi-engine.ts';
import { LEASE_MS } from '../src/mirror/claim.ts';
import { reportKey } from '../src/mirror/reconcile-report.ts';
import { runReconcile } from '../src/mirror/run-reconcile.ts';
import { PROXY_FAULTS, startFaultyProxy, type FaultyProxy } from '../test/support/faulty-proxy.ts';
import { PROJECT } from './child-server.ts';
import { openMirrorStore, PUBLIC_BASE, type MirrorStore } from './mirror-documents.ts';

export interface RoundReport {
  rounds: number;
  versions: number;
  deletions: number;
  /** How often each fault was planted. */
  faults: Record<string, number>;
  /** What was wrong after a round; empty when the promise holds. */
  broken: string[];
  slowestDrainSeconds: number;
}

const RESOURCES = 8;
const WRITES = 24;
const DRAIN_MS = 300_000;

interface Setting {
  store: MirrorStore;
  proxy: FaultyProxy;
  workers: ChildProcess[];
  org: string;
  random: () => number;
  begin(): Promise<ChildProcess>;
}

type Fault = (setting: Setting) => Promise<void>;

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}

async function killWorker({ workers, random, begin }: Setting): Promise<void> {
  const at = Math.floor(random() * workers.length);
  const child = workers[at] as ChildProcess;
  child.kill('SIGKILL');
  await ended(child);
  workers[at] = await begin();
}

/** kill -9 of one of its processes: PostgreSQL ends all of them and recovers from its log, as after a crash of the whole. */
async function killPostgres({ store }: Setting): Promise<void> {
  const [row] = await store.sql(`select pid from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid() and usename is not null order by random() limit 1`).catch(() => []);
  if (row !== undefined) process.kill(Number(row['pid']), 'SIGKILL');
  await sleep(500);
}

function hapiProcess(): number | undefined {
  return runningProcess(processFiles(engineFolders().state, 'hapi-partitions'));
}

async function stopHapi({ random }: Setting): Promise<void> {
  const pid = hapiProcess();
  if (pid === undefined) return;
  process.kill(pid, 'SIGSTOP');
  await sleep(1_000 + random() * 5_000);
  process.kill(pid, 'SIGCONT');
}

async function killHapi(): Promise<void> {
  const pid = hapiProcess();
  if (pid !== undefined) process.kill(pid, 'SIGKILL');
  await sleep(2_000);
  await ensureEngines({ wanted: ['hapi-partitions'], build: true, log: () => {} });
}

/** A sender that wakes when its leases are long somebody else's. */
async function pausePastLease({ workers }: Setting): Promise<void> {
  const [child] = workers;
  child?.kill('SIGSTOP');
  await sleep(LEASE_MS + 3_000);
  child?.kill('SIGCONT');
}

const breakWay = (fault: (typeof PROXY_FAULTS)[number]): Fault => async ({ proxy, random }) => {
  proxy.fault = fault;
  await sleep(500 + random() * 1_500);
  proxy.fault = undefined;
};

const QUICK: Record<string, Fault> = { 'worker killed': killWorker, 'PostgreSQL killed': killPostgres, 'HAPI stopped': stopHapi, ...Object.fromEntries(PROXY_FAULTS.map((fault) => [`way: ${fault}`, breakWay(fault)])) };

/** Every 25th round a sender is paused past its leases, every 50th HAPI is killed; the others by chance. */
function faultOf(round: number, random: () => number): [string, Fault] {
  if (round % 50 === 30) return ['HAPI killed', killHapi];
  if (round % 25 === 10) return ['sender paused past its lease', pausePastLease];
  const roll = random();
  const names = Object.keys(QUICK);
  const name = roll < 0.3 ? 'worker killed' : roll < 0.5 ? 'PostgreSQL killed' : names[Math.floor(random() * names.length)] as string;
  return [name, QUICK[name] as Fault];
}

/** What PostgreSQL did not take is written again: its answer may have been lost, and then there is one version more. */
async function writeLoad({ store, org, random }: Setting, ids: readonly string[], report: RoundReport): Promise<void> {
  for (let count = 0; count < WRITES; count++) {
    const id = ids[Math.floor(random() * ids.length)] as string;
    const deleted = random() < 0.1;
    const body = { resourceType: 'DocumentReference', id, status: 'current', description: randomUUID(), subject: { reference: `Patient/${org}-${Math.floor(random() * 3)}` } };
    for (let attempt = 0; attempt < 100; attempt++) {
      const done = await store.write(org, id, deleted ? null : body).then(() => true, () => false);
      if (done) break;
      await sleep(100);
    }
    report[deleted ? 'deletions' : 'versions'] += 1;
    await sleep(random() * 60);
  }
}

async function drained({ store }: Setting): Promise<number> {
  const begun = Date.now();
  for (;;) {
    const rows = await store.sql('select from outbox limit 1').catch(() => [{}]);
    if (rows.length === 0) return (Date.now() - begun) / 1_000;
    if (Date.now() - begun > DRAIN_MS) throw new Error(`Not drained: ${JSON.stringify(await store.sql('select id, state, attempts, last_error from mirror_head where next_at is not null or state = $1', ['parked']))}`);
    await sleep(100);
  }
}

const BASE = `http://127.0.0.1:${partitionedHapiEngine.port}/fhir/{org}`;

async function checkRound({ store, org }: Setting, ids: readonly string[], say: (fault: string) => void): Promise<void> {
  const done = await runReconcile({ database: store.database, baseUrl: BASE, publicBase: PUBLIC_BASE, access: 'writes' },
    { org, scope: 'all', repair: false, removeOthers: false, again: true, pace: async () => {}, stop: new AbortController().signal }, { key: reportKey(Buffer.from('soak')) });
  if (done?.report.verdict !== 'equal') say(`${done?.report.verdict}: ${JSON.stringify(done?.report.drift.slice(0, 3))}`);
  for (const id of ids) {
    const response = await fetch(`${BASE.replace('{org}', org)}/DocumentReference/${id}/_history?_count=50`, { headers: { 'cache-control': 'no-cache' } });
    const { entry = [] } = await response.json() as { entry?: { resource?: { meta: { source?: string } } }[] };
    const versions = entry.flatMap(({ resource }) => /_history\/(\d+)$/.exec(resource?.meta.source ?? '')?.[1] ?? []).map(Number).reverse();
    if (versions.some((version, at) => at > 0 && version <= (versions[at - 1] as number))) say(`DocumentReference/${id} has versions ${versions.join(', ')} at HAPI`);
  }
}

export async function runMirrorRounds({ rounds, dataDir, random, tell }: { rounds: number; dataDir: string; random: () => number; tell: (line: string) => void }): Promise<RoundReport> {
  await ensureEngines({ wanted: ['hapi-partitions'], build: true, log: tell });
  const store = await openMirrorStore(join(dataDir, 'postgres'));
  const proxy = await startFaultyProxy(new URL(BASE.replace('{org}', 'o')).origin, random);
  const begin = async (): Promise<ChildProcess> => {
    const child = spawn(process.execPath, ['--import', 'tsx', 'bench/mirror-child.ts'], { cwd: PROJECT, env: { ...process.env, SOAK_DATABASE_URL: store.url, SOAK_HAPI_URL: `${proxy.url}/fhir/{org}` }, stdio: ['ignore', 'pipe', 'ignore'] });
    await once(child.stdout as NodeJS.ReadableStream, 'data');
    return child;
  };
  const workers = await Promise.all([begin(), begin()]);
  const org = `soak-${Date.now().toString(36)}`;
  const setting: Setting = { store, proxy, workers, org, random, begin };
  const report: RoundReport = { rounds: 0, versions: 0, deletions: 0, faults: {}, broken: [], slowestDrainSeconds: 0 };
  try {
    for (let round = 1; round <= rounds; round++) {
      const [name, plant] = faultOf(round, random);
      // New resources every three rounds, so that their histories stay on one page.
      const ids = Array.from({ length: RESOURCES }, (_, at) => `${org}-${Math.floor(round / 3)}-${at}`);
      await Promise.all([writeLoad(setting, ids, report), plant(setting)]);
      report.slowestDrainSeconds = Math.max(report.slowestDrainSeconds, await drained(setting));
      await checkRound(setting, ids, (fault) => report.broken.push(`round ${round}, ${name}: ${fault}`));
      report.rounds = round;
      report.faults[name] = (report.faults[name] ?? 0) + 1;
      tell(`${round} ${name}: ${report.broken.length} broken`);
    }
    return report;
  } finally {
    for (const child of workers) child.kill('SIGKILL');
    await proxy.stop();
    await store.stop();
  }
}
