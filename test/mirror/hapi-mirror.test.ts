// The mirror against the real HAPI JPA server, whose base stands in TEST_HAPI_URL.
import { afterAll, beforeAll, beforeEach, afterEach, describe, expect, it, jest } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { createDelivery, type Delivery } from '../../src/mirror/deliver.ts';
import { showHead } from '../../src/mirror/mirror-commands.ts';
import { startMirrorWorker, type MirrorWorker } from '../../src/mirror/mirror-worker.ts';
import { claimDue, takeIn } from '../../src/mirror/claim.ts';
import { startMirrorDatabase, type MirrorDatabase } from './mirror-database.ts';

const HAPI = process.env['TEST_HAPI_URL'];
if (HAPI === undefined) console.log('Left out: the mirror against HAPI (TEST_HAPI_URL is not set)');

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const never = new AbortController().signal;
const ALL_SHARDS = Array.from({ length: 64 }, (_, shard) => shard);

interface Resource {
  resourceType: string;
  meta: { versionId: string; source?: string; security?: unknown[]; tag?: unknown[]; profile?: unknown[] };
  [element: string]: unknown;
}

jest.setTimeout(60_000);

(HAPI === undefined ? describe.skip : describe)('the mirror at HAPI', () => {
  let store: MirrorDatabase;
  let delivery: Delivery;
  let worker: MirrorWorker | undefined;
  let reference: string;

  beforeAll(async () => {
    store = await startMirrorDatabase();
    delivery = createDelivery({ baseUrl: HAPI ?? '', publicBase: 'http://muniment.test/fhir', timeoutMs: 15_000, access: 'writes' });
  });
  afterAll(() => store.stop());

  beforeEach(async () => {
    await store.empty();
    reference = `DocumentReference/${randomUUID()}`;
  });
  afterEach(async () => {
    await worker?.stop();
    worker = undefined;
  });

  async function drain(): Promise<void> {
    worker ??= startMirrorWorker({ database: store.database, delivery, log: silent, pollMs: 50 });
    for (const end = Date.now() + 50_000; (await store.sql('select from outbox')).length > 0; await sleep(50)) {
      if (Date.now() > end) throw new Error(`Not drained: ${JSON.stringify(await showHead(store.database, { reference }))}`);
    }
  }

  async function ask(path: string): Promise<{ status: number; text: string; resource: Resource }> {
    const response = await fetch(`${HAPI}/${path}`, { headers: { accept: 'application/fhir+json', 'cache-control': 'no-cache' } });
    const text = await response.text();
    return { status: response.status, text, resource: JSON.parse(text) as Resource };
  }

  /** What HAPI's history says of each version, the oldest first: meta.source, or the method where there is no resource. */
  async function history(): Promise<string[]> {
    const { resource } = await ask(`${reference}/_history?_count=50`);
    const entries = resource['entry'] as { resource?: Resource; request: { method: string } }[];
    return entries.map((entry) => entry.resource?.meta.source ?? entry.request.method).reverse();
  }

  const source = (version: number): string => `urn:muniment:demo/${reference}/_history/${version}`;
  const document = (description: string, more: object = {}) =>
    ({ status: 'current', description, subject: { reference: `Patient/${randomUUID()}` }, content: [{ attachment: { contentType: 'text/plain', url: 'http://muniment.test/fhir/Binary/b' } }], ...more });

  it('shows each version in order, with our version in meta.source', async () => {
    for (const description of ['one', 'two', 'three']) await store.publish(reference, document(description));
    await drain();
    expect(await history()).toEqual([1, 2, 3].map(source));
    const { resource } = await ask(reference);
    expect(resource).toMatchObject({ description: 'three', content: [{ attachment: { url: 'http://muniment.test/fhir/Binary/b' } }] });
  });

  it('loses the labels, tags and profiles that a version no longer has', async () => {
    const marks = {
      security: [{ system: 'http://terminology.hl7.org/CodeSystem/v3-Confidentiality', code: 'R' }],
      tag: [{ system: 'urn:muniment:test', code: 'draft' }],
      profile: ['http://example.org/StructureDefinition/one'],
    };
    await store.publish(reference, document('labelled', { meta: marks }));
    await drain();
    expect((await ask(reference)).resource.meta).toMatchObject(marks);
    await store.publish(reference, document('labelled'));
    await drain();
    const { meta } = (await ask(reference)).resource;
    expect([meta.security, meta.tag, meta.profile]).toEqual([undefined, undefined, undefined]);
    expect(meta.source).toBe(source(2));
  });

  it('keeps the digits of decimals', async () => {
    const extension = '[{"url":"http://example.org/dose","valueDecimal":1.50},{"url":"http://example.org/count","valueDecimal":100.0}]';
    await store.publish(reference, `{"resourceType":"DocumentReference","id":"${reference.split('/')[1]}","extension":${extension},"status":"current"}`);
    await drain();
    expect((await ask(reference)).text.replaceAll(/\s/g, '')).toContain(`"extension":${extension}`);
  });

  it('deletes, and takes the same id again afterwards', async () => {
    await store.publish(reference, document('one'));
    await store.publish(reference, null);
    await drain();
    expect((await ask(reference)).status).toBe(410);
    await store.publish(reference, document('three'));
    await drain();
    expect(await history()).toEqual([source(1), 'DELETE', source(3)]);
  });

  it('deletes what HAPI never had or has deleted already', async () => {
    await store.publish(reference, document('one'));
    await drain();
    await fetch(`${HAPI}/${reference}`, { method: 'DELETE' });
    await store.publish(reference, null);
    await drain();
    expect((await ask(reference)).status).toBe(410);
  });

  it('keeps nothing of the versions before a purge, and the deletion stays', async () => {
    for (const description of ['one', 'two']) await store.publish(reference, document(description));
    await store.publish(reference, null);
    await store.sql(`insert into purged_version (org, type, id, version, purge, sha256) select org, type, id, version, gen_random_uuid(), sha256('x') from resource_history where id = $1`, [reference.split('/')[1]]);
    await drain();
    expect((await ask(reference)).status).toBe(410);
    for (const version of [1, 2]) expect((await ask(`${reference}/_history/${version}`)).status).toBe(404);
    expect((await ask(`${reference}/_history/3`)).status).toBe(410);
  });

  it('holds a Binary without its bytes', async () => {
    const id = randomUUID();
    await store.publish(`Binary/${id}`, { contentType: 'application/pdf', securityContext: { reference }, data: 'aGVsbG8=' });
    await drain();
    const { resource } = await ask(`Binary/${id}`);
    expect(resource).toMatchObject({ resourceType: 'Binary', id, contentType: 'application/pdf', securityContext: { reference } });
    expect(resource).not.toHaveProperty('data');
  });

  it('holds the Provenance of each write under the id of its access event, about that version', async () => {
    for (const description of ['one', 'two']) await store.publish(reference, document(description));
    await store.publish(reference, null);
    await drain();
    const events = await store.sql<{ id: string }>('select id from access_event order by id');
    const provenances = await Promise.all(events.map(async ({ id }) => (await ask(`Provenance/${id}`)).resource));
    expect(provenances.map((provenance) => (provenance['target'] as { reference: string }[])[0]?.reference)).toEqual([1, 2, 3].map((version) => `${reference}/_history/${version}`));
    expect(provenances.map(({ meta }) => meta.source)).toEqual(events.map(({ id }) => `urn:muniment:demo/Provenance/${id}/_history/1`));
  });

  it('takes the place of a placeholder that HAPI made for a reference', async () => {
    const list = `List/${randomUUID()}`;
    await store.publish(list, { status: 'current', mode: 'working', entry: [{ item: { reference } }] });
    await drain();
    expect((await ask(reference)).resource.meta.source).toBeUndefined();
    await store.publish(reference, document('one'));
    await drain();
    expect((await ask(reference)).resource.meta.source).toBe(source(1));
  });

  it('delivers at the first try what needs one new placeholder together', async () => {
    const author = [{ reference: `Practitioner/${randomUUID()}` }];
    for (let count = 0; count < 16; count++) await store.publish(`DocumentReference/${randomUUID()}`, document('one', { author }), { patient: randomUUID() });
    const outcomes: string[] = [];
    worker = startMirrorWorker({ database: store.database, delivery, log: silent, pollMs: 50, metrics: { delivery: (outcome) => outcomes.push(outcome) } });
    await drain();
    await worker.stop();
    expect(outcomes).toEqual(Array(16).fill('delivered'));
  });

  it('overwrites what somebody else changed there', async () => {
    await store.publish(reference, document('one'));
    await drain();
    await fetch(`${HAPI}/${reference}`, { method: 'PUT', headers: { 'content-type': 'application/fhir+json' }, body: JSON.stringify({ resourceType: 'DocumentReference', id: reference.split('/')[1], status: 'superseded' }) });
    await store.publish(reference, document('two'));
    await drain();
    expect((await ask(reference)).resource).toMatchObject({ description: 'two', status: 'current', meta: { source: source(2) } });
  });

  it('is not set back by a sender that comes back late, with an old version or an old deletion', async () => {
    const lease = async () => {
      await store.database.workerTransaction((tx) => takeIn(tx, { low: 1, high: 1, blocked: [] }));
      const [leased] = await store.database.workerTransaction((tx) => claimDue(tx, { low: 1, high: 1, blocked: [] }, 1, ALL_SHARDS, 1));
      await store.sql(`update mirror_head set next_at = now()`);
      return leased!;
    };
    await store.publish(reference, document('one'));
    const first = await lease();
    await drain();
    await store.publish(reference, null);
    await worker?.stop();
    worker = undefined;
    const deletion = await lease();
    await drain();
    await store.publish(reference, document('three'));
    await drain();
    for (const late of [first, deletion]) expect(await delivery.deliver({ ...late, leaseUntil: performance.now() }, never)).toMatchObject({ kind: 'again', transport: false });
    for (const late of [first, deletion]) expect(await delivery.deliver(late, never)).toMatchObject({ kind: 'delivered' });
    expect(await history()).toEqual([source(1), 'DELETE', source(3)]);
  });

  it('gives what HAPI said about a resource that it cannot read, and parks it', async () => {
    await store.publish(reference, { status: 'no-such-status' });
    worker = startMirrorWorker({ database: store.database, delivery, log: silent, pollMs: 50, random: () => 0.001 });
    for (let waited = 0; (await showHead(store.database, { reference }))?.state !== 'parked' && waited < 20_000; waited += 50) await sleep(50);
    expect(await showHead(store.database, { reference })).toMatchObject({ state: 'parked', attempts: 5, lastError: expect.stringMatching(/HTTP 400: .*DocumentReferenceStatus/) });
  });

  it('knows whether HAPI answers', async () => {
    expect(await delivery.probe('demo', never)).toBe(true);
    const away = createDelivery({ baseUrl: 'http://127.0.0.1:9', publicBase: '', timeoutMs: 500, access: 'off' });
    expect(await away.probe('demo', never)).toBe(false);
  });
});
