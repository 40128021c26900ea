// Files of patients under whole numbers, and the records that they belong to. A file that a record uses is not taken away.
import type { Knex } from 'knex';
import { secureTable } from '../src/database/row-level-security.ts';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table patient_file (
      org int not null,
      id bigint not null,
      -- The DocumentReference, and the Binary that it points to.
      document text collate "C" not null,
      "binary" text collate "C" not null,
      patient_id text collate "C" not null,
      file_name text not null,
      file_type text not null,
      file_size bigint not null,
      uploaded_by_user_id text collate "C" not null,
      created_at timestamptz(3) not null,
      primary key (org, id)
    );
    create index patient_file_patient on patient_file (org, patient_id, id);
    ${secureTable('patient_file', { app: 'select, insert' })}

    create table medical_record_file (
      org int not null,
      medical_record_id bigint not null,
      patient_file_id bigint not null,
      file_role text collate "C" not null check (file_role in ('background', 'attachment', 'export')),
      created_at timestamptz(3) not null,
      primary key (org, medical_record_id, patient_file_id, file_role),
      foreign key (org, medical_record_id) references medical_record (org, id) on delete restrict,
      foreign key (org, patient_file_id) references patient_file (org, id) on delete restrict
    );
    create index medical_record_file_file on medical_record_file (org, patient_file_id);
    ${secureTable('medical_record_file', { app: 'select, insert, delete' })}

    -- The shapes that the application's own queries are written for; where bytes are stored is nobody's business.
    create view patient_files with (security_invoker = true) as
      select id, patient_id, file_name, file_type, file_size, 'Binary/' || "binary" as s3_key, 'muniment' as s3_bucket, uploaded_by_user_id, created_at from patient_file;
    create view medical_record_files with (security_invoker = true) as
      select medical_record_id, patient_file_id, file_role, created_at from medical_record_file;
    grant select on patient_files, medical_record_files to muniment_app;
  `);
}
