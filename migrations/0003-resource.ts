// Versioned resources: the newest version in one table, superseded ones in another, each as its exact JSON text.
import type { Knex } from 'knex';
import { secureTable } from '../src/database/row-level-security.ts';

const COLUMNS = `
  org int not null,
  type smallint not null,
  id text collate "C" not null,
  version int not null,
  last_updated timestamptz(3) not null,
  deleted boolean not null default false,
  method text not null check (method in ('POST', 'PUT', 'PATCH', 'DELETE')),
  body text,
  content uuid,
  creator text,
  -- Whom it is about: the id of a Patient of this server, or its address.
  patient text collate "C"`;

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table resource (
      ${COLUMNS},
      status text collate "C",
      -- A resource without a date is the earliest in every order; date_hi is null then.
      date_lo timestamptz(3) not null default '-infinity',
      date_hi timestamptz(3),
      master_identifier text collate "C",
      primary key (org, type, id)
    );
    create index resource_newest on resource (org, type, last_updated, id) where not deleted;
    create index resource_patient_date on resource (org, type, patient, date_lo, id) where not deleted and patient is not null;
    create index resource_date on resource (org, type, date_lo, id) where not deleted;
    create unique index resource_master_identifier on resource (org, type, master_identifier)
      where not deleted and master_identifier is not null;
    ${secureTable('resource', { app: 'select, insert, update', worker: 'select' })}

    create table resource_history (
      ${COLUMNS},
      primary key (org, type, id, version)
    );
    ${secureTable('resource_history', { app: 'select, insert', worker: 'select' })}

    -- Which version of which document points to which Binary of this server.
    create table attachment_use (
      org int not null,
      "binary" text collate "C" not null,
      type smallint not null,
      id text collate "C" not null,
      version int not null,
      primary key (org, "binary", type, id, version)
    );
    ${secureTable('attachment_use', { app: 'select, insert', worker: 'select' })}
  `);
}
