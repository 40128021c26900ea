// The record: one row for each access, appended and never changed. Its body is the leaf of the log: canonical bytes
// from which AuditEvent and Provenance are rendered. The id is a UUIDv7 of the recorded instant, so that the primary
// key is also the order of time.
import type { Knex } from 'knex';
import { secureTable } from '../src/database/row-level-security.ts';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table access_event (
      org int not null,
      id uuid not null,
      recorded timestamptz(3) not null,
      layout smallint not null,
      body text not null,
      leaf bytea not null check (octet_length(leaf) = 32),
      action text collate "C" not null check (action in ('C', 'R', 'U', 'D', 'E')),
      outcome smallint not null check (outcome in (0, 4, 8, 12)),
      request_id text collate "C" not null,
      agent_user text collate "C",
      agent_subject text collate "C",
      agent_client text collate "C",
      write boolean not null default false,
      primary key (org, id)
    );
    create index access_event_request on access_event (org, request_id, id);
    create index access_event_user on access_event (org, agent_user, id) where agent_user is not null;
    create index access_event_subject on access_event (org, agent_subject, id) where agent_subject is not null;
    create index access_event_client on access_event (org, agent_client, id) where agent_client is not null;
    ${secureTable('access_event', { app: 'select, insert', worker: 'select', auditInsert: true })}

    -- What an access touched: role 1 the patient, 2 the data. Reference without version.
    create table access_entity (
      org int not null,
      reference text collate "C" not null,
      role smallint not null,
      event uuid not null,
      primary key (org, reference, event, role)
    );
    ${secureTable('access_entity', { app: 'select, insert', worker: 'select', auditInsert: true })}

    create function refuse_change() returns trigger language plpgsql as $$
    begin
      raise exception 'The record is appended to, never changed';
    end $$;
    create trigger access_event_append_only before update or delete on access_event for each row execute function refuse_change();
    create trigger access_event_no_truncate before truncate on access_event for each statement execute function refuse_change();
    create trigger access_entity_append_only before update or delete on access_entity for each row execute function refuse_change();
    create trigger access_entity_no_truncate before truncate on access_entity for each statement execute function refuse_change();
  `);
}
