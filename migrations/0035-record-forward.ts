// How far the record was handed to the audit repository of the customer: a place in the log, which has no gaps and no order
// but one, and the lease of the server that hands on.
import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table record_forward (
      -- host:port of the repository: another one is told everything from the first leaf on.
      target text primary key,
      -- The first leaf that it does not have yet.
      position bigint not null default 0,
      holder uuid,
      lease_until timestamptz not null default '-infinity',
      forwarded_at timestamptz(3)
    );
    grant select, insert, update on record_forward to muniment_worker;
  `);
}
