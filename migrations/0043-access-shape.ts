// A row of the record keeps what is its own: the texts of events are shapes, kept once, with the values of each event. The
// text is made of both again, `e.body` in SQL as before. Rows that are there stay as they are: their values are the text.
import type { Knex } from 'knex';
import { secureTable } from '../src/database/row-level-security.ts';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    -- The text of events with a place for each value, in the language of format(). Its number is of the text.
    create table access_shape (
      org int not null,
      id bigint not null,
      text text not null,
      primary key (org, id),
      -- So nobody can put another text in the place of one that is still to come.
      constraint access_shape_number check (id <> 0 and id = ('x' || encode(substring(sha256(convert_to(text, 'UTF8')) from 1 for 8), 'hex'))::bit(64)::bigint)
    );
    ${secureTable('access_shape', { app: 'select, insert', worker: 'select', auditInsert: true })}
    create trigger access_shape_append_only before update or delete on access_shape for each row execute function refuse_change();
    create trigger access_shape_no_truncate before truncate on access_shape for each statement execute function refuse_change();

    alter table access_event rename column body to parts;
    alter table access_event add column shape bigint not null default 0;
    create function body(e access_event) returns text language plpgsql stable strict parallel safe cost 20 as $$
    begin
      if e.shape = 0 then return e.parts; end if;
      return format((select s.text from access_shape s where s.org = e.org and s.id = e.shape),
        variadic array[e.id::text, to_char(e.recorded at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')] || string_to_array(e.parts, chr(31)));
    end $$;

    -- The leaf of the log has the hash.
    alter table access_event drop column leaf;
    -- Told by whoever records; what an event's interaction is says its action as well.
    alter table access_event alter column subtype drop expression;
    alter table access_event alter column subtype set not null;
    drop index access_event_action;
    -- Events of one transaction are put in order when they are read.
    drop index access_event_written;
    create index access_event_written on access_event (written_in);
  `);
}
