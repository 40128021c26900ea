// The worker on a real PostgreSQL, against a server that fails on purpose.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { createDelivery, type DeliveryOptions } from '../../src/mirror/deliver.ts';
import { startMirrorWorker, type MirrorWorker } from '../../src/mirror/mirror-worker.ts';
import { listParked, mirrorStatus, replayParked, showHead, skipParked } from '../../src/mirror/mirror-commands.ts';
import { claimDue, takeIn } from '../../src/mirror/claim.ts';
import { settle } from '../../src/mirror/settle.ts';
import { startFaultyServer, type Fault, type FaultyServer, type ReceivedRequest } from '../support/faulty-server.ts';
import { startMirrorDatabase, type MirrorDatabase } from './mirror-database.ts';
import { createSmallFhir, outcome, writesIn, type SmallFhir } from './small-fhir.ts';

/** Failures that the worker outlived but should not have met. */
const failures: unknown[] = [];
const keep = (fields: object): void => { if ('err' in fields) failures.push(fields.err); };
const log = { debug() {}, info() {}, warn: keep, error: keep };

const ALL_SHARDS = Array.from({ length: 64 }, (_, shard) => shard);
const DEMO = { low: 1, high: 1, blocked: [] };

jest.setTimeout(60_000);

let store: MirrorDatabase;
let hapi: FaultyServer;
let fhir: SmallFhir;
let workers: MirrorWorker[] = [];

beforeAll(async () => { store = await startMirrorDatabase(); });
afterAll(() => store.stop());

beforeEach(async () => {
  await store.empty();
  fhir = createSmallFhir('/fhir');
  hapi = await startFaultyServer((request) => fhir.work(request), (request) => writesIn(request).map(({ path }) => path));
});

afterEach(async () => {
  await Promise.all(workers.map((worker) => worker.stop()));
  workers = [];
  await hapi.stop();
  expect(failures.splice(0)).toEqual([]);
});

/** Retries come at a hundredth of their time, polls at a twentieth. */
function start(options: Partial<DeliveryOptions> = {}, database = store.database, tuning: { pollMs?: number } = {}): MirrorWorker {
  const delivery = createDelivery({ baseUrl: `${hapi.url}/fhir`, publicBase: 'http://muniment.test/fhir', timeoutMs: 300, access: 'writes', ...options });
  const worker = startMirrorWorker({ database, delivery, log, random: () => 0.01, pollMs: 50, ...tuning });
  workers.push(worker);
  return worker;
}

async function until(reached: () => Promise<boolean> | boolean, seconds = 20): Promise<void> {
  for (const end = Date.now() + seconds * 1_000; !(await reached());) {
    if (Date.now() > end) throw new Error('Not reached in time');
    await sleep(20);
  }
}

const drained = async (): Promise<boolean> => (await store.sql('select from outbox')).length === 0;
const waiting = async (): Promise<number> => (await store.sql('select from outbox')).length;
const source = (reference: string, version: number): string => `urn:muniment:demo/${reference}/_history/${version}`;
const isWrite = (request: ReceivedRequest): boolean => request.method !== 'GET';
const isDocument = (request: ReceivedRequest): boolean => writesIn(request).some(({ path }) => path.startsWith('/fhir/DocumentReference/'));

async function publishAll(count: number, versions: number): Promise<string[]> {
  const references = Array.from({ length: count }, (_, index) => `DocumentReference/d${index}`);
  for (let version = 1; version <= versions; version++) {
    for (const reference of references) await store.publish(reference, { description: `v${version}` }, { patient: `p${reference.length % 3}` });
  }
  return references;
}

