import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { request } from 'node:http';
import pg from 'pg';
import { openDatabase, type Database } from '../../src/database/database.ts';
import { documentReference, fhirClient, type FhirClient } from '../support/fhir-client.ts';
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
    where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace and a.attname = 'org' and c.relname not in ('log_leaf', 'log_removal') order by 1`)).rows.map((row: { relname: string }) => row.relname);
  orgs.push(...(await owner.query(`select id from organisation where name in ('north', 'south') order by name`)).rows.map((row: { id: number }) => row.id));
});
afterAll(async () => {
  await owner.end();
  await server.stop();
});

it('the log, which is one over all organisations, is shut to whoever serves one', async () => {
  const { rows } = await owner.query(`select t, r, has_table_privilege(r, t, 'select, insert, update, delete') as may from unnest(array['log_leaf', 'log_subtree', 'log_checkpoint', 'log_state', 'log_key', 'log_removal']) t, unnest(array['muniment_app', 'muniment_audit']) r`);
  expect(rows).toHaveLength(12);
  expect(rows.filter(({ may }: { may: boolean }) => may)).toEqual([]);
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
  for (const table of ['resource', 'resource_history', 'content', 'access_event', 'access_entity', 'access_shape', 'attachment_use', 'search_token', 'search_reference', 'idempotency']) expect(seen.filter((name) => name === table)).toHaveLength(2);
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
    expect([table, rows[0]]).toEqual([table, { appends: ['access_event', 'access_entity', 'access_shape'].includes(table), more: false }]);
  }
  await owner.query('begin; set local role muniment_audit');
  await expect(owner.query('select * from access_event')).rejects.toThrow(/permission denied/);
  await owner.query('rollback');
});

it('the record refuses update, delete and truncate, even by its owner', async () => {
  for (const statement of ['update access_event set outcome = 0', 'delete from access_event', 'truncate access_event', 'delete from access_entity', 'truncate access_entity', 'update access_shape set org = 7', 'delete from access_shape', 'truncate access_shape']) {
    await expect(owner.query(statement)).rejects.toThrow(/appended to, never changed/);
  }
});

it('no shape stands under the number of another', async () => {
  await expect(owner.query(`insert into access_shape (org, id, text) select org, id + 1, text from access_shape limit 1`)).rejects.toThrow(/access_shape_number/);
});

it('the same masterIdentifier and the same key live in both organisations', async () => {
  const { rows } = await owner.query(`select org, count(*)::int as count from resource where master_identifier = 'urn:x|one' group by org order by org`);
  expect(rows.map((row: { count: number }) => row.count)).toEqual([1, 1]);
});

it('the application adds policies and changes or removes none', async () => {
  for (const table of ['policy_version', 'policy_rule']) {
    const { rows } = await owner.query(`select has_table_privilege('muniment_app', $1, 'select') and has_table_privilege('muniment_app', $1, 'insert') as adds, has_table_privilege('muniment_app', $1, 'update, delete, truncate') as more`, [table]);
    expect([table, rows[0]]).toEqual([table, { adds: true, more: false }]);
  }
  // An organisation of its own: a policy without rules denies everything as soon as a server reads it.
  await fhirClient(server.fhirBase, await server.token({ org: 'apart' })).get('DocumentReference?_count=1');
  await owner.query(`insert into policy_version (org, version, changed_at, changed_by, reason) select id, 1, now(), 'test', 'test' from organisation where name = 'apart'`);
  await expect(owner.query('update policy_version set reason = $1', ['another'])).rejects.toThrow(/never changed/);
  await expect(owner.query('delete from policy_version')).rejects.toThrow(/never changed/);
});

it('the application keeps no organisation from being opened or configured, and removes none', async () => {
  const { rows } = await owner.query(`select has_table_privilege('muniment_app', 'organisation', 'delete, truncate') as removes, has_column_privilege('muniment_app', 'organisation', 'name', 'update') or has_column_privilege('muniment_app', 'organisation', 'id', 'update') as renames`);
  expect(rows[0]).toEqual({ removes: false, renames: false });
});

it('the worker crosses organisations and writes neither documents nor policies nor the record, and knows no secret', async () => {
  const may = async (table: string, privileges: string): Promise<boolean> => (await owner.query(`select has_table_privilege('muniment_worker', $1, $2) as may`, [table, privileges])).rows[0].may as boolean;
  for (const table of ['resource_history', 'attachment_use', 'access_event', 'access_entity', 'access_shape', 'policy_version', 'policy_rule', 'organisation']) {
    expect([table, await may(table, 'insert, update, delete, truncate')]).toEqual([table, false]);
  }
  // What is older than eight years and below a signed statement leaves by a function; the triggers keep all else.
  const takes = ['(array_agg(org), array_agg(id)) from access_event', '(array_agg(org), array_agg(reference), array_agg(role), array_agg(event)) from access_entity'];
  for (const [at, what] of takes.entries()) {
    await owner.query('begin; set local role muniment_worker');
    await expect(owner.query(`select ${at === 0 ? 'remove_events' : 'remove_entities'}${what}`)).rejects.toThrow(/appended to, never changed/);
    await owner.query('rollback');
    for (const role of ['muniment_app', 'muniment_audit']) {
      await owner.query(`begin; set local role ${role}; set local app.org = '1'`);
      await expect(owner.query(`select remove_events('{}', '{}')`)).rejects.toThrow(/permission denied/);
      await owner.query('rollback');
    }
  }
  expect(await may('resource', 'insert, delete, truncate')).toBe(false);
  expect(await may('server_secret', 'select, insert, update, delete')).toBe(false);
  await owner.query('begin; set local role muniment_worker');
  await expect(owner.query(`insert into resource (org, type, id, version, last_updated, method) values (1, 1, 'x', 1, now(), 'PUT')`)).rejects.toThrow(/permission denied/);
  await owner.query('rollback');
});

it('no runtime role makes, changes or owns tables, or leaves row-level security', async () => {
  const { rows } = await owner.query(`select rolname, rolsuper or rolbypassrls or rolcreaterole or rolcreatedb as strong, has_schema_privilege(rolname, 'public', 'create') as creates,
    exists (select from pg_class where relowner = r.oid) as owns from pg_roles r where rolname in ('muniment_app', 'muniment_audit', 'muniment_worker') order by 1`);
  expect(rows).toEqual(['muniment_app', 'muniment_audit', 'muniment_worker'].map((rolname) => ({ rolname, strong: false, creates: false, owns: false })));
});

describe('the organisation of a transaction', () => {
  let database: Database;
  beforeAll(() => { database = openDatabase({ appUrl: server.ownerUrl, auditUrl: server.ownerUrl, workerUrl: server.ownerUrl, setRoles: true, appConnectionsMax: 1 }); });
  afterAll(() => database.close());
  const [north, south] = [() => orgs[0] as number, () => orgs[1] as number];
  const left = async (): Promise<string | null> => (await database.query<{ left: string | null }>({ text: `select nullif(current_setting('app.org', true), '') as left` })).rows[0]?.left ?? null;
  const backend = async (): Promise<number> => (await database.query<{ pid: number }>({ text: 'select pg_backend_pid() as pid' })).rows[0]?.pid as number;

  it.each([
    ['a commit', () => database.transaction(north(), (tx) => tx.query('select 1'))],
    ['a read', () => database.readTransaction(north(), (tx) => tx.query('select 1'))],
    ['one statement', () => database.select(north(), { text: 'select 1' })],
    ['one statement that fails', () => database.select(north(), { text: 'select 1 / 0' })],
    ['an error of ours', () => database.transaction(north(), async (tx) => { await tx.query('select 1'); throw new Error('ours'); })],
    ['an error of the database', () => database.transaction(north(), (tx) => tx.query('select 1 / 0'))],
    ['an error while others wait', () => database.transaction(north(), (tx) => Promise.all([tx.query('select 1 / 0'), tx.query('select 1')]))],
    ['an error at the commit', () => database.transaction(north(), async (tx) => { await tx.query('select 1'); tx.last({ name: 'fails', text: 'select 1 / unnest($1::int[])', columns: [[0]] }); })],
    ['a statement that was cancelled', () => database.transaction(north(), (tx) => tx.query(`set local statement_timeout = 20; select pg_sleep(5)`))],
  ] as [string, () => Promise<unknown>][])('is gone from its connection after %s', async (_title, work) => {
    const before = await backend();
    await work().catch(() => undefined);
    expect([await left(), await backend()]).toEqual([null, before]);
    await expect(database.query({ text: 'select * from resource' })).rejects.toThrow(/app\.org|invalid input syntax/);
    const { rows } = await database.select<{ org: number }>(south(), { text: 'select distinct org from resource' });
    expect(rows).toEqual([{ org: south() }]);
  });

  it('is never another one, however many requests are aborted on the way', async () => {
    const [ofNorth, ofSouth] = await Promise.all(['north', 'south'].map(async (org) => fhirClient(server.fhirBase, await server.token({ org }))));
    const known = async (client: FhirClient): Promise<string[]> => (await client.get('DocumentReference?_count=1000')).json.entry.map((entry: { resource: { id: string } }) => entry.resource.id);
    const [northIds, southIds] = [await known(ofNorth as FhirClient), await known(ofSouth as FhirClient)];
    const token = await server.token({ org: 'north' });
    const aborted = Array.from({ length: 60 }, (_, turn) => new Promise<void>((resolve) => {
      const upload = turn % 2 === 0;
      const sent = request(`${server.fhirBase}/${upload ? 'Binary' : 'DocumentReference?_count=50'}`, { agent: false, method: upload ? 'POST' : 'GET', headers: { authorization: `Bearer ${token}`, 'content-type': 'text/plain' } });
      sent.once('close', () => resolve());
      sent.on('error', () => undefined);
      sent.end(upload ? 'x'.repeat(300_000) : undefined);
      setTimeout(() => sent.destroy(), turn % 12);
    }));
    const seen = await Promise.all(Array.from({ length: 60 }, (_, turn) => known((turn % 3 === 0 ? ofNorth : ofSouth) as FhirClient)));
    await Promise.all(aborted);
    seen.forEach((found, turn) => expect(found.sort()).toEqual([...(turn % 3 === 0 ? northIds : southIds)].sort()));
  });
});
