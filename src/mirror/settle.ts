// How deliveries end in the database: delivered, due again, or parked. Only the holder of a lease may say so. What
// ends together is settled together.
import type { Database, Transaction } from '../database/database.ts';
import { typeNumber } from '../fhir/resource-type.ts';
import { commitWithoutWaiting, type LeasedVersion } from './claim.ts';

const REASON_LENGTH_MAX = 2_000;

/** What a delivery leaves: done, due again after a while, or in the hands of a person. */
export type Settlement =
  | { kind: 'delivered'; hapiVersion: string }
  | { kind: 'again'; reason: string; refused: boolean; delayMs: number }
  | { kind: 'parked'; reason: string };

export interface EndedDelivery {
  leased: LeasedVersion;
  settlement: Settlement;
}

/**
 * A function that settles one delivery, in one transaction with all that ended while the last one ran. It resolves to
 * false when the lease had been lost, and rejects when the database cannot be reached.
 */
export function createSettler(database: Pick<Database, 'workerTransaction'>): (ended: EndedDelivery) => Promise<boolean> {
  let waiting: { ended: EndedDelivery; resolve: (settled: boolean) => void; reject: (error: unknown) => void }[] = [];
  let flushing = false;

  async function flush(): Promise<void> {
    flushing = true;
    while (waiting.length > 0) {
      const group = waiting;
      waiting = [];
      try {
        const settled = await database.workerTransaction((tx) => settle(tx, group.map(({ ended }) => ended)));
        for (const { ended, resolve } of group) resolve(settled.has(ended));
      } catch (error) {
        for (const { reject } of group) reject(error);
      }
    }
    flushing = false;
  }

  return (ended) => new Promise((resolve, reject) => {
    waiting.push({ ended, resolve, reject });
    if (!flushing) void flush();
  });
}

/** Ends leases with what came of them. Returns those that were settled; where the lease had been lost nothing is changed. */
export async function settle(tx: Transaction, ended: readonly EndedDelivery[]): Promise<Set<EndedDelivery>> {
  await commitWithoutWaiting(tx);
  const mine = await lockMine(tx, ended);
  await settleDelivered(tx, mine);
  for (const { leased, settlement } of mine) {
    if (settlement.kind === 'again') await settleAgain(tx, leased, settlement);
    if (settlement.kind === 'parked') await settleParked(tx, leased, settlement.reason);
  }
  return new Set(mine);
}

/**
 * Locked first, and in the order of the key: the next statement then sees every row that was taken in for these heads
 * before, and whoever takes one in after it finds next_at null. Either way the next version is not forgotten.
 */
async function lockMine(tx: Transaction, ended: readonly EndedDelivery[]): Promise<EndedDelivery[]> {
  const { rows } = await tx.query<{ org: number; type: number; id: string }>({
    name: 'mirror-lock',
    text: `
      select h.org, h.type, h.id from unnest($1::int[], $2::smallint[], $3::text[], $4::uuid[]) as k(org, type, id, lease)
      join mirror_head h on h.org = k.org and h.type = k.type and h.id = k.id and h.lease = k.lease
      order by h.org, h.type, h.id for update of h`,
    values: keysOf(ended),
  });
  const locked = new Set(rows.map(({ org, type, id }) => `${org}/${type}/${id}`));
  return ended.filter(({ leased }) => locked.has(`${leased.org}/${typeNumber(leased.type)}/${leased.id}`));
}

async function settleDelivered(tx: Transaction, mine: readonly EndedDelivery[]): Promise<void> {
  const delivered = mine.filter(({ settlement }) => settlement.kind === 'delivered');
  if (delivered.length === 0) return;
  await tx.query({
    name: 'mirror-delivered',
    text: `
      with mine as (
        select * from unnest($1::int[], $2::smallint[], $3::text[], $4::uuid[], $5::bigint[], $6::int[], $7::text[])
          as k(org, type, id, lease, seq, version, hapi_version)
      ), done as (delete from outbox o using mine k where o.org = k.org and o.seq = k.seq)
      update mirror_head h set lease = null, attempts = 0, refusals = 0, last_error = null, hapi_version = k.hapi_version, delivered_at = now(),
        delivered_version = greatest(h.delivered_version, k.version),
        next_at = (select min(created_at) from outbox o where o.org = k.org and o.type = k.type and o.id = k.id and o.taken and o.seq <> k.seq)
      from mine k where h.org = k.org and h.type = k.type and h.id = k.id and h.lease = k.lease`,
    values: [
      ...keysOf(delivered), delivered.map(({ leased }) => leased.seq), delivered.map(({ leased }) => leased.version),
      delivered.map(({ settlement }) => (settlement.kind === 'delivered' ? settlement.hapiVersion : '')),
    ],
  });
}

const MINE = 'org = $1 and type = $2 and id = $3 and lease = $4';

async function settleAgain(tx: Transaction, leased: LeasedVersion, settlement: Settlement & { kind: 'again' }): Promise<void> {
  await tx.query({
    name: 'mirror-again',
    text: `
      update mirror_head set lease = null, attempts = attempts + 1, refusals = refusals + $5, last_error = $6,
        next_at = now() + $7 * interval '1 millisecond'
      where ${MINE}`,
    values: [...keyOf(leased), settlement.refused ? 1 : 0, bounded(settlement.reason), settlement.delayMs],
  });
}

async function settleParked(tx: Transaction, leased: LeasedVersion, reason: string): Promise<void> {
  await tx.query({
    name: 'mirror-parked',
    text: `
      update mirror_head set lease = null, attempts = attempts + 1, last_error = $5, state = 'parked', parked_at = now(), next_at = null
      where ${MINE}`,
    values: [...keyOf(leased), bounded(reason)],
  });
}

/** Makes heads due again whose delivery was never begun. */
export async function releaseLeases(tx: Transaction, leased: readonly LeasedVersion[]): Promise<void> {
  await tx.query(
    `update mirror_head h set lease = null, next_at = now() from unnest($1::int[], $2::smallint[], $3::text[], $4::uuid[]) as k(org, type, id, lease)
     where h.org = k.org and h.type = k.type and h.id = k.id and h.lease = k.lease`,
    keysOf(leased.map((one) => ({ leased: one }))),
  );
}

function keyOf({ org, type, id, lease }: LeasedVersion): [number, number, string, string] {
  return [org, typeNumber(type), id, lease];
}

function keysOf(ended: readonly { leased: LeasedVersion }[]): unknown[][] {
  const keys = ended.map(({ leased }) => keyOf(leased));
  return [0, 1, 2, 3].map((column) => keys.map((key) => key[column]));
}

/** PostgreSQL's text takes no NUL, which a broken answer may hold. */
function bounded(reason: string): string {
  return reason.replaceAll('\0', '').slice(0, REASON_LENGTH_MAX);
}
