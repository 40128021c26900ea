// Resumable uploads (tus 1.0): how far each has come, and where its parts lie until the whole is received.
import type { Knex } from 'knex';
import { secureTable } from '../src/database/row-level-security.ts';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table upload (
      org int not null,
      id uuid not null,
      creator text not null,
      length bigint not null check (length >= 0),
      received bigint not null default 0 check (received between 0 and length),
      -- Upload-Metadata as it was sent.
      metadata text,
      created_at timestamptz(3) not null default now(),
      expires_at timestamptz(3) not null,
      -- Refused for good: what its bytes are is not taken here.
      ended boolean not null default false,
      -- Binary/ID or DocumentReference/ID, once it was published.
      result text,
      primary key (org, id)
    );
    create index upload_expiry on upload (org, expires_at);
    ${secureTable('upload', { app: 'select, insert, update, delete' })}

    create table upload_part (
      org int not null,
      upload uuid not null,
      start bigint not null,
      size int not null,
      sha256 bytea not null check (octet_length(sha256) = 32),
      -- A content in state staging: what is left behind is swept like any other.
      content uuid not null,
      key text not null,
      store_version text,
      primary key (org, upload, start)
    );
    ${secureTable('upload_part', { app: 'select, insert, delete' })}
  `);
}
