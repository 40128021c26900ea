// An object that no content has is removed by an administrator alone, after two comparisons a week apart saw it.
import type { Database } from '../database/database.ts';
import type { ContentStore } from './content-store.ts';
import { fenceHolds } from './epoch-fence.ts';
import { eraseAll } from './remove-purged.ts';

export interface StrayRemoval {
  database: Pick<Database, 'workerTransaction'>;
  store: ContentStore;
  /** Resolves when the removal stands in the record. */
  record: () => Promise<void>;
}

/** Says why nothing was removed; undefined once it is gone, in all its versions. */
export async function removeStray({ database, store, record }: StrayRemoval, key: string): Promise<string | undefined> {
  if (!await fenceHolds({ database, store })) return 'The store or the database was restored: nothing is removed';
  const refusal = await database.workerTransaction(async (tx) => {
    const known = await tx.query(`select from content where store collate "C" = $1 and key collate "C" = $2 and state <> 'gone'`, [store.name, key]);
    if (known.rowCount > 0) return 'A content has this object';
    const { rows } = await tx.query<{ quarantined: boolean }>('select quarantined from stray_object where store = $1 and key = $2', [store.name, key]);
    if (rows[0] === undefined) return 'No comparison has found such an object';
    return rows[0].quarantined ? undefined : 'It was seen by one comparison only: another one must see it a week later';
  });
  if (refusal !== undefined) return refusal;
  // Recorded before the bytes are gone: a removal without its record cannot be.
  await record();
  await eraseAll(store, key, null);
  await database.workerTransaction((tx) => tx.query('delete from stray_object where store = $1 and key = $2', [store.name, key]));
  return undefined;
}
