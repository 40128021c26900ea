// The bytes of a purge leave: every version of each object, here and at the replica. Only then is the content gone.
import type { Database } from '../database/database.ts';
import type { ContentRow, OrgId } from '../database/tables.ts';
import type { ContentStore } from './content-store.ts';
import { fenceHolds } from './epoch-fence.ts';

export interface PurgedBytes {
  database: Pick<Database, 'workerTransaction'>;
  stores: readonly ContentStore[];
  replica: ContentStore | undefined;
}

/** Every version of an object. Rejects when the store keeps something of it. */
export async function eraseAll(store: ContentStore, key: string, version: string | null): Promise<void> {
  const versions = await store.versions?.(key);
  for (const one of versions ?? []) await store.remove(key, one.version);
  if (versions === undefined || versions.length === 0) await store.remove(key, version ?? undefined);
  if (await store.stat(key) !== undefined || (await store.versions?.(key) ?? []).length > 0) throw new Error('The store keeps an object that was to be purged');
}

/** True when nothing of the purge is left. Rejects where a store cannot be reached, or is fenced off after a restore. */
export async function removePurgedBytes({ database, stores, replica }: PurgedBytes, org: OrgId, purge: string): Promise<void> {
  const { rows } = await database.workerTransaction((tx) => tx.query<Pick<ContentRow, 'id' | 'store' | 'key' | 'store_version' | 'replica_key'>>(
    `select id, store, key, store_version, replica_key from content where org = $1 and purge = $2 and state = 'condemned' order by id`, [org, purge],
  ));
  for (const row of rows) {
    const store = stores.find(({ name }) => name === row.store);
    if (store === undefined) throw new Error(`The store ${row.store} is not configured`);
    if (!await fenceHolds({ database, store })) throw new Error(`The store ${row.store} or the database was restored: nothing is removed`);
    await eraseAll(store, row.key, row.store_version);
    if (replica !== undefined) await eraseAll(replica, row.replica_key ?? row.key, null);
    await database.workerTransaction((tx) => tx.query(`update content set state = 'gone' where org = $1 and id = $2 and state = 'condemned' and purge = $3`, [org, row.id, purge]));
  }
}
