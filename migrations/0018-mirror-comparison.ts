// Comparisons of the mirror with what is here: each run with how far it got, and each difference that is not mended yet.
import type { Knex } from 'knex';
import { secureTable } from '../src/database/row-level-security.ts';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table mirror_run (
      org int not null,
      kind text collate "C" not null check (kind in ('reconcile', 'light', 'backfill')),
      started_at timestamptz(3) not null default now(),
      -- Written after each portion: whoever goes on with the run begins there.
      progress jsonb not null,
      updated_at timestamptz(3) not null default now(),
      ended_at timestamptz(3),
      -- The signed report, once it has ended.
      report text,
      primary key (org, kind, started_at)
    );
    ${secureTable('mirror_run', { app: 'select', worker: 'select, insert, update, delete' })}

    create table mirror_drift (
      org int not null,
      type smallint not null,
      id text collate "C" not null,
      kind text collate "C" not null check (kind in ('missing', 'extra', 'stale', 'different')),
      -- Where the two differ first, and what else is known. Never content.
      path text,
      detail text not null,
      found_at timestamptz(3) not null default now(),
      seen_at timestamptz(3) not null default now(),
      primary key (org, type, id)
    );
    ${secureTable('mirror_drift', { app: 'select', worker: 'select, insert, update, delete' })}
  `);
}
