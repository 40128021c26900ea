// Accesses of more than eight years leave the record: exported and verified before, by a signed statement in the log, and what
// verify then says of the rest, of what else goes, and of a statement that nobody with the key made.
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { generateKeyPairSync } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { INTERACTION_ACTIONS, type AccessEvent } from '../../src/audit/access-event.ts';
import { readVerifier, type NoteVerifier } from '../../src/audit/checkpoint.ts';
import { oldestKept, signRemoval } from '../../src/audit/removal-statement.ts';
import { openDatabase, type Database } from '../../src/database/database.ts';
import { printInstant } from '../../src/fhir/instant.ts';
import { newUuidV7 } from '../../src/fhir/uuid-v7.ts';
import { createAccessRecorder } from '../../src/gate/record-access.ts';
import { recordRemoval } from '../../src/gate/record-removal.ts';
import { exportRecord } from '../../src/log/export-record.ts';
import { planRemoval, removeRecord, RemovalError, type RemovalWish } from '../../src/log/remove-record.ts';
import { claimSigner } from '../../src/log/signing-key.ts';
import { verifyExport } from '../../src/log/verify-export.ts';
import { verifyLog, type VerifyReport } from '../../src/log/verify-log.ts';
import { runRecordCommand } from '../../src/record-command.ts';
import type { Environment } from '../../src/config/env.ts';
import { documentReference, fhirClient, type FhirClient } from '../support/fhir-client.ts';
import { eventually } from '../support/eventually.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';
import { insideTransaction } from './inside-transaction.ts';

const DAY_MS = 86_400_000;
const OLD = 300;

let muniment: TestMuniment;
let database: Database;
let client: FhirClient;
let trusted: NoteVerifier;
let parent: string;
let wish: RemovalWish;

const DOCUMENT = 'DocumentReference/of-those-days/_history/1';

/** A read of a document, so many days ago. */
function readEvent(daysAgo: number, patient: string): AccessEvent {
  const at = Date.now() - daysAgo * DAY_MS;
  return {
    action: INTERACTION_ACTIONS.read, agent: { client: 'old-app', subject: 'old-user' }, entities: [{ reference: `Patient/${patient}`, role: 'patient' }, { reference: DOCUMENT, role: 'data' }],
    id: newUuidV7(at), interaction: 'read', layout: 1, observer: 'old-server', org: 'demo', outcome: 0, recorded: printInstant(at), request: { method: 'GET', url: 'DocumentReference/of-those-days' }, requestId: newUuidV7(at), status: 200,
  };
}

/** The write that made it. */
function writeEvent(daysAgo: number): AccessEvent {
  return { ...readEvent(daysAgo, 'other'), action: 'C', interaction: 'create', write: { activity: 'CREATE', authors: [], sources: [], targets: [DOCUMENT] } };
}

/** A server that ends seals all there is. */
async function seal(): Promise<void> {
  await (await muniment.startSecond()).stop();
  await eventually(() => muniment.sql<{ done: boolean }>('select (select count(*) from access_event) <= (select count(*) from log_leaf where version is null) and (select size from log_state) = (select max(size) from log_checkpoint) as done'), ([row]) => row?.done === true, 90_000);
}

const verify = (over = database): Promise<VerifyReport> => verifyLog({ database: over, keys: [trusted], dataDir: muniment.dataDir });
const count = async (what: string): Promise<number> => (await muniment.sql<{ n: number }>(`select count(*)::int as n from ${what}`))[0]!.n;

/** The command as it is typed: its exit code and what it printed. */
async function command(...flags: string[]): Promise<{ code: number; out: string; err: string }> {
  const said = { out: '', err: '' };
  const [out, err] = [process.stdout.write.bind(process.stdout), process.stderr.write.bind(process.stderr)];
  process.stdout.write = ((text: string) => { said.out += text; return true; });
  process.stderr.write = ((text: string) => { said.err += text; return true; });
  const environment: Environment = { DATA_DIR: muniment.dataDir, DATABASE_URL: muniment.ownerUrl };
  try { return { code: await runRecordCommand(flags, environment), ...said }; } finally {
    process.stdout.write = out;
    process.stderr.write = err;
  }
}

