// An administrator takes bytes into service that the virus scanner withheld, with a reason that is recorded.
import type { Database } from '../database/database.ts';
import type { ContentRow } from '../database/tables.ts';
import type { ContentRecord } from './scrub.ts';

/** False when no content of that id is withheld by the scanner. */
export async function acceptContent({ database, record }: { database: Database; record: ContentRecord }, id: string, reason: string): Promise<boolean> {
  const row = await database.workerTransaction(async (tx) => (await tx.query<ContentRow>(`select * from content where id = $1 and state = 'quarantined' and scan_verdict in ('unscannable', 'infected')`, [id])).rows[0]);
  if (row === undefined) return false;
  const told = await record(row, 'accepted', `Taken into service as it is (${row.quarantine_reason ?? 'withheld'}): ${reason}`);
  return database.transaction(row.org, async (tx) => {
    const { rowCount } = await tx.query(`update content set state = 'live', scan_verdict = 'accepted', quarantine_reason = null where org = $1 and id = $2 and state = 'quarantined' and scan_verdict = $3`, [row.org, id, row.scan_verdict]);
    if (rowCount === 1) told(tx);
    return rowCount === 1;
  });
}
