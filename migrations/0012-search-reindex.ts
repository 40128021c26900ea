// How far the index rows of each type have got: a parameter that is added later must be filled for the resources that
// were there before it. A state belongs to all organisations, as the table of parameters does.
import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table search_reindex (
      type smallint not null,
      -- Digest of the type's parameters as they are extracted.
      fingerprint text collate "C" not null,
      -- Numbers of these parameters.
      parameters int[] not null,
      started_at timestamptz(3) not null default now(),
      finished_at timestamptz(3),
      -- Resources that were looked through, and the last of them: where it is taken up again.
      done bigint not null default 0,
      cursor_org int not null default 0,
      cursor_id text collate "C" not null default '',
      -- Who works at it; a lease that ended is anybody's.
      lease uuid,
      leased_until timestamptz,
      primary key (type, fingerprint)
    );
    grant select on search_reindex to muniment_app;
    grant select, insert, update on search_reindex to muniment_worker;
    grant update (status, patient, date_lo, date_hi, present, words) on resource to muniment_worker;
  `);
}
