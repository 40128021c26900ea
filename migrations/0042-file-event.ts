// What happens to files, as a topic that other systems read: told by the tables themselves, in the transaction of the change, so
// that no way in can forget it.
import type { Knex } from 'knex';
import { secureTable } from '../src/database/row-level-security.ts';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table file_event (
      org int not null,
      -- Of one change, in their order.
      events text[] not null,
      at timestamptz(3) not null default now(),
      content uuid,
      "binary" text collate "C",
      type smallint,
      id text collate "C",
      version int,
      -- Readers wait for the oldest transaction: none that is open can still write before what they have seen.
      written_in xid8 not null default pg_current_xact_id(),
      seq bigint generated always as identity,
      primary key (org, written_in, seq)
    );
    create index file_event_written on file_event (written_in);
    ${secureTable('file_event', { app: 'select, insert', worker: 'select, insert, delete' })}

    -- How far the end of retentions was told, by class.
    create table retention_told (
      org int not null,
      retention text collate "C" not null,
      until timestamptz(3) not null,
      primary key (org, retention)
    );
    ${secureTable('retention_told', { app: 'select', worker: 'select, insert, update' })}

    -- Parts of resumable uploads and copies have no type: they are no files.
    create function tell_begun() returns trigger language plpgsql as $function$
      begin
        insert into file_event (org, events, content) values (new.org, '{initiated}', new.id);
        return null;
      end
    $function$;
    create trigger content_begun after insert on content for each row when (new.state = 'staging' and new.declared_type is not null) execute function tell_begun();

    create function tell_service() returns trigger language plpgsql as $function$
      begin
        insert into file_event (org, events, content) values (new.org, case new.state when 'live' then '{restored}'::text[] else '{quarantined}' end, new.id);
        return null;
      end
    $function$;
    create trigger content_service after update of state on content for each row
      when ((old.state = 'live' and new.state = 'quarantined') or (old.state = 'quarantined' and new.state = 'live')) execute function tell_service();

    create function tell_version() returns trigger language plpgsql as $function$
      declare
        told text[] := '{}';
        bytes record;
      begin
        if tg_op = 'UPDATE' and not old.deleted then told := case when new.deleted then '{deleted}'::text[] else '{superseded}' end; end if;
        if new.type = 1 and new.content is not null and (tg_op = 'INSERT' or new.content is distinct from old.content) then
          select state, scan_verdict into bytes from content where org = new.org and id = new.content;
          told := told || '{uploaded}'::text[] || case when bytes.scan_verdict in ('clean', 'unscannable') then '{scanned}'::text[] else '{}' end || '{verified}'::text[]
            || case when bytes.state = 'quarantined' then '{quarantined}'::text[] else '{}' end;
        end if;
        if told <> '{}' then insert into file_event (org, events, content, type, id, version) values (new.org, told, new.content, new.type, new.id, new.version); end if;
        return null;
      end
    $function$;
    create trigger binary_told after insert on resource for each row when (new.type = 1) execute function tell_version();
    create trigger version_told after update of version on resource for each row when (new.version > old.version) execute function tell_version();

    create function tell_link() returns trigger language plpgsql as $function$
      begin
        -- A version after the first one that links says nothing new.
        if not exists (select from attachment_use u where u.org = new.org and u."binary" = new."binary" and u.type = new.type and u.id = new.id and u.version < new.version) then
          insert into file_event (org, events, "binary", type, id, version) values (new.org, '{linked}', new."binary", new.type, new.id, new.version);
        end if;
        return null;
      end
    $function$;
    create trigger attachment_told after insert on attachment_use for each row execute function tell_link();

    create function tell_purge() returns trigger language plpgsql as $function$
      begin
        insert into file_event (org, events, type, id) values (new.org, '{purged}', new.type, new.resource);
        return null;
      end
    $function$;
    create trigger purge_told after update of state on purge for each row when (new.state = 'done' and old.state <> 'done') execute function tell_purge();
  `);
}
