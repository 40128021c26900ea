// The replica is written behind: which contents it has, and who copies one now.
import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    alter table content
      add column replicated_at timestamptz(3),
      -- Until when a server copies it.
      add column replica_until timestamptz(3);
    create index content_unreplicated on content (published_at) where replicated_at is null and state = 'live';
  `);
}
