// What the servers of one database do by themselves or were told to do, and how far it is. Read by the operator alone: it spans
// organisations.
import type { Database } from '../database/database.ts';
import { typeName } from '../fhir/resource-type.ts';

export interface BackgroundJob {
  name: 'reindex' | 'scrub' | 'sweep' | 'inventory' | 'purge' | 'reconcile' | 'light' | 'backfill';
  /** What it is about, where it is done for each of several: a resource type, a store. */
  of?: string;
  organisation?: string;
  /** `waiting`: begun and not under way now, or work that its time has not come for. */
  state: 'running' | 'waiting' | 'complete';
  done: number;
  /** null where nobody counted. */
  total: number | null;
  startedAt: Date | null;
  endedAt: Date | null;
}

type Row = Omit<BackgroundJob, 'of' | 'organisation'> & { about: string | null; organisation: string | null };
type Select = (text: string, values?: unknown[]) => Promise<Row[]>;

const NOTHING = `null::text as organisation, null::timestamptz as "startedAt", null::timestamptz as "endedAt"`;

async function reindexed(select: Select): Promise<Row[]> {
  const rows = await select(`select 'reindex' as name, s.type::text as about, null::text as organisation, s.done::float8 as done,
      (select count(*) from resource r where r.type = s.type)::float8 as total, s.started_at as "startedAt", s.finished_at as "endedAt",
      case when s.finished_at is not null then 'complete' when s.leased_until > now() then 'running' else 'waiting' end as state
    from search_reindex s order by s.type`);
  return rows.map((row) => ({ ...row, about: typeName(Number(row.about)), done: row.state === 'complete' ? row.total ?? row.done : row.done }));
}

/** Each content once within `days`. */
const scrubbed = (select: Select, days: number): Promise<Row[]> => select(`select 'scrub' as name, null::text as about, ${NOTHING}, count(*)::float8 as total,
    count(*) filter (where verified_at > now() - $1 * interval '1 day')::float8 as done,
    case when bool_or(scrub_until > now()) then 'running' when count(*) filter (where verified_at <= now() - $1 * interval '1 day') > 0 then 'waiting' else 'complete' end as state
  from content where state = 'live'`, [days]);

/** Bytes that were never published: they are removed once nobody can be at them any more. */
const swept = (select: Select): Promise<Row[]> => select(`select 'sweep' as name, null::text as about, ${NOTHING}, count(*) filter (where state = 'gone')::float8 as done, count(*)::float8 as total,
    case when count(*) filter (where state <> 'gone') > 0 then 'waiting' else 'complete' end as state
  from content where state in ('staging', 'condemned', 'gone')`);

/** Each store once a week: contents that were compared, in the order of their keys. */
const compared = (select: Select): Promise<Row[]> => select(`select 'inventory' as name, i.store as about, null::text as organisation, i.started_at as "startedAt", i.finished_at as "endedAt",
    (select count(*) from content c where c.store collate "C" = i.store and c.state <> 'gone' and (i.finished_at is not null or c.key collate "C" <= i.after_key))::float8 as done,
    (select count(*) from content c where c.store collate "C" = i.store and c.state <> 'gone')::float8 as total,
    case when i.finished_at is not null then 'complete' when i.leased_until > now() then 'running' else 'waiting' end as state
  from store_inventory i order by i.store`);

const purged = (select: Select): Promise<Row[]> => select(`select 'purge' as name, null::text as about, null::text as organisation, count(*) filter (where state = 'done')::float8 as done, count(*)::float8 as total,
    min(decided_at) filter (where state = 'approved') as "startedAt", max(done_at) as "endedAt", case when count(*) filter (where state = 'approved') > 0 then 'running' else 'complete' end as state
  from purge where state in ('approved', 'done')`);

/** The newest comparison and backfill of each organisation. */
const mirrored = (select: Select): Promise<Row[]> => select(`select distinct on (m.org, m.kind) m.kind as name, null::text as about, o.name as organisation, m.started_at as "startedAt", m.ended_at as "endedAt",
    coalesce((m.progress ->> 'done')::float8, (select sum((t.value ->> 'compared')::float8) from jsonb_each(case when jsonb_typeof(m.progress -> 'types') = 'object' then m.progress -> 'types' else '{}' end) t), 0) as done,
    coalesce((m.progress ->> 'total')::float8, (select sum((t.value ->> 'here')::float8) from jsonb_each(case when jsonb_typeof(m.progress -> 'types') = 'object' then m.progress -> 'types' else '{}' end) t)) as total,
    case when m.ended_at is not null then 'complete' when m.updated_at > now() - interval '2 minutes' then 'running' else 'waiting' end as state
  from mirror_run m join organisation o on o.id = m.org order by m.org, m.kind, m.started_at desc limit 1000`);

/** `scrubDays` is within how many days each content is verified once. */
export async function readBackgroundJobs(database: Pick<Database, 'workerTransaction'>, { scrubDays }: { scrubDays: number }): Promise<BackgroundJob[]> {
  const rows = await database.workerTransaction(async (tx) => {
    const select: Select = async (text, values = []) => (await tx.query<Row>({ text, values })).rows;
    return [...await reindexed(select), ...await scrubbed(select, scrubDays), ...await swept(select), ...await compared(select), ...await purged(select), ...await mirrored(select)];
  });
  return rows.map(({ about, organisation, ...row }) => ({ ...row, ...(about === null ? {} : { of: about }), ...(organisation === null ? {} : { organisation }) }));
}
