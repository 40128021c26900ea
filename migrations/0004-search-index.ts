// Index rows of multi-valued search parameters. Every predicate on them is B-tree equality or range on a leakproof
// operator, so that row-level security does not take the index away. A row counts only while its last_updated is the
// one of the resource: what an update left behind can never answer a search.
import type { Knex } from 'knex';
import { secureTable } from '../src/database/row-level-security.ts';

const HEAD = `
  org int not null,
  type smallint not null,
  param smallint not null`;

const TAIL = `
  last_updated timestamptz(3) not null,
  id text collate "C" not null`;

const HASHED = ['search_token', 'search_reference', 'search_composite'];

export async function up(knex: Knex): Promise<void> {
  for (const table of HASHED) {
    await knex.raw(`
      create table ${table} (${HEAD}, hash bigint not null, ${TAIL},
        primary key (org, type, param, hash, last_updated, id));
      ${secureTable(table, { app: 'select, insert, delete', worker: 'select, insert, delete' })}`);
  }
  for (const [table, column] of [['search_string', 'norm'], ['search_uri', 'value']] as const) {
    await knex.raw(`
      create table ${table} (${HEAD}, ${column} text collate "C" not null, ${TAIL},
        primary key (org, type, param, ${column}, last_updated, id));
      ${secureTable(table, { app: 'select, insert, delete', worker: 'select, insert, delete' })}`);
  }
  await knex.raw(`
    create table search_date (${HEAD}, lo timestamptz(3) not null, hi timestamptz(3) not null, ${TAIL},
      primary key (org, type, param, lo, hi, last_updated, id));
    ${secureTable('search_date', { app: 'select, insert, delete', worker: 'select, insert, delete' })}`);
}
