// Images of people: what HAPI's Patient and Practitioner are to be told of them, and the bytes that a newer image replaced.
import type { Knex } from 'knex';
import { secureTable } from '../src/database/row-level-security.ts';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    -- For a resource that lives at HAPI: the Attachment that is to stand in its photo, as JSON; 'null' takes ours out.
    alter table outbox add column photo text;

    create table replaced_image (
      org int not null,
      "binary" text collate "C" not null,
      remove_at timestamptz not null,
      primary key (org, "binary")
    );
    create index replaced_image_due on replaced_image (remove_at);
    ${secureTable('replaced_image', { app: 'select, insert, update, delete', worker: 'select' })}
  `);
}
