// A search parameter that came later than the resources: filled in the background, resumed where it ended, by one server
// at a time, and searches say meanwhile that matches may be missing.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { openDatabase, type Database } from '../../src/database/database.ts';
import { reindexStatus, restartReindex, runReindex } from '../../src/resources/reindex.ts';
import { documentReference, fhirClient, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

let server: TestMuniment;
let client: FhirClient;
let database: Database;
const patient = `Patient/${randomUUID()}`;
const COUNT = 25;
const TABLES = ['search_token', 'search_reference', 'search_composite', 'search_string', 'search_uri', 'search_date'];

beforeAll(async () => {
  server = await startMuniment();
  client = fhirClient(server.fhirBase, await server.token());
  database = openDatabase({ appUrl: server.ownerUrl, auditUrl: server.ownerUrl, workerUrl: server.ownerUrl, setRoles: true });
  for (let n = 0; n < COUNT; n += 1) {
    const body = documentReference({
      subject: { reference: patient }, description: `Étude ${n}`, identifier: [{ system: 'urn:x', value: `${n}` }], relatesTo: [{ code: 'appends', target: { reference: `DocumentReference/x${n}` } }],
      context: { period: { start: '2020-01-01' } },
    });
    expect((await client.post('DocumentReference', body)).status).toBe(201);
  }
  const elsewhere = fhirClient(server.fhirBase, await server.token({ org: 'elsewhere' }));
  await elsewhere.post('DocumentReference', documentReference({ subject: { reference: patient }, description: 'Étude elsewhere' }));
});
afterAll(async () => { await database.close(); await server.stop(); });

/** As it was before this release: no index rows, and no state of a reindex. */
async function forget(): Promise<void> {
  for (const table of TABLES) await server.sql(`delete from ${table}`);
  await server.sql('update resource set present = null, words = null, status = null, date_lo = default, date_hi = null');
  await server.sql('delete from search_reindex');
}

const everything = async (): Promise<unknown> => ({
  rows: await Promise.all(TABLES.map((table) => server.sql(`select * from ${table} order by 1, 2, 3, 4, 5, 6`))),
  columns: await server.sql('select org, type, id, version, status, patient, date_lo, date_hi, present, words from resource order by 1, 2, 3'),
});
const total = async (query: string): Promise<number> => (await client.get(`DocumentReference?patient=${patient}&_total=accurate&_count=1&${query}`)).json.total;
const codes = (answer: Answer): string[] => (answer.json.entry ?? []).filter((entry: { search: { mode: string } }) => entry.search.mode === 'outcome').flatMap((entry: { resource: { issue: { code: string }[] } }) => entry.resource.issue.map(({ code }) => code));

describe('a reindex', () => {
  it('makes of resources without index rows what their creation made, in every organisation', async () => {
    const before = await everything();
    await forget();
    expect(await total('description=etude')).toBe(0);
    expect((await reindexStatus({ database })).find(({ type }) => type === 'DocumentReference')).toMatchObject({ state: 'filling', done: 0 });
    await runReindex({ database, fhirBase: server.fhirBase, batch: 10 });
    expect(await everything()).toEqual(before);
    expect((await reindexStatus({ database })).find(({ type }) => type === 'DocumentReference')).toMatchObject({ state: 'complete', done: COUNT + 1, lacking: [] });
    expect(await total('description=etude')).toBe(COUNT);
  });

  it('goes on where it ended, and twice the same is once', async () => {
    await forget();
    const end = new AbortController();
    const counting = { workerTransaction: async <T>(work: Parameters<typeof database.workerTransaction<T>>[0]): Promise<T> => {
      const result = await database.workerTransaction(work);
      const [row] = await server.sql<{ done: string }>('select done from search_reindex where type = 2');
      if (Number(row?.done ?? 0) >= 10) end.abort();
      return result;
    } };
    await runReindex({ database: counting, fhirBase: server.fhirBase, batch: 5 }, end.signal);
    const [half] = (await reindexStatus({ database })).filter(({ type }) => type === 'DocumentReference');
    expect(half).toMatchObject({ state: 'filling', done: 10 });
    await runReindex({ database, fhirBase: server.fhirBase, batch: 5 });
    expect((await reindexStatus({ database })).find(({ type }) => type === 'DocumentReference')).toMatchObject({ state: 'complete', done: COUNT + 1 });
    const once = await everything();
    await restartReindex({ database });
    await runReindex({ database, fhirBase: server.fhirBase });
    expect(await everything()).toEqual(once);
  });

  it('is the work of one server at a time', async () => {
    await forget();
    await Promise.all([1, 2, 3].map(() => runReindex({ database, fhirBase: server.fhirBase, batch: 3 })));
    expect((await reindexStatus({ database })).find(({ type }) => type === 'DocumentReference')).toMatchObject({ state: 'complete', done: COUNT + 1 });
  });

  it('leaves a version alone that a writer made meanwhile', async () => {
    const { json: made } = await client.post('DocumentReference', documentReference({ subject: { reference: patient }, description: 'Étude before' }));
    await forget();
    await Promise.all([
      runReindex({ database, fhirBase: server.fhirBase, batch: 2 }),
      client.put(`DocumentReference/${made.id as string}`, { ...made, description: 'Étude after' }),
    ]);
    expect([await total('description=etude before'), await total('description=etude after')]).toEqual([0, 1]);
  });

  it('is begun by a server that starts, and its searches say so until it is done', async () => {
    await forget();
    // A lease that somebody else seems to hold: the server waits for it, and tells meanwhile.
    await server.sql(`insert into search_reindex (type, fingerprint, parameters, lease, leased_until) select 2, 'other', '{11,12}', null, null`);
    await reindexStatus({ database });
    await server.sql(`update search_reindex set lease = gen_random_uuid(), leased_until = now() + interval '4 seconds' where type = 2 and fingerprint <> 'other'`);
    const second = await server.startSecond();
    try {
      const other = fhirClient(second.fhirBase, await second.token());
      const filling = await other.get(`DocumentReference?patient=${patient}&description=etude`);
      expect([filling.status, codes(filling)]).toEqual([200, ['incomplete', 'incomplete']]);
      expect(codes(await other.get('DocumentReference?_id=nobody'))).toEqual([]);
      for (let wait = 0; wait < 100 && codes(await other.get(`DocumentReference?description=etude`)).length > 0; wait += 1) await new Promise((resolve) => { setTimeout(resolve, 200); });
      const filled = await other.get(`DocumentReference?patient=${patient}&description=etude&_total=accurate`);
      expect([codes(filled), filled.json.total]).toEqual([[], COUNT + 1]);
    } finally { await second.stop(); }
  });
});
