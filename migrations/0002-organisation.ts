// Organisations, and the secrets that several servers of one database share.
import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table organisation (
      id int generated always as identity primary key,
      name text collate "C" not null unique,
      created_at timestamptz(3) not null default now()
    );
    grant select, insert on organisation to muniment_app;
    grant select on organisation to muniment_worker, muniment_audit;

    create table server_secret (
      name text primary key,
      value bytea not null,
      created_at timestamptz(3) not null default now()
    );
    grant select, insert on server_secret to muniment_app;

    create table server_fact (
      name text primary key,
      value text not null
    );
    grant select, insert on server_fact to muniment_app;
  `);
}
