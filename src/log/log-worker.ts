// The log of a running server: leaves at most a second after their commit, a checkpoint a minute, and one over all rows
// before the server ends. Several servers take turns; those without the key append, and seal nothing.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../database/database.ts';
import type { Logger } from '../logger.ts';
import { openFollower, type CheckpointFollower } from './follow-checkpoints.ts';
import { readState } from './log-state.ts';
import { LogBrokenError, newestCheckpoint, sealCheckpoint } from './seal-checkpoint.ts';
import { EVENTS_AT_ONCE, sequenceLeaves } from './sequence-leaves.ts';
import { claimSigner, type KeyPlace, type SigningKey } from './signing-key.ts';

const LOOK_MS = 500;
/** Whoever asks for the proof of what was just recorded does not fill the log with checkpoints. */
const SEAL_APART_MS = 1_000;
/** The last checkpoint never holds a stopping server up for longer. */
const LAST_SEAL_MS = 10_000;

export interface LogStatus {
  size: number;
  /** Leaves that no checkpoint covers. */
  unsealed: number;
  /** Age of the oldest event that has no leaf, 0 without one. */
  waitingSeconds: number;
  /** Why nothing is sealed any more. */
  broken: string | undefined;
}

export interface LogWorker {
  /** Appends what is committed and seals it, unless others hold the key; once a second at most, for all who ask meanwhile. */
  sealSoon(): Promise<void>;
  status(): Promise<LogStatus>;
  /** Resolves when all that was recorded is sealed, or after 10 s. */
  stop(): Promise<void>;
}

export interface LogParts extends KeyPlace {
  database: Database;
  logger: Logger;
}

class Log {
  broken: string | undefined;
  readonly #parts: LogParts;
  readonly #key: SigningKey | undefined;
  #follower: CheckpointFollower | undefined;

  constructor(parts: LogParts, key: SigningKey | undefined) {
    this.#parts = parts;
    this.#key = key;
  }

  async append(until?: AbortSignal): Promise<void> {
    for (;;) {
      const done = await this.#parts.database.workerTransaction((tx) => sequenceLeaves(tx));
      if (done === undefined || done.events < EVENTS_AT_ONCE || until?.aborted === true) return;
      await this.seal(false);
    }
  }

  /** `now`: also when no minute has passed. */
  async seal(now: boolean): Promise<void> {
    const key = this.#key;
    if (key === undefined || this.broken !== undefined) return;
    try {
      this.#follower ??= await openFollower(this.#parts.database, this.#parts.dataDir);
      await this.#parts.database.workerTransaction((tx) => sealCheckpoint(tx, key, now));
      await this.#follower.follow();
    } catch (error) {
      if (!(error instanceof LogBrokenError)) throw error;
      this.broken = error.message;
      this.#parts.logger.error({ err: error }, 'the log is not sealed any more: muniment verify tells what is wrong');
    }
  }

  /** Until every event whose transaction had begun has its leaf. */
  async appendAll(until: AbortSignal): Promise<void> {
    const { database } = this.#parts;
    const { rows: [reached] } = await database.workerTransaction((tx) => tx.query<{ xmax: string }>('select pg_snapshot_xmax(pg_current_snapshot())::text as xmax'));
    while (!until.aborted) {
      const done = await database.workerTransaction((tx) => sequenceLeaves(tx, true));
      const { rows: [open] } = await database.workerTransaction((tx) => tx.query<{ open: boolean }>('select pg_snapshot_xmin(pg_current_snapshot()) < $1::text::xid8 as open', [reached?.xmax]));
      if ((done?.events ?? 0) === 0 && open?.open !== true) return;
      if ((done?.events ?? 0) === 0) await sleep(20);
    }
  }
}

async function readStatus(database: Database, broken: string | undefined): Promise<LogStatus> {
  return database.workerTransaction(async (tx) => {
    const { head, writtenIn, event } = await readState(tx);
    const sealed = await newestCheckpoint(tx);
    const { rows: [oldest] } = await tx.query<{ seconds: number }>(
      'select extract(epoch from now() - recorded)::float8 as seconds from access_event where (written_in, id) > ($1::text::xid8, $2::uuid) order by written_in, id limit 1', [writtenIn, event],
    );
    return { size: head.size, unsealed: head.size - (sealed?.size ?? 0), waitingSeconds: Math.max(0, oldest?.seconds ?? 0), broken };
  });
}

/** Takes the key, or makes it while the log has none, and begins. Throws an Error for people where the key cannot be used. */
export async function startLog(parts: LogParts): Promise<LogWorker> {
  const { database, logger } = parts;
  const key = await claimSigner(database, parts);
  if (key === undefined) logger.info({}, 'another server holds the key of the log: checkpoints are sealed there');
  const log = new Log(parts, key);
  const end = new AbortController();
  let told = '';
  let sealedAt = -SEAL_APART_MS;
  let asked: Promise<void> | undefined;
  const loop = (async () => {
    while (!end.signal.aborted) {
      try {
        await log.append(end.signal);
        await log.seal(false);
        told = '';
      } catch (error) {
        // The same twice a second would tell nothing more.
        const { message } = error as Error;
        if (!end.signal.aborted && message !== told) logger.warn({ err: error }, 'the log could not be continued');
        told = message;
      }
      await sleep(LOOK_MS, undefined, { signal: end.signal, ref: false }).catch(() => { /* It ends. */ });
    }
  })();
  return {
    sealSoon: () => {
      asked ??= (async () => {
        await sleep(Math.max(0, sealedAt + SEAL_APART_MS - performance.now()));
        asked = undefined;
        sealedAt = performance.now();
        await log.append();
        await log.seal(true);
      })();
      return asked;
    },
    status: () => readStatus(database, log.broken),
    async stop() {
      end.abort();
      const late = new AbortController();
      const timer = setTimeout(() => late.abort(), LAST_SEAL_MS);
      try {
        await loop;
        await log.appendAll(late.signal);
        await log.seal(true);
      } catch (error) {
        logger.warn({ err: error }, 'the last rows were not sealed: the next start does it');
      } finally { clearTimeout(timer); }
    },
  };
}
