// The scrubber of a running server: each content once within SCRUB_DAYS, the oldest first, within its budget of bytes.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../database/database.ts';
import type { Logger } from '../logger.ts';
import { createPace } from './pace.ts';
import { scrub, type ScrubParts } from './scrub.ts';

const DAY_MS = 24 * 60 * 60 * 1_000;
const LOOK_MS = 60_000;

export interface ScrubWorkerParts extends Omit<ScrubParts, 'pace' | 'signal'> {
  days: number;
  bytesPerSecond: number;
  logger: Logger;
}

/** Looks once a minute for what is due; what could not be mended is looked at again a day later. Answers the stop. */
export function startScrubbing({ days, bytesPerSecond, logger, ...parts }: ScrubWorkerParts): () => Promise<void> {
  const end = new AbortController();
  const pace = createPace(bytesPerSecond, end.signal);
  const loop = (async () => {
    while (!end.signal.aborted) {
      try {
        await sleep(LOOK_MS, undefined, { signal: end.signal, ref: false });
        const now = Date.now();
        const report = await scrub({ ...parts, pace, signal: end.signal }, { verifiedUntil: new Date(now - days * DAY_MS), triedUntil: new Date(now - DAY_MS), quarantined: false });
        for (const finding of report.findings) logger.error(finding, 'a content at rest is not as it was published');
      } catch (error) {
        if (!end.signal.aborted) logger.warn({ err: error }, 'contents could not be scrubbed');
      }
    }
  })();
  return async () => {
    end.abort();
    await loop;
  };
}

/** How the bytes at rest stand: what is out of service, and since when the oldest was not verified. */
export async function scrubStatus(database: Pick<Database, 'workerTransaction'>): Promise<{ quarantined: number; oldestSeconds: number }> {
  return database.workerTransaction(async (tx) => {
    const { rows } = await tx.query<{ quarantined: string; oldest: string | null }>(
      `select (select count(*) from content where state = 'quarantined') as quarantined,
        extract(epoch from now() - (select verified_at from content where state = 'live' order by verified_at limit 1)) as oldest`);
    return { quarantined: Number(rows[0]?.quarantined ?? 0), oldestSeconds: Number(rows[0]?.oldest ?? 0) };
  });
}
