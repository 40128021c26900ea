// A verification inside the transaction of whoever tampers, which is then rolled back: no copy of the database is needed.
import type pg from 'pg';
import { appendLeaves, EMPTY_TREE, treeRoot } from '../../src/audit/merkle-log.ts';
import type { Database } from '../../src/database/database.ts';

export type Sql = (text: string, values?: unknown[]) => Promise<Record<string, never>[]>;

/** All hashes above the leaves made anew, as whoever owns the database can. */
export async function restampTree(sql: Sql): Promise<Buffer> {
  const hashes = (await sql('select hash from log_leaf order by index') as unknown as { hash: Buffer }[]).map(({ hash }) => hash);
  await sql('delete from log_subtree');
  const subtrees: [number, number, Buffer][] = [];
  const head = appendLeaves(EMPTY_TREE, hashes, ({ height, position, root }) => { if (height >= 8) subtrees.push([height, position, root]); });
  for (const subtree of subtrees) await sql('insert into log_subtree (height, position, root) values ($1, $2, $3)', subtree);
  await sql('update log_state set size = $1, peaks = $2', [hashes.length, Buffer.concat(head.peaks)]);
  return treeRoot(head);
}

/** A database whose worker transactions are all the one that `owner` has open. */
export function insideTransaction(owner: pg.Client, database: Database): Database {
  return { ...database, workerTransaction: (work) => work({ query: (async (text: string | { text: string; values?: unknown[] }, values?: unknown[]) => {
    if (typeof text === 'string' && /^set transaction/.test(text)) return { rows: [], rowCount: 0 };
    return typeof text === 'string' ? owner.query(text, values) : owner.query(text.text, text.values);
  }) as never, last: () => { throw new Error('Nothing is written'); }, flush: async () => undefined }) };
}
