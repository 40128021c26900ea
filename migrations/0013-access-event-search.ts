// What AuditEvent and Provenance are further found by: the interaction, told from the body, so that it cannot differ
// from what is shown; actions and failures by an index; agents and entities of the Provenances of writes as index rows
// (roles 3 and 4), also of the writes that are recorded already.
import type { Knex } from 'knex';

/** The type and id alone, an address without its scheme. */
const VERSIONLESS = (reference: string): string => `regexp_replace(regexp_replace(${reference}, '/_history/[^/]*$', ''), '^https{0,1}://', '//')`;
const AGENT = '(^|/)(Practitioner|PractitionerRole|Organization|Device|Patient|RelatedPerson)/[A-Za-z0-9.-]{1,64}(/_history/[A-Za-z0-9.-]{1,64}){0,1}$';

// Parts of the row's text: the whole may hold characters that PostgreSQL refuses to read as JSON. No question mark
// stands in a pattern, since knex takes it for a placeholder.
const STRING = '"([^"\\\\]|\\\\.)*"';
const AUTHORS = `substring(e.body from '"authors":(\\[(${STRING},{0,1})*\\])')::json`;
const CUSTODIAN = `substring(e.body from '"custodian":(${STRING})')::json`;
const SOURCES = `substring(e.body from '"sources":(\\[(\\{"reference":${STRING},"role":"[a-z]+"\\},{0,1})*\\])')::json`;
const FULL_WRITE = `e.write and e.outcome = 0 and strpos(e.body, '"targets":["') > 0`;

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    -- A put that created its resource is told as a create.
    alter table access_event add column subtype text collate "C" generated always as (
      case when action = 'C' then 'create' else split_part(split_part(body, '"interaction":"', 2), '"', 1) end) stored;
    create index access_event_subtype on access_event (org, subtype, id);
    create index access_event_action on access_event (org, action, id);
    create index access_event_outcome on access_event (org, outcome, id) where outcome <> 0;

    -- The owner is bound by row-level security as well and would see no row.
    alter table access_event no force row level security;
    alter table access_entity no force row level security;
    insert into access_entity (org, reference, role, event)
    select e.org, ${VERSIONLESS('a.reference')}, 3, e.id
    from access_event e, lateral (
      select json_array_elements_text(${AUTHORS}) as reference union all select ${CUSTODIAN} #>> '{}') a
    where ${FULL_WRITE} and a.reference ~ '${AGENT}'
    on conflict do nothing;
    insert into access_entity (org, reference, role, event)
    select e.org, ${VERSIONLESS(`s.source ->> 'reference'`)}, 4, e.id
    from access_event e, lateral json_array_elements(${SOURCES}) s (source)
    where ${FULL_WRITE}
    on conflict do nothing;
    alter table access_event force row level security;
    alter table access_entity force row level security;
  `);
}
