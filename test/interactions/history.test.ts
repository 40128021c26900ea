import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { readHistoryPage } from '../../src/resources/read-history.ts';
import { documentReference, fhirClient, media, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

let server: TestMuniment;
let client: FhirClient;

beforeAll(async () => {
  server = await startMuniment();
  client = fhirClient(server.fhirBase, await server.token());
});
afterAll(() => server.stop());

interface Entry {
  fullUrl: string;
  request: { method: string; url: string };
  response: { status: string; etag: string; lastModified: string };
  resource?: { resourceType: string; id: string; meta: { versionId: string; lastUpdated: string } };
}

const entries = (answer: Answer): Entry[] => answer.json.entry ?? [];
const named = (entry: Entry): string => `${entry.fullUrl.slice(client.base.length + 1)} ${entry.response.etag}`;
const link = (answer: Answer, relation: string): string | undefined => answer.json.link.find((one: { relation: string }) => one.relation === relation)?.url;

/** A client of an organisation of its own: its history is known from the first version on. */
async function ownOrganisation(scope = 'user/*.cruds'): Promise<{ own: FhirClient; org: string }> {
  const org = `org-${randomUUID()}`;
  return { own: fhirClient(server.fhirBase, await server.token({ org, scope })), org };
}

/** A created, updated and deleted document; the instants of its three versions. */
async function lived(own: FhirClient): Promise<{ path: string; instants: string[] }> {
  const created = (await own.post('DocumentReference', documentReference({ description: 'one' }))).json;
  const path = `DocumentReference/${created.id}`;
  const updated = (await own.put(path, { ...created, description: 'two' })).json;
  await own.delete(path);
  const [deletion] = entries(await own.get(`${path}/_history`));
  return { path, instants: [created.meta.lastUpdated, updated.meta.lastUpdated, deletion?.response.lastModified ?? ''] };
}

describe.each(['DocumentReference/_history', '_history'])('%s', (history) => {
  it('is newest first, with deletions that have no resource, and what each version answered', async () => {
    const { own } = await ownOrganisation();
    const { path } = await lived(own);
    const put = randomUUID();
    await own.put(`DocumentReference/${put}`, documentReference({ id: put }));
    const answer = await own.get(history);
    expect(answer.status).toBe(200);
    expect(answer.json).toMatchObject({ resourceType: 'Bundle', type: 'history', total: 4 });
    expect(entries(answer).map((entry) => [entry.request.method, entry.request.url, entry.response.status, entry.response.etag, entry.resource?.meta.versionId])).toEqual([
      ['PUT', `DocumentReference/${put}`, '201', 'W/"1"', '1'],
      ['DELETE', path, '204', 'W/"3"', undefined],
      ['PUT', path, '200', 'W/"2"', '2'],
      ['POST', 'DocumentReference', '201', 'W/"1"', '1'],
    ]);
    for (const entry of entries(answer)) expect(entry.response.lastModified).toBe(entry.resource?.meta.lastUpdated ?? entry.response.lastModified);
    await own.put(path, documentReference({ id: path.split('/')[1] }));
    expect(entries(await own.get(history))[0]?.response).toMatchObject({ status: '201', etag: 'W/"4"' });
  });

  it('leaves one event that names each version shown and each patient', async () => {
    const { own } = await ownOrganisation();
    const requestId = randomUUID();
    const [first, second] = [(await own.post('DocumentReference', documentReference())).json, (await own.post('DocumentReference', documentReference())).json];
    await own.get(history, { 'x-request-id': requestId });
    const events = await own.auditOf(requestId);
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({ action: 'R', subtype: [{ code: history === '_history' ? 'history-system' : 'history-type' }] });
    const text = JSON.stringify(events[0].entity);
    for (const one of [first, second]) {
      expect(text).toContain(`DocumentReference/${one.id}/_history/1`);
      expect(text).toContain(one.subject.reference);
    }
  });

  it('shows the same entries forwards and backwards while others write', async () => {
    const { own } = await ownOrganisation();
    for (let number = 0; number < 7; number += 1) await lived(own);
    const whole = entries(await own.get(`${history}?_count=100`)).map(named);
    const pages: string[][] = [];
    let page = await own.get(`${history}?_count=4`);
    expect(link(page, 'previous')).toBeUndefined();
    for (;;) {
      pages.push(entries(page).map(named));
      await lived(own);
      const next = link(page, 'next');
      if (next === undefined) break;
      page = await own.get(next);
      expect(page.status).toBe(200);
    }
    expect(pages.flat()).toEqual(whole);
    expect(pages.every((shown) => shown.length <= 4)).toBe(true);
    const back: string[][] = [entries(page).map(named)];
    for (let previous = link(page, 'previous'); previous !== undefined; previous = link(page, 'previous')) {
      page = await own.get(previous);
      back.unshift(entries(page).map(named));
    }
    expect(back).toEqual(pages);
  });

  it('`_since` takes what was made at or after an instant, `_at` what was current then', async () => {
    const { own } = await ownOrganisation();
    const { path, instants: [created = '', updated = '', deleted = ''] } = await lived(own);
    const versions = async (query: string): Promise<string[]> => entries(await own.get(`${history}?${query}`)).map((entry) => entry.response.etag);
    expect(await versions(`_since=${updated}`)).toEqual(['W/"3"', 'W/"2"']);
    expect(await versions(`_since=${updated.replace('Z', '%2B00:00')}`)).toEqual(['W/"3"', 'W/"2"']);
    expect(await versions(`_since=${deleted}`)).toEqual(['W/"3"']);
    expect((await own.get(`${history}?_since=2999-01-01T00:00:00Z`)).json).toMatchObject({ total: 0 });
    expect(await versions(`_at=${created}`)).toEqual(['W/"1"']);
    expect(await versions(`_at=${updated}`)).toEqual(['W/"2"']);
    expect(await versions(`_at=${deleted.slice(0, 4)}`)).toEqual(['W/"3"', 'W/"2"', 'W/"1"']);
    expect(await versions('_at=1999')).toEqual([]);
    expect(await versions('_at=2999')).toEqual([]);
    expect((await own.get(`${path}/_history?_since=${deleted}`)).json).toMatchObject({ total: 1, entry: [{ request: { method: 'DELETE' } }] });
    expect((await own.get(`${path}/_history?_since=2999-01-01T00:00:00Z`)).json).toMatchObject({ total: 0 });
  });

  it.each(['_since=2020', '_since=2020-01-01', '_since=2020-01-01T00:00:00', '_since=x', '_since=', '_at=yesterday', '_at=2020-13', '_count=-1', '_count=x', '_count=0', '_count=5&_count=6', '_since=2020-01-01T00:00:00Z&_since=2020-01-01T00:00:00Z', '_cursor=abc', '_before=1'])('%s is 400', async (query) => {
    expect((await client.get(`${history}?${query}`)).status).toBe(400);
  });

  it('an unknown parameter is passed over, or refused where the client is strict; `_format` stays in the links', async () => {
    const { own } = await ownOrganisation();
    await lived(own);
    const answer = await own.get(`${history}?_sort=_lastUpdated&_count=2&_format=json`);
    expect([answer.status, entries(answer)[0]?.request.method]).toEqual([200, 'DELETE']);
    expect(link(answer, 'self')).toContain('_format=json');
    expect(link(answer, 'self')).not.toContain('_sort');
    expect((await own.get(link(answer, 'next') as string)).json.entry).toHaveLength(1);
    expect((await own.get(`${history}?_sort=_lastUpdated`, { prefer: 'handling=strict' })).status).toBe(400);
  });

  it('the total is told where it is free or asked for', async () => {
    const { own } = await ownOrganisation();
    await lived(own);
    expect((await own.get(`${history}?_count=2`)).json.total).toBeUndefined();
    expect((await own.get(`${history}?_count=2&_total=accurate`)).json.total).toBe(3);
  });

  it('belongs to one organisation, and its cursors to one history', async () => {
    const [first, second] = [await ownOrganisation(), await ownOrganisation()];
    await lived(first.own);
    expect((await second.own.get(history)).json).toMatchObject({ total: 0 });
    const next = link(await first.own.get(`${history}?_count=1`), 'next') as string;
    expect((await second.own.get(next)).status).toBe(400);
    expect((await first.own.get(next.replace(/_history/, 'XX').replace('DocumentReference/XX', 'Media/_history').replace('XX', 'Media/_history'))).status).toBe(400);
  });
});

describe('the history of the system', () => {
  it('spans the types, in one order, each with its own pages', async () => {
    const { own } = await ownOrganisation();
    for (let number = 0; number < 3; number += 1) {
      await own.post('Media', media());
      await own.post('List', { resourceType: 'List', status: 'current', mode: 'working' });
      await own.post('DocumentReference', documentReference());
    }
    const whole = entries(await own.get('_history')).map(named);
    expect(whole).toHaveLength(9);
    const seen: string[] = [];
    for (let next: string | undefined = '_history?_count=2'; next !== undefined;) {
      const page: Answer = await own.get(next);
      seen.push(...entries(page).map(named));
      next = link(page, 'next');
    }
    expect(seen).toEqual(whole);
  });

  it('shows the types that the caller may read, and is 403 where there is none', async () => {
    const { own, org } = await ownOrganisation();
    await own.post('Media', media());
    await own.post('DocumentReference', documentReference());
    const some = fhirClient(server.fhirBase, await server.token({ org, scope: 'user/Media.rs user/DocumentReference.r' }));
    const none = fhirClient(server.fhirBase, await server.token({ org, scope: 'user/DocumentReference.crud' }));
    expect(entries(await some.get('_history')).map((entry) => entry.resource?.resourceType)).toEqual(['Media']);
    expect((await some.get('DocumentReference/_history')).status).toBe(403);
    expect((await none.get('_history')).status).toBe(403);
  });
});

it('each branch of a page is read in the order of an index, under row-level security', async () => {
  const database = new pg.Client({ connectionString: server.ownerUrl });
  await database.connect();
  try {
    await database.query(`insert into resource_history (org, type, id, version, last_updated, method, body)
      select 1, 2 + n % 3, 'd' || n / 5, 1 + n % 5, timestamptz '2024-01-01' + n * interval '1 second', 'PUT', '{}' from generate_series(1, 5000) n`);
    await database.query('analyze resource_history');
    let statement: { text: string; values: unknown[] } | undefined;
    const tx = { query: async (text: string, values: unknown[]) => { statement = { text, values }; return { rows: [], rowCount: 0 }; }, last: () => { /* Nothing is written. */ }, flush: async () => { /* So there is nothing to wait for. */ } };
    const place = { lastUpdated: Date.parse('2024-01-01T01:00:00Z'), type: 3, id: 'd700', version: 2 };
    await readHistoryPage(tx, { org: 1, types: [2, 3, 4] }, { limit: 21, newest: Date.now(), from: { side: 'after', place } });
    await database.query(`set role muniment_app; set app.org = '1'; set enable_seqscan = off; set enable_bitmapscan = off; set plan_cache_mode = force_generic_plan`);
    const { rows } = await database.query<{ 'QUERY PLAN': string }>({ text: `explain (analyze, buffers off, timing off, summary off) ${statement?.text}`, values: statement?.values ?? [] });
    const plan = rows.map((row) => row['QUERY PLAN']);
    for (const index of ['resource_newest', 'resource_deleted', 'resource_history_made']) expect(plan.filter((line) => line.includes(`Backward using ${index} `))).toHaveLength(3);
    const read = plan.filter((line) => line.includes('using resource_history_made')).map((line) => Number(/actual rows=(\d+)/.exec(line)?.[1]));
    for (const rowsRead of read) expect(rowsRead).toBeLessThanOrEqual(22);
  } finally {
    await database.end();
  }
});
