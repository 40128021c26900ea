// What one write published goes to HAPI in an order: the other rows of its event are looked up.
import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw('create index outbox_event on outbox (org, event)');
}
