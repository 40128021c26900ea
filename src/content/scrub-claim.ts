// Which contents are looked at next, and by whom: the oldest first, leased, so that several servers share the work and
// what a killed one held comes back by itself.
import { randomUUID } from 'node:crypto';
import type { Database, Transaction } from '../database/database.ts';
import type { ContentRow } from '../database/tables.ts';
import type { ScannerVersion } from './scanner.ts';

/** Milliseconds. A content of any size is held by renewing. */
const LEASE_MS = 60_000;
const CLAIMED_AT_ONCE = 16;

export interface ScrubWish {
  /** Contents that were last found in order after this instant are passed over. */
  verifiedUntil: Date;
  /** Contents that were tried after this instant are passed over, whatever was found. */
  triedUntil: Date;
  /** Whether contents out of service are looked at too. */
  quarantined: boolean;
  /** Set for a new look by the virus scanner: contents that were not scanned with exactly these are due, and no others. */
  scanner?: ScannerVersion | 'all';
  /** Only what lies behind this one, for a new look by the scanner: what was looked at is not passed over again for each claim. */
  after?: Pick<ContentRow, 'org' | 'id'>;
  /** Names of the stores that are within reach. */
  stores: readonly string[];
}

export interface ScrubClaim {
  rows: ContentRow[];
  /** Ends the lease of one: `sound` renews its date. False when the lease was lost meanwhile, and nothing was changed. */
  settle(row: ContentRow, sound: boolean): Promise<boolean>;
  /** Gives back what was not settled. */
  release(): Promise<void>;
}

const NO_ID = '00000000-0000-0000-0000-000000000000';

const FREE = `(scrub_until is null or scrub_until < now()) and (scrubbed_at is null or scrubbed_at <= $1) and store = any($2)`;

async function claimRows(tx: Transaction, lease: string, { verifiedUntil, triedUntil, quarantined, stores, scanner, after }: ScrubWish): Promise<ContentRow[]> {
  const claim = async (due: string, values: unknown[]): Promise<ContentRow[]> => (await tx.query<ContentRow>(
    `update content c set scrub_lease = $3, scrub_until = now() + $4 * interval '1 millisecond' from (${due} limit $5 for update skip locked) due
      where c.org = due.org and c.id = due.id returning c.*`,
    [triedUntil, stores, lease, LEASE_MS, CLAIMED_AT_ONCE, ...values],
  )).rows;
  if (scanner !== undefined) {
    // An engine that does not tell its signatures may have others than the last time.
    const [engine, signatures] = scanner === 'all' ? ['', null] : [scanner.engine, scanner.signatures ?? null];
    return claim(`select org, id from content where (org, id) > ($8::int, $9::uuid) and state in ('live', 'quarantined') and (scan_verdict is null or scan_verdict in ('unscanned', 'unscannable')
        or $7::text is null or scan_engine is distinct from $6::text or scan_signatures is distinct from $7::text) and ${FREE} order by org, id`, [engine, signatures, after?.org ?? 0, after?.id ?? NO_ID]);
  }
  const live = await claim(`select org, id from content where state = 'live' and verified_at <= $6 and ${FREE} order by verified_at`, [verifiedUntil]);
  if (live.length > 0 || !quarantined) return live;
  return claim(`select org, id from content where state = 'quarantined' and ${FREE} order by org, id`, []);
}

/** Takes some contents; none when nothing is due that nobody else has. */
export async function claimForScrub(database: Pick<Database, 'workerTransaction'>, wish: ScrubWish): Promise<ScrubClaim> {
  const lease = randomUUID();
  const rows = await database.workerTransaction((tx) => claimRows(tx, lease, wish));
  const renewing = setInterval(() => {
    // A renewal that fails ends the lease: another server looks at the same bytes, which does no harm.
    database.workerTransaction((tx) => tx.query(`update content set scrub_until = now() + $2 * interval '1 millisecond' where (org, id) in (select * from unnest($3::int[], $4::uuid[])) and scrub_lease = $1`, [lease, LEASE_MS, rows.map((row) => row.org), rows.map((row) => row.id)])).catch(() => undefined);
  }, LEASE_MS / 3).unref();
  return {
    rows,
    async settle(row, sound) {
      const { rowCount } = await database.workerTransaction((tx) => tx.query(
        `update content set scrub_lease = null, scrub_until = null, scrubbed_at = clock_timestamp(), verified_at = case when $4 then clock_timestamp() else verified_at end
          where org = $1 and id = $2 and scrub_lease = $3`,
        [row.org, row.id, lease, sound],
      ));
      return rowCount === 1;
    },
    async release() {
      clearInterval(renewing);
      if (rows.length === 0) return;
      await database.workerTransaction((tx) => tx.query(`update content set scrub_lease = null, scrub_until = null where (org, id) in (select * from unnest($2::int[], $3::uuid[])) and scrub_lease = $1`, [lease, rows.map((row) => row.org), rows.map((row) => row.id)]));
    },
  };
}
