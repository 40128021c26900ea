// Images of people that a newer one replaced, or that were deleted: kept for thirty days, then their bytes are removed and the
// removal is recorded. What is in use again, or under a legal hold, stays.
import type { ContentStore } from '../content/content-store.ts';
import { fenceHolds } from '../content/epoch-fence.ts';
import type { ContentRecord } from '../content/scrub.ts';
import { eraseObject } from '../content/stored-object.ts';
import type { Database, Transaction } from '../database/database.ts';
import type { ContentRow, OrgId } from '../database/tables.ts';
import { typeNumber } from '../fhir/resource-type.ts';
import { findHold } from './legal-holds.ts';

export const KEPT_DAYS = 30;
const AT_ONCE = 100;

export interface ReplacedParts {
  database: Database;
  stores: readonly ContentStore[];
  record: ContentRecord;
}

/** In the transaction that replaces the image. */
export async function keepReplaced(tx: Transaction, org: OrgId, binary: string, now: number): Promise<void> {
  await tx.query(
    `insert into replaced_image (org, "binary", remove_at) values ($1, $2, $3::timestamptz + interval '${KEPT_DAYS} days') on conflict (org, "binary") do update set remove_at = excluded.remove_at`,
    [org, binary, new Date(now)],
  );
}

/** The contents of all versions of the Binary, with the pictures that were made of them. */
const CONTENTS = `select c.* from content c where c.org = $1 and c.id in (
  select content from resource where org = $1 and type = ${typeNumber('Binary')} and id = $2 and content is not null
  union select content from resource_history where org = $1 and type = ${typeNumber('Binary')} and id = $2 and content is not null
  union select content from rendition where org = $1 and "binary" = $2 and content is not null)`;

async function isCurrent(tx: Transaction, org: OrgId, binary: string): Promise<boolean> {
  const { rows } = await tx.query(
    'select 1 from attachment_use u join resource r on r.org = u.org and r.type = u.type and r.id = u.id and r.version = u.version where u.org = $1 and u."binary" = $2 and not r.deleted limit 1', [org, binary],
  );
  return rows.length > 0;
}

/** Marks the bytes, with the record in the same commit. Answers what is to be erased; undefined where they stay. */
async function condemn({ database, record }: ReplacedParts, org: OrgId, binary: string): Promise<ContentRow[] | undefined> {
  const contents = await database.readTransaction(org, async (tx) => (await tx.query<ContentRow>(CONTENTS, [org, binary])).rows);
  const told = await Promise.all(contents.filter(({ state, key }) => state === 'live' && !key.endsWith('_thumb')).map((row) => record(row, 'removed', `An image of a person that was replaced ${KEPT_DAYS} days ago`)));
  return database.transaction(org, async (tx) => {
    if (await isCurrent(tx, org, binary)) {
      await tx.query('delete from replaced_image where org = $1 and "binary" = $2', [org, binary]);
      return undefined;
    }
    if (await findHold(tx, { org, type: typeNumber('Binary'), id: binary, patient: null }) !== undefined) {
      await tx.query(`update replaced_image set remove_at = now() + interval '1 day' where org = $1 and "binary" = $2`, [org, binary]);
      return undefined;
    }
    await tx.query(`update content set state = 'condemned' where org = $1 and state in ('live', 'quarantined') and id = any($2::uuid[])`, [org, contents.map(({ id }) => id)]);
    for (const tell of told) tell(tx);
    return contents;
  });
}

async function removeOne(parts: ReplacedParts, org: OrgId, binary: string): Promise<boolean> {
  const contents = await condemn(parts, org, binary);
  if (contents === undefined) return false;
  for (const { id, store: name, key, store_version: version } of contents) {
    const store = parts.stores.find((one) => one.name === name);
    if (store === undefined || !await fenceHolds({ database: parts.database, store })) return false;
    await eraseObject(store, key, version ?? undefined);
    await parts.database.transaction(org, (tx) => tx.query(`update content set state = 'gone' where org = $1 and id = $2 and state = 'condemned'`, [org, id]));
  }
  await parts.database.transaction(org, (tx) => tx.query('delete from replaced_image where org = $1 and "binary" = $2', [org, binary]));
  return true;
}

/** Removes what is due. Answers how many images went. */
export async function removeReplaced(parts: ReplacedParts): Promise<number> {
  const { rows } = await parts.database.workerTransaction((tx) => tx.query<{ org: OrgId; binary: string }>(`select org, "binary" from replaced_image where remove_at <= now() order by remove_at limit ${AT_ONCE}`));
  let removed = 0;
  for (const { org, binary } of rows) if (await removeOne(parts, org, binary)) removed += 1;
  return removed;
}
