// The names by which a client that uploaded files refers to them until a document does.
import type { Transaction } from '../database/database.ts';
import type { OrgId } from '../database/tables.ts';

export async function insertFileHandles(tx: Transaction, org: OrgId, creator: string, handles: ReadonlyMap<string, string>, now: Date): Promise<void> {
  for (const [name, binary] of handles) {
    await tx.query({ text: 'insert into file_handle (org, creator, name, "binary", created_at) values ($1, $2, $3, $4, $5) on conflict do nothing', values: [org, creator, name, binary, now] });
  }
}

/** The Binary that the creator uploaded under this name; undefined for none, and for several that still count. */
export async function findFileHandle(tx: Transaction, org: OrgId, creator: string, name: string): Promise<string | undefined> {
  const { rows } = await tx.query<{ binary: string }>({
    text: `select "binary" from file_handle where org = $1 and creator = $2 and name = $3 and created_at > now() - interval '7 days' limit 2`,
    values: [org, creator, name],
  });
  return rows.length === 1 ? rows[0]?.binary : undefined;
}
