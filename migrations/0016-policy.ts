// Organisations as their administrators configure them, and the policy of each: versions that are added, never changed.
import type { Knex } from 'knex';
import { secureTable } from '../src/database/row-level-security.ts';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    alter table organisation
      add column title text,
      -- Since when nothing of it is served; null = it is open.
      add column disabled_at timestamptz(3),
      add column require_if_match boolean not null default false,
      -- Counts its configurations, for If-Match.
      add column revision int not null default 1;
    grant update (title, disabled_at, require_if_match, revision) on organisation to muniment_app;

    create table policy_version (
      org int not null,
      version int not null check (version > 0),
      changed_at timestamptz(3) not null,
      -- issuer|subject|client of whoever changed it, and fhirUser where the token had one.
      changed_by text not null,
      changed_by_user text,
      reason text not null,
      primary key (org, version)
    );
    ${secureTable('policy_version', { app: 'select, insert' })}

    create table policy_rule (
      org int not null,
      version int not null,
      role text collate "C" not null,
      category text collate "C" not null,
      action text collate "C" not null,
      effect text collate "C" not null check (effect in ('permit', 'deny')),
      primary key (org, version, role, category, action, effect),
      foreign key (org, version) references policy_version (org, version)
    );
    ${secureTable('policy_rule', { app: 'select, insert' })}

    create trigger policy_version_append_only before update or delete on policy_version for each row execute function refuse_change();
    create trigger policy_rule_append_only before update or delete on policy_rule for each row execute function refuse_change();
  `);
}
