// Idempotency-Key: one request takes effect once for an organisation, client and key. A running request holds a lease,
// so that a killed server does not block its client's retry.
import { randomUUID } from 'node:crypto';
import type { Database, Transaction } from '../database/database.ts';
import type { OrgId } from '../database/tables.ts';
import { fhirError } from '../fhir/fhir-error.ts';

export const IDEMPOTENCY_HOURS = 24;
const LEASE_SECONDS = 60;
const RENEW_MS = 20_000;

export interface IdempotencyKey {
  org: OrgId;
  client: string;
  key: string;
}

/** What a repetition is answered with: a version, or for a Bundle the text of the answer. */
export type StoredResult =
  | { kind: 'version'; status: number; type: number; id: string; version: number }
  | { kind: 'answer'; status: number; answer: string };

export interface Lease {
  token: string;
  /** Ends the renewal; the row is settled or released by then. */
  end(): void;
}

export type Claim = { kind: 'run'; lease: Lease } | { kind: 'done'; fingerprint: Buffer; result: StoredResult };

interface Row {
  state: 'running' | 'done';
  lease: string;
  fingerprint: Buffer | null;
  status: number | null;
  type: number | null;
  id: string | null;
  version: number | null;
  answer: string | null;
}

const TAKE = `insert into idempotency (org, client, key, state, lease, lease_until)
  values ($1, $2, $3, 'running', $4, now() + $5 * interval '1 second')
  on conflict (org, client, key) do update
    set state = 'running', lease = excluded.lease, lease_until = excluded.lease_until, fingerprint = null, answer = null, created_at = now()
    where (idempotency.state = 'running' and idempotency.lease_until < now())
       or (idempotency.state = 'done' and idempotency.created_at < now() - $6 * interval '1 hour')
  returning state`;

/** Claims the key, or says what came of it before. Raises 409 `still-running`. */
export async function claimKey(database: Database, key: IdempotencyKey): Promise<Claim> {
  const token = randomUUID();
  return database.transaction(key.org, async (tx) => {
    const taken = await tx.query(TAKE, [key.org, key.client, key.key, token, LEASE_SECONDS, IDEMPOTENCY_HOURS]);
    if (taken.rowCount === 1) return { kind: 'run', lease: keepLease(database, key, token) };
    const { rows } = await tx.query<Row>('select state, lease, fingerprint, status, type, id, version, answer from idempotency where org = $1 and client = $2 and key = $3', [key.org, key.client, key.key]);
    const row = rows[0];
    const result = row?.state === 'done' ? storedResult(row) : undefined;
    if (result !== undefined && row?.fingerprint != null) return { kind: 'done', fingerprint: row.fingerprint, result };
    throw fhirError('still-running', 'A request with this Idempotency-Key is still running', { headers: { 'Retry-After': '2' } });
  });
}

function storedResult({ status, type, id, version, answer }: Row): StoredResult | undefined {
  if (status === null) return undefined;
  if (answer !== null) return { kind: 'answer', status, answer };
  return type === null || id === null || version === null ? undefined : { kind: 'version', status, type, id, version };
}

function keepLease(database: Database, key: IdempotencyKey, token: string): Lease {
  const timer = setInterval(() => {
    database.transaction(key.org, (tx) => tx.query(
      `update idempotency set lease_until = now() + $5 * interval '1 second' where org = $1 and client = $2 and key = $3 and lease = $4 and state = 'running'`,
      [key.org, key.client, key.key, token, LEASE_SECONDS],
    )).catch(() => { /* The publishing transaction finds out whether the lease still holds. */ });
  }, RENEW_MS);
  timer.unref();
  return { token, end: () => clearInterval(timer) };
}

/** In the publishing transaction: this key is done. Raises 409 when the lease was lost to another request meanwhile. */
export async function settleKey(tx: Transaction, key: IdempotencyKey, lease: Lease, fingerprint: Buffer, result: StoredResult): Promise<void> {
  const version = result.kind === 'version' ? [result.type, result.id, result.version, null] : [null, null, null, result.answer];
  const { rowCount } = await tx.query(
    `update idempotency set state = 'done', fingerprint = $5, status = $6, type = $7, id = $8, version = $9, answer = $10
     where org = $1 and client = $2 and key = $3 and lease = $4 and state = 'running'`,
    [key.org, key.client, key.key, lease.token, fingerprint, result.status, ...version],
  );
  if (rowCount !== 1) throw fhirError('still-running', 'Another request with this Idempotency-Key took over', { headers: { 'Retry-After': '2' } });
}

/** After a failure the key is free again: the retry is judged anew. */
export async function releaseKey(database: Database, key: IdempotencyKey, lease: Lease): Promise<void> {
  await database.transaction(key.org, (tx) => tx.query(
    `delete from idempotency where org = $1 and client = $2 and key = $3 and lease = $4 and state = 'running'`,
    [key.org, key.client, key.key, lease.token],
  ));
}
