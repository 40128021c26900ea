import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { readFileSync, writeFileSync } from 'node:fs';
import pg from 'pg';
import { migrate } from '../../src/database/migrate.ts';
import { createDatabase } from '../support/start-muniment.ts';
import { printCatalogue } from './catalogue.ts';

// After a migration: UPDATE_SCHEMA=1 writes the file anew, and its difference shows in the review what was changed.
const FILE = 'test/migrations/schema.sql';
const HEAD = '-- What all migrations make of an empty database. Written by the test beside it with UPDATE_SCHEMA=1.\n\n';

let url = '';
let client: pg.Client;

beforeAll(async () => {
  url = await createDatabase();
  client = new pg.Client({ connectionString: url });
  await client.connect();
});
afterAll(() => client.end());

it('an empty database reaches the schema that is committed', async () => {
  const found = HEAD + (await printCatalogue(client));
  if (process.env['UPDATE_SCHEMA'] === '1') writeFileSync(FILE, found);
  expect(found).toBe(readFileSync(FILE, 'utf8'));
});

it('migrating again changes nothing', async () => {
  const before = await printCatalogue(client);
  expect(await migrate(url)).toEqual([]);
  expect(await printCatalogue(client)).toBe(before);
});

it('servers that start at once on an empty database migrate it once', async () => {
  const admin = new pg.Client({ connectionString: process.env['TEST_POSTGRES_URL'] });
  await admin.connect();
  const name = `empty_${process.pid}_${Date.now()}`;
  try {
    await admin.query(`create database ${name}`);
    const empty = url.replace(/\/[^/]*$/, `/${name}`);
    const ran = await Promise.all([migrate(empty), migrate(empty), migrate(empty)]);
    expect(ran.filter((names) => names.length > 0)).toHaveLength(1);
  } finally {
    await admin.query(`drop database if exists ${name} with (force)`);
    await admin.end();
  }
});

it('every table whose rows belong to an organisation has a key that begins with it', async () => {
  const { rows } = await client.query<{ name: string; columns: string[] }>(`select c.relname as name,
      (select array_agg(a.attname::text order by k.position) from unnest(i.indkey) with ordinality as k (number, position) join pg_attribute a on a.attrelid = c.oid and a.attnum = k.number) as columns
    from pg_class c join pg_index i on i.indrelid = c.oid and i.indisprimary
    where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'org')`);
  expect(rows.length).toBeGreaterThanOrEqual(15);
  // The log is one over all organisations, and the worker's alone.
  for (const { name, columns } of rows) expect([name, columns[0]]).toEqual([name, ({ log_leaf: 'index', log_removal: 'size' } as Record<string, string>)[name] ?? 'org']);
});
