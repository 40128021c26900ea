// The worker's side of the outbox, as statements: what is new is taken in, what is due is leased. Each lease has a
// fencing token, without which nothing can be settled.
import { randomUUID } from 'node:crypto';
import type { Transaction } from '../database/database.ts';
import type { OrgId } from '../database/tables.ts';
import { typeName, type ResourceType } from '../fhir/resource-type.ts';
import { referenceKey, referencesIn, underWay, type OwnReference } from './precedence.ts';

/** Deliveries are spread over so many shards by patient. */
export const SHARDS = 64;
/** So many of a shard are leased together, to go in one request where they may. */
export const TOGETHER_MAX = 20;
/** Longer than the requests of one delivery take together, unless HAPI is very slow. */
export const LEASE_MS = 60_000;
const TAKE_MAX = 500;
// Any fixed number that no other advisory lock of this database has.
const TAKE_IN_LOCK = 7_306_002;

/** The organisations that are mirrored: ids from `low` to `high`, but for `blocked`. */
export interface OrgRange {
  low: OrgId;
  high: OrgId;
  blocked: OrgId[];
}

/** The lowest pending version of a resource, leased. */
export interface LeasedVersion {
  org: OrgId;
  orgName: string;
  type: ResourceType;
  id: string;
  version: number;
  deleted: boolean;
  /** A deletion after which nothing of the versions before it may be left. */
  purged: boolean;
  /** Exact JSON; null for a deletion, and when the version is not in the database. */
  text: string | null;
  /** Id of the bytes of a Binary. */
  content: string | null;
  /** Id and canonical JSON of the access event of the write; the text is null when there is no such event. */
  event: string;
  eventText: string | null;
  /** JSON of the Attachment for a photo at HAPI, 'null' to take ours out; null for a version of ours. */
  photo: string | null;
  /** Nothing of the same write comes behind it, so the Provenance of the write does. */
  lastOfWrite: boolean;
  /** `Type/id` of ours that have to be at HAPI first. */
  waitsFor: string[];
  publishedAt: Date;
  seq: string;
  shard: number;
  lease: string;
  /** Milliseconds of performance.now at which the lease has certainly not yet ended. */
  leaseUntil: number;
  attempts: number;
  refusals: number;
  hapiVersion: string | null;
}

/** A crash of PostgreSQL may undo what is committed so. That is only done once more, so nothing waits for the disk. */
export async function commitWithoutWaiting(tx: Transaction): Promise<void> {
  await tx.query('set local synchronous_commit = off');
}

/**
 * Makes new outbox rows known to their heads. Returns whether there may be more of them. One server at a time does it:
 * two could make the second version of a resource known before the first.
 */
export async function takeIn(tx: Transaction, orgs: OrgRange): Promise<boolean> {
  const lock = await tx.query<{ mine: boolean }>('select pg_try_advisory_xact_lock($1) as mine', [TAKE_IN_LOCK]);
  if (lock.rows[0]?.mine !== true) return false;
  await commitWithoutWaiting(tx);
  const { rows } = await tx.query<{ taken: number }>({
    name: 'mirror-take-in',
    text: `
      with fresh as (
        select o.org, o.seq from organisation g
        cross join lateral (select org, seq from outbox where org = g.id and not taken order by seq limit ${TAKE_MAX}) o
        where g.id between $1 and $2 limit ${TAKE_MAX}
      ), taken as (
        update outbox o set taken = true from fresh f where o.org = f.org and o.seq = f.seq
        returning o.org, o.type, o.id, o.lane, o.created_at, o.event
      ), heads as (
        insert into mirror_head (org, type, id, lane, shard, next_at)
        select t.org, t.type, t.id, t.lane, hashtextextended(coalesce(
            (select patient from resource where org = t.org and type = t.type and id = t.id),
            -- A Binary goes with the document that came with it.
            (select r.patient from outbox w cross join lateral (select patient from resource where org = w.org and type = w.type and id = w.id offset 0) r
              where w.org = t.org and w.event = t.event and r.patient is not null limit 1),
            t.id), 0) & ${SHARDS - 1}, t.created_at
        from (select org, type, id, min(lane) as lane, min(created_at) as created_at, (array_agg(event))[1] as event from taken group by org, type, id) t
        order by t.org, t.type, t.id
        on conflict (org, type, id) do update set shard = excluded.shard, next_at = coalesce(mirror_head.next_at, excluded.next_at)
      )
      select count(*)::int as taken from taken`,
    values: [orgs.low, orgs.high],
  });
  return rows[0]?.taken === TAKE_MAX;
}

/**
 * Leases due heads of a lane, of up to `shardMax` shards of `shards`, oldest first, TOGETHER_MAX of each, and reads their lowest
 * pending version. What one write made comes in the order of its types: bytes, documents, lists. Heads that another worker is about to lease are passed over.
 */
