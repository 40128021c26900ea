// The comparison of what stores list with the table of contents: how far it is, and objects that no row names.
import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table store_inventory (
      store text collate "C" primary key,
      -- The key behind which it goes on; empty at the begin.
      after_key text collate "C" not null default '',
      started_at timestamptz(3) not null default now(),
      finished_at timestamptz(3),
      lease uuid,
      leased_until timestamptz
    );
    create table stray_object (
      store text collate "C" not null,
      key text collate "C" not null,
      size bigint not null,
      first_seen timestamptz(3) not null default now(),
      last_seen timestamptz(3) not null default now(),
      -- Seen by two comparisons a week apart: an administrator may remove it.
      quarantined boolean not null default false,
      primary key (store, key)
    );
    create index content_key on content (store collate "C", key collate "C") where state <> 'gone';
    grant select, insert, update on store_inventory to muniment_worker;
    grant select, insert, update, delete on stray_object to muniment_worker;
  `);
}
