// The mirror through every fault between here and the real HAPI JPA server: afterwards both sides are equal, and HAPI's order
// of versions is ours. MIRROR_FAULT_SEED takes another seed; the one of a run is in its title.
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { createDelivery } from '../../src/mirror/deliver.ts';
import { startMirrorWorker, type MirrorWorker } from '../../src/mirror/mirror-worker.ts';
import { reportKey } from '../../src/mirror/reconcile-report.ts';
import { runReconcile } from '../../src/mirror/run-reconcile.ts';
import { PROXY_FAULTS, seeded, startFaultyProxy, type FaultyProxy } from '../support/faulty-proxy.ts';
import { startMirrorDatabase, type MirrorDatabase } from './mirror-database.ts';

const HAPI = process.env['TEST_HAPI_URL'];
if (HAPI === undefined) console.log('Left out: faults between the mirror and HAPI (TEST_HAPI_URL is not set)');

const SEED = Number(process.env['MIRROR_FAULT_SEED'] ?? 8);
const silent = { debug() {}, info() {}, warn() {}, error() {} };
const PUBLIC = 'http://muniment.test/fhir';

jest.setTimeout(60_000);

(HAPI === undefined ? describe.skip : describe)(`two servers whose way to HAPI fails (seed ${SEED})`, () => {
  const org = `f${randomBytes(6).toString('hex')}`;
  const random = seeded(SEED);
  const references = Array.from({ length: 4 }, () => `DocumentReference/${randomUUID()}`);
  const origin = new URL(HAPI ?? 'http://none.test');
  let store: MirrorDatabase;
  let proxy: FaultyProxy;
  let workers: MirrorWorker[] = [];

  beforeAll(async () => {
    store = await startMirrorDatabase();
    await store.empty();
    await store.sql('update organisation set name = $1', [org]);
    proxy = await startFaultyProxy(origin.origin, random);
    const delivery = () => createDelivery({ baseUrl: `${proxy.url}${origin.pathname}`, publicBase: PUBLIC, timeoutMs: 1_500, access: 'writes' });
    workers = [store.database, store.open()].map((database) => startMirrorWorker({ database, delivery: delivery(), log: silent, pollMs: 50, random: () => random() * 0.02 }));
  });
  afterAll(async () => {
    await Promise.all(workers.map((worker) => worker.stop()));
    await proxy.stop();
    await store.stop();
  });

  async function write(round: string): Promise<void> {
    for (const reference of references) {
      const body = random() < 0.15 ? null : { status: 'current', description: `${round} ${randomUUID()}`, subject: { reference: `Patient/${org}-${Math.floor(random() * 3)}` } };
      await store.publish(reference, body, { org });
      workers[0]?.wake();
      await sleep(random() * 30);
    }
  }

  async function expectEqual(): Promise<void> {
    for (const end = Date.now() + 30_000; (await store.sql('select from outbox')).length > 0; await sleep(50)) if (Date.now() > end) throw new Error(`Not drained: ${JSON.stringify(await store.sql('select id, state, attempts, last_error, next_at from mirror_head where next_at is not null or state = $1', ['parked']))}`);
    const done = await runReconcile({ database: store.database, baseUrl: HAPI ?? '', publicBase: PUBLIC, access: 'writes' },
      { scope: 'ours', repair: false, removeOthers: false, again: true, pace: async () => {}, stop: new AbortController().signal }, { key: reportKey(Buffer.from('test')) });
    expect(done?.report).toMatchObject({ driftCount: 0, parked: 0, drift: [], verdict: 'equal' });
    for (const reference of references) {
      const versions = await historyOf(reference);
      expect(versions).toEqual([...new Set(versions)].sort((a, b) => a - b));
    }
  }

  /** Our versions in the order of HAPI's own; a deletion names none. */
  async function historyOf(reference: string): Promise<number[]> {
    const { entry } = await (await fetch(`${HAPI}/${reference}/_history?_count=50`, { headers: { 'cache-control': 'no-cache' } })).json() as { entry: { resource?: { meta: { source?: string } } }[] };
    return entry.flatMap(({ resource }) => /_history\/(\d+)$/.exec(resource?.meta.source ?? '')?.[1] ?? []).map(Number).reverse();
  }

  it.each(PROXY_FAULTS)('hold the same as HAPI, in the same order, after %s', async (fault) => {
    const before = proxy.struck;
    proxy.fault = fault;
    await write(fault);
    await write(fault);
    await sleep(200);
    proxy.fault = undefined;
    await expectEqual();
    if (fault !== 'refused') expect(proxy.struck).toBeGreaterThan(before);
  });
});