beforeAll(async () => {
  muniment = await startMuniment();
  client = fhirClient(muniment.fhirBase, await muniment.token());
  database = openDatabase({ appUrl: muniment.ownerUrl, auditUrl: muniment.ownerUrl, workerUrl: muniment.ownerUrl, setRoles: true });
  parent = await mkdtemp(join(tmpdir(), 'muniment-removal-'));
  // A document was written nine years ago, before the accesses of those days.
  const [{ id: org }] = await muniment.sql<{ id: number }>(`select id from organisation where name = 'demo'`) as [{ id: number }];
  const recorder = createAccessRecorder(database);
  await recorder.record([{ org, event: writeEvent(9 * 366 + 1) }]);
  await recorder.record(Array.from({ length: OLD }, (_, at) => ({ org, event: readEvent(9 * 366 - at / 1_000, at % 10 === 0 ? 'held' : 'other') })));
  await seal();
  await client.call(`${muniment.fhirBase.replace(/\/fhir$/, '')}/admin/holds`, { method: 'POST', body: JSON.stringify({ target: 'Patient/held', reason: 'Case 12' }), headers: { 'content-type': 'application/json' } });
  await seal();
  trusted = readVerifier(await readFile(join(muniment.dataDir, 'audit-key.pub'), 'utf8')) as NoteVerifier;
  const { json: { id } } = await client.post('DocumentReference', documentReference());
  await client.get(`DocumentReference/${id}`);
  await seal();
  await exportRecord({ database, folder: join(parent, 'first'), leavesPerFile: 64 });
  wish = { database, folders: [join(parent, 'first')], keys: [trusted], before: oldestKept(new Date()), now: new Date() };
}, 180_000);

afterAll(async () => {
  await database.close();
  await muniment.stop();
  await rm(parent, { recursive: true, force: true });
});

describe('before anything is removed', () => {
  it('what is younger than eight years is refused, whatever date is asked for', async () => {
    for (const years of [0, 7]) {
      const { code, err } = await command('remove', '--export', join(parent, 'first'), '--before', new Date(Date.now() - years * 365 * DAY_MS).toISOString(), '--apply');
      expect([code, err]).toEqual([1, expect.stringContaining('kept for eight years')]);
    }
  });

  it('an export that was changed, is of another log or does not reach so far removes nothing', async () => {
    const changed = join(parent, 'changed');
    await cp(join(parent, 'first'), changed, { recursive: true });
    const file = join(changed, 'leaves-000000000000064.ndjson');
    await writeFile(file, (await readFile(file, 'utf8')).replace('old-app', 'new-app'));
    await expect(planRemoval({ ...wish, folders: [changed] })).rejects.toThrow('is not a sound export');
    await expect(planRemoval({ ...wish, keys: [{ name: trusted.name, publicKey: generateKeyPairSync('ed25519').publicKey }] })).rejects.toThrow(RemovalError);
    await expect(planRemoval({ ...wish, folders: [] })).rejects.toThrow('nothing is removed');
  });

  it('the triggers refuse a deletion, also of the old', async () => {
    await expect(muniment.sql(`delete from access_event where recorded < now() - interval '8 years'`)).rejects.toThrow('appended to, never changed');
    await expect(muniment.sql('delete from access_entity')).rejects.toThrow('appended to, never changed');
  });

  it('without --apply it says what would go, and leaves everything', async () => {
    const before = await count('access_event');
    const { code, out } = await command('remove', '--export', join(parent, 'first'), '--json');
    expect([code, JSON.parse(out)]).toEqual([0, expect.objectContaining({ removable: 270, held: 30, removed: 0, applied: false })]);
    expect(await count('access_event')).toBeGreaterThanOrEqual(before);
    expect(await count('log_removal')).toBe(0);
  });
});

