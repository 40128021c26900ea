// Signed URLs: the grant behind each, with its owner as they were, what it is for and how far it goes.
import type { Knex } from 'knex';
import { secureTable } from '../src/database/row-level-security.ts';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table access_grant (
      org int not null,
      id uuid not null,
      -- issuer|subject: who may list, renew and revoke it.
      owner text collate "C" not null,
      -- The owner's roles, scopes and context as JSON; the policy is asked again at each use.
      principal text not null,
      type smallint not null,
      resource text collate "C" not null,
      method text not null check (method in ('GET', 'PUT')),
      created_at timestamptz(3) not null,
      expires_at timestamptz(3) not null,
      revoked_at timestamptz(3),
      -- CIDR; empty = every address.
      allowed_ip text[] not null default '{}',
      disposition text check (disposition in ('inline', 'attachment')),
      uses_max int check (uses_max > 0),
      used int not null default 0,
      content_type text,
      size bigint check (size >= 0),
      sha256 bytea check (octet_length(sha256) = 32),
      primary key (org, id),
      check (uses_max is null or used <= uses_max)
    );
    create index access_grant_owner on access_grant (org, owner, id);
    ${secureTable('access_grant', { app: 'select, insert, update, delete', worker: 'select' })}
  `);
}
