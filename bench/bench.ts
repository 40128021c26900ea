// npm run bench [-- NAME…] [--quick]: fixed scenarios, each in turns with its yardstick; a table on standard output, JSON
// in bench/results. Loopback only, bounded in time, count and disk.
import { statfs } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { ADAPTERS, openAdapterScenarios } from './adapter-scenarios.ts';
import { openByteScenarios } from './byte-scenarios.ts';
import { PROJECT } from './child-server.ts';
import { runCrowdMemoryScenario, runMemoryScenario } from './memory-scenario.ts';
import { runMirrorScenario } from './mirror-scenario.ts';
import { runRecordWriter } from './record-writer.ts';
import { authorizationRow, authorizationSummary, crowdRow, keepResult, memoryRow, recordRows, scenarioRows, scrubRow, searchRow, tableHead } from './report.ts';
import { loadRequestScenarios } from './request-scenarios.ts';
import { runScenario } from './scenario.ts';
import { runAuthorization } from './authorization-scenario.ts';
import { runScrubScenario } from './scrub-scenario.ts';
import { openStoreScenario } from './store-scenario.ts';
import { runSearchAll } from './search-all.ts';
import type { Scenario } from './scenario.ts';
import { startBarePipeline, startMuniment, startStub, startUnrecorded } from './servers.ts';
import { validateScenario } from './validate-scenario.ts';
import { xmlScenario } from './xml-scenario.ts';

const REQUESTS = ['create', 'read', 'search', 'transaction'] as const;
const BYTES = ['story-1m', 'upload-256m', 'download-64m', 'range-1m'] as const;
const VALIDATE = 'validate';
const XML = 'xml';
const MEMORY = 'memory-1g';
const CROWD = 'memory-16x256m';
const SCRUB = 'scrub';
/** Only when it is named: it needs MinIO. */
const STORE = 'minio-256m';
const SEARCH_ALL = 'search-all';
const RECORD = 'record';
const RECORDED = 'recorded';
const AUTHORIZATION = 'authorization';
/** Only when it is named: it needs a HAPI. */
const MIRROR = 'mirror';
const NAMES: readonly string[] = [VALIDATE, XML, ...REQUESTS, ...BYTES, ...ADAPTERS, MEMORY, CROWD, SCRUB, SEARCH_ALL, RECORD, RECORDED, AUTHORIZATION];
const NAMED_ONLY: readonly string[] = [MIRROR, STORE];
const FREE_BYTES_MIN = 8e9;

interface Run {
  names: ReadonlySet<string>;
  quick: boolean;
  rounds: number;
}

/** Things to close, the last one first, whatever happened. */
type Closers = (() => Promise<void> | void)[];

