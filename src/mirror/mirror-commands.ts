// What a person may ask of the mirror and decide about it: muniment mirror status, list, show, replay, skip. They work on the
// database alone, so they need no running server; a worker takes up what they change within its next poll.
import type { Database, Transaction } from '../database/database.ts';
import type { OrgId } from '../database/tables.ts';
import { RESOURCE_TYPES, typeName, typeNumber, type ResourceType } from '../fhir/resource-type.ts';
import { firstOrganisation, readMirrorStatus, type MirrorStatus } from './mirror-status.ts';

type WorkerDatabase = Pick<Database, 'workerTransaction'>;

/** `org` is the organisation's name; without one the first organisation is meant. */
export interface MirrorTarget {
  org?: string;
  /** Type/id */
  reference: string;
}

export interface ParkedDelivery {
  org: string;
  /** Type/id/_history/version of what could not be delivered. */
  reference: string;
  attempts: number;
  parkedAt: Date;
  reason: string;
}

export interface HeadDescription {
  org: string;
  reference: string;
  state: 'waiting' | 'parked';
  deliveredVersion: number;
  hapiVersion: string | null;
  attempts: number;
  refusals: number;
  /** When it is tried next, or when the lease of the running delivery ends; null = not at all. */
  nextAt: Date | null;
  inFlight: boolean;
  lastError: string | null;
  parkedAt: Date | null;
  pendingVersions: number[];
}

const LIST_MAX = 1_000;

/** The same as the worker's status, but for what only a running server knows; and how many resources were delivered within the last minute. */
export function mirrorStatus(database: WorkerDatabase, mirrorBaseUrl: string): Promise<MirrorStatus & { deliveredInMinute: number }> {
  return database.workerTransaction(async (tx) => {
    const { rows } = await tx.query<{ count: number }>(`select count(*)::int as count from mirror_head where delivered_at > now() - interval '1 minute'`);
    return { ...await readMirrorStatus(tx, mirrorBaseUrl.includes('{org}'), []), deliveredInMinute: rows[0]?.count ?? 0 };
  });
}

/** Parked deliveries of all organisations, the longest parked first, 1,000 at most. */
export function listParked(database: WorkerDatabase): Promise<ParkedDelivery[]> {
  return database.workerTransaction(async (tx) => {
    const { rows } = await tx.query<ParkedDelivery & { type: number; id: string; version: number }>(`
      select g.name as org, m.type, m.id, o.version, m.attempts, m.parked_at as "parkedAt", coalesce(m.last_error, '') as reason
      from mirror_head m join organisation g on g.id = m.org
      cross join lateral (select version from outbox where org = m.org and type = m.type and id = m.id and taken order by version limit 1) o
      where m.state = 'parked' order by m.parked_at limit ${LIST_MAX}`);
    return rows.map(({ type, id, version, ...row }) => ({ ...row, reference: `${typeName(type)}/${id}/_history/${version}` }));
  });
}

/** What the mirror knows of one resource; undefined when it was never told of it. */
export function showHead(database: WorkerDatabase, target: MirrorTarget): Promise<HeadDescription | undefined> {
  return database.workerTransaction(async (tx) => {
    const { rows } = await tx.query<HeadDescription>(`
      select g.name as org, m.state, m.delivered_version as "deliveredVersion", m.hapi_version as "hapiVersion", m.attempts, m.refusals,
        m.next_at as "nextAt", m.lease is not null and m.next_at > now() as "inFlight", m.last_error as "lastError", m.parked_at as "parkedAt",
        array(select version from outbox where org = m.org and type = m.type and id = m.id order by version) as "pendingVersions"
      from mirror_head m join organisation g on g.id = m.org where m.org = $1 and m.type = $2 and m.id = $3`, await keyOf(tx, target));
    return rows[0] === undefined ? undefined : { ...rows[0], reference: target.reference };
  });
}

