// How much an organisation may hold. A look before the first byte refuses what cannot fit; the publishing transaction counts,
// one publication of an organisation after the other, so that no number of uploads at once exceeds it.
import type { Database, Transaction } from '../database/database.ts';
import type { OrgId } from '../database/tables.ts';
import { fhirError } from '../fhir/fhir-error.ts';

export interface Quota {
  /** Bytes of all contents; undefined = without a bound. */
  quotaBytes?: number | undefined;
  quotaCount?: number | undefined;
}

export interface ContentUse {
  bytes: number;
  count: number;
}

export const quotaOf = ({ quotaBytes, quotaCount }: Quota): Quota => ({ quotaBytes, quotaCount });

const READ = { name: 'read-content-use', text: 'select bytes::float8 as bytes, count::float8 as count from content_use where org = $1' };

/** Counted for the first time: nobody publishes meanwhile, so nothing is left out. */
async function startCounting(database: Pick<Database, 'transaction'>, org: OrgId): Promise<ContentUse> {
  return database.transaction(org, async (tx) => {
    await tx.query(`set local lock_timeout = '5s'`);
    await tx.query('lock table content in share row exclusive mode');
    await tx.query(
      'insert into content_use (org, bytes, count) select $1, coalesce(sum(size), 0), count(*) from content where org = $1 and published_at is not null and state <> \'gone\' on conflict (org) do nothing', [org],
    );
    return (await tx.query<ContentUse>({ ...READ, values: [org] })).rows[0] as ContentUse;
  }).catch((error: unknown) => {
    if ((error as { code?: string }).code === '55P03') throw fhirError('unavailable', 'What the organisation holds is being counted', { cause: error, headers: { 'Retry-After': '2' } });
    throw error;
  });
}

/** What the organisation holds; counted from its first quota on. */
export async function readContentUse(database: Pick<Database, 'select' | 'transaction'>, org: OrgId): Promise<ContentUse> {
  return (await database.select<ContentUse>(org, { ...READ, values: [org] })).rows[0] ?? startCounting(database, org);
}

function exceeded(what: string): Error {
  return fhirError('quota', `The organisation may hold ${what}; an administrator of the operator can raise it`);
}

/** Raises 413 `quota` when `bytes` more in one content more do not fit. */
export async function requireRoom(database: Pick<Database, 'select' | 'transaction'>, org: OrgId, { quotaBytes, quotaCount }: Quota, bytes: number, contents = 1): Promise<void> {
  if (quotaBytes === undefined && quotaCount === undefined) return;
  const use = await readContentUse(database, org);
  if (quotaBytes !== undefined && use.bytes + Math.max(bytes, 0) > quotaBytes) throw exceeded(`${quotaBytes} bytes, and holds ${use.bytes}`);
  if (quotaCount !== undefined && use.count + contents > quotaCount) throw exceeded(`${quotaCount} contents, and holds ${use.count}`);
}

/** In the transaction that published: its own bytes are counted, and nobody else's can be until it ends. Raises 413 `quota`. */
export async function checkQuota(tx: Transaction, org: OrgId, { quotaBytes, quotaCount }: Quota): Promise<void> {
  if (quotaBytes === undefined && quotaCount === undefined) return;
  const use = (await tx.query<ContentUse>({ ...READ, values: [org] })).rows[0];
  if (use === undefined) throw fhirError('unavailable', 'What the organisation holds is being counted', { headers: { 'Retry-After': '2' } });
  if (quotaBytes !== undefined && use.bytes > quotaBytes) throw exceeded(`${quotaBytes} bytes`);
  if (quotaCount !== undefined && use.count > quotaCount) throw exceeded(`${quotaCount} contents`);
}
