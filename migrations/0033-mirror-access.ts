// How far the record of accesses was told to HAPI: one cursor for each organisation over its events in the order in which their
// transactions began, and the events that HAPI refused.
import type { Knex } from 'knex';
import { secureTable } from '../src/database/row-level-security.ts';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table mirror_access (
      org int primary key,
      -- The last event that HAPI has: the transaction that wrote it, and its id.
      written_in xid8 not null default '0',
      event uuid not null default '00000000-0000-0000-0000-000000000000',
      -- As for a head: when it is due, and the fencing token of whoever is at it.
      next_at timestamptz not null default now(),
      lease uuid,
      attempts int not null default 0,
      refusals int not null default 0,
      last_error text
    );
    ${secureTable('mirror_access', { app: 'select', worker: 'select, insert, update' })}

    create table mirror_access_refused (
      org int not null,
      event uuid not null,
      reason text not null,
      refused_at timestamptz(3) not null default now(),
      primary key (org, event)
    );
    ${secureTable('mirror_access_refused', { app: 'select', worker: 'select, insert' })}
  `);
}
