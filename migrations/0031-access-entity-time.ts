// The index rows of a stretch of time are found without an index entry each: events come in the order of their UUIDv7, so
// a block range of the table holds a stretch of ids. Verification, export and detachment read by it.
import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create index access_entity_time on access_entity using brin (event) with (pages_per_range = 16, autosummarize = on);
    -- A block range that was not summarised is read by every look: vacuum comes after every 50th of the table.
    alter table access_entity set (autovacuum_vacuum_insert_scale_factor = 0.02);
  `);
}
