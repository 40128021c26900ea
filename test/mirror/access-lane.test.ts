// The lane of accesses under MIRROR_ACCESS=all: every event of the record reaches HAPI as an AuditEvent, apart from the lanes of
// documents. The real HAPI JPA server, whose base stands in TEST_HAPI_URL.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { canonicalText, type AccessEvent } from '../../src/audit/access-event.ts';
import { newUuidV7 } from '../../src/fhir/uuid-v7.ts';
import { PORTION } from '../../src/mirror/access-lane.ts';
import { createDelivery } from '../../src/mirror/deliver.ts';
import { mirrorStatus } from '../../src/mirror/mirror-commands.ts';
import { startMirrorWorker, type MirrorWorker } from '../../src/mirror/mirror-worker.ts';
import { reportKey } from '../../src/mirror/reconcile-report.ts';
import { runReconcile } from '../../src/mirror/run-reconcile.ts';
import { eventually } from '../support/eventually.ts';
import { startMirrorDatabase, type MirrorDatabase } from './mirror-database.ts';

const HAPI = process.env['TEST_HAPI_URL'];
if (HAPI === undefined) console.log('Left out: the lane of accesses (TEST_HAPI_URL is not set)');

const PUBLIC = 'http://muniment.test/fhir';
const silent = { debug() {}, info() {}, warn() {}, error() {} };

jest.setTimeout(60_000);

