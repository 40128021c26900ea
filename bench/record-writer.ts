// The record by itself, without HTTP: how fast it is written from 256 callers, how fast its rows become leaves and are
// verified, what a page of it costs near and far, and what a row takes on the disk.
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { readVerifier, printVerifier } from '../src/audit/checkpoint.ts';
import { INTERACTION_ACTIONS, type AccessEvent } from '../src/audit/access-event.ts';
import { openDatabase, type Database } from '../src/database/database.ts';
import { migrate } from '../src/database/migrate.ts';
import { startEmbeddedPostgres } from '../src/embedded/postgres.ts';
import { printInstant } from '../src/fhir/instant.ts';
import { newUuidV7 } from '../src/fhir/uuid-v7.ts';
import { createAccessRecorder } from '../src/gate/record-access.ts';
import { createLogger } from '../src/logger.ts';
import { EVENTS_AT_ONCE, sequenceLeaves } from '../src/log/sequence-leaves.ts';
import { startLog } from '../src/log/log-worker.ts';
import { verifyLog } from '../src/log/verify-log.ts';
import { PROJECT } from './child-server.ts';
import { quantile, runClosedLoop } from './closed-loop.ts';

const CALLERS = 256;

export interface RecordResult {
  scenario: 'record';
  rows: number;
  writtenPerSecond: number;
  writeP99Ms: number;
  sequencedPerSecond: number;
  verifiedPerSecond: number;
  /** Rows for each second of this process's own processor time. */
  verifiedPerCoreSecond: number;
  findings: number;
  /** Events with index rows, leaves and all their indexes. */
  bytesPerRow: number;
  tables: Record<string, number>;
  pageNearMs: number;
  pageFarMs: number;
}

/** A read of a document by a user, as the gate describes it: the most frequent row. */
function eventOf(position: number): AccessEvent {
  const now = Date.now();
  const document = `DocumentReference/${(position * 7919) % 100_000}`;
  return {
    action: INTERACTION_ACTIONS.read, address: '198.51.100.7',
    agent: { client: 'ward-app', issuer: 'https://login.example.org', jti: '5f0a2c1e9b3d', purposeOfUse: ['TREAT'], roles: ['practitioner'], subject: `user-${position % 500}`, user: `Practitioner/${position % 500}` },
    entities: [{ reference: `Patient/${(position * 7919) % 10_000}`, role: 'patient' }, { reference: `${document}/_history/1`, role: 'data' }],
    id: newUuidV7(now), interaction: 'read', layout: 1, observer: 'muniment-1', org: 'demo', outcome: 0, recorded: printInstant(now),
    request: { accept: 'application/fhir+json', method: 'GET', url: document }, requestId: `request-${position}`, status: 200,
  };
}

async function sizes(owner: pg.Client): Promise<Record<string, number>> {
  const { rows } = await owner.query<{ name: string; bytes: string }>(
    `select c.relname as name, pg_total_relation_size(c.oid) as bytes from pg_class c where c.relkind in ('r', 'p') and c.relname in ('access_event', 'access_entity', 'access_shape', 'log_leaf', 'log_subtree') order by 1`,
  );
  return Object.fromEntries(rows.map(({ name, bytes }) => [name, Number(bytes)]));
}

async function pageMs(database: Database, org: number, share: number, newest: string, oldest: string): Promise<number> {
  const [to, from] = [newest, oldest].map((id) => BigInt(`0x${id.replaceAll('-', '')}`)) as [bigint, bigint];
  const cursor = (from + ((to - from) * BigInt(Math.round(share * 1_000))) / 1_000n).toString(16).padStart(32, '0');
  const times: number[] = [];
  for (let round = 0; round < 50; round += 1) {
    const begun = performance.now();
    await database.select(org, { name: 'bench-page', text: 'select e.id, e.body from access_event e where e.org = $1 and e.id < $2::uuid order by e.id desc limit 20', values: [org, cursor] });
    times.push(performance.now() - begun);
  }
  return quantile(times, 0.5);
}

export async function runRecordWriter(rows: number, print: (line: string) => void): Promise<RecordResult> {
  await mkdir(join(PROJECT, 'data'), { recursive: true });
  const directory = await mkdtemp(join(PROJECT, 'data', 'bench-record-'));
  const postgres = await startEmbeddedPostgres({ directory });
  try {
    await migrate(postgres.url);
    const owner = new pg.Client({ connectionString: postgres.url });
    await owner.connect();
    const { rows: [organisation] } = await owner.query<{ id: number }>(`insert into organisation (name) values ('demo') returning id`);
    const org = organisation?.id ?? 0;
    const database = openDatabase({ appUrl: postgres.socketUrl, auditUrl: postgres.socketUrl, workerUrl: postgres.socketUrl, setRoles: true });
    const recorder = createAccessRecorder(database);
    let position = 0;
    const written = await runClosedLoop({ clients: CALLERS, seconds: 600, countMax: rows }, async () => {
      position += 1;
      await recorder.record([{ org, event: eventOf(position) }]);
    });
    print(`record: ${Math.round(written.count / written.seconds)} events/s written from ${CALLERS} callers`);
    const begun = performance.now();
    for (let more = true; more;) more = (await database.workerTransaction((tx) => sequenceLeaves(tx, true)))?.events === EVENTS_AT_ONCE;
    const sequenced = (performance.now() - begun) / 1_000;
    print(`record: ${Math.round(rows / sequenced)} events/s sequenced`);
    const log = await startLog({ database, dataDir: directory, keyFile: undefined, logger: createLogger('error') });
    await log.stop();
    await owner.query('vacuum analyze');
    const bytes = await sizes(owner);
    const { rows: [key] } = await owner.query<{ verifier: string }>('select verifier from log_key order by ordinal limit 1');
    const verifier = readVerifier(key?.verifier ?? '');
    const [from, cpu] = [performance.now(), process.cpuUsage()];
    const report = await verifyLog({ database, keys: verifier === undefined ? [] : [verifier], dataDir: directory });
    const [seconds, used] = [(performance.now() - from) / 1_000, process.cpuUsage(cpu)];
    if (verifier !== undefined && printVerifier(verifier) !== key?.verifier) throw new Error('The key of the log cannot be read');
    const { rows: [ends] } = await owner.query<{ oldest: string; newest: string }>('select (select id from access_event order by id limit 1) as oldest, (select id from access_event order by id desc limit 1) as newest');
    const page = (share: number): Promise<number> => pageMs(database, org, share, ends?.newest ?? '', ends?.oldest ?? '');
    const result: RecordResult = {
      scenario: 'record', rows: written.count, writtenPerSecond: Math.round(written.count / written.seconds), writeP99Ms: quantile(written.latencies, 0.99),
      sequencedPerSecond: Math.round(rows / sequenced), verifiedPerSecond: Math.round(report.events / seconds), verifiedPerCoreSecond: Math.round(report.events / ((used.user + used.system) / 1e6)),
      findings: report.findingCount, bytesPerRow: Math.round(Object.values(bytes).reduce((sum, one) => sum + one, 0) / rows), tables: bytes, pageNearMs: await page(1), pageFarMs: await page(0.05),
    };
    await owner.end();
    await database.close();
    return result;
  } finally {
    await postgres.stop();
    await rm(directory, { recursive: true, force: true });
  }
}
