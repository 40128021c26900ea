// Requests to purge a resource: asked for by one administrator, decided by another, and done once its bytes are gone and the
// certificate is there.
import type { Transaction } from '../database/database.ts';
import type { OrgId } from '../database/tables.ts';
import { typeName } from '../fhir/resource-type.ts';
import { UUID } from './legal-holds.ts';

export type PurgeState = 'requested' | 'withdrawn' | 'approved' | 'done';

export interface Purge {
  id: string;
  type: number;
  resource: string;
  reference: string;
  state: PurgeState;
  reason: string;
  requested: Date;
  /** `issuer|subject|client` */
  requestedBy: string;
  decided?: { at: Date; by: string; reason: string | undefined };
  /** What was decided on. */
  retention?: { class: string; until: Date };
  done?: Date;
  /** Id of the DocumentReference, which is there once it is done. */
  certificate?: string;
}

interface Row {
  id: string;
  type: number;
  resource: string;
  state: PurgeState;
  reason: string;
  requested_at: Date;
  requested_by: string;
  decided_at: Date | null;
  decided_by: string | null;
  decision: string | null;
  class: string | null;
  retained_until: Date | null;
  done_at: Date | null;
  certificate: string | null;
}

const COLUMNS = 'id, type, resource, state, reason, requested_at, requested_by, decided_at, decided_by, decision, class, retained_until, done_at, certificate';

const purgeOf = (row: Row): Purge => ({
  id: row.id, type: row.type, resource: row.resource, reference: `${typeName(row.type)}/${row.resource}`, state: row.state, reason: row.reason, requested: row.requested_at, requestedBy: row.requested_by,
  ...(row.decided_at === null ? {} : { decided: { at: row.decided_at, by: row.decided_by ?? '', reason: row.decision ?? undefined } }),
  ...(row.class === null || row.retained_until === null ? {} : { retention: { class: row.class, until: row.retained_until } }),
  ...(row.done_at === null ? {} : { done: row.done_at }), ...(row.certificate === null ? {} : { certificate: row.certificate }),
});

/** False when one of that resource is open already. */
export async function insertPurge(tx: Transaction, org: OrgId, purge: Pick<Purge, 'id' | 'type' | 'resource' | 'reason' | 'requested' | 'requestedBy'>): Promise<boolean> {
  const { rowCount } = await tx.query(
    `insert into purge (org, id, type, resource, state, reason, requested_at, requested_by) values ($1, $2, $3, $4, 'requested', $5, $6, $7)
      on conflict (org, type, resource) where state in ('requested', 'approved') do nothing`,
    [org, purge.id, purge.type, purge.resource, purge.reason, purge.requested, purge.requestedBy],
  );
  return rowCount === 1;
}

/** Locked where it is read to be decided. */
export async function readPurge(tx: Transaction, org: OrgId, id: string, lock = false): Promise<Purge | undefined> {
  if (!UUID.test(id)) return undefined;
  const { rows } = await tx.query<Row>(`select ${COLUMNS} from purge where org = $1 and id = $2${lock ? ' for update' : ''}`, [org, id]);
  return rows[0] === undefined ? undefined : purgeOf(rows[0]);
}

/** Newest first, older than `before`. */
export async function listPurges(tx: Transaction, org: OrgId, { before, state, limit }: { before?: string; state?: PurgeState; limit: number }): Promise<Purge[]> {
  const { rows } = await tx.query<Row>(
    `select ${COLUMNS} from purge where org = $1 and id < $2 and ($3::text is null or state = $3) order by id desc limit $4`,
    [org, before !== undefined && UUID.test(before) ? before : 'ffffffff-ffff-ffff-ffff-ffffffffffff', state ?? null, limit],
  );
  return rows.map(purgeOf);
}

export async function decidePurge(tx: Transaction, org: OrgId, id: string, { state, decided, retention, certificate }: Required<Pick<Purge, 'state' | 'decided'>> & Pick<Purge, 'retention' | 'certificate'>): Promise<void> {
  await tx.query(
    'update purge set state = $3, decided_at = $4, decided_by = $5, decision = $6, class = $7, retained_until = $8, certificate = $9 where org = $1 and id = $2',
    [org, id, state, decided.at, decided.by, decided.reason ?? null, retention?.class ?? null, retention?.until ?? null, certificate ?? null],
  );
}

/** Its bytes are gone, and the certificate is there. */
export async function finishPurgeRow(tx: Transaction, org: OrgId, id: string, now: number): Promise<void> {
  await tx.query(`update purge set state = 'done', done_at = $3 where org = $1 and id = $2 and state = 'approved'`, [org, id, new Date(now)]);
}