(HAPI === undefined ? describe.skip : describe)('the lane of accesses', () => {
  const origin = new URL(HAPI ?? 'http://none.test');
  let store: MirrorDatabase;
  let org: string;
  let worker: MirrorWorker | undefined;
  let server: Server;
  let proxied: string;
  /** Ids whose mention in a request is refused, and whether HAPI is away for bundles. */
  let poison: string[];
  let away: boolean;
  let bundles: number[];

  beforeAll(async () => {
    store = await startMirrorDatabase();
    server = createServer((request, response) => void (async () => {
      const body = Buffer.concat(await request.toArray() as Buffer[]).toString();
      const entries = request.method === 'POST' && body.includes('"transaction"') ? (JSON.parse(body) as { entry: object[] }).entry.length : 0;
      if (entries > 0) bundles.push(entries);
      if (entries > 0 && away) return void response.writeHead(503).end();
      if (entries > 0 && poison.some((id) => body.includes(`AuditEvent/${id}`))) {
        return void response.writeHead(422, { 'content-type': 'application/fhir+json' }).end('{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"invalid","diagnostics":"poison"}]}');
      }
      const answer = await fetch(`${origin.origin}${request.url}`, { method: request.method!, headers: request.headers as Record<string, string>, ...(body === '' ? {} : { body }) });
      const { 'content-encoding': _, 'content-length': __, 'transfer-encoding': ___, connection: ____, ...headers } = Object.fromEntries(answer.headers);
      response.writeHead(answer.status, headers).end(Buffer.from(await answer.arrayBuffer()));
    })().catch(() => response.destroy()));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    proxied = `http://127.0.0.1:${(server.address() as AddressInfo).port}${origin.pathname}`;
  });
  afterAll(async () => {
    server.close();
    server.closeAllConnections();
    await store.stop();
  });
  beforeEach(async () => {
    [poison, away, bundles] = [[], false, []];
    org = `x${randomBytes(6).toString('hex')}`;
    await store.empty();
    await store.sql('truncate mirror_access, mirror_access_refused');
    await store.sql('update organisation set name = $1', [org]);
  });
  afterEach(async () => {
    await worker?.stop();
    worker = undefined;
  });

  function startWorker(access: 'writes' | 'all' = 'all'): void {
    worker = startMirrorWorker({ database: store.database, delivery: createDelivery({ baseUrl: proxied, publicBase: PUBLIC, timeoutMs: 10_000, access }), log: silent, pollMs: 50, random: () => 0.02 });
  }

  async function reads(count: number): Promise<string[]> {
    const ids: string[] = [];
    for (let at = 0; at < count; at++) {
      const id = newUuidV7(Date.now());
      const event: AccessEvent = {
        layout: 1, id, recorded: new Date().toISOString(), org, requestId: 'access-lane', interaction: 'read', action: 'R', outcome: 0, status: 200,
        request: { method: 'GET', url: `DocumentReference/${org}` }, observer: 'test', agent: { user: 'Practitioner/demo', issuer: 'https://issuer.test', subject: 'demo', client: 'test' },
        entities: [{ reference: `DocumentReference/${org}/_history/1`, role: 'data' }],
      };
      const text = canonicalText(event);
      await store.sql('insert into access_event (org, id, recorded, layout, parts, action, outcome, request_id, write, subtype) values (1, $1, $2, 1, $3, $4, 0, $5, false, $6)', [id, event.recorded, text, 'R', 'access-lane', 'read']);
      ids.push(id);
    }
    return ids;
  }

  const lane = async (): Promise<{ pending: number; oldestSeconds: number | null; refused: number } | null> => (await mirrorStatus(store.database, HAPI ?? '', 'all')).access;
  const told = (): Promise<unknown> => eventually(lane, (access) => access?.pending === 0, 40_000);
  const atHapi = async (id: string): Promise<{ status: number; json: { meta?: { source: string; versionId: string }; entity?: { what: { reference: string } }[] } }> => {
    const response = await fetch(`${HAPI}/AuditEvent/${id}`, { headers: { 'cache-control': 'no-cache' } });
    return { status: response.status, json: await response.json() as never };
  };

  it('tells every access in portions, and the comparison of documents is none the wiser', async () => {
    await store.publish(`DocumentReference/${org}`, { status: 'current' }, { org });
    const ids = await reads(PORTION + 10);
    startWorker();
    await told();
    const { json } = await atHapi(ids.at(-1)!);
    expect(json).toMatchObject({ meta: { versionId: '1', source: `urn:muniment:${org}/AuditEvent/${ids.at(-1)}/_history/1` } });
    expect(json.entity?.[0]?.what.reference).toBe(`DocumentReference/${org}/_history/1`);
    expect(Math.max(...bundles)).toBe(PORTION);
    await eventually(() => store.sql('select from outbox'), (rows) => rows.length === 0, 20_000);
    const done = await runReconcile({ database: store.database, baseUrl: HAPI ?? '', publicBase: PUBLIC, access: 'all' },
      { scope: 'ours', repair: false, removeOthers: false, again: true, pace: async () => {}, stop: new AbortController().signal }, { key: reportKey(Buffer.from('test')) });
    expect(done?.report).toMatchObject({ verdict: 'equal' });
  });

  it('tells none of them where only writes are told', async () => {
    const [id] = await reads(1);
    await store.publish(`DocumentReference/${org}`, { status: 'current' }, { org });
    startWorker('writes');
    await eventually(() => store.sql('select from outbox'), (rows) => rows.length === 0, 20_000);
    expect([(await atHapi(id!)).status, bundles, (await mirrorStatus(store.database, HAPI ?? '')).access]).toEqual([404, [], null]);
  });

  it('waits and shows its age while HAPI is away, while documents go on', async () => {
    away = true;
    await reads(3);
    startWorker();
    await eventually(() => store.sql<{ attempts: number }>('select attempts from mirror_access'), (rows) => (rows[0]?.attempts ?? 0) > 1, 20_000);
    await store.publish(`DocumentReference/${org}`, { status: 'current' }, { org });
    worker?.wake();
    await eventually(() => store.sql('select from outbox'), (rows) => rows.length === 0, 20_000);
    expect(await lane()).toMatchObject({ pending: 4, refused: 0, oldestSeconds: expect.any(Number) });
    away = false;
    await told();
  });

  it('finds the one that HAPI refuses by halves, tells the others, and passes it over at the fifth time', async () => {
    const ids = await reads(8);
    poison = [ids[5]!];
    startWorker();
    await eventually(lane, (access) => access?.refused === 1, 40_000);
    await told();
    // The whole, its first half, its second half, and then one by one.
    expect(bundles.slice(0, 5)).toEqual([8, 4, 4, 1, 1]);
    const statuses = await Promise.all(ids.map(async (id) => (await atHapi(id)).status));
    expect(statuses).toEqual(ids.map((id) => (id === ids[5] ? 404 : 200)));
    expect(await store.sql('select event, reason from mirror_access_refused')).toEqual([{ event: ids[5], reason: expect.stringContaining('HTTP 422: poison') }]);
  });

  it('misses no event whose transaction ended late', async () => {
    const pg = await import('pg');
    const [{ url }] = await store.sql<{ url: string }>('select current_database() as url') as [{ url: string }];
    const client = new pg.default.Client({ connectionString: process.env['TEST_POSTGRES_URL']!.replace(/\/[^/]*$/, `/${url}`) });
    await client.connect();
    try {
      await client.query('begin');
      await client.query('select pg_current_xact_id()');
      const [after] = await reads(1);
      startWorker();
      await store.publish(`DocumentReference/${org}`, { status: 'current' }, { org });
      await eventually(() => store.sql('select from outbox'), (rows) => rows.length === 0, 20_000);
      expect((await atHapi(after!)).status).toBe(404);
      const late = newUuidV7(Date.now());
      const [{ body }] = await store.sql<{ body: string }>('select e.body from access_event e where e.id = $1', [after]) as [{ body: string }];
      const text = body.replaceAll(after!, late);
      await client.query('insert into access_event (org, id, recorded, layout, parts, action, outcome, request_id, write, subtype) values (1, $1, now(), 1, $2, $3, 0, $4, false, $5)', [late, text, 'R', 'access-lane', 'read']);
      await client.query('commit');
      await told();
      expect([(await atHapi(after!)).status, (await atHapi(late)).status]).toEqual([200, 200]);
    } finally {
      await client.end();
    }
  });

  it('is told once more without a new version when the cursor was lost', async () => {
    const [id] = await reads(1);
    startWorker();
    await told();
    await store.sql(`update mirror_access set written_in = '0', event = '00000000-0000-0000-0000-000000000000', next_at = now()`);
    await told();
    expect((await atHapi(id!)).json.meta?.versionId).toBe('1');
  });
});
