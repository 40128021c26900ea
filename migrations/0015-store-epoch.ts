// The fence between a database and its store: a mark that both have, renewed by each sweep. A database or a bucket that was
// restored to an earlier day has another one. It belongs to all organisations, as a store does.
import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table store_epoch (
      store text collate "C" primary key,
      current uuid not null,
      -- Set while the mark is renewed: the store may have either.
      next uuid,
      renewed_at timestamptz(3) not null default now(),
      -- Since when nothing is removed.
      halted_at timestamptz(3)
    );
    grant select, insert, update on store_epoch to muniment_worker;
  `);
}