describe('delivery', () => {
  it('lets a head rest that is due and has nothing to deliver, as a repair that was killed leaves it', async () => {
    await store.sql(`insert into mirror_head (org, type, id, lane, shard, lease, next_at) values (1, 2, 'left', 1, 0, gen_random_uuid(), now())`);
    start();
    await until(async () => (await store.sql<{ next_at: Date | null }>(`select next_at from mirror_head where id = 'left'`))[0]?.next_at === null);
    expect(hapi.requests).toEqual([]);
  });

  it('brings each version once and in order, then the Provenance of its write', async () => {
    const references = await publishAll(6, 3);
    start();
    await until(drained);
    for (const reference of references) expect(fhir.history(reference)).toEqual([1, 2, 3].map((version) => source(reference, version)));
    expect(new Set(hapi.requests.flatMap((request) => writesIn(request)).filter(({ path }) => path.startsWith('/fhir/Provenance/')).map(({ path }) => path)).size).toBe(18);
  });

  it('deletes what was deleted, and brings back what was written after it', async () => {
    await store.publish('DocumentReference/d', { description: 'one' });
    await store.publish('DocumentReference/d', null);
    await store.publish('DocumentReference/d', { description: 'three' });
    start();
    await until(drained);
    expect(fhir.history('DocumentReference/d')).toEqual([source('DocumentReference/d', 1), 'deleted', source('DocumentReference/d', 3)]);
  });

  it('leaves Provenance out when access records are not mirrored', async () => {
    await publishAll(1, 1);
    start({ access: 'off' });
    await until(drained);
    expect(hapi.requests.map(({ path }) => path)).toEqual(['/fhir/DocumentReference/d0']);
  });

  it('is done only when version and Provenance both arrived', async () => {
    await publishAll(1, 1);
    hapi.fault = ({ path }) => (path.startsWith('/fhir/Provenance/') ? { kind: 'answer', answer: outcome(500, 'no') } : undefined);
    start();
    await until(() => fhir.history('DocumentReference/d0').length === 1);
    await sleep(100);
    expect(await waiting()).toBe(1);
    hapi.fault = () => undefined;
    await until(drained);
    expect(fhir.history('DocumentReference/d0')).toHaveLength(1);
  });

  it('wakes at once, without waiting for its poll', async () => {
    const worker = start({}, store.database, { pollMs: 60_000 });
    await sleep(200);
    await publishAll(1, 1);
    worker.wake();
    await until(drained, 5);
  });
});

describe('faults', () => {
  it('lose nothing and keep the order: refused, slow, forgotten, busy and conflicting answers', async () => {
    const faults: Fault[] = [
      { kind: 'refuse' }, { kind: 'forget' }, { kind: 'slow', ms: 400 }, { kind: 'late', ms: 350 },
      { kind: 'answer', answer: outcome(500, 'no') }, { kind: 'answer', answer: { status: 503, body: '<html>' } },
      { kind: 'answer', answer: outcome(409, 'HAPI-0825') }, { kind: 'answer', answer: outcome(412, 'no') },
    ];
    let turn = 0;
    // Every fifth request goes wrong, each time in another way: a fixed sequence, but for the order of arrival.
    hapi.fault = () => (++turn % 5 === 0 ? faults[(turn / 5) % faults.length] : undefined);
    const references = await publishAll(12, 4);
    for (const reference of references.slice(0, 4)) await store.publish(reference, null);
    start();
    await until(drained, 40);
    await sleep(400);
    for (const [index, reference] of references.entries()) {
      const expected = [1, 2, 3, 4].map((version) => source(reference, version));
      expect(fhir.history(reference)).toEqual(index < 4 ? [...expected, 'deleted'] : expected);
    }
  });

  it('let no write that comes late undo a newer one', async () => {
    await publishAll(1, 2);
    let firsts = 0;
    hapi.fault = (request) => (isWrite(request) && isDocument(request) && ++firsts === 1 ? { kind: 'late', ms: 1_500 } : undefined);
    start();
    await until(drained);
    await sleep(1_700);
    expect(fhir.history('DocumentReference/d0')).toEqual([1, 2].map((version) => source('DocumentReference/d0', version)));
  });

  it('take the place of a placeholder that HAPI made', async () => {
    fhir.work({ method: 'PUT', path: '/fhir/DocumentReference/d0', headers: {}, body: '{"resourceType":"DocumentReference","meta":{}}' });
    await publishAll(1, 1);
    start();
    await until(drained);
    expect(fhir.history('DocumentReference/d0')[1]).toBe(source('DocumentReference/d0', 1));
  });

  it('park what another organisation put in our place', async () => {
    fhir.work({ method: 'PUT', path: '/fhir/DocumentReference/d0', headers: {}, body: '{"resourceType":"DocumentReference","meta":{"source":"urn:muniment:other/DocumentReference/d0/_history/1"}}' });
    await publishAll(1, 1);
    start();
    await until(async () => (await listParked(store.database)).length === 1);
    expect(fhir.history('DocumentReference/d0')).toHaveLength(1);
  });

  it('open the circuit after ten failures of the transport; only /metadata is asked until it answers', async () => {
    hapi.fault = () => ({ kind: 'refuse' });
    const references = await publishAll(20, 1);
    const worker = start();
    await until(async () => (await worker.status()).unreachable.length === 1);
    await sleep(300);
    const before = hapi.requests.length;
    await sleep(500);
    expect(hapi.requests.slice(before).filter(isWrite)).toEqual([]);
    hapi.fault = () => undefined;
    await until(drained);
    expect((await worker.status()).unreachable).toEqual([]);
    for (const reference of references) expect(fhir.history(reference)).toHaveLength(1);
  });
});

