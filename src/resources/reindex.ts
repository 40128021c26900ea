// Fills the index rows of parameters that were added after the resources: in the background, in steps that commit with
// their place, by one server at a time. What ends in the middle goes on from there, on any server.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database, Transaction } from '../database/database.ts';
import { typeNumber } from '../fhir/resource-type.ts';
import type { Logger } from '../logger.ts';
import { INDEXED_TYPES, indexFingerprint, parameterNumbers, type IndexedType } from '../search/index-fingerprint.ts';
import { reindexBatch } from './reindex-batch.ts';

export interface ReindexParts {
  database: Pick<Database, 'workerTransaction'>;
  fhirBase: string;
  logger?: Pick<Logger, 'info' | 'warn'>;
  /** Resources of one step; 200 by default. */
  batch?: number;
}

export interface ReindexStatus {
  type: IndexedType;
  state: 'complete' | 'filling';
  /** Resources looked through so far. */
  done: number;
  /** Numbers of parameters that older resources may lack. */
  lacking: number[];
  finishedAt: string | null;
}

const LEASE_SECONDS = 60;

/** Makes the state of each type known; a type without resources needs no filling. Answers true when something is to be filled. */
async function register(tx: Transaction): Promise<void> {
  for (const type of INDEXED_TYPES) {
    await tx.query(
      `insert into search_reindex (type, fingerprint, parameters, finished_at)
        select $1, $2, $3, case when exists (
          select from organisation g cross join lateral (select from resource where org = g.id and type = $1 and not deleted limit 1) r) then null else now() end
        on conflict (type, fingerprint) do nothing`,
      [typeNumber(type), indexFingerprint(type), parameterNumbers(type)],
    );
  }
}

/** Where each type stands, of the parameters that this server has. */
export async function reindexStatus({ database }: Pick<ReindexParts, 'database'>): Promise<ReindexStatus[]> {
  return database.workerTransaction(async (tx) => {
    await register(tx);
    const { rows } = await tx.query<{ type: number; fingerprint: string; parameters: number[]; done: string; finished_at: Date | null }>('select type, fingerprint, parameters, done, finished_at from search_reindex');
    return INDEXED_TYPES.map((type): ReindexStatus => {
      const own = rows.find((row) => row.type === typeNumber(type) && row.fingerprint === indexFingerprint(type));
      const filled = new Set(rows.filter((row) => row.type === typeNumber(type) && row.finished_at !== null).flatMap((row) => row.parameters));
      const complete = own?.finished_at != null;
      return {
        type, state: complete ? 'complete' : 'filling', done: Number(own?.done ?? 0), finishedAt: own?.finished_at?.toISOString() ?? null,
        lacking: complete ? [] : parameterNumbers(type).filter((number) => !filled.has(number)),
      };
    });
  });
}

/** Looks through everything once more, also what is complete. */
export async function restartReindex({ database }: Pick<ReindexParts, 'database'>): Promise<void> {
  await database.workerTransaction(async (tx) => {
    await register(tx);
    for (const type of INDEXED_TYPES) {
      await tx.query(`update search_reindex set finished_at = null, done = 0, cursor_org = 0, cursor_id = '', started_at = now(), lease = null, leased_until = null where type = $1 and fingerprint = $2`, [typeNumber(type), indexFingerprint(type)]);
    }
  });
}

interface Leased {
  cursor_org: number;
  cursor_id: string;
}

/** Takes the type up, unless it is complete or somebody works at it. */
async function takeLease({ database }: ReindexParts, type: IndexedType, lease: string): Promise<Leased | undefined> {
  return database.workerTransaction(async (tx) => {
    const { rows } = await tx.query<Leased>(
      `update search_reindex set lease = $3, leased_until = now() + interval '${LEASE_SECONDS} seconds'
        where type = $1 and fingerprint = $2 and finished_at is null and (leased_until is null or leased_until < now()) returning cursor_org, cursor_id`,
      [typeNumber(type), indexFingerprint(type), lease],
    );
    return rows[0];
  });
}

/** One step, with its place; answers the next place, undefined at the end. Throws when the lease went to somebody else. */
async function step(parts: ReindexParts, type: IndexedType, lease: string, place: Leased): Promise<Leased | undefined> {
  const { batch = 200 } = parts;
  return parts.database.workerTransaction(async (tx) => {
    const { done, last } = await reindexBatch(tx, typeNumber(type), { org: place.cursor_org, id: place.cursor_id }, batch, parts.fhirBase);
    const next = { cursor_org: last?.org ?? place.cursor_org, cursor_id: last?.id ?? place.cursor_id };
    const { rowCount } = await tx.query(
      `update search_reindex set done = done + $4, cursor_org = $5, cursor_id = $6, leased_until = now() + interval '${LEASE_SECONDS} seconds', finished_at = case when $7 then now() end
        where type = $1 and fingerprint = $2 and lease = $3`,
      [typeNumber(type), indexFingerprint(type), lease, done, next.cursor_org, next.cursor_id, last === undefined],
    );
    if (rowCount !== 1) throw new Error('Another server has taken the reindex up');
    return last === undefined ? undefined : next;
  });
}

async function giveBack({ database }: ReindexParts, type: IndexedType, lease: string): Promise<void> {
  await database.workerTransaction((tx) => tx.query('update search_reindex set lease = null, leased_until = null where type = $1 and lease = $2', [typeNumber(type), lease]));
}

/** Fills one type to its end, or until `end`. Answers whether it was this server's to fill. */
async function fill(parts: ReindexParts, type: IndexedType, end: AbortSignal | undefined, pauseMs: number): Promise<boolean> {
  const lease = randomUUID();
  let place = await takeLease(parts, type, lease);
  if (place === undefined) return false;
  parts.logger?.info({ type }, 'search parameters are being filled');
  try {
    while (place !== undefined && end?.aborted !== true) {
      place = await step(parts, type, lease, place);
      if (pauseMs > 0) await sleep(pauseMs, undefined, { ref: false });
    }
    if (place === undefined) parts.logger?.info({ type }, 'search parameters are filled');
  } finally {
    await giveBack(parts, type, lease);
  }
  return true;
}

/** Fills everything that is lacking and that nobody else works at; with `end`, until that. */
export async function runReindex(parts: ReindexParts, end?: AbortSignal, pauseMs = 0): Promise<void> {
  await parts.database.workerTransaction(register);
  for (const type of INDEXED_TYPES) if (end?.aborted !== true) await fill(parts, type, end, pauseMs);
}
