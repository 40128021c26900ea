// The cursor over the record of accesses, as statements: which events HAPI is told next, and how far it got. Nothing is written
// for it when an access is recorded.
import { randomUUID } from 'node:crypto';
import type { Transaction } from '../database/database.ts';
import type { OrgId } from '../database/tables.ts';
import { commitWithoutWaiting, LEASE_MS, type OrgRange } from './claim.ts';
import { namedIn, referenceKey, underWay } from './precedence.ts';

export interface AccessPortion {
  org: OrgId;
  orgName: string;
  lease: string;
  /** Milliseconds of performance.now after which nothing may be sent. */
  leaseUntil: number;
  attempts: number;
  refusals: number;
  /** In the order of the record: canonical JSON, and where the cursor is after each. */
  events: { id: string; writtenIn: string; text: string }[];
}

export interface AccessLane {
  /** Accesses that HAPI was not told of, counted up to 100,000 for each organisation. */
  pending: number;
  oldestSeconds: number | null;
  /** Events that HAPI refused five times: they were passed over. */
  refused: number;
}

/** What an organisation that is due has next, at most `countMax` events; undefined when none is due. */
export async function claimAccesses(tx: Transaction, orgs: OrgRange, countMax: number): Promise<AccessPortion | undefined> {
  await commitWithoutWaiting(tx);
  await tx.query({
    name: 'mirror-access-open',
    text: 'insert into mirror_access (org) select id from organisation g where id between $1 and $2 and not exists (select from mirror_access where org = g.id) on conflict do nothing', values: [orgs.low, orgs.high],
  });
  const lease = randomUUID();
  const leaseUntil = performance.now() + LEASE_MS;
  // A database that was restored into another cluster counts its transactions anew: the record is then told from its beginning, and what HAPI has stays as it is.
  const { rows } = await tx.query<{ org: OrgId; orgName: string; writtenIn: string; event: string; attempts: number; refusals: number }>({
    name: 'mirror-access-claim',
    text: `
      update mirror_access m set lease = $4, next_at = now() + interval '${LEASE_MS} milliseconds' from organisation g where g.id = m.org and m.org = (
        select org from mirror_access where org between $1 and $2 and org <> all ($3::int[]) and next_at <= now() order by next_at limit 1 for update skip locked)
      returning m.org, g.name as "orgName", case when m.written_in < pg_snapshot_xmin(pg_current_snapshot()) then m.written_in else '0' end::text as "writtenIn", m.event, m.attempts, m.refusals`,
    values: [orgs.low, orgs.high, orgs.blocked, lease],
  });
  const [mine] = rows;
  if (mine === undefined) return undefined;
  // Once all transactions before a number have ended, no event below it can appear.
  const events = await tx.query<AccessPortion['events'][number]>({
    name: 'mirror-access-read',
    text: `
      select e.id, e.written_in::text as "writtenIn", e.body as text from access_event e
      where e.org = $1 and (e.written_in, e.id) > ($2::text::xid8, $3::uuid) and e.written_in < pg_snapshot_xmin(pg_current_snapshot())
      order by e.written_in, e.id limit $4`,
    values: [mine.org, mine.writtenIn, mine.event, countMax],
  });
  return { ...mine, lease, leaseUntil, events: await untilUnderWay(tx, mine.org, events.rows) };
}

/** Those before the first one that names what is on its way to HAPI: documents come before what tells of them. */
async function untilUnderWay(tx: Transaction, org: OrgId, events: AccessPortion['events']): Promise<AccessPortion['events']> {
  const named = events.map(({ text }) => namedIn(text).map((reference) => ({ ...reference, org, before: null })));
  const missing = await underWay(tx, named.flat());
  const first = named.findIndex((references) => references.some((reference) => missing.has(referenceKey(reference))));
  return first === -1 ? events : events.slice(0, first);
}

export interface AccessSettlement {
  /** The last event that was told or passed over; undefined = none. */
  last?: AccessPortion['events'][number] | undefined;
  delayMs: number;
  /** Why it is tried again. */
  error?: string;
  /** HAPI refused some of them. */
  refused: boolean;
  passedOver: { id: string; reason: string }[];
}

/** Without effect where the lease was lost. */
export async function settleAccesses(tx: Transaction, { org, lease }: AccessPortion, { last, delayMs, error, refused, passedOver }: AccessSettlement): Promise<void> {
  await commitWithoutWaiting(tx);
  const { rowCount } = await tx.query({
    name: 'mirror-access-settle',
    text: `
      update mirror_access set lease = null, next_at = now() + $3 * interval '1 millisecond', written_in = coalesce($4::text::xid8, written_in), event = coalesce($5::uuid, event),
        attempts = case when $6::text is null then 0 else attempts + 1 end, refusals = case when $7 then refusals + 1 else 0 end, last_error = $6
      where org = $1 and lease = $2`,
    values: [org, lease, delayMs, last?.writtenIn ?? null, last?.id ?? null, error ?? null, refused],
  });
  if (rowCount === 0) return;
  for (const { id, reason } of passedOver) {
    await tx.query('insert into mirror_access_refused (org, event, reason) values ($1, $2, $3) on conflict do nothing', [org, id, reason]);
  }
}

const COUNT_MAX = 100_000;

/** How far the lane is behind, over the organisations that are mirrored. */
export async function readAccessLane(tx: Transaction, low: OrgId, high: OrgId): Promise<AccessLane> {
  const { rows } = await tx.query<{ pending: number; oldest: number | null }>(`
    select coalesce(sum(w.pending), 0)::int as pending, max(w.oldest)::float8 as oldest from organisation g
    left join mirror_access m on m.org = g.id
    cross join lateral (
      select count(*) as pending, greatest(0, extract(epoch from now() - min(recorded))) as oldest from (
        select recorded from access_event where org = g.id and (written_in, id) > (coalesce(m.written_in, '0'), coalesce(m.event, '00000000-0000-0000-0000-000000000000'))
        order by written_in, id limit $3) e) w
    where g.id between $1 and $2`, [low, high, COUNT_MAX]);
  const refused = await tx.query<{ count: number }>('select count(*)::int as count from mirror_access_refused where org between $1 and $2', [low, high]);
  return { pending: rows[0]?.pending ?? 0, oldestSeconds: rows[0]?.oldest ?? null, refused: refused.rows[0]?.count ?? 0 };
}