describe('what waits of one patient', () => {
  const transactions = (): ReceivedRequest[] => hapi.requests.filter(({ method, path }) => method === 'POST' && path === '/fhir');
  const references = ['a', 'b', 'c', 'd', 'e'].map((id) => `DocumentReference/${id}`);
  const isTransaction = ({ method }: ReceivedRequest): boolean => method === 'POST';
  async function publishTogether(): Promise<void> {
    for (const reference of references) await store.publish(reference, { description: reference }, { patient: 'p' });
  }
  const expectAll = async (): Promise<void> => {
    await until(drained);
    for (const reference of references) expect(fhir.history(reference)).toEqual([source(reference, 1)]);
  };

  it('goes to HAPI in one transaction with its Provenances, and the next versions name what that made', async () => {
    await publishTogether();
    start();
    await expectAll();
    expect(transactions()).toHaveLength(1);
    expect(hapi.requests.filter(isWrite)).toHaveLength(1);
    const [first] = transactions();
    expect(writesIn(first!).map(({ path, headers }) => [path.split('/')[2], headers['if-match']])).toEqual(references.flatMap(() => [['DocumentReference', 'W/"0"'], ['Provenance', 'W/"0"']]));
    for (const reference of references) await store.publish(reference, { description: 'second' }, { patient: 'p' });
    workers[0]!.wake();
    await until(drained);
    expect(hapi.requests.slice(1).flatMap((request) => writesIn(request)).filter(isDocument).map(({ headers }) => headers['if-match'])).toEqual(references.map(() => 'W/"1"'));
    expect(hapi.requests.filter(({ method }) => method === 'GET')).toEqual([]);
  });

  it('is sent in halves and then one by one where HAPI refuses a part of it, which alone is parked', async () => {
    await publishTogether();
    hapi.fault = (request) => (isWrite(request) && request.body.includes('"description":"DocumentReference/b"') ? { kind: 'answer', answer: outcome(422, 'not that one') } : undefined);
    start();
    await until(async () => (await listParked(store.database)).length === 1);
    expect((await listParked(store.database))[0]).toMatchObject({ reference: 'DocumentReference/b/_history/1', attempts: 5 });
    expect(transactions().map((request) => writesIn(request).length)).toEqual([10, 6, 4]);
    for (const reference of references) expect(fhir.history(reference)).toHaveLength(reference.endsWith('/b') ? 0 : 1);
  });

  it('waits within HAPI, once, where something else makes the same placeholder', async () => {
    await publishTogether();
    hapi.fault = (request) => (isTransaction(request) && request.headers['x-retry-on-version-conflict'] === undefined ? { kind: 'answer', answer: outcome(409, 'HAPI-0825') } : undefined);
    start();
    await expectAll();
    expect(transactions().map(({ headers }) => headers['x-retry-on-version-conflict'])).toEqual([undefined, 'retry; max-retries=5']);
  });

  it.each([403, 404, 405])('goes one by one from then on where HAPI answers a transaction with %i, and nothing pauses', async (status) => {
    await publishTogether();
    hapi.fault = (request) => (isTransaction(request) ? { kind: 'answer', answer: outcome(status, 'no transactions') } : undefined);
    const worker = start();
    await expectAll();
    const before = transactions().length;
    for (const reference of references) await store.publish(reference, { description: 'second' }, { patient: 'p' });
    worker.wake();
    await until(drained);
    expect(transactions()).toHaveLength(before);
    expect(await worker.status()).toMatchObject({ paused: [], parked: 0 });
  });

  it.each<[string, Fault]>([
    ['is lost', { kind: 'forget' }], ['comes too late', { kind: 'slow', ms: 600 }],
    ['leaves one out', { kind: 'answer', answer: { status: 200, body: '{"resourceType":"Bundle","type":"transaction-response","entry":[{"response":{"status":"201 Created","location":"DocumentReference/a/_history/1"}}]}' } }],
    ['is a page of something else', { kind: 'answer', answer: { status: 200, body: '<html>Please log in</html>' } }],
  ])('is there once when the answer %s, whether HAPI had it or not', async (_, fault) => {
    await publishTogether();
    hapi.fault = (request) => (isTransaction(request) ? fault : undefined);
    start();
    await expectAll();
    expect(transactions()).toHaveLength(1);
  });
});

