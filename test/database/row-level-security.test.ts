import { afterAll, beforeAll, expect, it } from '@jest/globals';
import pg from 'pg';
import { documentReference, fhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

let server: TestMuniment;
let owner: pg.Client;
let tables: string[];
const orgs: number[] = [];

beforeAll(async () => {
  server = await startMuniment();
  for (const org of ['north', 'south']) {
    const client = fhirClient(server.fhirBase, await server.token({ org }));
    const created = await client.post('DocumentReference', documentReference({ masterIdentifier: { system: 'urn:x', value: 'one' } }), { 'idempotency-key': 'k' });
    expect(created.status).toBe(201);
    await client.put(`DocumentReference/${created.json.id}`, { ...created.json, description: 'again' });
  }
  owner = new pg.Client({ connectionString: server.ownerUrl });
  await owner.connect();
  tables = (await owner.query(`select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid
    where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace and a.attname = 'org' order by 1`)).rows.map((row: { relname: string }) => row.relname);
  orgs.push(...(await owner.query(`select id from organisation where name in ('north', 'south') order by name`)).rows.map((row: { id: number }) => row.id));
});
afterAll(async () => {
  await owner.end();
  await server.stop();
});

it('every table with the key of an organisation has row-level security enabled, forced, and a policy', async () => {
  expect(tables.length).toBeGreaterThanOrEqual(14);
  for (const table of tables) {
    const { rows } = await owner.query('select relrowsecurity, relforcerowsecurity, (select count(*)::int from pg_policies where tablename = $1) as policies from pg_class where relname = $1', [table]);
    expect([table, rows[0]]).toEqual([table, { relrowsecurity: true, relforcerowsecurity: true, policies: expect.any(Number) }]);
    expect(rows[0].policies).toBeGreaterThan(0);
  }
});

it('an unfiltered query of the application role sees the rows of its organisation alone', async () => {
  const seen: string[] = [];
  for (const org of orgs) {
    for (const table of tables) {
      const granted = await owner.query(`select has_table_privilege('muniment_app', $1, 'select') as may`, [table]);
      if (granted.rows[0].may !== true) continue;
      await owner.query(`begin; set local role muniment_app; set local app.org = '${org}'`);
      const { rows } = await owner.query(`select distinct org from ${table}`);
      await owner.query('rollback');
      for (const row of rows as { org: number }[]) expect([table, row.org]).toEqual([table, org]);
      if (rows.length > 0) seen.push(table);
    }
  }
  for (const table of ['resource', 'resource_history', 'content', 'access_event', 'access_entity', 'attachment_use', 'search_token', 'search_reference', 'idempotency']) expect(seen.filter((name) => name === table)).toHaveLength(2);
});

it('without an organisation a query of the application role fails instead of answering', async () => {
  for (const table of tables) {
    const granted = await owner.query(`select has_table_privilege('muniment_app', $1, 'select') as may`, [table]);
    if (granted.rows[0].may !== true) continue;
    await owner.query('begin; set local role muniment_app');
    await expect(owner.query(`select * from ${table}`)).rejects.toThrow(/app\.org|invalid input syntax/);
    await owner.query('rollback');
  }
});

it('a row of another organisation cannot be written', async () => {
  await owner.query(`begin; set local role muniment_app; set local app.org = '${orgs[0]}'`);
  await expect(owner.query(`insert into attachment_use (org, "binary", type, id, version) values ($1, 'b', 2, 'd', 1)`, [orgs[1]])).rejects.toThrow(/row-level security/);
  await owner.query('rollback');
});

it('the audit writer may append to the record and read nothing', async () => {
  for (const table of tables) {
    const { rows } = await owner.query(`select has_table_privilege('muniment_audit', $1, 'insert') as appends, has_table_privilege('muniment_audit', $1, 'select, update, delete, truncate') as more`, [table]);
    expect([table, rows[0]]).toEqual([table, { appends: table === 'access_event' || table === 'access_entity', more: false }]);
  }
  await owner.query('begin; set local role muniment_audit');
  await expect(owner.query('select * from access_event')).rejects.toThrow(/permission denied/);
  await owner.query('rollback');
});

it('the record refuses update, delete and truncate, even by its owner', async () => {
  for (const statement of ['update access_event set outcome = 0', 'delete from access_event', 'truncate access_event', 'delete from access_entity', 'truncate access_entity']) {
    await expect(owner.query(statement)).rejects.toThrow(/appended to, never changed/);
  }
});

it('the same masterIdentifier and the same key live in both organisations', async () => {
  const { rows } = await owner.query(`select org, count(*)::int as count from resource where master_identifier = 'urn:x|one' group by org order by org`);
  expect(rows.map((row: { count: number }) => row.count)).toEqual([1, 1]);
});
