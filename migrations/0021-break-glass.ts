// Break-glass: who declared an emergency for which patient and why, and who looked at it afterwards.
import type { Knex } from 'knex';
import { secureTable } from '../src/database/row-level-security.ts';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table break_glass (
      org int not null,
      id uuid not null,
      declared_at timestamptz(3) not null,
      expires_at timestamptz(3) not null,
      issuer text not null,
      subject text not null,
      client text not null,
      fhir_user text not null,
      -- Id of the Patient.
      patient text collate "C" not null,
      reason text not null,
      reviewed_at timestamptz(3),
      -- issuer|subject|client
      reviewed_by text,
      review_note text,
      primary key (org, id)
    );
    create index break_glass_open on break_glass (org, id) where reviewed_at is null;
    ${secureTable('break_glass', { app: 'select, insert' })}
    grant update (reviewed_at, reviewed_by, review_note) on break_glass to muniment_app;
  `);
}