describe('a purge', () => {
  it.each([405, 403])('whose history HAPI does not let go (%i) is delivered, pauses nothing, and is told by its name', async (status) => {
    await store.publish(`DocumentReference/d${status}`, { description: 'one' });
    await store.publish(`DocumentReference/d${status}`, null);
    await store.sql(`insert into purged_version (org, type, id, version, purge, sha256) select org, type, id, version, gen_random_uuid(), sha256('x') from resource_history where id = $1`, [`d${status}`]);
    hapi.fault = ({ path }) => (path.endsWith('/$expunge') ? { kind: 'answer', answer: outcome(status, 'HAPI-0968') } : undefined);
    const told: string[] = [];
    const delivery = createDelivery({ baseUrl: `${hapi.url}/fhir`, publicBase: 'http://muniment.test/fhir', timeoutMs: 1_000, access: 'off' });
    workers.push(startMirrorWorker({ database: store.database, delivery, log: { ...log, warn: (_: unknown, text?: string) => { told.push(text ?? ''); } }, pollMs: 50 }));
    await until(drained);
    await until(() => told.length > 0);
    expect(told).toEqual([`HAPI keeps the versions before the purge of DocumentReference/d${status}: $expunge answers ${status}`]);
    expect(await workers[0]!.status()).toMatchObject({ paused: [], parked: 0 });
    expect(hapi.requests.filter(({ path }) => path.endsWith('/$expunge')).map(({ path }) => path)).toEqual([`/fhir/DocumentReference/d${status}/$expunge`]);
  });
});

describe('credentials that HAPI refuses', () => {
  it.each([401, 403])('rest the lane at once after %s, are told, park nothing, and go on when they are let in', async (status) => {
    hapi.fault = ({ path }) => (path.includes('/metadata') ? undefined : { kind: 'answer', answer: outcome(status, 'not you') });
    const references = await publishAll(8, 1);
    const worker = start({ access: 'off' });
    await until(async () => (await worker.status()).paused.length === 1);
    expect((await worker.status()).paused).toMatchObject([{ org: 'demo', reason: `HAPI does not let us in: HTTP ${status}` }]);
    await sleep(300);
    const before = hapi.requests.length;
    await sleep(300);
    expect(hapi.requests.slice(before).filter(isWrite)).toEqual([]);
    expect((await mirrorStatus(store.database, 'http://hapi.test/fhir')).paused).toHaveLength(1);
    hapi.fault = () => undefined;
    await until(drained);
    expect(await worker.status()).toMatchObject({ paused: [], parked: 0, unreachable: [] });
    for (const reference of references) expect(fhir.history(reference)).toHaveLength(1);
  });
});

describe('refusals', () => {
  const refuseWrong = ({ body }: ReceivedRequest): Fault | undefined =>
    (body.includes('"description":"wrong"') ? { kind: 'answer', answer: outcome(422, 'HAPI-9999: nothing good') } : undefined);

  beforeEach(async () => {
    await store.publish('DocumentReference/bad', { description: 'wrong' });
    await store.publish('DocumentReference/bad', { description: 'right' });
    await store.publish('DocumentReference/good', { description: 'right' });
    hapi.fault = refuseWrong;
  });

  it('park a version after five tries with what HAPI said; the next version waits, other resources go on', async () => {
    const worker = start();
    await until(async () => (await listParked(store.database)).length === 1);
    await until(() => fhir.history('DocumentReference/good').length === 1);
    expect(hapi.requests.filter(({ path }) => path === '/fhir/DocumentReference/bad')).toHaveLength(5);
    expect((await listParked(store.database))[0]).toMatchObject({ org: 'demo', reference: 'DocumentReference/bad/_history/1', attempts: 5, reason: expect.stringContaining('HAPI-9999: nothing good') });
    expect(await showHead(store.database, { reference: 'DocumentReference/bad' })).toMatchObject({ state: 'parked', pendingVersions: [1, 2], inFlight: false, refusals: 4 });
    await until(async () => (await worker.status()).pending === 0);
    expect(await worker.status()).toMatchObject({ parked: 1, oldestSeconds: null });
  });

  it('are tried again by replay, in order', async () => {
    start();
    await until(async () => (await listParked(store.database)).length === 1);
    hapi.fault = () => undefined;
    expect(await replayParked(store.database, { reference: 'DocumentReference/bad' })).toBe(1);
    await until(drained);
    expect(fhir.history('DocumentReference/bad')).toEqual([1, 2].map((version) => source('DocumentReference/bad', version)));
  });

  it('are given up by skip, which is written down; the next version goes ahead', async () => {
    start();
    await until(async () => (await listParked(store.database)).length === 1);
    expect(await skipParked(store.database, { reference: 'DocumentReference/bad' }, 'sent by mistake')).toBe('DocumentReference/bad/_history/1');
    expect(await skipParked(store.database, { reference: 'DocumentReference/bad' }, 'sent by mistake')).toBeUndefined();
    await until(drained);
    expect(fhir.history('DocumentReference/bad')).toEqual([source('DocumentReference/bad', 2)]);
    expect(await store.sql('select version, reason from mirror_skip')).toEqual([{ version: 1, reason: 'sent by mistake' }]);
  });
});

