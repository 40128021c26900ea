// Signed URLs that lead to the store itself: which organisations allow them, and which grants are such.
import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    alter table organisation add column direct_urls boolean not null default false;
    grant update (direct_urls) on organisation to muniment_app;
    alter table access_grant add column direct boolean not null default false;
  `);
}
