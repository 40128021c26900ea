// Why deliveries to a HAPI rest, for whoever asks without a server; and when each resource was delivered last, which tells the rate.
import type { Knex } from 'knex';
import { secureTable } from '../src/database/row-level-security.ts';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table mirror_pause (
      org int primary key,
      reason text not null,
      since timestamptz(3) not null default now()
    );
    ${secureTable('mirror_pause', { app: 'select', worker: 'select, insert, update, delete' })}
    alter table mirror_head add column delivered_at timestamptz(3);
  `);
}
