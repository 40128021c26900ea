// What the mirror knows of each resource: how far it got, when it is due, who holds its lease. Rows are made by the
// worker when it takes outbox rows in, so that publishing pays for one insert alone.
import type { Knex } from 'knex';
import { secureTable } from '../src/database/row-level-security.ts';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    -- True once a head knows of the row; an insert is thereby found without a scan of all that waits.
    alter table outbox add column taken boolean not null default false;
    create index outbox_new on outbox (org, seq) where not taken;
    grant update (taken) on outbox to muniment_worker;

    create table mirror_head (
      org int not null,
      type smallint not null,
      id text collate "C" not null,
      lane smallint not null,
      -- From the patient: one server never has two deliveries of one shard in flight.
      shard smallint not null,
      state text collate "C" not null default 'waiting' check (state in ('waiting', 'parked')),
      -- When it is due. A lease moves it to the lease's end, so that a dead worker's heads come back by themselves;
      -- null = nothing is pending.
      next_at timestamptz,
      -- Fencing token: only its holder may settle.
      lease uuid,
      attempts int not null default 0,
      refusals int not null default 0,
      delivered_version int not null default 0,
      -- The version that HAPI gave to what was delivered last; the next write names it in If-Match.
      hapi_version text,
      last_error text,
      parked_at timestamptz(3),
      primary key (org, type, id)
    );
    create index mirror_head_due on mirror_head (org, lane, shard, next_at) where state = 'waiting' and next_at is not null;
    create index mirror_head_parked on mirror_head (org, parked_at) where state = 'parked';
    ${secureTable('mirror_head', { app: 'select', worker: 'select, insert, update, delete' })}

    -- Versions that a person decided not to deliver.
    create table mirror_skip (
      org int not null,
      type smallint not null,
      id text collate "C" not null,
      version int not null,
      event uuid not null,
      reason text not null,
      last_error text,
      skipped_at timestamptz(3) not null default now(),
      primary key (org, type, id, version, skipped_at)
    );
    ${secureTable('mirror_skip', { app: 'select', worker: 'select, insert' })}
  `);
}
