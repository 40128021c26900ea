// What is due for review is found by its class and its last activity, however much an organisation holds.
import type { Knex } from 'knex';

const KNOWN = ['temporary', 'permanent', 'clinical', 'mental-health', 'child', 'obstetric', 'oncology', 'general-practice'];

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    alter table resource
      -- Code of the class. Null: nothing is left to keep, or bytes that a document uses, which go with it.
      add column retention text collate "C",
      -- The newest version, or the date that the document itself has when that is later.
      add column last_activity timestamptz(3) generated always as (greatest(last_updated, case when isfinite(date_hi) then date_hi end)) stored;

    alter table resource no force row level security;
    alter table resource_history no force row level security;
    alter table attachment_use no force row level security;
    update resource r set retention = case
        when r.type = 1 then case when not exists (select from attachment_use u where u.org = r.org and u."binary" = r.id) then 'unlinked' end
        when v.body like '%CodeSystem/retention-class%' then (
          select coalesce((array_agg(t.tag ->> 'code' order by t.at) filter (where t.tag ->> 'code' in (${KNOWN.map((code) => `'${code}'`).join(', ')})))[1], 'clinical')
          from jsonb_array_elements(case when jsonb_typeof(v.body::jsonb #> '{meta,tag}') = 'array' then v.body::jsonb #> '{meta,tag}' else '[]' end) with ordinality as t (tag, at)
          where t.tag ->> 'system' = 'https://muniment.example/fhir/CodeSystem/retention-class')
        else 'clinical' end
      from (select org, type, id, coalesce(body, (select h.body from resource_history h where h.org = n.org and h.type = n.type and h.id = n.id and h.body is not null order by h.version desc limit 1)) as body from resource n) v
      where v.org = r.org and v.type = r.type and v.id = r.id and v.body is not null;
    alter table resource force row level security;
    alter table resource_history force row level security;
    alter table attachment_use force row level security;

    create index resource_retention on resource (org, retention, last_activity, type, id) where retention is not null;
  `);
}
