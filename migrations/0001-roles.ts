// The runtime roles. Roles belong to the cluster, so another database or server may make them at the same moment.
import type { Knex } from 'knex';

const ROLES = ['muniment_app', 'muniment_audit', 'muniment_worker'];

export async function up(knex: Knex): Promise<void> {
  for (const role of ROLES) {
    await knex.raw(`
      do $$ begin
        if not exists (select from pg_roles where rolname = '${role}') then
          create role ${role} nologin;
        end if;
      exception when duplicate_object or unique_violation then null;
      end $$`);
    // Membership lets the owner's login set the role for a connection where no separate login is configured.
    await knex.raw(`
      do $$ begin
        if not pg_has_role(current_user, '${role}', case when current_setting('server_version_num')::int >= 160000 then 'SET' else 'MEMBER' end) then
          grant ${role} to current_user;
        end if;
      exception when duplicate_object or unique_violation then null;
      end $$`);
  }
  await knex.raw(`do $$ begin execute format('grant connect on database %I to ${ROLES.join(', ')}', current_database()); end $$`);
  await knex.raw(`grant usage on schema public to ${ROLES.join(', ')}`);
}
