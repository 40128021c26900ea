// The life of a file as a topic that other systems read, and as figures: what happened, in order, once, in the commit of the change.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes, randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { runAdminCommand } from '../../src/admin-command.ts';
import { sweepContent } from '../../src/content/sweep.ts';
import { openFilesystemStore } from '../../src/content/stores/filesystem.ts';
import { openDatabase, type Database } from '../../src/database/database.ts';
import { forgetFileEvents } from '../../src/resources/file-events.ts';
import { tellExpired } from '../../src/resources/tell-expired.ts';
import { eventually } from '../support/eventually.ts';
import { documentReference, fhirClient, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { clamdCanBeHad, startClamd } from '../support/start-clamd.ts';
import { freePort, startMuniment, type TestMuniment } from '../support/start-muniment.ts';

const DAY_MS = 24 * 60 * 60 * 1_000;
const TAG = 'https://muniment.example/fhir/CodeSystem/retention-class';
let server: TestMuniment;
let metricsPort: number;
let database: Database;

beforeAll(async () => {
  metricsPort = await freePort();
  server = await startMuniment({ METRICS_PORT: String(metricsPort) });
  database = openDatabase({ appUrl: server.ownerUrl, auditUrl: server.ownerUrl, workerUrl: server.ownerUrl, setRoles: true });
});
afterAll(async () => {
  await database.close();
  await server.stop();
});

interface Told { event: string; at: string; content?: string; binary?: string; document?: string }
interface House { one: FhirClient; other: FhirClient; token: string }

async function house(): Promise<House> {
  const org = `org-${randomUUID().slice(0, 8)}`;
  const token = await server.token({ org, user: 'Practitioner/one' });
  return { token, one: fhirClient(server.fhirBase, token), other: fhirClient(server.fhirBase, await server.token({ org, user: 'Practitioner/other' })) };
}

const admin = (client: FhirClient, path: string, body?: object): Promise<Answer> => client.call(`${client.base.replace(/\/fhir$/, '')}/admin/${path}`, body === undefined ? {} : { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } });

/** All of it, once there are so many: another transaction of this PostgreSQL may hold them up for a moment. */
async function topic(client: FhirClient, least: number, from = 'file-events?_count=1000'): Promise<{ events: Told[]; next: string }> {
  const events: Told[] = [];
  let next = from;
  await eventually(async () => {
    const { status, json } = await admin(client, next);
    expect(status).toBe(200);
    events.push(...json.events as Told[]);
    next = (json.next as string).replace('/admin/', '');
    return events.length;
  }, (count) => count >= least);
  return { events, next };
}

const named = (events: readonly Told[]): string[] => events.map(({ event, binary, document }) => [event, binary, document].filter((part) => part !== undefined).join(' '));

async function figure(name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  return Number(text.split('\n').find((line) => line.startsWith(`${name} `))?.split(' ')[1]);
}

async function aged(id: string, interval: string): Promise<void> {
  await server.sql(`update resource set last_updated = last_updated - $2::interval, date_hi = case when isfinite(date_hi) then date_hi - $2::interval end where id = $1`, [id, interval]);
}

