// How long documents are kept, what holds them beyond that, and how they are purged: asked for by one administrator, decided
// by another, with the versions that it took as a trace.
import type { Knex } from 'knex';
import { secureTable } from '../src/database/row-level-security.ts';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    alter table organisation add column retention text not null default 'uk';
    grant update (retention) on organisation to muniment_app;

    create table legal_hold (
      org int not null,
      id uuid not null,
      -- Organization, Patient/ID, DocumentReference/ID, Media/ID, List/ID or Binary/ID.
      target text collate "C" not null,
      reason text not null,
      placed_at timestamptz(3) not null,
      -- issuer|subject|client
      placed_by text not null,
      lifted_at timestamptz(3),
      lifted_by text,
      lift_reason text,
      primary key (org, id)
    );
    create index legal_hold_active on legal_hold (org, target) where lifted_at is null;
    ${secureTable('legal_hold', { app: 'select, insert', worker: 'select' })}
    grant update (lifted_at, lifted_by, lift_reason) on legal_hold to muniment_app;

    create table purge (
      org int not null,
      id uuid not null,
      type smallint not null,
      resource text collate "C" not null,
      state text not null check (state in ('requested', 'withdrawn', 'approved', 'done')),
      reason text not null,
      requested_at timestamptz(3) not null,
      requested_by text not null,
      decided_at timestamptz(3),
      decided_by text check (decided_by is distinct from requested_by or state = 'withdrawn'),
      decision text,
      -- The class that the document had, and how long it had to be kept.
      class text,
      retained_until timestamptz(3),
      done_at timestamptz(3),
      -- Id of the DocumentReference.
      certificate text,
      primary key (org, id)
    );
    create unique index purge_open on purge (org, type, resource) where state in ('requested', 'approved');
    create index purge_unfinished on purge (org, id) where state = 'approved';
    ${secureTable('purge', { app: 'select, insert, update', worker: 'select, update' })}

    -- What a purge took: the digests of the versions stay, so that the log can still be compared.
    create table purged_version (
      org int not null,
      type smallint not null,
      id text collate "C" not null,
      version int not null,
      purge uuid not null,
      -- SHA-256 of the text; null for the version that a deletion made.
      sha256 bytea check (octet_length(sha256) = 32),
      primary key (org, type, id, version)
    );
    create index purged_version_purge on purged_version (org, purge);
    ${secureTable('purged_version', { app: 'select, insert', worker: 'select' })}

    -- Bytes that are to go in every version of their object.
    alter table content add column purge uuid;
    create index content_purge on content (org, purge) where purge is not null;

    -- A version that was superseded keeps its text but for a purge that was approved, which leaves its digest.
    create function refuse_history_change() returns trigger language plpgsql as $function$
      begin
        if new.body is null and new.patient is null
          and (new.org, new.type, new.id, new.version, new.last_updated, new.deleted, new.method) = (old.org, old.type, old.id, old.version, old.last_updated, old.deleted, old.method)
          and new.content is not distinct from old.content and new.creator is not distinct from old.creator
          and exists (select from purged_version p where p.org = old.org and p.type = old.type and p.id = old.id and p.version = old.version
            and p.sha256 is not distinct from (case when old.body is null then null else sha256(convert_to(old.body, 'UTF8')) end)) then
          return new;
        end if;
        raise exception 'A superseded version does not change';
      end
    $function$;
    create trigger resource_history_kept before update on resource_history for each row execute function refuse_history_change();
    grant update (body, patient) on resource_history to muniment_app;
  `);
}
