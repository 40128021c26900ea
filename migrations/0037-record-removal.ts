// The record is removed where it is old: the statements by which accesses were removed, and the one way that triggers leave
// open. What wrote something stays; of the rest goes what is older than eight years and below what a statement names.
import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    -- Leaves below size whose events may be gone; the statement is a signed note that the leaf of the event holds as well.
    create table log_removal (
      size bigint primary key,
      statement text not null,
      org int not null,
      event uuid not null,
      recorded_at timestamptz(3) not null default now()
    );
    grant select, insert on log_removal to muniment_worker;
    create trigger log_removal_append_only before update or delete on log_removal for each row execute function refuse_change();
    create trigger log_removal_no_truncate before truncate on log_removal for each statement execute function refuse_change();

    create function below_removal(of_org int, of_event uuid) returns boolean language sql stable as $$
      select exists (select from log_leaf l where l.org = of_org and l.event = of_event and l.version is null and l.index < (select max(size) from log_removal))
    $$;

    create function refuse_event_change() returns trigger language plpgsql as $$
    begin
      if tg_op = 'DELETE' and not old.write and old.recorded < now() - interval '8 years' and below_removal(old.org, old.id) then
        return old;
      end if;
      raise exception 'The record is appended to, never changed';
    end $$;
    drop trigger access_event_append_only on access_event;
    create trigger access_event_append_only before update or delete on access_event for each row execute function refuse_event_change();

    -- What a removed event was found by goes behind it.
    create function refuse_entity_change() returns trigger language plpgsql as $$
    begin
      if tg_op = 'DELETE' and not exists (select from access_event e where e.org = old.org and e.id = old.event) and below_removal(old.org, old.event) then
        return old;
      end if;
      raise exception 'The record is appended to, never changed';
    end $$;
    drop trigger access_entity_append_only on access_entity;
    create trigger access_entity_append_only before update or delete on access_entity for each row execute function refuse_entity_change();

    -- The one way out. No runtime role may delete from the record by itself; the triggers look at what the owner takes away as well,
    -- who sees rows under forced row-level security only by these policies.
    create policy removal_sees on access_event for select to current_user using (true);
    create policy removal_takes on access_event for delete to current_user using (true);
    create policy removal_sees on access_entity for select to current_user using (true);
    create policy removal_takes on access_entity for delete to current_user using (true);
    create function remove_events(of_orgs int[], of_events uuid[]) returns void language sql security definer set search_path = public, pg_temp as $$
      delete from access_event e using unnest(of_orgs, of_events) as t (org, id) where e.org = t.org and e.id = t.id
    $$;
    create function remove_entities(of_orgs int[], of_references text[], of_roles smallint[], of_events uuid[]) returns void language sql security definer set search_path = public, pg_temp as $$
      delete from access_entity x using unnest(of_orgs, of_references, of_roles, of_events) as t (org, reference, role, event)
        where x.org = t.org and x.reference = t.reference and x.event = t.event and x.role = t.role
    $$;
    revoke all on function remove_events(int[], uuid[]), remove_entities(int[], text[], smallint[], uuid[]) from public;
    grant execute on function remove_events(int[], uuid[]), remove_entities(int[], text[], smallint[], uuid[]) to muniment_worker;
  `);
}
