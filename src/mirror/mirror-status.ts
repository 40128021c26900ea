// How far the mirror is behind, read from the database. Rows behind a parked version are not pending: no time helps them.
import type { Transaction } from '../database/database.ts';
import type { OrgId } from '../database/tables.ts';
import { LANES } from '../resources/outbox.ts';
import { readAccessLane, type AccessLane } from './access-cursor.ts';

interface Backlog {
  org: OrgId;
  orgName: string;
  /** Versions that are not delivered yet, counted up to the bound that was asked for. */
  pending: number;
  /** Age of the oldest of them. */
  oldestSeconds: number | null;
  /** Resources that wait for a person. */
  parked: number;
}

/** One row for each organisation that has something pending or parked, the oldest organisation first. */
async function readBacklog(tx: Transaction, countMax: number): Promise<Backlog[]> {
  const { rows } = await tx.query<Backlog>({
    text: `
      select g.id as org, g.name as "orgName", w.pending, o.seconds as "oldestSeconds", p.parked
      from organisation g
      cross join lateral (select count(*)::int as parked from mirror_head where org = g.id and state = 'parked') p
      cross join lateral (select count(*)::int as pending from (select from ${WAITING} limit $1) counted) w
      left join lateral (
        select greatest(0, extract(epoch from now() - b.created_at))::float8 as seconds from ${WAITING} order by b.seq limit 1) o on true
      where w.pending > 0 or p.parked > 0
      order by g.id`,
    values: [countMax],
  });
  return rows;
}

const WAITING = `outbox b where b.org = g.id and not exists (
  select from mirror_head h where h.org = b.org and h.type = b.type and h.id = b.id and h.state = 'parked')`;

/** The lowest organisation: the one that is mirrored where all share a HAPI. Undefined before there is any. */
export async function firstOrganisation(tx: Transaction): Promise<OrgId | undefined> {
  const { rows } = await tx.query<{ id: OrgId | null }>('select min(id) as id from organisation');
  return rows[0]?.id ?? undefined;
}

/** The organisation of that name, or the first one. Rejects with an Error for people where there is none, or it is not mirrored. */
export async function mirroredOrganisation(tx: Transaction, name: string | undefined, perOrganisation: boolean): Promise<{ org: OrgId; orgName: string }> {
  const first = await firstOrganisation(tx);
  const { rows } = await tx.query<{ org: OrgId; orgName: string }>('select id as org, name as "orgName" from organisation where name = $1 or ($1 is null and id = $2)', [name ?? null, first ?? null]);
  if (rows[0] === undefined) throw new Error(name === undefined ? 'There is no organisation yet' : `There is no organisation ${name}`);
  if (!perOrganisation && rows[0].org !== first) throw new Error(`${rows[0].orgName} is not mirrored: MIRROR_BASE_URL has no {org}, so the first organisation alone is`);
  return rows[0];
}

export interface MirrorStatus {
  /** Versions of mirrored organisations that are not delivered yet, counted up to 100,000 for each. */
  pending: number;
  /** Age of the oldest of them. */
  oldestSeconds: number | null;
  /** Resources that wait for a person. */
  parked: number;
  lanes: LaneBacklog[];
  /** The lane of accesses; null where only writes are told. */
  access: AccessLane | null;
  /** Differences that a comparison found and nobody mended. */
  drift: number;
  /** The last comparison of everything; null before there was one. */
  lastReconcile: { org: string; endedAt: string; differences: number } | null;
  /** HAPI does not let us in: nothing is sent. */
  paused: { org: string; reason: string; since: string }[];
  /** Organisations whose HAPI does not answer, as far as this server knows. */
  unreachable: string[];
  /** Organisations that are not mirrored, and what waits for the day they are. */
  waiting: { org: string; pending: number }[];
}

export interface LaneBacklog {
  lane: keyof typeof LANES;
  pending: number;
  oldestSeconds: number | null;
}

const COUNT_MAX = 100_000;
const ORG_MAX = 2_147_483_647;

/** The whole of it; `perOrganisation` and `allAccesses` as the delivery has them. */
export async function readMirrorStatus(tx: Transaction, { perOrganisation, allAccesses }: { perOrganisation: boolean; allAccesses: boolean }, unreachable: string[]): Promise<MirrorStatus> {
  const first = perOrganisation ? undefined : await firstOrganisation(tx);
  const backlog = await readBacklog(tx, COUNT_MAX);
  const mirrored = backlog.filter(({ org }) => perOrganisation || org === first);
  const ages = mirrored.flatMap(({ oldestSeconds }) => (oldestSeconds === null ? [] : [oldestSeconds]));
  return {
    pending: mirrored.reduce((sum, { pending }) => sum + pending, 0),
    oldestSeconds: ages.length === 0 ? null : Math.max(...ages),
    parked: mirrored.reduce((sum, { parked }) => sum + parked, 0),
    lanes: await readLanes(tx, mirrored.map(({ org }) => org)),
    access: allAccesses ? await readAccessLane(tx, first ?? 0, first ?? ORG_MAX) : null,
    ...await readFindings(tx),
    unreachable,
    waiting: backlog.filter((row) => !mirrored.includes(row)).map(({ orgName, pending }) => ({ org: orgName, pending })),
  };
}

async function readLanes(tx: Transaction, orgs: readonly OrgId[]): Promise<LaneBacklog[]> {
  const { rows } = await tx.query<{ lane: number; pending: number; oldestSeconds: number }>(`
    select w.lane, count(*)::int as pending, greatest(0, extract(epoch from now() - min(w.created_at)))::float8 as "oldestSeconds"
    from organisation g cross join lateral (select lane, created_at from ${WAITING} order by b.seq limit $2) w where g.id = any ($1) group by w.lane`, [orgs, COUNT_MAX]);
  return Object.entries(LANES).map(([lane, number]) => {
    const row = rows.find((one) => one.lane === number);
    return { lane: lane as LaneBacklog['lane'], pending: row?.pending ?? 0, oldestSeconds: row?.oldestSeconds ?? null };
  });
}

async function readFindings(tx: Transaction): Promise<Pick<MirrorStatus, 'drift' | 'lastReconcile' | 'paused'>> {
  const { rows } = await tx.query<{ drift: number }>('select count(*)::int as drift from mirror_drift');
  const last = await tx.query<{ org: string; endedAt: Date; differences: number | null }>(`
    select g.name as org, r.ended_at as "endedAt", (r.progress ->> 'left')::int as differences
    from mirror_run r join organisation g on g.id = r.org where r.kind = 'reconcile' and r.ended_at is not null order by r.ended_at desc limit 1`);
  const paused = await tx.query<{ org: string; reason: string; since: Date }>('select g.name as org, p.reason, p.since from mirror_pause p join organisation g on g.id = p.org order by p.since');
  return {
    drift: rows[0]?.drift ?? 0,
    lastReconcile: last.rows.map(({ org, endedAt, differences }) => ({ org, endedAt: endedAt.toISOString(), differences: differences ?? 0 }))[0] ?? null,
    paused: paused.rows.map(({ org, reason, since }) => ({ org, reason, since: since.toISOString() })),
  };
}
