// Leases that are taken outside the worker, by what repairs and fills HAPI: the same token and the same end, and only where
// nothing is due.
import type { Transaction } from '../database/database.ts';
import type { OrgId } from '../database/tables.ts';
import { typeNumber } from '../fhir/resource-type.ts';
import { LEASE_MS, SHARDS } from './claim.ts';
import type { ComparedType } from './our-side.ts';

/** Ids of those that are now leased. Provenances never change and have no head: all of them are. */
export async function leaseIdleHeads(tx: Transaction, org: OrgId, type: ComparedType, ids: readonly string[], lease: string): Promise<Set<string>> {
  if (type === 'Provenance') return new Set(ids);
  await tx.query(`
    insert into mirror_head (org, type, id, lane, shard)
    select org, type, id, 1, hashtextextended(coalesce(patient, id), 0) & ${SHARDS - 1} from resource where org = $1 and type = $2 and id = any ($3)
    order by id on conflict do nothing`, [org, typeNumber(type), ids]);
  const { rows } = await tx.query<{ id: string }>(`
    with idle as (
      select id from mirror_head where org = $1 and type = $2 and id = any ($3) and state = 'waiting' and next_at is null order by id for update)
    update mirror_head m set lease = $4, next_at = now() + interval '${LEASE_MS} milliseconds'
    from idle where m.org = $1 and m.type = $2 and m.id = idle.id returning m.id`, [org, typeNumber(type), ids, lease]);
  return new Set(rows.map(({ id }) => id));
}

export interface LeaseEnd {
  id: string;
  /** HAPI's version of what it holds now; undefined where that is not known. */
  hapiVersion: string | undefined;
  /** Our version of it. */
  version: number;
}

/** Gives the leases back. What was published meanwhile is due at once. */
export async function endLeases(tx: Transaction, org: OrgId, type: ComparedType, lease: string, ends: readonly LeaseEnd[]): Promise<void> {
  if (type === 'Provenance') return;
  await tx.query(`
    update mirror_head h set lease = null, hapi_version = coalesce(k.hapi_version, h.hapi_version),
      delivered_version = greatest(h.delivered_version, case when k.hapi_version is null then 0 else k.version end),
      next_at = (select min(created_at) from outbox o where o.org = h.org and o.type = h.type and o.id = h.id and o.taken)
    from unnest($3::text[], $4::text[], $5::int[]) as k(id, hapi_version, version)
    where h.org = $1 and h.type = $2 and h.id = k.id and h.lease = $6`,
  [org, typeNumber(type), ends.map(({ id }) => id), ends.map(({ hapiVersion }) => hapiVersion ?? null), ends.map(({ version }) => version), lease]);
}
