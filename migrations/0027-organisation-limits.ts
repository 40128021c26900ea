// What an operator allows an organisation: media types, how much it may hold, and whose tokens speak for it.
import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    alter table organisation
      -- Media types with stars for anything; what has no slash is the name of a shipped preset.
      add column allowed_types text[] not null default '{clinical}' check (cardinality(allowed_types) > 0),
      -- Of live bytes and of contents; null = as many as there is room for.
      add column quota_bytes bigint check (quota_bytes >= 0),
      add column quota_count bigint check (quota_count >= 0),
      -- null = every issuer that the server trusts.
      add column issuers text[] check (cardinality(issuers) > 0);
    grant update (allowed_types, quota_bytes, quota_count, issuers) on organisation to muniment_app;
  `);
}
