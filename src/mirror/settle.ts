// How a delivery ends in the database: delivered, due again, or parked. Only the holder of the lease may say so.
import type { Transaction } from '../database/database.ts';
import { typeNumber } from '../fhir/resource-type.ts';
import type { LeasedVersion } from './claim.ts';

const REASON_LENGTH_MAX = 2_000;

/** What a settled delivery leaves: done, due again after a while, or in the hands of a person. */
export type Settlement =
  | { kind: 'delivered'; hapiVersion: string }
  | { kind: 'again'; reason: string; refused: boolean; delayMs: number }
  | { kind: 'parked'; reason: string };

/** Ends a lease with what came of it. False = the lease had been lost: nothing was changed. */
export async function settle(tx: Transaction, leased: LeasedVersion, settlement: Settlement): Promise<boolean> {
  const key = [leased.org, typeNumber(leased.type), leased.id, leased.lease];
  switch (settlement.kind) {
    case 'delivered': return settleDelivered(tx, key, leased, settlement.hapiVersion);
    case 'again': return settleAgain(tx, key, settlement);
    case 'parked': return settleParked(tx, key, settlement.reason);
  }
}

const MINE = 'org = $1 and type = $2 and id = $3 and lease = $4';

async function settleDelivered(tx: Transaction, key: unknown[], leased: LeasedVersion, hapiVersion: string): Promise<boolean> {
  // Locked first: the next statement then sees every row that was taken in for this head before, and whoever takes one
  // in after it finds next_at null. Either way the next version is not forgotten.
  const mine = await tx.query({ name: 'mirror-lock', text: `select from mirror_head where ${MINE} for update`, values: key });
  if (mine.rowCount === 0) return false;
  await tx.query({
    name: 'mirror-delivered',
    text: `
      with done as (delete from outbox where org = $1 and seq = $5)
      update mirror_head set lease = null, attempts = 0, refusals = 0, last_error = null, hapi_version = $7,
        delivered_version = greatest(delivered_version, $6),
        next_at = (select min(created_at) from outbox where org = $1 and type = $2 and id = $3 and taken and seq <> $5)
      where ${MINE}`,
    values: [...key, leased.seq, leased.version, hapiVersion],
  });
  return true;
}

async function settleAgain(tx: Transaction, key: unknown[], settlement: Settlement & { kind: 'again' }): Promise<boolean> {
  const { rowCount } = await tx.query({
    name: 'mirror-again',
    text: `
      update mirror_head set lease = null, attempts = attempts + 1, refusals = refusals + $5, last_error = $6,
        next_at = now() + $7 * interval '1 millisecond'
      where ${MINE}`,
    values: [...key, settlement.refused ? 1 : 0, bounded(settlement.reason), settlement.delayMs],
  });
  return rowCount === 1;
}

async function settleParked(tx: Transaction, key: unknown[], reason: string): Promise<boolean> {
  const { rowCount } = await tx.query({
    name: 'mirror-parked',
    text: `
      update mirror_head set lease = null, attempts = attempts + 1, last_error = $5, state = 'parked', parked_at = now(), next_at = null
      where ${MINE}`,
    values: [...key, bounded(reason)],
  });
  return rowCount === 1;
}

/** PostgreSQL's text takes no NUL, which a broken answer may hold. */
function bounded(reason: string): string {
  return reason.replaceAll('\0', '').slice(0, REASON_LENGTH_MAX);
}
