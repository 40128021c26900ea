// Small pictures of images: the work that waits, leased, and what was made of which bytes.
import type { Knex } from 'knex';
import { secureTable } from '../src/database/row-level-security.ts';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table rendition (
      org int not null,
      -- The content that it is made of, and the Binary whose bytes that is.
      source uuid not null,
      "binary" text collate "C" not null,
      -- Pixels of the longer edge.
      edge smallint not null,
      state text not null check (state in ('waiting', 'made', 'failed')),
      -- When it is tried next; a lease moves it to its end, so that what a killed server held comes back by itself.
      due_at timestamptz,
      lease uuid,
      attempts int not null default 0,
      content uuid,
      width int,
      height int,
      -- Why there is none, for people.
      failure text,
      created_at timestamptz(3) not null default now(),
      primary key (org, source, edge),
      check (state <> 'made' or content is not null),
      check (state <> 'failed' or failure is not null)
    );
    create index rendition_due on rendition (due_at) where state = 'waiting';
    create index rendition_binary on rendition (org, "binary");
    create index rendition_content on rendition (org, content) where content is not null;
    ${secureTable('rendition', { app: 'select, insert, update', worker: 'select, update, delete' })}

    -- One grant of an owner for the pictures that lists show: the token says which of them.
    alter table access_grant add column thumbnails boolean not null default false;
  `);
}
