// Bytes under their digests. A row is written before the first byte, and becomes visible only by publishing.
import type { Knex } from 'knex';
import { secureTable } from '../src/database/row-level-security.ts';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table content (
      org int not null,
      id uuid not null,
      state text not null check (state in ('staging', 'live', 'quarantined', 'condemned', 'gone')),
      store text not null,
      key text not null,
      store_version text,
      size bigint,
      sha256 bytea check (octet_length(sha256) = 32),
      sha1 bytea check (octet_length(sha1) = 20),
      chunk_bytes int not null,
      chunk_digests bytea,
      declared_type text,
      sniffed_type text,
      creator text,
      created_at timestamptz(3) not null default now(),
      published_at timestamptz(3),
      verified_at timestamptz(3),
      quarantine_reason text,
      primary key (org, id),
      check (state = 'staging' or state in ('condemned', 'gone')
        or (size is not null and sha256 is not null and sha1 is not null and chunk_digests is not null and published_at is not null))
    );
    create index content_staging on content (created_at) where state = 'staging';
    create index content_condemned on content (created_at) where state = 'condemned';
    create index content_verified on content (verified_at) where state = 'live';
    ${secureTable('content', { app: 'select, insert, update', worker: 'select, update' })}

    create table idempotency (
      org int not null,
      client text collate "C" not null,
      key text collate "C" not null,
      fingerprint bytea,
      state text not null check (state in ('running', 'done')),
      lease uuid not null,
      lease_until timestamptz not null,
      status int,
      type smallint,
      id text collate "C",
      version int,
      created_at timestamptz(3) not null default now(),
      primary key (org, client, key)
    );
    create index idempotency_age on idempotency (created_at);
    ${secureTable('idempotency', { app: 'select, insert, update, delete', worker: 'select, delete' })}
  `);
}
