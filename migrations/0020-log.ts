// The tamper-evident log over the record: an order of leaves that is decided once, the subtrees that proofs are made of,
// and signed checkpoints. One log over all organisations, which the worker alone reads and writes: hashes of one
// organisation stand in the proofs of another, rows never do.
import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    -- The transaction that wrote the event. Once all transactions before a number have ended, no row below it can appear.
    alter table access_event add column written_in xid8 not null default pg_current_xact_id();
    create index access_event_written on access_event (written_in, id);

    -- An event, or with type, id and version a version that its write made.
    create table log_leaf (
      index bigint primary key check (index >= 0),
      org int not null,
      event uuid not null,
      type smallint,
      id text collate "C",
      version int,
      hash bytea not null check (octet_length(hash) = 32),
      check ((type is null) = (version is null) and (id is null) = (version is null))
    );
    create unique index log_leaf_event on log_leaf (org, event) where version is null;
    create unique index log_leaf_version on log_leaf (org, type, id, version) where version is not null;

    -- Full subtrees of 2 to the power of height leaves, from 256 leaves on: smaller ones are made of the leaves.
    create table log_subtree (
      height smallint not null,
      position bigint not null,
      root bytea not null check (octet_length(root) = 32),
      primary key (height, position)
    );

    -- Signed notes, one for a size.
    create table log_checkpoint (
      size bigint primary key,
      note text not null,
      sealed_at timestamptz(3) not null default now()
    );

    -- Verifier keys in their order; each but the first is introduced by a note under the key before it.
    create table log_key (
      ordinal int primary key,
      verifier text not null unique,
      statement text,
      introduced_at timestamptz(3) not null default now(),
      check ((ordinal = 1) = (statement is null))
    );

    -- One row. Its lock is the lease of whoever appends.
    create table log_state (
      single boolean primary key default true check (single),
      origin text not null,
      size bigint not null default 0,
      peaks bytea not null default '',
      -- The newest event that has its leaf.
      written_in xid8 not null default '0',
      event uuid not null default '00000000-0000-0000-0000-000000000000'
    );
    insert into log_state (origin) values ('muniment.example/log/' || gen_random_uuid());

    grant select, insert on log_leaf, log_subtree, log_checkpoint, log_key to muniment_worker;
    grant select, update on log_state to muniment_worker;

    create trigger log_leaf_append_only before update or delete on log_leaf for each row execute function refuse_change();
    create trigger log_leaf_no_truncate before truncate on log_leaf for each statement execute function refuse_change();
    create trigger log_subtree_append_only before update or delete on log_subtree for each row execute function refuse_change();
    create trigger log_checkpoint_append_only before update or delete on log_checkpoint for each row execute function refuse_change();
    create trigger log_checkpoint_no_truncate before truncate on log_checkpoint for each statement execute function refuse_change();
    create trigger log_key_append_only before update or delete on log_key for each row execute function refuse_change();
  `);
}
