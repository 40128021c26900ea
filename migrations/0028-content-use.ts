// What an organisation holds, counted where it has a quota, and the media types that single resource types take.
import type { Knex } from 'knex';
import { secureTable } from '../src/database/row-level-security.ts';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    alter table organisation
      -- By resource type, in place of allowed_types: {"DocumentReference": ["pdf-only"]}.
      add column allowed_types_of jsonb not null default '{}' check (jsonb_typeof(allowed_types_of) = 'object');
    grant update (allowed_types_of) on organisation to muniment_app;

    -- A row for each organisation that ever had a quota: its published contents, also those out of service.
    create table content_use (
      org int primary key,
      bytes bigint not null,
      count bigint not null
    );
    ${secureTable('content_use', { app: 'select, insert, update', worker: 'select, update' })}

    -- In the transaction that publishes or purges, so that those of one organisation come one after the other.
    create function count_content() returns trigger language plpgsql as $function$
      begin
        if old.published_at is null and new.published_at is not null then
          update content_use set bytes = bytes + new.size, count = count + 1 where org = new.org;
        elsif new.state = 'gone' and old.state <> 'gone' and old.published_at is not null then
          update content_use set bytes = bytes - old.size, count = count - 1 where org = new.org;
        end if;
        return null;
      end
    $function$;
    create trigger content_counted after update of state on content for each row execute function count_content();
  `);
}