export async function claimDue(tx: Transaction, orgs: OrgRange, lane: number, shards: number[], shardMax: number): Promise<LeasedVersion[]> {
  const leaseUntil = performance.now() + LEASE_MS;
  const lease = randomUUID();
  await commitWithoutWaiting(tx);
  const leased = await tx.query<{ org: OrgId; type: number; id: string }>({
    name: 'mirror-lease',
    text: `
      with begun as (
        select g.id as org, s.shard, f.next_at from organisation g cross join lateral (
          select from mirror_head where org = g.id and lane = $4 and state = 'waiting' and next_at is not null
          order by shard, next_at limit 1) any_pending
        cross join unnest($5::int[]) as s(shard) cross join lateral (
          select next_at from mirror_head
          where org = g.id and lane = $4 and shard = s.shard and state = 'waiting' and next_at <= now()
          order by next_at limit 1) f
        where g.id between $1 and $2 and g.id <> all ($3::int[])
        order by f.next_at limit $6
      ), due as (
        select h.* from begun b cross join lateral (
          select org, type, id from mirror_head
          where org = b.org and lane = $4 and shard = b.shard and state = 'waiting' and next_at <= now()
          order by next_at, type, id limit ${TOGETHER_MAX} for update skip locked) h
      )
      update mirror_head m set lease = $7, next_at = now() + interval '${LEASE_MS} milliseconds'
      from due d where m.org = d.org and m.type = d.type and m.id = d.id
      returning m.org, m.type, m.id`,
    values: [orgs.low, orgs.high, orgs.blocked, lane, shards, shardMax, lease],
  });
  if (leased.rows.length === 0) return [];
  return readLeased(tx, lease, leased.rows, leaseUntil);
}

/** A statement of its own: its snapshot is younger than the locks, so what another worker just settled is gone in it. */
async function readLeased(tx: Transaction, lease: string, heads: { org: OrgId; type: number; id: string }[], leaseUntil: number): Promise<LeasedVersion[]> {
  const { rows } = await tx.query<Omit<LeasedVersion, 'type' | 'lease' | 'leaseUntil' | 'waitsFor'> & { type: number; earlierTypes: number[] | null; earlierIds: string[] | null }>({
    name: 'mirror-read-leased',
    text: `
      select m.org, g.name as "orgName", m.type, m.id, o.version, coalesce(r.deleted, h.deleted, false) as deleted,
        exists (select from purged_version where org = m.org and type = m.type and id = m.id and version = o.version - 1) as purged,
        coalesce(r.body, h.body) as text, coalesce(r.content, h.content) as content, o.event, e.body as "eventText", o.photo, o.created_at as "publishedAt", o.seq, m.shard,
        m.attempts, m.refusals, m.hapi_version as "hapiVersion",
        not exists (select from (select * from outbox where org = m.org and event = o.event offset 0) x where x.photo is null and (x.type, x.id) > (m.type, m.id)) as "lastOfWrite",
        f.types as "earlierTypes", f.ids as "earlierIds"
      from unnest($1::int[], $2::smallint[], $3::text[]) as k(org, type, id)
      cross join lateral (select * from mirror_head where org = k.org and type = k.type and id = k.id offset 0) m
      join organisation g on g.id = m.org
      cross join lateral (
        select version, event, photo, created_at, seq from outbox
        where org = m.org and type = m.type and id = m.id and taken order by version, seq limit 1) o
      left join lateral (select * from resource where org = m.org and type = m.type and id = m.id and version = o.version offset 0) r on true
      left join lateral (select * from resource_history where org = m.org and type = m.type and id = m.id and version = o.version offset 0) h on true
      left join lateral (select a.body from access_event a where a.org = m.org and a.id = o.event offset 0) e on true
      left join lateral (
        select array_agg(x.type::int order by x.type, x.id) as types, array_agg(x.id order by x.type, x.id) as ids from (select * from outbox where org = m.org and event = o.event offset 0) x
        left join lateral (select state from mirror_head where org = x.org and type = x.type and id = x.id offset 0) y on true
        where x.photo is null and (x.type, x.id) < (m.type, m.id) and coalesce(y.state, 'waiting') = 'waiting') f on true`,
    values: [heads.map(({ org }) => org), heads.map(({ type }) => type), heads.map(({ id }) => id)],
  });
  if (rows.length < heads.length) await rest(tx, lease, heads.filter((head) => !rows.some(({ org, type, id }) => org === head.org && type === head.type && id === head.id)));
  const referred = rows.map(({ org, seq, text, photo }): OwnReference[] => (text === null || photo !== null ? [] : referencesIn(text).map((reference) => ({ ...reference, org, before: seq }))));
  const missing = await underWay(tx, referred.flat());
  return rows.map(({ earlierTypes, earlierIds, ...row }, position) => {
    const targets = (referred[position] ?? []).filter((reference) => missing.has(referenceKey(reference)));
    const earlier = row.photo !== null || !row.lastOfWrite ? [] : (earlierIds ?? []).map((id, at) => ({ type: earlierTypes?.[at] ?? 0, id }));
    return { ...row, type: typeName(row.type), waitsFor: [...targets, ...earlier].map(({ type, id }) => `${typeName(type)}/${id}`), lease, leaseUntil };
  });
}

/** A repair that was killed leaves a head behind that is due and has nothing to deliver. */
async function rest(tx: Transaction, lease: string, heads: readonly { org: OrgId; type: number; id: string }[]): Promise<void> {
  await tx.query(
    `update mirror_head m set lease = null, next_at = (select min(created_at) from outbox o where o.org = m.org and o.type = m.type and o.id = m.id and o.taken)
     from unnest($1::int[], $2::smallint[], $3::text[]) as k(org, type, id) where m.org = k.org and m.type = k.type and m.id = k.id and m.lease = $4`,
    [heads.map(({ org }) => org), heads.map(({ type }) => type), heads.map(({ id }) => id), lease],
  );
}
