// A Bundle's answer is kept for a repetition with the same Idempotency-Key: no single version stands for it.
import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw('alter table idempotency add column answer text');
}
