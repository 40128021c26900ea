// The content row of a Binary version.
import type { Transaction } from '../database/database.ts';
import type { ContentRow, OrgId } from '../database/tables.ts';
import { fhirError } from '../fhir/fhir-error.ts';

const WITHHELD: Record<string, string> = {
  unscannable: 'could not be scanned for viruses and wait for an administrator',
  infected: 'hold a virus, which was found after they were published; they wait for an administrator',
};

/** The row under a Binary's bytes. Raises 503 `quarantined` when they are out of service, 410 `deleted` when they were removed after their time. */
export async function readContentRow(tx: Transaction, org: OrgId, id: string): Promise<ContentRow> {
  const { rows } = await tx.query<ContentRow>({ name: 'read-content', text: 'select * from content where org = $1 and id = $2', values: [org, id] });
  const row = rows[0];
  if (row === undefined) throw new Error('A Binary without its content row');
  if (row.state === 'quarantined') throw fhirError('quarantined', `These bytes ${WITHHELD[row.scan_verdict ?? ''] ?? 'failed verification and wait for a good copy'}`, { headers: { 'Retry-After': '3600' } });
  if (row.state === 'condemned' || row.state === 'gone') throw fhirError('deleted', 'These bytes were removed after their time');
  if (row.state !== 'live') throw new Error(`A Binary over content in state ${row.state}`);
  return row;
}
