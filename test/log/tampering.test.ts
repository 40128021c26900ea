// Tampering with the database as its owner, each kind at random places, and sound logs: what verify says of each.
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { generateKeyPairSync } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { leafHash } from '../../src/audit/access-event.ts';
import { printVerifier, readVerifier, signCheckpoint } from '../../src/audit/checkpoint.ts';
import { openDatabase, type Database } from '../../src/database/database.ts';
import type { FindingKind } from '../../src/log/findings.ts';
import { verifyLog, type VerifyReport } from '../../src/log/verify-log.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';
import { insideTransaction, restampTree, type Sql } from './inside-transaction.ts';

const SEED = Number(process.env['TAMPER_SEED'] ?? 20_260_131);
const ROUNDS = Number(process.env['TAMPER_ROUNDS'] ?? 3);

/** Mulberry32: the same places for the same seed. */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

let muniment: TestMuniment;
let owner: pg.Client;
let database: Database;
let trusted: NonNullable<ReturnType<typeof readVerifier>>;

/** The answer as JSON, read to its end: a transfer that is broken off is recorded later. */
async function send(method: string, path: string, body?: object): Promise<{ id: string }> {
  const response = await fetch(`${muniment.fhirBase}/${path}`, { method, headers: { Authorization: `Bearer ${await muniment.token()}`, 'Content-Type': 'application/fhir+json' }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  return JSON.parse(await response.text() || '{}') as { id: string };
}

const document = (text: string, id?: string): object => ({
  resourceType: 'DocumentReference', ...(id === undefined ? {} : { id }), status: 'current', subject: { reference: 'Patient/1' }, content: [{ attachment: { contentType: 'text/plain', data: Buffer.from(text).toString('base64') } }],
});

async function waitForSeal(): Promise<void> {
  for (const until = Date.now() + 70_000; Date.now() < until;) {
    const { rows: [row] } = await owner.query<{ done: boolean }>('select (select count(*) from access_event) = (select count(*) from log_leaf where version is null) and (select size from log_state) = (select max(size) from log_checkpoint) as done');
    if (row?.done === true) return;
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
  throw new Error('The log was not sealed');
}

beforeAll(async () => {
  const first = await startMuniment();
  muniment = first;
  owner = new pg.Client({ connectionString: first.ownerUrl });
  await owner.connect();
  database = openDatabase({ appUrl: first.ownerUrl, auditUrl: first.ownerUrl, workerUrl: first.ownerUrl, setRoles: true });
  // Servers that end seal: several checkpoints, with writes, updates, deletions, reads and refusals below them.
  for (let round = 0; round < 4; round += 1) {
    const server = await first.startSecond();
    muniment = server;
    const ids = await Promise.all(Array.from({ length: 12 }, async (_, at) => (await send('POST', 'DocumentReference', document(`${round} ${at}`))).id));
    for (const id of ids.slice(0, 4)) await send('PUT', `DocumentReference/${id}`, { ...document('again', id), description: `changed ${round}` });
    await send('DELETE', `DocumentReference/${ids[5] ?? ''}`);
    await Promise.all(ids.map((id) => send('GET', `DocumentReference/${id}`)));
    await send('GET', 'DocumentReference?patient=Patient/1');
    await send('GET', 'DocumentReference/unknown');
    await Promise.all(Array.from({ length: 40 }, () => send('GET', `DocumentReference/${ids[1] ?? ''}/_history`)));
    await server.stop();
  }
  muniment = first;
  await waitForSeal();
  trusted = readVerifier(await readFile(join(first.dataDir, 'audit-key.pub'), 'utf8')) as typeof trusted;
}, 120_000);

afterAll(async () => {
  await owner.end();
  await database.close();
  await muniment.stop();
});

interface Place { sql: Sql; below: (max: number) => number; dataDir: string }
interface Tampering { kind: string; found: FindingKind[]; tamper: (place: Place) => Promise<string | undefined> }

/** An event at a random place. */
async function anyEvent({ sql, below }: Place): Promise<{ index: number; org: number; id: string; body: string }> {
  const [count] = await sql('select count(*)::int as n from log_leaf where version is null') as unknown as [{ n: number }];
  const [row] = await sql('select l.index::int, e.org, e.id, e.body from log_leaf l join access_event e on e.org = l.org and e.id = l.event where l.version is null order by index offset $1 limit 1', [below(count.n)]) as unknown as [{ index: number; org: number; id: string; body: string }];
  return row;
}

async function anyEntity({ sql, below }: Place): Promise<{ org: number; event: string; reference: string }> {
  const [count] = await sql('select count(*)::int as n from access_entity') as unknown as [{ n: number }];
  const [row] = await sql('select org, event, reference from access_entity order by event, reference, role offset $1 limit 1', [below(count.n)]) as unknown as [{ org: number; event: string; reference: string }];
  return row;
}

async function anyVersion({ sql, below }: Place, table: 'resource' | 'resource_history', where = 'true'): Promise<{ org: number; type: number; id: string; version: number; content: string | null }> {
  const [count] = await sql(`select count(*)::int as n from ${table} where ${where}`) as unknown as [{ n: number }];
  const [row] = await sql(`select org, type, id, version, content from ${table} where ${where} order by org, type, id, version offset $1 limit 1`, [below(count.n)]) as unknown as [{ org: number; type: number; id: string; version: number; content: string | null }];
  return row;
}

const KEY = 'org = $1 and type = $2 and id = $3 and version = $4';
const keyOf = (row: { org: number; type: number; id: string; version: number }): unknown[] => [row.org, row.type, row.id, row.version];

async function restampEvent(place: Place): Promise<string> {
  const { org, id, body } = await anyEvent(place);
  const forged = body.replace(/"observer":"[^"]*"/, '"observer":"urn:forged"');
  await place.sql('update access_event set shape = 0, parts = $3 where org = $1 and id = $2', [org, id, forged]);
  await place.sql('update log_leaf set hash = $3 where org = $1 and event = $2 and version is null', [org, id, leafHash(forged)]);
  return id;
}

const forgedKey = generateKeyPairSync('ed25519');

const KINDS: Tampering[] = [
  { kind: 'an edited event', found: ['event-changed'], async tamper(place) {
    const { org, id } = await anyEvent(place);
    await place.sql(`update access_event e set shape = 0, parts = replace(e.body, '"outcome":', '"outcome": ') where org = $1 and id = $2`, [org, id]);
    return id;
  } },
  { kind: 'an edited value of an event', found: ['event-changed'], async tamper(place) {
    const { org, id } = await anyEvent(place);
    await place.sql(`update access_event set parts = parts || '0' where org = $1 and id = $2`, [org, id]);
    return id;
  } },
  { kind: 'an event that lost its last value', found: ['event-changed'], async tamper(place) {
    const { org, id } = await anyEvent(place);
    await place.sql(`update access_event set parts = regexp_replace(parts, '.[^' || chr(31) || ']*$', '') where org = $1 and id = $2`, [org, id]);
    return id;
  } },
  { kind: 'an edited shape of events', found: ['event-changed'], async tamper(place) {
    const { org, id } = await anyEvent(place);
    await place.sql('alter table access_shape drop constraint access_shape_number');
    await place.sql(`update access_shape s set text = replace(s.text, '"outcome":', '"outcome": ') from access_event e where e.org = $1 and e.id = $2 and s.org = e.org and s.id = e.shape`, [org, id]);
    return id;
  } },
  { kind: 'a removed shape of events', found: ['event-changed'], async tamper(place) {
    const { org, id } = await anyEvent(place);
    await place.sql('delete from access_shape s using access_event e where e.org = $1 and e.id = $2 and s.org = e.org and s.id = e.shape', [org, id]);
    return id;
  } },
  { kind: 'an event in the shape of another', found: ['event-changed'], async tamper(place) {
    const { org, id } = await anyEvent(place);
    await place.sql('update access_event e set shape = (select s.id from access_shape s where s.org = e.org and s.id <> e.shape order by s.id limit 1) where org = $1 and id = $2', [org, id]);
    return id;
  } },
  { kind: 'an event that searches take for another interaction', found: ['event-changed'], async tamper(place) {
    const { org, id } = await anyEvent(place);
    await place.sql(`update access_event set subtype = 'capabilities' where org = $1 and id = $2`, [org, id]);
    return id;
  } },
  { kind: 'an event hidden from searches by its columns', found: ['event-changed'], async tamper(place) {
    const { org, id } = await anyEvent(place);
    await place.sql(`update access_event set agent_user = 'Practitioner/other', request_id = 'other' where org = $1 and id = $2`, [org, id]);
    return id;
  } },
  { kind: 'an event with another instant', found: ['event-changed'], async tamper(place) {
    const { org, id } = await anyEvent(place);
    await place.sql(`update access_event set recorded = recorded - interval '1 year' where org = $1 and id = $2`, [org, id]);
    return id;
  } },
  { kind: 'a deleted event', found: ['event-missing'], async tamper(place) {
    const { org, id } = await anyEvent(place);
    await place.sql('delete from access_event where org = $1 and id = $2', [org, id]);
    return id;
  } },
  { kind: 'a deleted event, its leaf and the tree above', found: ['leaves-missing'], async tamper(place) {
    const { org, id, index } = await anyEvent(place);
    await place.sql('delete from access_event where org = $1 and id = $2', [org, id]);
    await place.sql('delete from log_leaf where index = $1', [index]);
    return undefined;
  } },
  { kind: 'a deleted event, with all that follows moved up and the tree made anew', found: ['leaves-changed', 'event-missing'], async tamper(place) {
    const { org, id, index } = await anyEvent(place);
    await place.sql('delete from log_leaf where index = $1', [index]);
    await place.sql('update log_leaf set index = index + 1000000 where index > $1', [index]);
    await place.sql('update log_leaf set index = index - 1000001 where index > 1000000');
    await place.sql('delete from access_event where org = $1 and id = $2', [org, id]);
    await restampTree(place.sql);
    return undefined;
  } },
  { kind: 'events deleted by the range', found: ['event-missing'], async tamper(place) {
    const { index } = await anyEvent(place);
    const rows = await place.sql('delete from access_event e using log_leaf l where l.index >= $1 and l.index < $1 + 5 and l.event = e.id and l.version is null returning e.id', [index]) as unknown as { id: string }[];
    return rows[0]?.id;
  } },
  { kind: 'a row of the index that was removed', found: ['event-changed'], async tamper(place) {
    const { org, event, reference } = await anyEntity(place);
    await place.sql('delete from access_entity where org = $1 and event = $2 and reference = $3', [org, event, reference]);
    return event;
  } },
  { kind: 'a row of the index that was turned to another patient', found: ['event-changed'], async tamper(place) {
    const { org, event, reference } = await anyEntity(place);
    await place.sql(`update access_entity set reference = 'Patient/other' where org = $1 and event = $2 and reference = $3`, [org, event, reference]);
    return event;
  } },
  { kind: 'a row of the index in another role', found: ['event-changed'], async tamper(place) {
    const { org, event, reference } = await anyEntity(place);
    await place.sql('update access_entity set role = role + 20 where org = $1 and event = $2 and reference = $3', [org, event, reference]);
    return event;
  } },
  { kind: 'a row of the index that was added to an event', found: ['event-changed'], async tamper(place) {
    const { org, id } = await anyEvent(place);
    await place.sql(`insert into access_entity (org, reference, role, event) values ($1, 'Patient/other', 1, $2)`, [org, id]);
    return id;
  } },
  { kind: 'a row of the index of an event that is not there', found: ['index-changed'], async tamper({ sql }) {
    const [{ id }] = await sql(`insert into access_entity (org, reference, role, event) select org, 'Patient/other', 1, gen_random_uuid() from access_event limit 1 returning event as id`) as unknown as [{ id: string }];
    return id;
  } },
  { kind: 'an inserted event without leaf', found: ['event-without-leaf'], async tamper(place) {
    const { org, id } = await anyEvent(place);
    const [row] = await place.sql(`insert into access_event (org, id, recorded, layout, shape, parts, action, subtype, outcome, request_id, written_in)
      select org, gen_random_uuid(), recorded, layout, shape, parts, action, subtype, outcome, request_id, written_in from access_event where org = $1 and id = $2 returning id`, [org, id]) as unknown as [{ id: string }];
    // Behind the newest leaf it would be taken for one that waits.
    await place.sql(`update access_event set written_in = '4'::xid8 where id = $1`, [row.id]);
    return row.id;
  } },
  { kind: 'an event inserted in the middle with its leaf, and the tree made anew', found: ['leaves-changed'], async tamper(place) {
    const { body, org, id, index } = await anyEvent(place);
    const [row] = await place.sql(`insert into access_event (org, id, recorded, layout, shape, parts, action, subtype, outcome, request_id, written_in)
      select org, gen_random_uuid(), recorded, layout, shape, parts, action, subtype, outcome, request_id, written_in from access_event where org = $1 and id = $2 returning id`, [org, id]) as unknown as [{ id: string }];
    await place.sql('update log_leaf set index = index + 1000000 where index >= $1', [index]);
    await place.sql('update log_leaf set index = index - 999999 where index >= 1000000');
    await place.sql('insert into log_leaf (index, org, event, hash) values ($1, $2, $3, $4)', [index, org, row.id, leafHash(body)]);
    await restampTree(place.sql);
    return undefined;
  } },
  { kind: 'two leaves in another order, and the tree made anew', found: ['leaves-changed'], async tamper(place) {
    const { index } = await anyEvent(place);
    const other = index === 0 ? 1 : index - 1;
    await place.sql('update log_leaf set index = 1000000 where index = $1', [index]);
    await place.sql('update log_leaf set index = $1 where index = $2', [index, other]);
    await place.sql('update log_leaf set index = $1 where index = 1000000', [other]);
    await restampTree(place.sql);
    return undefined;
  } },
  { kind: 'the events of two leaves exchanged', found: ['event-changed'], async tamper(place) {
    const one = await anyEvent(place);
    const two = await anyEvent({ ...place, below: () => (one.index === 0 ? 1 : 0) });
    await place.sql(`update log_leaf set event = gen_random_uuid() where index = $1`, [one.index]);
    await place.sql('update log_leaf set event = $2 where index = $1', [two.index, one.id]);
    await place.sql('update log_leaf set event = $2 where index = $1', [one.index, two.id]);
    return one.id;
  } },
  { kind: 'a restamped event: text, hash, leaf and tree', found: ['leaves-changed'], async tamper(place) {
    await restampEvent(place);
    await restampTree(place.sql);
    return undefined;
  } },
  { kind: 'a restamped event below the old tree', found: ['leaves-changed', 'state-changed'], async tamper(place) { await restampEvent(place); return undefined; } },
  { kind: 'the tail cut off, with leaves, checkpoints and state', found: ['database-older'], async tamper({ sql, below }) {
    const sizes = await sql('select size::int from log_checkpoint order by size') as unknown as { size: number }[];
    const size = sizes[below(sizes.length - 1)]?.size ?? 0;
    await sql('delete from access_event e using log_leaf l where l.index >= $1 and l.event = e.id', [size]);
    await sql('delete from resource r using log_leaf l where l.index >= $1 and l.org = r.org and l.type = r.type and l.id = r.id and l.version = r.version', [size]);
    await sql('delete from log_leaf where index >= $1', [size]);
    await sql('delete from log_checkpoint where size > $1', [size]);
    await restampTree(sql);
    return undefined;
  } },
  { kind: 'the tail cut off below its checkpoint', found: ['tail-missing'], async tamper({ sql, below }) {
    const [row] = await sql('select size::int from log_state') as unknown as [{ size: number }];
    const size = row.size - 1 - below(10);
    await sql('delete from access_event e using log_leaf l where l.index >= $1 and l.event = e.id', [size]);
    await sql('delete from log_leaf where index >= $1', [size]);
    await restampTree(sql);
    return undefined;
  } },
  { kind: 'a checkpoint of another key over a tree made anew', found: ['checkpoint-unsigned', 'checkpoint-changed'], async tamper(place) {
    await restampEvent(place);
    const root = await restampTree(place.sql);
    const [row] = await place.sql('select size::int, origin from log_state') as unknown as [{ size: number; origin: string }];
    await place.sql('update log_checkpoint set note = $2 where size = $1', [row.size, signCheckpoint({ origin: row.origin, size: row.size, root }, forgedKey.privateKey)]);
    return undefined;
  } },
  { kind: 'a checkpoint put in the place of another', found: ['checkpoint-changed'], async tamper({ sql, below }) {
    const sizes = await sql('select size::int from log_checkpoint order by size') as unknown as { size: number }[];
    const at = below(sizes.length - 1);
    await sql('update log_checkpoint set note = (select note from log_checkpoint where size = $2) where size = $1', [sizes[at]?.size, sizes[at + 1]?.size]);
    return undefined;
  } },
  { kind: 'a deleted checkpoint', found: ['checkpoint-missing', 'database-older'], async tamper({ sql, below }) {
    const sizes = await sql('select size::int from log_checkpoint order by size') as unknown as { size: number }[];
    await sql('delete from log_checkpoint where size = $1', [sizes[below(sizes.length)]?.size]);
    return undefined;
  } },
  { kind: 'a key of the owner\'s own that no trusted key introduced', found: ['key-changed'], async tamper({ sql }) {
    const [row] = await sql('select origin from log_state') as unknown as [{ origin: string }];
    await sql(`insert into log_key (ordinal, verifier, statement) values (2, $1, 'none')`, [printVerifier({ name: row.origin, publicKey: forgedKey.publicKey })]);
    return undefined;
  } },
  { kind: 'another log in its place', found: ['log-replaced'], async tamper({ sql }) { await sql(`update log_state set origin = 'muniment.example/log/other'`); return undefined; } },
  { kind: 'a subtree that proofs are made of', found: ['subtree-changed'], async tamper({ sql }) { await sql(`update log_subtree set root = sha256('x') where height = 8 and position = 0`); return undefined; } },
  { kind: 'an edited newest version', found: ['version-changed', 'content-changed'], async tamper(place) {
    const row = await anyVersion(place, 'resource', 'body is not null');
    await place.sql(`update resource set body = body || ' ' where ${KEY}`, keyOf(row));
    return `${row.id}/_history/${row.version}`;
  } },
  { kind: 'an edited older version', found: ['version-changed'], async tamper(place) {
    const row = await anyVersion(place, 'resource_history');
    await place.sql(`update resource_history set body = replace(body, 'current', 'superseded') where ${KEY}`, keyOf(row));
    return `${row.id}/_history/${row.version}`;
  } },
  { kind: 'a version with another date', found: ['version-changed', 'content-changed'], async tamper(place) {
    const row = await anyVersion(place, 'resource');
    await place.sql(`update resource set last_updated = last_updated - interval '1 day' where ${KEY}`, keyOf(row));
    return `${row.id}/_history/${row.version}`;
  } },
  { kind: 'a deleted older version', found: ['version-missing'], async tamper(place) {
    const row = await anyVersion(place, 'resource_history');
    await place.sql(`delete from resource_history where ${KEY}`, keyOf(row));
    return `${row.id}/_history/${row.version}`;
  } },
  { kind: 'an inserted version', found: ['version-without-leaf'], async tamper(place) {
    const row = await anyVersion(place, 'resource_history');
    await place.sql(`insert into resource_history select org, type, 'forged', version, last_updated, deleted, method, body, content, creator, patient from resource_history where ${KEY}`, keyOf(row));
    return 'forged';
  } },
  { kind: 'a changed digest of bytes', found: ['content-changed'], async tamper(place) {
    const row = await anyVersion(place, 'resource', 'content is not null');
    await place.sql(`update content set sha256 = sha256('other') where org = $1 and id = $2`, [row.org, row.content]);
    return `${row.id}/_history/${row.version}`;
  } },
  { kind: 'changed chunk digests', found: ['content-changed'], async tamper(place) {
    const row = await anyVersion(place, 'resource', 'content is not null');
    await place.sql(`update content set chunk_digests = sha256('other') where org = $1 and id = $2`, [row.org, row.content]);
    return `${row.id}/_history/${row.version}`;
  } },
  { kind: 'a Binary that points to other bytes', found: ['content-changed'], async tamper(place) {
    const row = await anyVersion(place, 'resource', 'content is not null');
    const other = await anyVersion(place, 'resource', `content is not null and content <> '${row.content ?? ''}'`);
    await place.sql(`update resource set content = $5 where ${KEY}`, [...keyOf(row), other.content]);
    return `${row.id}/_history/${row.version}`;
  } },
  { kind: 'a deleted row of bytes', found: ['content-missing'], async tamper(place) {
    const row = await anyVersion(place, 'resource', 'content is not null');
    await place.sql('delete from content where org = $1 and id = $2', [row.org, row.content]);
    return `${row.id}/_history/${row.version}`;
  } },
];

/** A copy of the sound database and its folder, tampered with, is looked at, and goes away. */
async function tampered(tamper: (place: Place) => Promise<string | undefined>, below: (max: number) => number): Promise<{ report: VerifyReport; place: string | undefined }> {
  const dataDir = await mkdtemp(join(tmpdir(), 'muniment-tamper-'));
  for (const file of ['audit-key.pub', 'checkpoints.jsonl']) await copyFile(join(muniment.dataDir, file), join(dataDir, file));
  // What is done inside is rolled back; the verification runs inside as well, so that no copy is needed.
  await owner.query('begin');
  try {
    await owner.query(`set local session_replication_role = 'replica'`);
    const place = await tamper({ sql: async (text, values) => (await owner.query(text, values)).rows as never, below, dataDir });
    const inside = insideTransaction(owner, database);
    return { report: await verifyLog({ database: inside, keys: [trusted], dataDir }), place };
  } finally {
    await owner.query('rollback');
    await rm(dataDir, { recursive: true, force: true });
  }
}

describe('muniment verify', () => {
  it('finds nothing wrong with a sound log, whole or since a day', async () => {
    const report = await verifyLog({ database, keys: [trusted], dataDir: muniment.dataDir });
    expect(report).toMatchObject({ findingCount: 0, findings: [], waiting: 0, unsealed: 0, keyGiven: true, fileCompared: true });
    expect(report.events).toBeGreaterThan(256);
    expect(report.checkpoints).toBeGreaterThan(3);
    const [middle] = (await owner.query<{ size: string; sealed_at: Date }>('select size, sealed_at from log_checkpoint order by size offset 2 limit 1')).rows;
    const since = await verifyLog({ database, keys: [trusted], dataDir: muniment.dataDir, since: middle?.sealed_at ?? new Date() });
    expect(since).toMatchObject({ findingCount: 0, start: Number(middle?.size) });
  });

  it.each(KINDS)('names $kind', async ({ found, tamper }) => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const { report, place } = await tampered(tamper, randomOf(SEED + round));
      const told = report.findings.filter(({ kind }) => found.includes(kind));
      expect({ round, told: told.length > 0, findings: report.findings.map(({ what }) => what).slice(0, 5) }).toMatchObject({ told: true });
      if (place !== undefined) expect(told.some(({ reference, what }) => `${reference ?? ''} ${what}`.includes(place))).toBe(true);
    }
  });

  it('finds a file in DATA_DIR that lost its end, and one with a line that is none', async () => {
    const rewrite = (change: (lines: string[]) => string[]): Tampering['tamper'] => async ({ dataDir }) => {
      const path = join(dataDir, 'checkpoints.jsonl');
      await writeFile(path, change((await readFile(path, 'utf8')).trimEnd().split('\n')).map((line) => `${line}\n`).join(''));
      return undefined;
    };
    const { report: shorter } = await tampered(rewrite((lines) => lines.slice(0, 2)), randomOf(SEED));
    expect(new Set(shorter.findings.map(({ kind }) => kind))).toEqual(new Set(['checkpoint-missing']));
    const { report: other } = await tampered(rewrite((lines) => ['{"size":1}', ...lines]), randomOf(SEED));
    expect(other.findings.map(({ what }) => what)).toEqual([expect.stringMatching(/^Line 1 of .* is no checkpoint$/)]);
  });

  it('raises no false alarm while servers write', async () => {
    let writing = true;
    const writer = (async () => { for (let at = 0; writing; at += 1) await send('POST', 'DocumentReference', document(`busy ${at}`)); })();
    const reports: VerifyReport[] = [];
    for (let round = 0; round < 12; round += 1) reports.push(await verifyLog({ database, keys: [trusted], dataDir: muniment.dataDir }));
    writing = false;
    await writer;
    expect(reports.flatMap(({ findings }) => findings)).toEqual([]);
  });
});
