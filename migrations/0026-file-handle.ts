// Names of uploaded files, by which a client refers to them in the url of an attachment.
import type { Knex } from 'knex';
import { secureTable } from '../src/database/row-level-security.ts';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table file_handle (
      org int not null,
      creator text collate "C" not null,
      name text collate "C" not null,
      "binary" text collate "C" not null,
      created_at timestamptz(3) not null,
      primary key (org, creator, name, "binary")
    );
    ${secureTable('file_handle', { app: 'select, insert' })}
  `);
}