it('tells the life of a file from its first byte to its purge, with what each step was about', async () => {
  const { one, other } = await house();
  const { json: { id: binary } } = await one.post('Binary', randomBytes(2_000), { 'content-type': 'application/octet-stream' });
  const document = documentReference({ meta: { tag: [{ system: TAG, code: 'temporary' }] }, content: [{ attachment: { contentType: 'application/octet-stream', url: `Binary/${binary}` } }] });
  const { json: made } = await one.post('DocumentReference', document);
  const reference = `DocumentReference/${made.id}`;
  expect((await one.put(reference, { ...made, description: 'Looked at' })).status).toBe(200);
  const [row] = await server.sql<{ key: string; id: string }>('select c.key, c.id from content c join resource r on r.org = c.org and r.content = c.id where r.id = $1', [binary]);
  const path = join(server.dataDir, 'content', row?.key ?? '');
  const bytes = await readFile(path);
  await writeFile(path, Buffer.alloc(2_000));
  expect((await one.get(`Binary/${binary}`, { accept: '*/*' })).status).toBe(500);
  await writeFile(path, bytes);
  await server.sql(`update content set state = 'live', quarantine_reason = null where id = $1`, [row?.id]);
  await aged(made.id, '2 days');
  expect(await tellExpired(database)).toBe(1);
  expect(await tellExpired(database)).toBe(0);
  expect((await one.delete(reference)).status).toBe(204);
  await aged(made.id, '2 days');
  const asked = await admin(one, 'purges', { reference, reason: 'Over' });
  expect((await admin(other, `purges/${asked.json.id}/$approve`, { reason: 'Fine' })).json.state).toBe('done');
  const { events } = await topic(one, 14);
  const own = events.filter(({ content, binary: about, document: within }) => content === row?.id || about?.includes(binary) === true || within?.includes(made.id) === true);
  expect(named(own)).toEqual([
    'initiated', `uploaded Binary/${binary}/_history/1`, `verified Binary/${binary}/_history/1`, `linked Binary/${binary} ${reference}/_history/1`, `superseded ${reference}/_history/2`,
    'quarantined', 'restored', `expired ${reference}/_history/2`, `deleted ${reference}/_history/3`, `deleted Binary/${binary}/_history/2`, `purged ${reference}`,
  ]);
  expect(own[0]?.content).toBe(row?.id);
});

(clamdCanBeHad ? it : it.skip)('says that bytes were scanned, and that they were withheld', async () => {
  const clamd = await startClamd();
  const scanned = await startMuniment({ CLAMAV_HOST: '127.0.0.1', CLAMAV_PORT: String(clamd.port), CLAMAV_STREAM_BYTES_MAX: '1MiB', SCAN: 'required' });
  try {
    const client = fhirClient(scanned.fhirBase, await scanned.token());
    for (const size of [10, 1_500_000]) await eventually(async () => (await client.post('Binary', randomBytes(size), { 'content-type': 'application/octet-stream' })).status, (status) => status === 201);
    expect((await topic(client, 9)).events.map(({ event }) => event)).toEqual(['initiated', 'uploaded', 'scanned', 'verified', 'initiated', 'uploaded', 'scanned', 'verified', 'quarantined']);
  } finally {
    await scanned.stop();
    await clamd.stop();
  }
}, 60_000);

it('what was begun and never published is told as expired by the sweep that gives it up', async () => {
  const { one } = await house();
  await one.post('Binary', 'to make the organisation', { 'content-type': 'text/plain' });
  const { next } = await topic(one, 3);
  const content = randomUUID();
  await server.sql(`insert into content (org, id, state, store, key, chunk_bytes, declared_type) select org, $1, 'staging', 'local', $2, 1048576, 'text/plain' from content order by created_at desc limit 1`, [content, `nowhere/${content}`]);
  await sweepContent({ database, stores: [openFilesystemStore({ directory: join(server.dataDir, 'content') })], now: Date.now() + 2 * DAY_MS });
  expect((await topic(one, 2, next)).events.map(({ event, content: about }) => [event, about])).toEqual([['initiated', content], ['expired', content]]);
});