function readRun(): Run {
  const { values, positionals } = parseArgs({ options: { quick: { type: 'boolean', default: false } }, allowPositionals: true });
  const unknown = positionals.filter((name) => ![...NAMES, ...NAMED_ONLY].includes(name));
  if (unknown.length > 0) throw new Error(`No scenario is named ${unknown.join(', ')}; there are ${[...NAMES, ...NAMED_ONLY].join(', ')}`);
  return { names: new Set(positionals.length === 0 ? NAMES : positionals), quick: values.quick, rounds: values.quick ? 3 : 5 };
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function measure(scenario: Scenario, run: Run): Promise<void> {
  const result = await runScenario(scenario, run.rounds);
  print(scenarioRows(result));
  await keepResult(scenario.name, result, { quick: run.quick, rounds: run.rounds });
}

const writes = (name: string): boolean => name === 'create' || name === 'transaction';

async function runRequests(run: Run, closers: Closers): Promise<void> {
  const names = REQUESTS.filter((name) => run.names.has(name));
  if (names.length === 0) return;
  const [muniment, stub] = [await startMuniment(), await startStub()];
  closers.push(() => muniment.stop(), () => stub.stop());
  const scenarios = await loadRequestScenarios(muniment, { name: 'stub', peer: stub }, run.quick);
  closers.push(() => scenarios.close());
  // Creates come last: reads and searches then meet the same number of documents in every run.
  for (const name of [...names].sort((a, b) => Number(writes(a)) - Number(writes(b)))) await measure(scenarios.scenario(name), run);
}

/** What the record costs: the same work on a server that records and on one that does not. */
async function runRecorded(run: Run, closers: Closers): Promise<void> {
  if (!run.names.has(RECORDED)) return;
  const [muniment, unrecorded] = [await startMuniment(), await startUnrecorded()];
  closers.push(() => muniment.stop(), () => unrecorded.stop());
  const scenarios = await loadRequestScenarios(muniment, { name: 'unrecorded', peer: unrecorded }, run.quick);
  closers.push(() => scenarios.close());
  for (const name of ['read', 'search', 'create'] as const) await measure({ ...scenarios.scenario(name), name: `${RECORDED}-${name}` }, run);
  const found = await (await fetch(`${unrecorded.base}/AuditEvent?date=ge2000-01-01&_count=1`, { headers: unrecorded.headers })).json() as { entry?: unknown[] };
  if (found.entry !== undefined) throw new Error('The server that is to record nothing has recorded something');
}

async function runBytes(run: Run, closers: Closers): Promise<void> {
  const names = BYTES.filter((name) => run.names.has(name));
  if (names.length === 0) return;
  const [muniment, bare] = [await startMuniment(), await startBarePipeline()];
  closers.push(() => muniment.stop(), () => bare.stop());
  const scenarios = openByteScenarios(muniment, bare, run.quick);
  closers.push(() => scenarios.close());
  for (const name of names) await measure(await scenarios.scenario(name), run);
}

async function runAdapters(run: Run, closers: Closers): Promise<void> {
  const names = ADAPTERS.filter((name) => run.names.has(name));
  if (names.length === 0) return;
  const muniment = await startMuniment();
  closers.push(() => muniment.stop());
  const scenarios = openAdapterScenarios(muniment, run.quick);
  closers.push(() => scenarios.close());
  for (const name of names) await measure(await scenarios.scenario(name), run);
}

async function runMemory(run: Run): Promise<void> {
  const names = [MEMORY, CROWD].filter((name) => run.names.has(name));
  if (names.length > 0 && process.platform !== 'linux') { print(`${names.join(', ')} left out: they read /proc, which Linux alone has`); return; }
  for (const name of names) {
    const result = name === MEMORY ? await runMemoryScenario() : await runCrowdMemoryScenario();
    print('peakMib' in result ? crowdRow(result) : memoryRow(result));
    await keepResult(name, result, { quick: run.quick, rounds: 1 });
  }
}

async function runStore(run: Run, closers: Closers): Promise<void> {
  if (!run.names.has(STORE)) return;
  const { scenario, close } = await openStoreScenario();
  closers.push(close);
  await measure(scenario, run);
}

async function runScrub(run: Run): Promise<void> {
  if (!run.names.has(SCRUB)) return;
  const result = await runScrubScenario(run.rounds, run.quick ? 3 : 8, print);
  print(scrubRow(result));
  await keepResult(SCRUB, result, { quick: run.quick, rounds: run.rounds });
}

async function runSearches(run: Run): Promise<void> {
  if (!run.names.has(SEARCH_ALL)) return;
  const result = await runSearchAll(run.quick ? 10_000 : 100_000, (time) => print(searchRow(time)));
  await keepResult(SEARCH_ALL, result, { quick: run.quick, rounds: 1 });
}

async function runAuthorizations(run: Run): Promise<void> {
  if (!run.names.has(AUTHORIZATION)) return;
  if (process.platform !== 'linux') { print(`${AUTHORIZATION.padEnd(14)} left out: it reads /proc, which Linux alone has`); return; }
  const result = await runAuthorization(run.quick ? 3_000 : 100_000, run.quick, (cost) => print(authorizationRow(cost)));
  print(authorizationSummary(result));
  await keepResult(AUTHORIZATION, result, { quick: run.quick, rounds: run.rounds });
}

async function runRecord(run: Run): Promise<void> {
  if (!run.names.has(RECORD)) return;
  const result = await runRecordWriter(run.quick ? 50_000 : 1_000_000, print);
  print(recordRows(result));
  await keepResult(RECORD, result, { quick: run.quick, rounds: 1 });
}

async function runMirror(run: Run): Promise<void> {
  if (!run.names.has(MIRROR)) return;
  const result = await runMirrorScenario(run.quick ? 1_000 : 10_000, print);
  await keepResult(MIRROR, result, { quick: run.quick, rounds: 1 });
}

/** Servers of one group run together and end before those of the next begin. */
async function withClosers(work: (closers: Closers) => Promise<void>): Promise<void> {
  const closers: Closers = [];
  try {
    await work(closers);
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

async function main(): Promise<void> {
  const run = readRun();
  const { bavail, bsize } = await statfs(PROJECT);
  if (bavail * bsize < FREE_BYTES_MIN) throw new Error('The disk of the project has less than 8 GB free');
  print(tableHead());
  if (run.names.has(VALIDATE)) await measure(validateScenario(run.quick), run);
  if (run.names.has(XML)) await measure(xmlScenario(run.quick), run);
  await withClosers((closers) => runRequests(run, closers));
  await withClosers((closers) => runRecorded(run, closers));
  await withClosers((closers) => runBytes(run, closers));
  await withClosers((closers) => runAdapters(run, closers));
  await withClosers((closers) => runStore(run, closers));
  await runMemory(run);
  await runScrub(run);
  await runSearches(run);
  await runAuthorizations(run);
  await runRecord(run);
  await runMirror(run);
}

main().catch((error: unknown) => {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
});
