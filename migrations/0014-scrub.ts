// Bytes that rest are read again from time to time: who is reading which, when it was last tried, and where the replica
// has an object whose own place has changed since.
import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    alter table content
      -- The end of the last attempt, whatever it found; verified_at is that of the last one that found all in order.
      add column scrubbed_at timestamptz(3),
      add column scrub_lease uuid,
      add column scrub_until timestamptz,
      -- Set when the bytes were put back under another key: the replica still has them under the first one.
      add column replica_key text;
    create index content_quarantined on content (org, id) where state = 'quarantined';
  `);
}
