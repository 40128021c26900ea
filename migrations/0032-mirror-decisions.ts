// An administrator decides about parked deliveries of the own organisation, in the transaction that records it: the application
// may make them due again or give a version up, and touches nothing of what is not parked.
import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    grant update (state, parked_at, attempts, refusals, last_error, next_at) on mirror_head to muniment_app;
    create policy decided_when_parked on mirror_head as restrictive for update to muniment_app using (state = 'parked') with check (true);
    grant insert on mirror_skip to muniment_app;
    grant select, delete on outbox to muniment_app;
    create policy given_up_when_parked on outbox as restrictive for delete to muniment_app using (exists (
      select from mirror_head h where h.org = outbox.org and h.type = outbox.type and h.id = outbox.id and h.state = 'parked'));
  `);
}
