// Medical records with drawings: what an application saves again and again before it is final. The document that stands for
// a record has a version for each explicit save; between them the draft is kept here, under a revision of its own.
import type { Knex } from 'knex';
import { secureTable } from '../src/database/row-level-security.ts';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    -- Small whole numbers that an application knows things by; one sequence for each kind and organisation.
    create table alias_sequence (
      org int not null,
      kind text collate "C" not null,
      last bigint not null,
      primary key (org, kind)
    );
    ${secureTable('alias_sequence', { app: 'select, insert, update' })}

    create table medical_record (
      org int not null,
      id bigint not null,
      -- The DocumentReference.
      document text collate "C" not null,
      appointment_id text collate "C" not null,
      template_id text collate "C",
      patient_id text collate "C",
      drawing_data jsonb not null default '{}',
      form_data jsonb not null default '{}',
      -- Counts every save, drafts included.
      revision int not null default 1,
      finalised_at timestamptz(3),
      created_by_user_id text collate "C" not null,
      updated_by_user_id text collate "C",
      created_at timestamptz(3) not null,
      updated_at timestamptz(3) not null,
      primary key (org, id)
    );
    create unique index medical_record_document on medical_record (org, document);
    create index medical_record_appointment on medical_record (org, appointment_id, id);
    create index medical_record_patient on medical_record (org, patient_id, id) where patient_id is not null;
    create index medical_record_drawing_data on medical_record using gin (drawing_data jsonb_path_ops);
    ${secureTable('medical_record', { app: 'select, insert, update' })}

    -- The shape that the application's own queries are written for.
    create view medical_records with (security_invoker = true) as
      select id, appointment_id, template_id, drawing_data, form_data, created_by_user_id, updated_by_user_id, created_at, updated_at from medical_record;
    grant select on medical_records to muniment_app;
  `);
}