/** What a decision is about: the parked versions of `target`, by organisation. */
export function parkedOf(database: WorkerDatabase, target: MirrorTarget | 'all'): Promise<{ org: OrgId; orgName: string; references: string[] }[]> {
  return database.workerTransaction(async (tx) => {
    const [org, type, id] = target === 'all' ? [null, null, null] : await keyOf(tx, target);
    const { rows } = await tx.query<{ org: OrgId; orgName: string; type: number; id: string; version: number }>(`
      select m.org, g.name as "orgName", m.type, m.id, (select min(version) from outbox where org = m.org and type = m.type and id = m.id and taken) as version
      from mirror_head m join organisation g on g.id = m.org
      where m.state = 'parked' and ($1::int is null or (m.org = $1 and m.type = $2 and m.id = $3)) order by m.org, m.parked_at limit ${LIST_MAX}`, [org, type, id]);
    const groups = new Map<OrgId, { org: OrgId; orgName: string; references: string[] }>();
    for (const row of rows) {
      const group = groups.get(row.org) ?? { org: row.org, orgName: row.orgName, references: [] };
      groups.set(row.org, group);
      group.references.push(`${typeName(row.type)}/${row.id}/_history/${row.version}`);
    }
    return [...groups.values()];
  });
}

/** Makes one parked delivery due again, or all of them. Returns how many there were. */
export function replayParked(database: WorkerDatabase, target: MirrorTarget | 'all'): Promise<number> {
  const again = `update mirror_head set state = 'waiting', parked_at = null, attempts = 0, refusals = 0, next_at = now() where state = 'parked'`;
  return database.workerTransaction(async (tx) => {
    if (target === 'all') return (await tx.query(again)).rowCount;
    return (await tx.query(`${again} and org = $1 and type = $2 and id = $3`, await keyOf(tx, target))).rowCount;
  });
}

/**
 * Gives a parked version up, for the `reason` that a person names, and lets the next one go ahead. It is written down
 * which version was given up. Returns its reference, or undefined when nothing is parked there.
 */
export function skipParked(database: WorkerDatabase, target: MirrorTarget, reason: string): Promise<string | undefined> {
  return database.workerTransaction(async (tx) => {
    const key = await keyOf(tx, target);
    const head = await tx.query(`select from mirror_head where org = $1 and type = $2 and id = $3 and state = 'parked' for update`, key);
    if (head.rowCount === 0) return undefined;
    const { rows } = await tx.query<{ version: number }>(`
      with gone as (
        delete from outbox where org = $1 and seq = (
          select seq from outbox where org = $1 and type = $2 and id = $3 and taken order by version, seq limit 1)
        returning org, type, id, version, event
      )
      insert into mirror_skip (org, type, id, version, event, reason, last_error)
      select g.org, g.type, g.id, g.version, g.event, $4, m.last_error
      from gone g join mirror_head m on m.org = g.org and m.type = g.type and m.id = g.id
      returning version`, [...key, reason]);
    await tx.query(`
      update mirror_head set state = 'waiting', parked_at = null, attempts = 0, refusals = 0, last_error = null,
        next_at = (select min(created_at) from outbox where org = $1 and type = $2 and id = $3 and taken)
      where org = $1 and type = $2 and id = $3`, key);
    return rows[0] === undefined ? undefined : `${target.reference}/_history/${rows[0].version}`;
  });
}

/** Rejects with a readable Error when the reference or the organisation cannot be meant. */
async function keyOf(tx: Transaction, { org, reference }: MirrorTarget): Promise<[OrgId, number, string]> {
  const [type, id] = reference.split('/');
  if (type === undefined || !Object.hasOwn(RESOURCE_TYPES, type) || id === undefined || id === '') throw new Error(`${reference} is not a reference such as DocumentReference/1`);
  return [await organisationId(tx, org), typeNumber(type as ResourceType), id];
}

async function organisationId(tx: Transaction, name: string | undefined): Promise<OrgId> {
  const found = name === undefined ? await firstOrganisation(tx) : (await tx.query<{ id: OrgId }>('select id from organisation where name = $1', [name])).rows[0]?.id;
  if (found === undefined) throw new Error(name === undefined ? 'There is no organisation yet' : `There is no organisation ${name}`);
  return found;
}
