// What searches need that no key of a value finds: which parameters have a value at all (:missing), and the texts that
// :contains and :text look through. Ranges are also found from their version, and rare states by a small index.
import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    alter table resource
      -- One bit for each search parameter of the type; null where the type has none, or until a reindex filled it.
      add column present bigint,
      -- A line for each text: the parameter's number, a tab, the text.
      add column words text collate "C";
    -- Nearly every document is current, and nearly every Media completed: they need no index, the others do.
    create index resource_rare_status on resource (org, type, status, last_updated, id)
      where not deleted and status is not null and status not in ('current', 'completed');
    create index search_date_version on search_date (org, type, param, last_updated, id) include (lo, hi);
  `);
}
