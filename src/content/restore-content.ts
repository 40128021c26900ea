// Bytes with the same SHA-256 come back into service. What was wrong keeps its place for the grace of the sweeper.
import { dirname } from 'node:path/posix';
import { randomUUID } from 'node:crypto';
import type { Database, Transaction } from '../database/database.ts';
import type { ContentRow } from '../database/tables.ts';
import { readVerified } from './check-content.ts';
import type { ContentStore } from './content-store.ts';
import type { Copy, ObjectPlace } from './copies.ts';
import { verifyStored } from './stored-object.ts';

/** The object itself is right again, or a copy is. */
export type RestoreFrom = { origin: 'store' } | Copy;

async function point(database: Database, row: ContentRow, to: { key: string; version: string | null; replicaKey: string | null }, record: (tx: Transaction) => void, intent?: string): Promise<boolean> {
  return database.transaction(row.org, async (tx) => {
    const { rowCount } = await tx.query(
      `update content set state = case when scan_verdict in ('unscannable', 'infected') then state else 'live' end,
        quarantine_reason = case when scan_verdict in ('unscannable', 'infected') then quarantine_reason end, verified_at = now(), key = $3, store_version = $4, replica_key = $5
        where org = $1 and id = $2 and state in ('live', 'quarantined') and key = $6`,
      [row.org, row.id, to.key, to.version, to.replicaKey, row.key],
    );
    // What was written for it before the copy began now stands for the object that it replaces.
    if (rowCount === 1 && intent !== undefined) await tx.query(`update content set key = $3, store_version = $4 where org = $1 and id = $2`, [row.org, intent, row.key, row.store_version]);
    if (rowCount === 1) record(tx);
    return rowCount === 1;
  });
}

function besideKey(key: string): string {
  const folder = dirname(key);
  return folder === '.' ? randomUUID() : `${folder}/${randomUUID()}`;
}

/** Copies the bytes to a new key. A row says so before the first byte, so that the sweeper finds what a crash leaves. */
async function copyBack(database: Database, row: ContentRow, store: ContentStore, from: ObjectPlace, record: (tx: Transaction) => void): Promise<boolean> {
  const intent = randomUUID();
  const key = besideKey(row.key);
  await database.transaction(row.org, (tx) => tx.query(`insert into content (org, id, state, store, key, chunk_bytes) values ($1, $2, 'condemned', $3, $4, $5)`, [row.org, intent, row.store, key, row.chunk_bytes]));
  const sha256 = row.sha256 as Buffer;
  const stored = await store.put(key, await readVerified(row, from), { size: Number(row.size), sha256: () => sha256 });
  const held = await verifyStored(store, key, { size: Number(row.size), sha256, sha1: row.sha1 as Buffer, chunkDigests: row.chunk_digests as Buffer }, stored);
  return point(database, row, { key, version: held.version ?? null, replicaKey: row.replica_key ?? row.key }, record, intent);
}

/**
 * Puts a content back into service from a copy that was checked. What the virus scanner did not clear stays out of service: a
 * good copy is no verdict. False when somebody else was faster.
 */
export async function restoreContent(database: Database, row: ContentRow, store: ContentStore, from: RestoreFrom, record: (tx: Transaction) => void): Promise<boolean> {
  switch (from.origin) {
    case 'store': return point(database, row, { key: row.key, version: row.store_version, replicaKey: row.replica_key }, record);
    case 'version': return point(database, row, { key: row.key, version: from.version ?? null, replicaKey: row.replica_key }, record);
    case 'replica': return copyBack(database, row, store, from, record);
  }
}
