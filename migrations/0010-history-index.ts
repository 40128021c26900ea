// The history of a type and of the whole system: every version by the time it was made. The newest versions that are
// not deleted have such an index already; those that are deleted are few.
import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create index resource_deleted on resource (org, type, last_updated, id) where deleted;
    create index resource_history_made on resource_history (org, type, last_updated, id, version);
  `);
}
