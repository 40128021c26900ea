// Nothing is removed from a store that does not belong to this state of the database: after a restore, documents of the
// days between would look like litter. Both sides have a mark, an object and a row, which each sweep renews.
import { randomUUID } from 'node:crypto';
import type { Database } from '../database/database.ts';
import type { ContentStore } from './content-store.ts';

export interface FenceParts {
  database: Pick<Database, 'workerTransaction'>;
  store: ContentStore;
}

interface Epoch {
  current: string;
  next: string | null;
}

const RENEW_MS = 60 * 60 * 1_000;
const keyOf = (mark: string): string => `.epoch/${mark}`;

async function* text(mark: string): AsyncGenerator<Buffer> {
  yield Buffer.from(mark);
}

async function readEpoch({ database, store }: FenceParts): Promise<Epoch | undefined> {
  return database.workerTransaction(async (tx) => (await tx.query<Epoch>('select current, next from store_epoch where store = $1', [store.name])).rows[0]);
}

async function isThere(store: ContentStore, mark: string | null): Promise<boolean> {
  return mark !== null && await store.stat(keyOf(mark)) !== undefined;
}

/** True for the one server that may renew the mark now. */
async function claimRenewal({ database, store }: FenceParts, mark: string, forced: boolean): Promise<boolean> {
  return database.workerTransaction(async (tx) => {
    const { rowCount } = await tx.query(
      `update store_epoch set next = $2, renewed_at = now() where store = $1 and ($3 or renewed_at < now() - $4 * interval '1 millisecond')`, [store.name, mark, forced, RENEW_MS],
    );
    return rowCount === 1;
  });
}

/** The first mark: the object before the row, for a row without its object would look like a restore. */
async function makeFirst({ database, store }: FenceParts, mark: string): Promise<void> {
  const { version } = await store.put(keyOf(mark), text(mark), {});
  const { rowCount } = await database.workerTransaction((tx) => tx.query('insert into store_epoch (store, current) values ($1, $2) on conflict (store) do nothing', [store.name, mark]));
  // Another server was faster.
  if (rowCount === 0) await store.remove(keyOf(mark), version);
}

/** Gives both sides a new mark, at most once an hour; `forced` whatever they had, when an administrator says so after a restore. */
export async function renewEpoch(parts: FenceParts, forced = false): Promise<void> {
  const { database, store } = parts;
  const before = await readEpoch(parts);
  const mark = randomUUID();
  if (before === undefined) { await makeFirst(parts, mark); return; }
  if (!await claimRenewal(parts, mark, forced)) return;
  await store.put(keyOf(mark), text(mark), {});
  await database.workerTransaction((tx) => tx.query('update store_epoch set current = $2, next = null, halted_at = null where store = $1', [store.name, mark]));
  for (const old of new Set([before.current, before.next])) if (typeof old === 'string') await store.remove(keyOf(old), (await store.stat(keyOf(old)))?.version);
}

/** True when database and store have the same mark. False means that one of them was restored: nothing may be removed. */
export async function fenceHolds(parts: FenceParts): Promise<boolean> {
  const epoch = await readEpoch(parts);
  if (epoch === undefined || await isThere(parts.store, epoch.current) || await isThere(parts.store, epoch.next)) return true;
  // Another server may have renewed it between the two looks.
  const again = await readEpoch(parts);
  if (again !== undefined && again.current !== epoch.current && await isThere(parts.store, again.current)) return true;
  await parts.database.workerTransaction((tx) => tx.query('update store_epoch set halted_at = coalesce(halted_at, now()) where store = $1', [parts.store.name]));
  return false;
}

/** How many stores are fenced off. */
export async function haltedStores(database: Pick<Database, 'workerTransaction'>): Promise<number> {
  return database.workerTransaction(async (tx) => Number((await tx.query<{ count: string }>('select count(*) from store_epoch where halted_at is not null')).rows[0]?.count ?? 0));
}