describe('a reader that goes on behind what it saw', () => {
  it('sees each event once, whoever writes meanwhile', async () => {
    const { one } = await house();
    const seen: Told[] = [];
    let next = 'file-events?_count=3';
    const read = async (): Promise<number> => {
      const { json } = await admin(one, next);
      seen.push(...json.events as Told[]);
      next = (json.next as string).replace('/admin/', '');
      return json.events.length;
    };
    const writers = Promise.all(Array.from({ length: 30 }, () => one.post('DocumentReference', documentReference())));
    let writing = true;
    void writers.finally(() => { writing = false; });
    while (writing) await read();
    const made = (await writers).map(({ json }) => json.id as string);
    await eventually(async () => { await read(); return seen.length; }, (count) => count >= 30 * 4);
    expect(await read()).toBe(0);
    const linked = seen.filter(({ event }) => event === 'linked').map(({ document }) => document);
    expect(linked.sort()).toEqual(made.map((id) => `DocumentReference/${id}/_history/1`).sort());
    expect(new Set(named(seen.filter(({ event }) => event === 'verified'))).size).toBe(30);
    expect(seen).toHaveLength(30 * 4);
  });

  it('waits for a transaction that is still open, and then sees what that wrote', async () => {
    const { one } = await house();
    await one.post('Binary', 'first', { 'content-type': 'text/plain' });
    const { next } = await topic(one, 3);
    const slow = new pg.Client({ connectionString: server.ownerUrl });
    await slow.connect();
    try {
      await slow.query('begin');
      await slow.query(`insert into file_event (org, events, content) select org, '{restored}', $1 from file_event order by written_in desc limit 1`, [randomUUID()]);
      expect((await one.post('Binary', 'second', { 'content-type': 'text/plain' })).status).toBe(201);
      expect((await topic(one, 0, next)).events).toEqual([]);
      await slow.query('commit');
      expect((await topic(one, 4, next)).events.map(({ event }) => event)).toEqual(['restored', 'initiated', 'uploaded', 'verified']);
    } finally { await slow.end(); }
  });

  it('is an administrator of the organisation, and sees nothing of another one', async () => {
    const { one } = await house();
    await one.post('Binary', 'ours', { 'content-type': 'text/plain' });
    const { one: stranger } = await house();
    await topic(one, 3);
    expect((await topic(stranger, 0)).events).toEqual([]);
    expect((await admin(fhirClient(server.fhirBase, await server.token({ roles: ['practitioner'] })), 'file-events')).status).toBe(403);
    for (const after of ['x', '1', '1-2-3', '-1-2']) expect((await admin(one, `file-events?after=${after}`)).status).toBe(400);
  });

  it('may be the command', async () => {
    const { one, token } = await house();
    await one.post('Binary', 'bytes', { 'content-type': 'text/plain' });
    await topic(one, 3);
    const told: string[] = [];
    const write = process.stdout.write.bind(process.stdout);
    process.stdout.write = ((text: string) => { told.push(text); return true; });
    const run = (...words: string[]): Promise<number> => runAdminCommand('files', ['events', ...words], { MUNIMENT_TOKEN: token, MUNIMENT_BASE: server.fhirBase });
    try {
      expect(await run()).toBe(0);
      expect(await run('--after', told.at(-1)?.trim().split(' ').at(-1) ?? '')).toBe(0);
    } finally { process.stdout.write = write; }
    expect(told[0]).toMatch(/^\S+ {2}initiated {2}\S+\n\S+ {2}uploaded {2}Binary\/\S+\n\S+ {2}verified {2}\S+\n--after \d+-\d+\n$/);
    expect(told[1]).toMatch(/^--after \d+-\d+\n$/);
  });
});

it('the figures count what is told, and the reads with their bytes, from the start of the server on', async () => {
  const { one } = await house();
  const counted = async (): Promise<number[]> => Promise.all(['muniment_file_events_total{event="uploaded"}', 'muniment_file_events_total{event="linked"}', 'muniment_content_reads_total', 'muniment_content_sent_bytes_total'].map(figure));
  const before = await counted();
  const { json: { id } } = await one.post('Binary', randomBytes(3_000_000), { 'content-type': 'application/octet-stream' });
  await one.post('DocumentReference', documentReference());
  await one.get(`Binary/${id}`, { accept: '*/*' });
  await one.get(`Binary/${id}`, { accept: '*/*', range: 'bytes=5-14' });
  await one.call(`Binary/${id}`, { method: 'HEAD', headers: { accept: '*/*' } });
  const grown = async (): Promise<number[]> => (await counted()).map((now, at) => now - (before[at] ?? 0));
  expect(await eventually(grown, ([uploaded = 0]) => uploaded >= 2)).toEqual([2, 1, 2, 3_000_010]);
  expect(await figure('muniment_file_events_total{event="purged"}')).toBeGreaterThanOrEqual(0);
});

it('a month later they are forgotten, and no younger ones', async () => {
  const { one } = await house();
  await one.post('Binary', 'old', { 'content-type': 'text/plain' });
  await server.sql(`update file_event set at = at - interval '31 days'`);
  await one.post('Binary', 'young', { 'content-type': 'text/plain' });
  expect(await database.workerTransaction(forgetFileEvents)).toBeGreaterThan(0);
  expect((await topic(one, 3)).events.map(({ event }) => event)).toEqual(['initiated', 'uploaded', 'verified']);
});
