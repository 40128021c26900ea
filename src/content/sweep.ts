// Removes what no publication made visible: staged content that was left behind, then, after a grace, its bytes. Never
// touches content that was ever live.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../database/database.ts';
import type { ContentRow } from '../database/tables.ts';
import type { Logger } from '../logger.ts';
import type { ContentStore } from './content-store.ts';
import { fenceHolds, renewEpoch } from './epoch-fence.ts';
import { eraseObject, eraseVersions } from './stored-object.ts';

export interface SweepParts {
  database: Pick<Database, 'workerTransaction'>;
  stores: readonly ContentStore[];
  /** Milliseconds; the database's own clock by default. */
  now?: number;
  /** Staged longer than this is left behind; 24 h by default. */
  staleAfterMs?: number;
  /** How long condemned content keeps its bytes beyond that; 24 h by default. */
  graceMs?: number;
  /** Objects removed in one pass at most; 100 by default. */
  limit?: number;
}

export interface SweepResult {
  condemned: number;
  removed: number;
  /** Objects that their store did not let go; the next pass tries again. */
  failed: number;
  /** Stores whose mark is not the database's: one of the two was restored, and nothing is done there. */
  halted: string[];
}

/** What a sweep would do to one content, and why. */
export interface PlannedStep {
  org: number;
  content: string;
  store: string;
  key: string;
  step: 'condemn' | 'remove';
  why: string;
}

const DAY_MS = 24 * 60 * 60 * 1_000;
const LIMIT = 100;
/** Any fixed number: one server marks at a time. */
const SWEEP_LOCK = 7_306_002;

type Doomed = Pick<ContentRow, 'org' | 'id' | 'store' | 'key' | 'store_version'>;

/** Phase one. What it marks keeps its bytes for the grace, so those of this pass are not yet among the doomed. */
function mark(parts: SweepParts): Promise<{ condemned: number; doomed: Doomed[] }> {
  const { now, staleAfterMs = DAY_MS, graceMs = DAY_MS, limit = LIMIT } = parts;
  const instant = now === undefined ? null : new Date(now);
  return parts.database.workerTransaction(async (tx) => {
    const { rows } = await tx.query<{ locked: boolean }>('select pg_try_advisory_xact_lock($1) as locked', [SWEEP_LOCK]);
    if (rows[0]?.locked !== true) return { condemned: 0, doomed: [] };
    // Only stores that are configured here: what lies elsewhere must not take the places of what can be removed.
    const doomed = await tx.query<Doomed>(
      `select org, id, store, key, store_version from content where state = 'condemned' and published_at is null and store = any($4)
        and created_at < coalesce($1::timestamptz, now()) - $2 * interval '1 millisecond' order by created_at limit $3`,
      [instant, staleAfterMs + graceMs, limit, parts.stores.map((store) => store.name)],
    );
    const marked = await tx.query(
      `with marked as (update content set state = 'condemned' where state = 'staging' and store = any($3) and created_at < coalesce($1::timestamptz, now()) - $2 * interval '1 millisecond' returning org, id, declared_type),
        told as (insert into file_event (org, events, content) select org, '{expired}', id from marked where declared_type is not null)
        select org, id from marked`,
      [instant, staleAfterMs, parts.stores.map((store) => store.name)],
    );
    return { condemned: marked.rowCount, doomed: doomed.rows };
  });
}

/** Phase two, outside any transaction. Two servers that remove the same object do no harm: a missing one is no error. */
async function remove(parts: SweepParts, row: Doomed): Promise<void> {
  const store = parts.stores.find((candidate) => candidate.name === row.store);
  if (store === undefined) throw new Error(`The store ${row.store} is not configured`);
  if (row.store_version === null) await eraseVersions(store, row.key);
  else await eraseObject(store, row.key, row.store_version);
  await parts.database.workerTransaction((tx) => tx.query(`update content set state = 'gone' where org = $1 and id = $2 and state = 'condemned'`, [row.org, row.id]));
}

/** One pass. Publishing requires `staging`, so a publication that races it fails cleanly and is sent again. */
export async function sweepContent(all: SweepParts & { logger?: Pick<Logger, 'warn' | 'error'> }): Promise<SweepResult> {
  const fences = await Promise.all(all.stores.map(async (store) => ({ store, holds: await fenceHolds({ database: all.database, store }) })));
  const halted = fences.filter(({ holds }) => !holds).map(({ store }) => store.name);
  if (halted.length > 0) all.logger?.error({ stores: halted }, 'the store and the database have different marks: one of them was restored; nothing is removed until `muniment sweep --accept-restore`');
  const parts = { ...all, stores: fences.filter(({ holds }) => holds).map(({ store }) => store) };
  const { condemned, doomed } = await mark(parts);
  let failed = 0;
  for (const row of doomed) {
    try {
      await remove(parts, row);
    } catch (error) {
      failed += 1;
      parts.logger?.warn({ err: error, content: row.id }, 'condemned content could not be removed');
    }
  }
  for (const store of parts.stores) await renewEpoch({ database: parts.database, store });
  return { condemned, removed: doomed.length - failed, failed, halted };
}

/** What a sweep would do now, without doing any of it. */
export async function planSweep({ database, stores, staleAfterMs = DAY_MS, graceMs = DAY_MS, now }: SweepParts): Promise<PlannedStep[]> {
  const instant = now === undefined ? null : new Date(now);
  const hours = (milliseconds: number): string => `${Math.round(milliseconds / 3_600_000)} h`;
  return database.workerTransaction(async (tx) => {
    const { rows } = await tx.query<{ org: number; id: string; store: string; key: string; state: string; created_at: Date }>(
      `select org, id, store, key, state, created_at from content where store = any($4) and ((state = 'condemned' and published_at is null and created_at < coalesce($1::timestamptz, now()) - $3 * interval '1 millisecond')
        or (state = 'staging' and created_at < coalesce($1::timestamptz, now()) - $2 * interval '1 millisecond')) order by created_at limit 10000`,
      [instant, staleAfterMs, staleAfterMs + graceMs, stores.map((store) => store.name)],
    );
    return rows.map(({ org, id, store, key, state, created_at: begun }) => ({
      org, content: id, store, key, step: state === 'staging' ? 'condemn' as const : 'remove' as const,
      why: state === 'staging'
        ? `begun at ${begun.toISOString()} and not published within ${hours(staleAfterMs)}; its bytes stay for ${hours(graceMs)} more`
        : `never published, or replaced by a good copy; condemned, and older (${begun.toISOString()}) than ${hours(staleAfterMs + graceMs)}`,
    }));
  });
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
