// Organisations that share a HAPI and nothing in it: each has a partition of its own. The real HAPI JPA server with partitions,
// whose base, with {org} in it, stands in TEST_PARTITIONED_HAPI_URL (npm run engines -- start hapi-partitions).
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { randomBytes, randomUUID } from 'node:crypto';
import { createDelivery } from '../../src/mirror/deliver.ts';
import { createHapiAccess } from '../../src/mirror/hapi-access.ts';
import { startMirrorWorker, type MirrorWorker } from '../../src/mirror/mirror-worker.ts';
import { reportKey, type ReconcileReport } from '../../src/mirror/reconcile-report.ts';
import { runReconcile } from '../../src/mirror/run-reconcile.ts';
import { eventually } from '../support/eventually.ts';
import { startMirrorDatabase, type MirrorDatabase } from './mirror-database.ts';

const HAPI = process.env['TEST_PARTITIONED_HAPI_URL'];
if (HAPI === undefined) console.log('Left out: organisations in partitions of HAPI (TEST_PARTITIONED_HAPI_URL is not set)');

const PUBLIC = 'http://muniment.test/fhir';
const silent = { debug() {}, info() {}, warn() {}, error() {} };

jest.setTimeout(60_000);

(HAPI === undefined ? describe.skip : describe)('organisations in partitions of one HAPI', () => {
  // Dots, underscores and the name of HAPI's own partition: none may meet another's.
  const mark = randomBytes(4).toString('hex');
  const orgs = [`a.b-${mark}`, `a_db-${mark}`, `a__db-${mark}`] as const;
  const base = (org: string): string => (HAPI ?? '').replace('{org}', org);
  let store: MirrorDatabase;
  let worker: MirrorWorker;

  beforeAll(async () => {
    store = await startMirrorDatabase();
    await store.empty();
    await store.sql('update organisation set name = $1', [orgs[0]]);
    worker = startMirrorWorker({ database: store.database, delivery: createDelivery({ baseUrl: HAPI ?? '', publicBase: PUBLIC, access: 'writes' }), log: silent, pollMs: 50 });
  });
  afterAll(async () => {
    await worker.stop();
    await store.stop();
  });

  async function drain(): Promise<void> {
    worker.wake();
    await eventually(() => store.sql('select id, last_error from mirror_head where next_at is not null or state = $1', ['parked']).then(async (heads) => [...heads, ...await store.sql('select from outbox')]), (rows) => rows.length === 0, 50_000);
  }

  async function ask(org: string, path: string): Promise<{ status: number; json: { description?: string; total?: number; meta?: { versionId: string; source: string }; extension?: { url: string }[] } }> {
    const response = await fetch(`${base(org)}/${path}`, { headers: { accept: 'application/fhir+json', 'cache-control': 'no-cache' } });
    return { status: response.status, json: await response.json() as never };
  }

  async function report(org: string): Promise<ReconcileReport | undefined> {
    const done = await runReconcile({ database: store.database, baseUrl: HAPI ?? '', publicBase: PUBLIC, access: 'writes' },
      { org, scope: 'all', repair: false, removeOthers: false, again: true, pace: async () => {}, stop: new AbortController().signal }, { key: reportKey(Buffer.from('test')) });
    return done?.report;
  }

  it('have the same ids, the same patients and versions of their own', async () => {
    const [id, patient] = [randomUUID(), `p-${mark}`];
    for (const org of orgs) await store.publish(`DocumentReference/${id}`, { status: 'current', description: `of ${org}`, subject: { reference: `Patient/${patient}` } }, { org, patient });
    await store.publish(`DocumentReference/${id}`, { status: 'current', description: 'changed', subject: { reference: `Patient/${patient}` } }, { org: orgs[1], patient });
    await drain();
    expect(await Promise.all(orgs.map(async (org) => (await ask(org, `DocumentReference/${id}`)).json))).toMatchObject([
      { description: `of ${orgs[0]}`, meta: { versionId: '1', source: `urn:muniment:${orgs[0]}/DocumentReference/${id}/_history/1` } },
      { description: 'changed', meta: { versionId: '2', source: `urn:muniment:${orgs[1]}/DocumentReference/${id}/_history/2` } },
      { description: `of ${orgs[2]}`, meta: { versionId: '1' } },
    ]);
    for (const org of orgs) expect((await ask(org, `Patient/${patient}`)).json.extension?.[0]?.url).toMatch(/resource-placeholder$/);
    expect((await fetch(`${base('DEFAULT')}/DocumentReference/${id}`)).status).toBe(404);
  });

  it('are deleted each by itself', async () => {
    const id = randomUUID();
    for (const org of orgs) await store.publish(`List/${id}`, { status: 'current', mode: 'working' }, { org });
    await store.publish(`List/${id}`, null, { org: orgs[0] });
    await drain();
    expect(await Promise.all(orgs.map(async (org) => (await ask(org, `List/${id}`)).status))).toEqual([410, 200, 200]);
  });

  it('are compared each with everything that its partition has, and read through each its own', async () => {
    for (const org of orgs) expect(await report(org)).toMatchObject({ org, verdict: 'equal', driftCount: 0, hapi: base(encodeURIComponent(org)) });
    // What another organisation holds is no excuse: one more in this partition alone is found.
    await fetch(`${base(orgs[2])}/List/${mark}`, { method: 'PUT', headers: { 'content-type': 'application/fhir+json' }, body: JSON.stringify({ resourceType: 'List', id: mark, status: 'current', mode: 'working' }) });
    expect([(await report(orgs[1]))?.verdict, (await report(orgs[2]))?.verdict]).toEqual(['equal', 'drift']);
    const access = createHapiAccess({ baseUrl: HAPI ?? '', log: silent });
    const bounds = { deadline: performance.now() + 20_000, bytesMax: 1_000_000 };
    const [mine, theirs] = [await access.ask(orgs[2], { path: `List/${mark}` }, bounds), await access.ask(orgs[1], { path: `List/${mark}` }, bounds)];
    expect([mine, theirs]).toMatchObject([{ kind: 'resource' }, { kind: 'refused', status: 404 }]);
  });
});
