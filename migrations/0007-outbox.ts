// Transactional outbox: what the mirror still has to be told, written in the transaction that published it.
import type { Knex } from 'knex';
import { secureTable } from '../src/database/row-level-security.ts';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table outbox (
      org int not null,
      seq bigint generated always as identity,
      type smallint not null,
      id text collate "C" not null,
      version int not null,
      -- The access event of the write: its Provenance is mirrored after the version.
      event uuid not null,
      lane smallint not null default 1,
      created_at timestamptz(3) not null default now(),
      primary key (org, seq)
    );
    create index outbox_resource on outbox (org, type, id, version);
    ${secureTable('outbox', { app: 'insert', worker: 'select, delete' })}
  `);
}
