// The replica is written behind: what was published is copied there under its key, verified on the way and after it. Servers
// share the work by leases; a replica that its store fills by itself is compared, and counts where it is right.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../database/database.ts';
import type { ContentRow } from '../database/tables.ts';
import type { Logger } from '../logger.ts';
import { checkContent, isLoss, readVerified } from './check-content.ts';
import { ObjectExistsError, type ContentStore } from './content-store.ts';
import { ContentIntegrityError } from './read-content.ts';
import { eraseObject, verifyStored } from './stored-object.ts';

export interface ReplicateParts {
  database: Pick<Database, 'workerTransaction'>;
  stores: readonly ContentStore[];
  replica: ContentStore;
  logger: Pick<Logger, 'warn'>;
}

const AT_ONCE = 8;
const LEASE_SECONDS = 120;

/** Some contents that nobody copies, the oldest first. */
async function claim({ database, stores }: ReplicateParts): Promise<ContentRow[]> {
  return database.workerTransaction(async (tx) => (await tx.query<ContentRow>(
    `update content c set replica_until = now() + $1 * interval '1 second' from (
       select org, id from content where state = 'live' and replicated_at is null and (replica_until is null or replica_until < now()) and store = any($2) order by published_at limit $3 for update skip locked) due
     where c.org = due.org and c.id = due.id returning c.*`,
    [LEASE_SECONDS, stores.map(({ name }) => name), AT_ONCE],
  )).rows);
}

/** Copies one; answers the key under which the replica has it. */
async function copy({ stores, replica }: Pick<ReplicateParts, 'stores' | 'replica'>, row: ContentRow, key: string): Promise<string> {
  const store = stores.find(({ name }) => name === row.store) as ContentStore;
  const sha256 = row.sha256 as Buffer;
  const digests = { size: Number(row.size), sha256, sha1: row.sha1 as Buffer, chunkDigests: row.chunk_digests as Buffer };
  try {
    const bytes = await readVerified(row, { store, key: row.key, version: row.store_version ?? undefined });
    await verifyStored(replica, key, digests, await replica.put(key, bytes, { size: digests.size, sha256: () => sha256 }));
    return key;
  } catch (error) {
    if (!(error instanceof ObjectExistsError)) throw error;
    // It is there already: from a copy that was not noted, or by the replication of the store.
    const held = await replica.stat(key);
    if (held?.sha256?.equals(sha256) === true && held.size === digests.size) return key;
    if (!(await checkContent(row, { store: replica, key, version: undefined })).some(isLoss)) return key;
    return copy({ stores, replica }, row, `${key}.${randomUUID()}`);
  }
}

async function settle({ database }: ReplicateParts, row: ContentRow, key: string | undefined): Promise<boolean> {
  const { rowCount } = await database.workerTransaction((tx) => tx.query(
    key === undefined
      ? `update content set replica_until = now() + interval '30 seconds' where org = $1 and id = $2 and $3::text is null`
      : `update content set replica_until = null, replicated_at = clock_timestamp(), replica_key = case when $3 = key then replica_key else $3 end where org = $1 and id = $2 and state in ('live', 'quarantined')`,
    [row.org, row.id, key ?? null],
  ));
  return rowCount === 1;
}

/** One round: how many were copied, and how many could not be. */
export async function replicate(parts: ReplicateParts): Promise<{ copied: number; failed: number }> {
  const rows = await claim(parts);
  let copied = 0;
  for (const row of rows) {
    try {
      const key = await copy(parts, row, row.replica_key ?? row.key);
      // Purged meanwhile: what was copied behind the purge goes as well.
      if (!await settle(parts, row, key)) await eraseObject(parts.replica, key, undefined);
      copied += 1;
    } catch (error) {
      // A content that is damaged is the scrubber's; it is replicated once it is right again.
      parts.logger.warn({ err: error, content: row.id }, error instanceof ContentIntegrityError ? 'a content is not replicated: its bytes do not match their digest' : 'a content could not be replicated; it is tried again');
      await settle(parts, row, undefined);
    }
  }
  return { copied, failed: rows.length - copied };
}

const IDLE_MS = 1_000;

/** Answers the stop. */
export function startReplicating(parts: ReplicateParts): () => Promise<void> {
  const end = new AbortController();
  const loop = (async () => {
    while (!end.signal.aborted) {
      const { copied } = await replicate(parts).catch((error: unknown) => {
        if (!end.signal.aborted) parts.logger.warn({ err: error }, 'contents could not be replicated');
        return { copied: 0 };
      });
      if (copied === 0) await sleep(IDLE_MS, undefined, { signal: end.signal, ref: false }).catch(() => { /* It stops. */ });
    }
  })();
  return async () => {
    end.abort();
    await loop;
  };
}

/** How far the replica is behind: contents that it lacks, and for how long the oldest of them has been published. */
export async function replicaStatus(database: Pick<Database, 'workerTransaction'>): Promise<{ waiting: number; lagSeconds: number }> {
  return database.workerTransaction(async (tx) => {
    const { rows } = await tx.query<{ waiting: string; lag: string | null }>(
      `select count(*) as waiting, extract(epoch from now() - min(published_at)) as lag from content where state = 'live' and replicated_at is null`);
    return { waiting: Number(rows[0]?.waiting ?? 0), lagSeconds: Number(rows[0]?.lag ?? 0) };
  });
}