describe('a removal', () => {
  it('that is broken off behind its statement has lost nothing', async () => {
    const breaking: RemovalWish['database'] = { workerTransaction: (work) => database.workerTransaction((tx) => work({ ...tx, query: ((text: never, values: never) => {
      if (String(text).startsWith('select remove_events')) throw new Error('killed');
      return tx.query(text, values);
    }) })) };
    const broken = { ...wish, database: breaking };
    const key = await claimSigner(database, { dataDir: muniment.dataDir, keyFile: undefined });
    const [org] = await muniment.sql<{ id: number }>(`select id from organisation where name = 'demo'`);
    const plan = await planRemoval(broken);
    const parts = { recorder: createAccessRecorder(database), observer: 'here' };
    await expect(removeRecord(broken, plan, key!, (statement) => recordRemoval(parts, { org: org!.id, orgName: 'demo', statement, what: `${plan.removable} accesses removed` }))).rejects.toThrow('killed');
    expect(await verify()).toMatchObject({ findings: [], removed: 0 });
  });

  it('called again takes the old accesses and no other; it is said in the record once, and verify proves what remains and what went', async () => {
    const younger = await count(`access_event where recorded >= now() - interval '8 years'`);
    const { code, out } = await command('remove', '--export', join(parent, 'first'), '--apply');
    expect([code, out]).toEqual([0, expect.stringMatching(/^270 events from before .*, below leaf \d+, were removed\. 30 stay under a legal hold\./)]);
    expect(await count(`access_event where recorded < now() - interval '8 years'`)).toBe(30 + 1);
    expect(await count(`access_event where recorded >= now() - interval '8 years'`)).toBe(younger);
    expect(await count('access_entity x where not exists (select from access_event e where e.org = x.org and e.id = x.event)')).toBe(0);
    const report = await verify();
    expect(report).toMatchObject({ findings: [], removed: 270 });
    const { json } = await client.get(`AuditEvent?date=ge${new Date(Date.now() - DAY_MS).toISOString().slice(0, 10)}&agent:identifier=muniment-record`);
    expect(json.entry.map(({ resource }: { resource: { outcomeDesc: string } }) => resource.outcomeDesc)).toEqual(['270 accesses removed']);
    // The Provenance of what is kept is kept.
    const provenance = await client.get('Provenance?target=DocumentReference/of-those-days&_count=100');
    expect(provenance.json.entry.map(({ resource }: { resource: { activity?: { coding: { code: string }[] } } }) => resource.activity?.coding[0]?.code)).toContain('CREATE');
    expect(await verifyExport(join(parent, 'first'), [trusted])).toMatchObject({ findingCount: 0 });
  });

  it('is done once: again there is nothing to remove', async () => {
    expect(await command('remove', '--export', join(parent, 'first'), '--apply')).toMatchObject({ code: 1, err: expect.stringContaining('Nothing is left') });
  });

  it('lets the export go on behind it, by itself and after the one before', async () => {
    await seal();
    const manifest = await exportRecord({ database, folder: join(parent, 'alone') });
    expect(manifest.start.size).toBeGreaterThan(OLD);
    expect(await verifyExport(join(parent, 'alone'), [trusted])).toMatchObject({ findingCount: 0, start: manifest.start.size });
    await exportRecord({ database, folder: join(parent, 'second'), after: join(parent, 'first') });
    expect(await verifyExport(join(parent, 'second'), [trusted])).toMatchObject({ findingCount: 0 });
  });
});

describe('verify, once accesses were removed,', () => {
  type Tamper = (sql: (text: string, values?: unknown[]) => Promise<unknown>) => Promise<unknown>;

  /** Findings over a database that its owner changed, which is then rolled back. */
  async function findingsOf(tamper: Tamper): Promise<string[]> {
    const owner = new pg.Client({ connectionString: muniment.ownerUrl });
    await owner.connect();
    try {
      await owner.query('begin');
      await owner.query('set local session_replication_role = replica');
      await tamper((text, values) => owner.query(text, values));
      return [...new Set((await verify(insideTransaction(owner, database))).findings.map(({ kind }) => kind))];
    } finally {
      await owner.query('rollback');
      await owner.end();
    }
  }

  const gone = `delete from access_event where id in (select e.id from access_event e`;
  const cleared = 'delete from access_entity x where not exists (select from access_event e where e.org = x.org and e.id = x.event)';
  const key = generateKeyPairSync('ed25519').privateKey;

  it.each<[string, Tamper]>([
    ['one more of the old that went', async (sql) => { await sql(`${gone} where recorded < now() - interval '8 years' limit 1)`); await sql(cleared); }],
    ['the write of a version that went', async (sql) => { await sql(`${gone} where write order by id limit 1)`); await sql(cleared); }],
    ['a younger one that went', async (sql) => { await sql(`${gone} where not write and removal is null and recorded > now() - interval '1 day' order by id limit 1)`.replace(' and removal is null', ` and e.body not like '%"removal":%'`)); await sql(cleared); }],
    ['the event that holds the statement', async (sql) => { await sql(`${gone} where e.body like '%"removal":%')`); await sql(cleared); }],
  ])('finds %s', async (_title, tamper) => {
    expect((await findingsOf(tamper)).some((kind) => ['event-missing', 'removal-changed'].includes(kind))).toBe(true);
  });

  it('finds a statement that reaches further, signed by a key of nobody, and one that is gone', async () => {
    const forged: Tamper = async (sql) => {
      const [row] = await muniment.sql<{ size: string; note: string }>('select size, note from log_checkpoint order by size desc limit 1');
      const statement = signRemoval(trusted.name, { size: Number(row?.size), root: Buffer.alloc(32), events: 9_999, before: '2017-01-01T00:00:00.000Z', signed: new Date().toISOString(), exports: ['00'] }, key);
      await sql('update log_removal set size = $1, statement = $2', [row?.size, statement]);
    };
    expect(await findingsOf(forged)).toContain('removal-changed');
    expect(await findingsOf((sql) => sql('delete from log_removal'))).toContain('event-missing');
  });
});
