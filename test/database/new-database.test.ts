// A new server makes the plans of its statements while every table is empty, and keeps them until the tables are analysed. What it
// reads for each document must not grow with what there is already.
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { documentReference, fhirClient, type FhirClient } from '../support/fhir-client.ts';
import { eventually } from '../support/eventually.ts';
import { startFaultyServer, type FaultyServer } from '../support/faulty-server.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';
import { createSmallFhir } from '../mirror/small-fhir.ts';

const DOCUMENTS = 400;
/** Rows of a table that one document may cost, on its whole way: link, write, record, log and mirror. It is some 40, and was 2,400. */
const ROWS_EACH_MAX = 150;

let hapi: FaultyServer;
let server: TestMuniment;
let client: FhirClient;

beforeAll(async () => {
  const fhir = createSmallFhir('/fhir');
  hapi = await startFaultyServer((request) => fhir.work(request));
  server = await startMuniment({ MIRROR_BASE_URL: `${hapi.url}/fhir` });
  client = fhirClient(server.fhirBase, await server.token());
  await server.sql(`do $$ declare t text; begin
    for t in select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace loop execute format('alter table %I set (autovacuum_enabled = false)', t); end loop; end $$`);
}, 60_000);
afterAll(async () => {
  await server.stop();
  await hapi.stop();
});

it('is the same for the last of many documents as for the first', async () => {
  const work = async (at: number): Promise<void> => {
    const binary = (await client.post('Binary', `bytes ${at}`, { 'content-type': 'text/plain' })).json.id;
    const made = await client.post('DocumentReference', documentReference({ content: [{ attachment: { contentType: 'text/plain', url: `Binary/${binary}` } }] }));
    expect(made.status).toBe(201);
    expect((await client.put(`DocumentReference/${made.json.id}`, { ...made.json, description: 'changed' })).status).toBe(200);
    expect((await client.get(`Binary/${binary}`)).status).toBe(200);
  };
  for (let at = 0; at < DOCUMENTS; at += 10) await Promise.all(Array.from({ length: 10 }, (_, one) => work(at + one)));
  await eventually(() => server.sql('select from outbox'), (rows) => rows.length === 0, 60_000);
  await eventually(() => server.sql<{ lacking: number }>('select (select count(*) from access_event) - (select count(*) from log_leaf where version is null) as lacking'), ([row]) => Number(row?.lacking) === 0, 20_000);
  // Each connection tells what it did a second later at the most, once it is at rest.
  const read = async (): Promise<{ relname: string; each: number }[]> => server.sql(`select relname, (idx_tup_fetch + seq_tup_read)::float8 / ${DOCUMENTS} as each from pg_stat_user_tables where idx_tup_fetch + seq_tup_read > ${DOCUMENTS} order by 2 desc`);
  await new Promise((resolve) => { setTimeout(resolve, 1_500); });
  const tables = await read();
  expect(tables.length).toBeGreaterThan(3);
  expect(tables.filter(({ each }) => each > ROWS_EACH_MAX)).toEqual([]);
}, 180_000);
