// The end of a retention is told once, as an event of the file: from then on it can be reviewed. Nothing is removed.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database, Transaction } from '../database/database.ts';
import type { Logger } from '../logger.ts';
import { forgetFileEvents } from './file-events.ts';
import { classesOver, isRetentionProfile } from './retention-profiles.ts';

/** Any fixed number: one server tells at a time. */
const TELL_LOCK = 7_306_012;
const TOLD_AT_ONCE = 5_000;

/** One class of one organisation, from where it was told to. */
async function tellClass(tx: Transaction, org: number, { code, latest }: { code: string; latest: number }): Promise<number> {
  const { rows } = await tx.query<{ count: number }>(
    `with told as (select coalesce((select until from retention_told where org = $1 and retention = $2), '-infinity') as until),
      over as (select r.type, r.id, r.version, r.last_activity from resource r, told where r.org = $1 and r.retention = $2 and r.last_activity > told.until and r.last_activity <= $3
        order by r.last_activity fetch first ${TOLD_AT_ONCE} rows with ties),
      noted as (insert into file_event (org, events, type, id, version) select $1, '{expired}', type, id, version from over),
      reached as (insert into retention_told (org, retention, until)
        select $1, $2, case when (select count(*) from over) >= ${TOLD_AT_ONCE} then (select max(last_activity) from over) else greatest($3::timestamptz, (select until from told)) end
        on conflict (org, retention) do update set until = excluded.until)
      select count(*)::int as count from over`,
    [org, code, new Date(latest)],
  );
  return rows[0]?.count ?? 0;
}

/** Tells what is over at `now` (milliseconds) and was not told; answers how many. Under a lock: none while another server does it. */
export async function tellExpired(database: Pick<Database, 'workerTransaction'>, now = Date.now()): Promise<number> {
  return database.workerTransaction(async (tx) => {
    const { rows } = await tx.query<{ locked: boolean }>('select pg_try_advisory_xact_lock($1) as locked', [TELL_LOCK]);
    if (rows[0]?.locked !== true) return 0;
    const organisations = await tx.query<{ id: number; retention: string }>('select id, retention from organisation order by id');
    let told = 0;
    for (const { id, retention } of organisations.rows) {
      for (const over of classesOver(isRetentionProfile(retention) ? retention : 'uk', now)) told += await tellClass(tx, id, over);
    }
    return told;
  });
}

const EVERY_MS = 15 * 60 * 1_000;

/** Now and then until stopped; old events are forgotten meanwhile. Answers the stop. */
export function startTellingExpired({ database, logger }: { database: Pick<Database, 'workerTransaction'>; logger: Logger }): () => Promise<void> {
  const end = new AbortController();
  const loop = (async () => {
    while (!end.signal.aborted) {
      try {
        await sleep(EVERY_MS, undefined, { signal: end.signal, ref: false });
        const told = await tellExpired(database);
        if (told > 0) logger.info({ told }, 'retentions are over: these can be reviewed');
        await database.workerTransaction(forgetFileEvents);
      } catch (error) {
        if (!end.signal.aborted) logger.warn({ err: error }, 'the end of retentions could not be told');
      }
    }
  })();
  return async () => {
    end.abort();
    await loop;
  };
}
