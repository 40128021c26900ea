// Deliveries that HAPI refused and a person must look at: listed, shown, tried again, or given up for a reason. Each function
// works in the transaction of whoever decides; a worker takes up what they change within its next poll.
import type { Transaction } from '../database/database.ts';
import type { OrgId } from '../database/tables.ts';
import { RESOURCE_TYPES, typeName, typeNumber, type ResourceType } from '../fhir/resource-type.ts';

export interface ParkedDelivery {
  /** Type/id/_history/version of what could not be delivered. */
  reference: string;
  attempts: number;
  parkedAt: Date;
  /** What HAPI said. It may quote the resource. */
  reason: string;
}

export interface HeadDescription {
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
  /** Versions that were given up, the newest first, 100 at most. */
  skipped: { version: number; reason: string; at: Date }[];
}

/** One resource of an organisation. */
export interface HeadKey {
  org: OrgId;
  type: ResourceType;
  id: string;
}

const REFERENCE = /^([A-Z][A-Za-z]+)\/([A-Za-z0-9\-.]{1,64})$/;

/** Undefined for what cannot be a resource of ours. */
export function readHeadReference(reference: string): Omit<HeadKey, 'org'> | undefined {
  const [, type, id] = REFERENCE.exec(reference) ?? [];
  return type === undefined || id === undefined || !Object.hasOwn(RESOURCE_TYPES, type) ? undefined : { type: type as ResourceType, id };
}

/** The parked ones of an organisation in the order of their references, after `after`; '' = from the beginning. */
export async function readParked(tx: Transaction, org: OrgId, after: string, countMax: number): Promise<ParkedDelivery[]> {
  const [type = '', id = ''] = after.split('/');
  const number = Object.hasOwn(RESOURCE_TYPES, type) ? typeNumber(type as ResourceType) : -1;
  const { rows } = await tx.query<Omit<ParkedDelivery, 'reference'> & { type: number; id: string; version: number }>(`
    select m.type, m.id, o.version, m.attempts, m.parked_at as "parkedAt", coalesce(m.last_error, '') as reason from mirror_head m
    cross join lateral (select version from outbox where org = m.org and type = m.type and id = m.id and taken order by version limit 1) o
    where m.org = $1 and m.state = 'parked' and (m.type, m.id) > ($2, $3) order by m.type, m.id limit $4`, [org, number, id, countMax]);
  return rows.map(({ type: of, id: named, version, ...row }) => ({ reference: `${typeName(of)}/${named}/_history/${version}`, ...row }));
}

/** What the mirror knows of one resource; undefined when it was never told of it. */
export async function describeHead(tx: Transaction, { org, type, id }: HeadKey): Promise<HeadDescription | undefined> {
  const key = [org, typeNumber(type), id];
  const { rows } = await tx.query<Omit<HeadDescription, 'reference' | 'skipped'>>(`
    select m.state, m.delivered_version as "deliveredVersion", m.hapi_version as "hapiVersion", m.attempts, m.refusals,
      m.next_at as "nextAt", m.lease is not null and m.next_at > now() as "inFlight", m.last_error as "lastError", m.parked_at as "parkedAt",
      array(select version from outbox where org = m.org and type = m.type and id = m.id order by version) as "pendingVersions"
    from mirror_head m where m.org = $1 and m.type = $2 and m.id = $3`, key);
  if (rows[0] === undefined) return undefined;
  const skipped = await tx.query<HeadDescription['skipped'][number]>('select version, reason, skipped_at as at from mirror_skip where org = $1 and type = $2 and id = $3 order by skipped_at desc limit 100', key);
  return { reference: `${type}/${id}`, ...rows[0], skipped: skipped.rows };
}

/** Makes parked deliveries due again: of one resource, or of an organisation. Answers which versions they are. */
export async function replayDeliveries(tx: Transaction, target: HeadKey | { org: OrgId }): Promise<string[]> {
  const [type, id] = 'type' in target ? [typeNumber(target.type), target.id] : [null, null];
  const { rows } = await tx.query<{ type: number; id: string; version: number | null }>(`
    update mirror_head m set state = 'waiting', parked_at = null, attempts = 0, refusals = 0, next_at = now()
    where state = 'parked' and org = $1 and ($2::smallint is null or (type = $2 and id = $3))
    returning type, id, (select min(version) from outbox where org = m.org and type = m.type and id = m.id and taken) as version`, [target.org, type, id]);
  return rows.map((row) => `${typeName(row.type)}/${row.id}/_history/${row.version ?? 0}`);
}

/** Gives a parked version up and lets the next one go ahead. Answers its reference, or undefined when nothing is parked there. */
export async function skipDelivery(tx: Transaction, { org, type, id }: HeadKey, reason: string): Promise<string | undefined> {
  const key = [org, typeNumber(type), id];
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
  return rows[0] === undefined ? undefined : `${type}/${id}/_history/${rows[0].version}`;
}
