// Removes what no publication made visible: staged content that was left behind, then, after a grace, its bytes. Never
// touches content that was ever live.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../database/database.ts';
import type { ContentRow } from '../database/tables.ts';
import type { Logger } from '../logger.ts';
import type { ContentStore } from './content-store.ts';

export interface SweepParts {
  database: Pick<Database, 'workerTransaction'>;
  stores: readonly ContentStore[];
  /** Staged longer than this is left behind; 24 h by default. */
  staleAfterMs?: number;
  /** How long condemned content keeps its bytes; 24 h by default. */
  graceMs?: number;
}

export interface SweepResult {
  condemned: number;
  removed: number;
}

const DAY_MS = 24 * 60 * 60 * 1_000;
const BATCH = 100;
/** Any fixed number: one server sweeps at a time. */
const SWEEP_LOCK = 7_306_002;

type Doomed = Pick<ContentRow, 'org' | 'id' | 'store' | 'key' | 'store_version'>;

/** One pass. Publishing requires `staging`, so a publication that races it fails cleanly and is sent again. */
export async function sweepContent(parts: SweepParts): Promise<SweepResult> {
  const { database, staleAfterMs = DAY_MS, graceMs = DAY_MS } = parts;
  const stores = new Map(parts.stores.map((store) => [store.name, store]));
  const found = await database.workerTransaction(async (tx) => {
    const { rows } = await tx.query<{ locked: boolean }>('select pg_try_advisory_xact_lock($1) as locked', [SWEEP_LOCK]);
    if (rows[0]?.locked !== true) return { condemned: 0, doomed: [] as Doomed[] };
    const marked = await tx.query(`update content set state = 'condemned' where state = 'staging' and created_at < now() - $1 * interval '1 millisecond'`, [staleAfterMs]);
    const doomed = await tx.query<Doomed>(
      `select org, id, store, key, store_version from content where state = 'condemned' and published_at is null and created_at < now() - $1 * interval '1 millisecond' order by created_at limit ${BATCH}`,
      [staleAfterMs + graceMs],
    );
    return { condemned: marked.rowCount, doomed: doomed.rows };
  });
  let removed = 0;
  for (const row of found.doomed) {
    const store = stores.get(row.store);
    if (store === undefined) continue;
    await store.remove(row.key, row.store_version ?? undefined);
    await database.workerTransaction((tx) => tx.query(`update content set state = 'gone' where org = $1 and id = $2 and state = 'condemned'`, [row.org, row.id]));
    removed += 1;
  }
  return { condemned: found.condemned, removed };
}

const EVERY_MS = 15 * 60 * 1_000;

/** Sweeps now and then until stopped; a failure is logged and tried again. Answers the stop. */
export function startSweeping(parts: SweepParts & { logger: Logger }): () => Promise<void> {
  const end = new AbortController();
  const loop = (async () => {
    while (!end.signal.aborted) {
      try {
        await sleep(EVERY_MS, undefined, { signal: end.signal, ref: false });
        const result = await sweepContent(parts);
        if (result.condemned + result.removed > 0) parts.logger.info(result, 'content swept');
      } catch (error) {
        if (!end.signal.aborted) parts.logger.warn({ err: error }, 'content could not be swept');
      }
    }
  })();
  return async () => {
    end.abort();
    await loop;
  };
}