describe('several servers', () => {
  it('never deliver one resource at once, and each version arrives once', async () => {
    const references = await publishAll(20, 3);
    hapi.fault = () => ({ kind: 'slow', ms: 15 });
    start();
    start({}, store.open());
    start({}, store.open());
    await until(drained, 30);
    for (const reference of references) expect(fhir.history(reference)).toEqual([1, 2, 3].map((version) => source(reference, version)));
    expect(hapi.overlaps).toEqual([]);
  });

  it('a lease that ended settles nothing, and another server takes over', async () => {
    await publishAll(1, 1);
    await store.database.workerTransaction((tx) => takeIn(tx, DEMO));
    const [leased] = await store.database.workerTransaction((tx) => claimDue(tx, DEMO, 1, ALL_SHARDS, 8));
    expect(await store.database.workerTransaction((tx) => claimDue(tx, DEMO, 1, ALL_SHARDS, 8))).toEqual([]);
    await store.sql(`update mirror_head set next_at = now() - interval '1 second'`);
    start();
    await until(drained);
    for (const settlement of [{ kind: 'delivered', hapiVersion: '9' }, { kind: 'parked', reason: 'no' }, { kind: 'again', reason: 'no', refused: false, delayMs: 0 }] as const) {
      expect((await store.database.workerTransaction((tx) => settle(tx, [{ leased: leased!, settlement }]))).size).toBe(0);
    }
    expect(await showHead(store.database, { reference: 'DocumentReference/d0' })).toMatchObject({ state: 'waiting', hapiVersion: '1', deliveredVersion: 1, nextAt: null });
  });

  it('stop lets what is in flight finish and settle', async () => {
    await publishAll(3, 1);
    hapi.fault = (request) => (isDocument(request) ? { kind: 'slow', ms: 200 } : undefined);
    const worker = start();
    await until(() => hapi.requests.length > 0);
    await worker.stop();
    const arrived = new Set(hapi.requests.flatMap((request) => writesIn(request)).filter(isDocument).map(({ path }) => path)).size;
    expect(arrived).toBeGreaterThan(0);
    expect(await waiting()).toBe(3 - arrived);
    expect(await store.sql('select from mirror_head where lease is not null')).toEqual([]);
  });
});

describe('several organisations', () => {
  it('share no HAPI: the first is mirrored, the others wait and the status says so', async () => {
    await store.publish('DocumentReference/d', { description: 'ours' });
    await store.publish('DocumentReference/d', { description: 'theirs' }, { org: 'second' });
    const worker = start();
    await until(async () => (await waiting()) === 1);
    await sleep(100);
    expect(await worker.status()).toMatchObject({ pending: 0, oldestSeconds: null, waiting: [{ org: 'second', pending: 1 }] });
    expect(fhir.history('DocumentReference/d')).toEqual([source('DocumentReference/d', 1)]);
  });

  it('have a HAPI each where {org} stands in the address', async () => {
    await store.publish('DocumentReference/d', { description: 'ours' });
    await store.publish('DocumentReference/d', { description: 'theirs' }, { org: 'second' });
    start({ baseUrl: `${hapi.url}/{org}/fhir`, access: 'off' });
    await until(drained);
    expect(hapi.requests.map(({ path }) => path).sort()).toEqual(['/demo/fhir/DocumentReference/d', '/second/fhir/DocumentReference/d']);
  });
});
