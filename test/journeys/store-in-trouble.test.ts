// An object store that dies, freezes, refuses or cuts connections under two servers at work, clocks that jump, and sweeps that race
// uploads: nothing that was answered is lost, no wrong byte leaves, nothing is half visible, every answer comes in time, and all goes
// on by itself. On a MinIO of this file's own.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { HALVES } from '../../bench/kill-rounds.ts';
import { loadConfig } from '../../src/config/config.ts';
import { takeInventory } from '../../src/content/inventory.ts';
import { sweepContent } from '../../src/content/sweep.ts';
import { openDatabase, type Database } from '../../src/database/database.ts';
import { openConfiguredStore } from '../../src/open-parts.ts';
import type { ContentStore } from '../../src/content/content-store.ts';
import { runVerifyCommand } from '../../src/verify-command.ts';
import { startClinic, type Clinic } from '../support/clinic-load.ts';
import { eventually } from '../support/eventually.ts';
import { startFaultyStore, type FaultyStore, type StoreFault } from '../support/faulty-store.ts';
import { documentReference, fhirClient, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { moveClock } from '../support/moved-clock.ts';
import { ownMinioCanBeHad, startOwnMinio, type OwnMinio } from '../support/own-minio.ts';
import { openSocket, requestHead } from '../support/raw-http.ts';
import { mountSmallDisk } from '../support/small-disk.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

const MIB = 1024 * 1024;
const DAY_MS = 24 * 60 * 60 * 1_000;
/** A silent store is noticed after 8 to 9 seconds, and what it was asked to do is not asked again. */
const ANSWER_MS = 15_000;
const BINARY = { 'content-type': 'application/octet-stream' };

if (!ownMinioCanBeHad) process.stderr.write('Left out: stores in trouble (MinIO was never built here)\n');

(ownMinioCanBeHad ? describe : describe.skip)('a store in trouble', () => {
  let minio: OwnMinio;
  let wire: FaultyStore;
  let first: TestMuniment;
  let second: TestMuniment;
  let clients: FhirClient[];
  let clinic: Clinic;
  let database: Database;
  let store: ContentStore;

  beforeAll(async () => {
    minio = await startOwnMinio();
    wire = await startFaultyStore(minio.port);
    first = await startMuniment({ BASE_URL: 'http://documents.example', ...minio.environment, STORAGE_ENDPOINT: `http://127.0.0.1:${wire.port}` });
    second = await first.startSecond();
    const tokens = await Promise.all([first.token(), second.token()]);
    clients = [first, second].map(({ port }, at) => fhirClient(`http://127.0.0.1:${port}/fhir`, tokens[at] ?? ''));
    clinic = startClinic(clients.map(({ base }, at) => ({ base, token: tokens[at] ?? '' })));
    const direct = { DATA_DIR: first.dataDir, DATABASE_URL: first.ownerUrl, ...minio.environment };
    database = openDatabase({ appUrl: first.ownerUrl, auditUrl: first.ownerUrl, workerUrl: first.ownerUrl, setRoles: true });
    store = await openConfiguredStore(loadConfig(direct), database);
  }, 60_000);
  afterAll(async () => {
    minio.thaw();
    await database.close();
    await second.stop();
    await first.stop();
    await wire.stop();
    await minio.stop();
  });

  const upload = (client: FhirClient, size: number): ReturnType<FhirClient['post']> => client.post('Binary', randomBytes(size), BINARY);

  /** Uploads of every size go through at both servers, with nobody's help. */
  async function expectHealed(): Promise<void> {
    for (const client of clients) for (const size of [100, 2 * MIB]) await eventually(async () => (await upload(client, size)).status, (status) => status === 201, 20_000);
  }

  async function expectWhole(): Promise<void> {
    expect(await clinic.lost()).toEqual([]);
    const halves = Object.fromEntries(await Promise.all(Object.entries(HALVES).map(async ([what, query]) => [what, (await first.sql<{ n: number }>(query))[0]?.n] as const)));
    expect(Object.values(halves)).toEqual(Object.values(halves).map(() => 0));
    expect(await first.sql(`select id, quarantine_reason from content where state = 'quarantined'`)).toEqual([]);
  }

  const faults: [string, number, () => Promise<void> | void, () => Promise<void> | void][] = [
    ['is killed', 1_500, () => minio.kill(), () => minio.start()],
    ['freezes', 11_000, () => minio.freeze(), () => minio.thaw()],
    ...(['answers 500', 'cuts uploads', 'cuts downloads'] as StoreFault[]).map((fault): (typeof faults)[number] => [fault, 1_500, () => { wire.fault = fault; }, () => { wire.fault = undefined; }]),
  ];

  it.each(faults)('that %s: 503 with Retry-After in time, what is not bytes goes on, and all is well again by itself', async (what, lastsMs, strike, mend) => {
    const work = clinic.begin();
    const { uploads, reads } = work;
    await sleep(700);
    await strike();
    const struckAt = performance.now();
    const metadata = await Promise.all(clients.map((client) => client.post('DocumentReference', documentReference({ content: [{ attachment: { contentType: 'text/plain', url: 'https://elsewhere.example/note' } }] }))));
    expect(metadata.map(({ status }) => status)).toEqual([201, 201]);
    expect((await clients[1]?.get(`DocumentReference?_id=${metadata[0]?.json.id}`))?.json.total).toBe(1);
    const ready = await clients[0]?.call(`http://127.0.0.1:${first.port}/health/ready`, { token: null });
    await sleep(Math.max(0, lastsMs - (performance.now() - struckAt)));
    // Somebody met it, or this proves nothing.
    await eventually(async () => [...uploads, ...reads].some(({ status, whole }) => status === 503 || !whole), (met) => met, 20_000);
    await mend();
    await expectHealed();
    await work.end();
    const unexpected = uploads.filter(({ status, retryAfter }) => status !== 201 && (status !== 503 || !retryAfter));
    expect({ unexpected, wrong: reads.filter(({ wrong }) => wrong), slow: [...uploads, ...reads].filter(({ ms }) => ms > ANSWER_MS) }).toEqual({ unexpected: [], wrong: [], slow: [] });
    expect(reads.filter(({ status }) => ![200, 206, 503].includes(status))).toEqual([]);
    if (!what.startsWith('cuts')) expect([ready?.status, ready?.json.storage]).toEqual([503, 'down']);
    await expectWhole();
  }, 60_000);

  it('that cuts each third download is not noticed by who reads', async () => {
    const bytes = randomBytes(5 * MIB);
    const { json } = await clients[0]!.post('Binary', bytes, BINARY);
    wire.fault = 'cuts each third download';
    const before = wire.struck;
    try {
      for (const client of clients) expect((await client.get(`Binary/${json.id}`, { accept: '*/*' })).bytes.equals(bytes)).toBe(true);
      expect(wire.struck).toBeGreaterThan(before);
    } finally { wire.fault = undefined; }
  });

  it('whose disk is full answers 507, keeps nothing of it, and takes uploads again when there is room', async () => {
    const disk = mountSmallDisk(`${first.dataDir}/small`, 64);
    if (disk === undefined) return;
    const small = await startOwnMinio(disk.directory);
    const server = await startMuniment(small.environment);
    try {
      const client = fhirClient(server.fhirBase, await server.token());
      // A MinIO that has just begun may refuse its first write.
      await eventually(async () => (await upload(client, 10)).status, (status) => status === 201, 20_000);
      const answers: Answer[] = [];
      for (let at = 0; at < 20 && answers.at(-1)?.status !== 507; at += 1) answers.push(await upload(client, 9 * MIB));
      expect(answers.at(-1)?.status).toBe(507);
      const taken = answers.filter(({ status }) => status === 201).length;
      // MinIO may reset the connection over its own answer while bytes are still on their way: that is 503, to be sent again.
      for (const { status, headers } of answers.slice(0, -1)) expect(status === 201 || (status === 503 && headers.has('retry-after'))).toBe(true);
      expect(taken).toBeGreaterThan(2);
      expect(await server.sql(`select count(*)::int as n from content where state = 'live'`)).toEqual([{ n: taken + 1 }]);
      disk.resize(256);
      await eventually(async () => (await upload(client, 9 * MIB)).status, (status) => status === 201, 20_000);
    } finally {
      await server.stop();
      await small.stop();
      disk.end();
    }
  }, 60_000);

  describe('clocks that jump', () => {
    const restore: (() => void)[] = [];
    const jump = (ms: number): void => { restore.push(moveClock(ms)); };
    const back = (): void => { for (const undo of restore.splice(0).reverse()) undo(); };
    afterAll(back);

    it('two days ahead: the store refuses our signatures, so 503 and no damage; what is under way is not swept, and ends well', async () => {
      const socket = await openSocket(clients[0]!.base);
      const body = randomBytes(3 * MIB);
      socket.write(requestHead('POST', '/fhir/Binary', [['Authorization', `Bearer ${await first.token()}`], ['Content-Type', 'application/octet-stream'], ['Content-Length', String(body.length)], ['Connection', 'close']]));
      socket.write(body.subarray(0, 2 * MIB));
      await eventually(() => first.sql(`select from content where state = 'staging'`), (rows) => rows.length > 0);
      const kept = await clients[0]!.post('Binary', randomBytes(2 * MIB), BINARY);
      jump(2 * DAY_MS);
      try {
        const later = fhirClient(clients[0]!.base, await first.token());
        expect((await clients[0]!.get('DocumentReference')).status).toBe(401);
        for (const refused of [await upload(later, 100), await upload(later, 2 * MIB), await later.get(`Binary/${kept.json.id}`, { accept: '*/*' })]) expect([refused.status, refused.headers.has('retry-after')]).toEqual([503, true]);
        // It cannot make its mark, gives nothing up, and is not taken for a restore afterwards.
        await expect(sweepContent({ database, stores: [store] })).rejects.toMatchObject({ detail: 'unavailable' });
      } finally { back(); }
      const answer = new Promise<string>((resolve) => { let text = ''; socket.on('data', (piece: Buffer) => { text += piece.toString('latin1'); }).on('end', () => resolve(text)); });
      socket.write(body.subarray(2 * MIB));
      expect((await answer).slice(0, 12)).toBe('HTTP/1.1 201');
      expect((await clients[1]!.get(`Binary/${kept.json.id}`, { accept: '*/*' })).status).toBe(200);
      expect(await sweepContent({ database, stores: [store] })).toMatchObject({ halted: [] });
      await expectWhole();
    });

    it('back and forth between versions: each is later than the one before, all are found, and the log proves them', async () => {
      const { json } = await clients[0]!.post('DocumentReference', documentReference());
      const path = `DocumentReference/${json.id}`;
      for (const [at, ms] of [3_600_000, -3_600_000, 0].entries()) {
        jump(ms);
        try {
          const client = fhirClient(clients[0]!.base, await first.token());
          const requestId = randomUUID();
          expect((await client.put(path, { ...json, description: `Change ${at}` }, { 'x-request-id': requestId })).status).toBe(200);
          expect(await client.auditOf(requestId)).toHaveLength(1);
        } finally { back(); }
      }
      const history = await clients[1]!.get(`${path}/_history`);
      const times = history.json.entry.map(({ resource }: { resource: { meta: { lastUpdated: string } } }) => Date.parse(resource.meta.lastUpdated));
      expect([times.length, times]).toEqual([4, [...times].sort((one, other) => other - one)]);
      expect(new Set(times).size).toBe(4);
      expect((await clients[1]!.get(`DocumentReference?_id=${json.id}`)).json.entry[0].resource.description).toBe('Change 2');
      expect(await runVerifyCommand(['--json'], { DATA_DIR: first.dataDir, DATABASE_URL: first.ownerUrl, METRICS_PORT: '0' })).toBe(0);
    });
  });

  it('sweeps of two servers that race uploads: each is published whole or refused by 409, and nothing of the refused is left', async () => {
    let sweeping = true;
    // As if a day were over at each moment: what is begun is given up at once, and removed at the next pass.
    const sweeps = Promise.all([0, 1].map(async () => { while (sweeping) await sweepContent({ database, stores: [store], staleAfterMs: 0, graceMs: 0 }); }));
    const work = clinic.begin();
    await sleep(4_000);
    await work.end();
    const { uploads, reads } = work;
    sweeping = false;
    await sweeps;
    const statuses = new Set(uploads.map(({ status }) => status));
    expect([[...statuses].sort(), reads.filter(({ status, wrong, whole }) => wrong || !whole || (status !== 200 && status !== 206))]).toEqual([[201, 409], []]);
    await expectWhole();
    for (const days of [3, 6]) await sweepContent({ database, stores: [store], now: Date.now() + days * DAY_MS, limit: 100_000 });
    expect(await first.sql(`select state, count(*)::int from content where state not in ('live', 'gone') group by state`)).toEqual([]);
    expect(await takeInventory({ database, store, now: Date.now() + 30 * DAY_MS })).toMatchObject({ complete: true, findings: [] });
  }, 60_000);
});
