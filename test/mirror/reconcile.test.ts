// Both sides of the mirror compared and made equal again, on the real HAPI JPA server, whose base stands in TEST_HAPI_URL.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { createDelivery } from '../../src/mirror/deliver.ts';
import { startMirrorWorker, type MirrorWorker } from '../../src/mirror/mirror-worker.ts';
import { printReport, readSignedReport, reportKey, type ReconcileReport } from '../../src/mirror/reconcile-report.ts';
import { compareIds } from '../../src/mirror/compare.ts';
import { repairDrift } from '../../src/mirror/repair.ts';
import { comparisonParts, runBackfill, runReconcile, type BackfillWish, type ReconcileWish } from '../../src/mirror/run-reconcile.ts';
import { watchOnce } from '../../src/mirror/watch-changes.ts';
import { startMirrorDatabase, type MirrorDatabase } from './mirror-database.ts';

const HAPI = process.env['TEST_HAPI_URL'];
if (HAPI === undefined) console.log('Left out: the comparison with HAPI (TEST_HAPI_URL is not set)');

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const PUBLIC = 'http://muniment.test/fhir';
const SECRET = reportKey(Buffer.from('a secret of the test'));

jest.setTimeout(60_000);

(HAPI === undefined ? describe.skip : describe)('the comparison of both sides', () => {
  let store: MirrorDatabase;
  let worker: MirrorWorker;
  let org: string;

  beforeAll(async () => { store = await startMirrorDatabase(); });
  afterAll(() => store.stop());

  beforeEach(async () => {
    await store.empty();
    // The HAPI is shared: an organisation of its own keeps this test apart.
    org = `r${randomBytes(6).toString('hex')}`;
    await store.sql('update organisation set name = $1', [org]);
    worker = startMirrorWorker({ database: store.database, delivery: createDelivery({ baseUrl: HAPI ?? '', publicBase: PUBLIC, access: 'writes' }), log: silent, pollMs: 50 });
  });
  afterEach(() => worker.stop());

  const publish = (reference: string, body: Record<string, unknown> | string | null): Promise<number> => store.publish(reference, body, { org });

  async function drain(): Promise<void> {
    worker.wake();
    for (const end = Date.now() + 50_000; (await store.sql('select from outbox')).length > 0; await sleep(50)) if (Date.now() > end) throw new Error('Not drained');
  }

  async function compare(wish: Partial<ReconcileWish> = {}): Promise<ReconcileReport | undefined> {
    const done = await runReconcile({ database: store.database, baseUrl: HAPI ?? '', publicBase: PUBLIC, access: 'writes' }, {
      scope: 'ours', repair: false, removeOthers: false, again: false, pace: async () => {}, stop: new AbortController().signal, ...wish,
    }, { key: SECRET });
    if (done === undefined) return undefined;
    expect(readSignedReport(done.jws, SECRET)).toEqual(done.report);
    return done.report;
  }

  async function atHapi(method: string, reference: string, body?: object): Promise<number> {
    const [resourceType, id] = reference.split('/');
    const response = await fetch(`${HAPI}/${reference}`, {
      method, headers: { 'content-type': 'application/fhir+json', 'cache-control': 'no-cache', 'x-meta-snapshot-mode': 'TAG,PROFILE,SECURITY_LABEL' },
      ...(body === undefined ? {} : { body: JSON.stringify({ resourceType, id, ...body }) }),
    });
    await response.text();
    return response.status;
  }

  async function heldByHapi(reference: string): Promise<{ meta: { source?: string; versionId: string } }> {
    return (await fetch(`${HAPI}/${reference}`, { headers: { 'cache-control': 'no-cache' } })).json() as never;
  }

  const source = (reference: string, version: number): string => `urn:muniment:${org}/${reference}/_history/${version}`;
  const found = (report: ReconcileReport | undefined): unknown[] => (report?.drift ?? []).map(({ reference, kind, path }) => [reference, kind, path]).sort();
  const document = (description: string, more: object = {}) => ({
    meta: { profile: ['http://example.org/b', 'http://example.org/a'], tag: [{ system: 'urn:muniment:test', code: 'one' }] },
    status: 'current', description, subject: { reference: `Patient/${randomUUID()}` },
    text: { status: 'generated', div: '<div xmlns="http://www.w3.org/1999/xhtml"><p>Befund &amp; &quot;Verlauf&quot;,<br/>  zwei   Zeilen</p></div>' },
    content: [{ attachment: { contentType: 'text/plain', url: 'Binary/b', size: 5, hash: '2jmj7l5rSw0yVb/vlWAYkK/YBwk=', title: description } }], ...more,
  });

  it('finds both sides equal after creates, updates, deletions and versions that change nothing at HAPI, by numbers that each side gave', async () => {
    const [one, two, gone] = [randomUUID(), randomUUID(), randomUUID()].map((id) => `DocumentReference/${id}`) as [string, string, string];
    for (const text of ['first', 'second', 'second']) await publish(one, document(text, { subject: { reference: 'Patient/p' } }));
    await publish(two, document('kept', { relatesTo: [{ code: 'replaces', target: { reference: `${one}/_history/1` } }], extension: [{ url: 'http://example.org/dose', valueDecimal: 1.5 }] }));
    await publish(gone, document('gone'));
    await publish(gone, null);
    await publish(`Binary/${randomUUID()}`, { contentType: 'application/pdf', securityContext: { reference: one }, data: 'aGVsbG8=' });
    await publish(`List/${randomUUID()}`, { status: 'current', mode: 'working', title: 'Mappe', entry: [{ item: { reference: one } }] });
    await publish(`Media/${randomUUID()}`, { status: 'completed', content: { contentType: 'image/png', url: 'Binary/x' }, createdDateTime: '2024-01-01T10:00:00.5+01:00' });
    await drain();
    const report = await compare();
    expect(found(report)).toEqual([]);
    expect(report).toMatchObject({
      verdict: 'equal', driftCount: 0, parked: 0, org,
      types: { DocumentReference: { here: 2, atHapi: 2, compared: 2, equal: 2 }, Binary: { here: 1, atHapi: 1 }, List: { here: 1, atHapi: 1 }, Media: { here: 1, atHapi: 1 }, Provenance: { here: 9, atHapi: 9, equal: 9 } },
    });
  });

  it('finds a difference of each kind that was planted, with its place, and mends all of them', async () => {
    const [missing, never, stale, title, label, unsourced, back] = Array.from({ length: 7 }, () => `DocumentReference/${randomUUID()}`) as [string, string, string, string, string, string, string];
    for (const reference of [missing, stale, title, label, unsourced, back]) await publish(reference, document('one'));
    await publish(stale, document('two'));
    await publish(back, null);
    await drain();
    const extra = `DocumentReference/${randomUUID()}`;
    await atHapi('DELETE', missing);
    for (const text of ['one', 'two']) await publish(never, document(text));
    await drain();
    await store.sql('delete from mirror_head where id = $1', [never.split('/')[1]]);
    await atHapi('DELETE', never);
    await atHapi('PUT', stale, { ...document('one'), meta: { source: source(stale, 1) } });
    await atHapi('PUT', title, { ...document('another'), meta: { source: source(title, 1) } });
    const held = await heldByHapi(label);
    await atHapi('PUT', label, { ...held, meta: { source: source(label, 1), security: [{ system: 'http://terminology.hl7.org/CodeSystem/v3-Confidentiality', code: 'R' }] } });
    const { meta: _, ...bare } = await heldByHapi(unsourced);
    await atHapi('DELETE', unsourced);
    await atHapi('PUT', unsourced, { ...bare, meta: document('one').meta });
    await atHapi('PUT', back, document('one'));
    await atHapi('PUT', extra, { ...document('nobody knows it'), meta: { source: source(extra, 1) } });
    const [{ id: event }] = await store.sql<{ id: string }>('select id::text as id from access_event order by id limit 1') as [{ id: string }];
    await atHapi('DELETE', `Provenance/${event}`);

    const planted = [
      [missing, 'missing', null], [never, 'missing', null], [stale, 'stale', 'DocumentReference.content[0].attachment.title'], [title, 'different', 'DocumentReference.content[0].attachment.title'],
      [label, 'different', 'DocumentReference.meta'], [unsourced, 'different', 'DocumentReference.meta.source'], [back, 'extra', null], [extra, 'extra', null], [`Provenance/${event}`, 'missing', null],
    ];
    const before = await compare();
    const places = (found(before) as (string | null)[][]).map(([reference, kind, path]) => [reference, kind, reference === label ? 'DocumentReference.meta' : path]);
    expect(places).toEqual([...planted].sort());
    expect(before).toMatchObject({ verdict: 'drift', driftCount: 9 });

    expect(found(await compare({ repair: true }))).toEqual([]);
    expect(await compare()).toMatchObject({ verdict: 'equal', types: { DocumentReference: { here: 6, atHapi: 6 } } });
    expect((await heldByHapi(stale)).meta.source).toBe(source(stale, 2));

    // The worker goes on from what was repaired.
    for (const reference of [missing, stale, title, unsourced]) await publish(reference, document('afterwards'));
    await drain();
    expect(await compare()).toMatchObject({ verdict: 'equal' });
  });

  it('calls nothing compared a failure, and what waits or is parked no equality', async () => {
    expect(await compare()).toMatchObject({ verdict: 'nothing-compared' });
    await worker.stop();
    await publish(`DocumentReference/${randomUUID()}`, document('one'));
    await store.sql(`insert into mirror_head (org, type, id, lane, shard, state) select org, type, id, 1, 0, 'parked' from outbox`);
    expect(await compare({ settleMs: 500 })).toMatchObject({ verdict: 'waiting', parked: 1, types: { DocumentReference: { waiting: 1 } } });
  });

  it('removes what others made at HAPI only where that is asked for, and never what another organisation has there', async () => {
    const [others, foreign] = [`List/${randomUUID()}`, `List/${randomUUID()}`];
    const list = { status: 'current', mode: 'working' };
    await atHapi('PUT', others, list);
    await atHapi('PUT', foreign, { ...list, meta: { source: `urn:muniment:elsewhere/${foreign}/_history/1` } });
    const config = { database: store.database, baseUrl: HAPI ?? '', publicBase: PUBLIC, access: 'writes' as const };
    for (const removeOthers of [false, true]) {
      const parts = await comparisonParts(config, { scope: 'all', removeOthers, stop: new AbortController().signal });
      const { drift } = await compareIds(parts, 'List', [others, foreign].map((reference) => reference.split('/')[1]!));
      expect(drift).toMatchObject([{ id: others.split('/')[1], kind: 'extra', ours: false }]);
      expect(await repairDrift(parts, drift[0]!)).toBe(removeOthers);
    }
    expect([await atHapi('GET', others), await atHapi('GET', foreign)]).toEqual([410, 200]);
  });

  it('goes on where it was stopped, and says so', async () => {
    for (let count = 0; count < 5; count++) await publish(`DocumentReference/${randomUUID()}`, document(`number ${count}`));
    await drain();
    const stop = new AbortController();
    expect(await compare({ stop: stop.signal, onProgress: () => stop.abort() })).toBeUndefined();
    expect(await compare()).toMatchObject({ resumed: true, verdict: 'equal', types: { DocumentReference: { compared: 5, equal: 5 } } });
    expect(await compare()).toMatchObject({ resumed: false });
  });

  it('fills a HAPI that lost everything with all versions in their order, while others are written, and goes on where it was stopped', async () => {
    const references = Array.from({ length: 30 }, () => `DocumentReference/${randomUUID()}`);
    for (const reference of references) await publish(reference, document('one'));
    for (const reference of references.slice(0, 3)) await publish(reference, document('two'));
    await publish(references[3]!, null);
    await drain();
    const events = await store.sql<{ id: string }>('select id::text as id from access_event');
    // Emptied but for a few that HAPI still has: as new ids are to HAPI what was never there, the same ids were removed there.
    for (const reference of references.slice(0, 25)) await atHapi('DELETE', reference);
    for (const { id } of events.slice(0, 10)) await atHapi('DELETE', `Provenance/${id}`);
    const fill = (wish: Partial<BackfillWish> = {}) => runBackfill({ database: store.database, baseUrl: HAPI ?? '', publicBase: PUBLIC, access: 'writes' }, { again: false, pace: async () => {}, stop: new AbortController().signal, ...wish });
    const stop = new AbortController();
    const shown: number[] = [];
    expect(await fill({ stop: stop.signal, onProgress: ({ done, total }) => { shown.push(done / total); if (done > 0) stop.abort(); } })).toBeUndefined();
    const [meanwhile] = [`DocumentReference/${randomUUID()}`];
    const [done] = await Promise.all([fill(), publish(meanwhile, document('meanwhile')).then(drain)]);
    expect(done).toMatchObject({ refused: [], sent: 24 + 10 });
    expect(shown.at(-1)).toBeGreaterThan(0);
    expect(shown.at(-1)).toBeLessThan(1);
    expect(await compare()).toMatchObject({ verdict: 'equal', types: { DocumentReference: { here: 30, compared: 30, equal: 30 } } });
    const history = (await (await fetch(`${HAPI}/${references[0]}/_history`, { headers: { 'cache-control': 'no-cache' } })).json()) as { entry: { resource?: { meta: { source: string } } }[] };
    expect(history.entry.map(({ resource }) => resource?.meta.source).reverse()).toEqual([source(references[0]!, 1), source(references[0]!, 2), undefined, source(references[0]!, 1), source(references[0]!, 2)]);
  });

  it('tells of what others changed at HAPI after a look at its history, and puts ours back where that is the policy', async () => {
    const [changed, gone, ours] = Array.from({ length: 3 }, () => `DocumentReference/${randomUUID()}`) as [string, string, string];
    for (const reference of [changed, gone, ours]) await publish(reference, document('one'));
    await drain();
    await atHapi('PUT', changed, { status: 'entered-in-error' });
    await atHapi('DELETE', gone);
    await atHapi('PUT', `DocumentReference/${randomUUID()}`, { status: 'current' });
    const watch = (changes: 'alarm' | 'authoritative', seconds = 0) => watchOnce({ database: store.database, baseUrl: HAPI ?? '', publicBase: PUBLIC, access: 'writes', changes, seconds, log: silent }, new AbortController().signal);
    const told = await watch('alarm');
    expect(told.drift.map(({ id, kind, path }) => [id, kind, path]).sort()).toEqual([[changed.split('/')[1], 'different', 'DocumentReference.content'], [gone.split('/')[1], 'missing', null]].sort());
    expect((await worker.status()).drift).toBe(2);
    expect(await watch('alarm', 60)).toEqual({ looked: 0, drift: [], repaired: 0 });
    expect(await watch('authoritative')).toMatchObject({ drift: [], repaired: 2 });
    expect((await worker.status()).drift).toBe(0);
    expect(await compare()).toMatchObject({ verdict: 'equal', types: { DocumentReference: { here: 3, equal: 3 } } });
  });

  it('is a page for people, and no report any more once a letter of it was changed', async () => {
    await publish(`DocumentReference/${randomUUID()}`, document('one'));
    await drain();
    const done = await runReconcile({ database: store.database, baseUrl: HAPI ?? '', publicBase: PUBLIC, access: 'writes' },
      { scope: 'ours', repair: false, removeOthers: false, again: true, pace: async () => {}, stop: new AbortController().signal }, { key: SECRET });
    const { report, jws } = done!;
    expect(printReport(report, jws)).toMatch(/^# Comparison of the mirror of r[0-9a-f]+\n\n\*\*equal\*\*: Both sides hold the same\.[\s\S]*\| DocumentReference \| 1 \| 1 \| 1 \| 1 \| 0 /);
    const [header, payload, signature] = jws.split('.') as [string, string, string];
    const forged = Buffer.from(Buffer.from(payload, 'base64url').toString().replace('"equal":1', '"equal":2')).toString('base64url');
    expect(readSignedReport(`${header}.${forged}.${signature}`, SECRET)).toBeUndefined();
    expect(readSignedReport(jws, reportKey(Buffer.from('another secret')))).toBeUndefined();
  });
});
