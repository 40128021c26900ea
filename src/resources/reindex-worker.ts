// The reindex of a running server: it begins at the start, and searches say what may be lacking until all is filled.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../logger.ts';
import { reindexStatus, runReindex, type ReindexParts, type ReindexStatus } from './reindex.ts';

export interface ReindexWorker {
  /** Numbers of the type's parameters that older resources may lack. */
  lacking(type: string): ReadonlySet<number>;
  stop(): Promise<void>;
}

/** Between steps, so that people are served before. */
const PAUSE_MS = 20;
/** How often the work of another server, or one's own, is looked at while something is lacking. */
const LOOK_MS = 2_000;

const NOTHING: ReadonlySet<number> = new Set();

/** Reads where each type stands, and fills what is lacking in the background. Failures are logged and tried again. */
export async function startReindexing(parts: ReindexParts & { logger: Logger }): Promise<ReindexWorker> {
  const end = new AbortController();
  let byType = new Map<string, ReadonlySet<number>>();
  const take = (status: readonly ReindexStatus[]): boolean => {
    byType = new Map(status.filter(({ lacking }) => lacking.length > 0).map(({ type, lacking }) => [type, new Set(lacking)]));
    return status.every(({ state }) => state === 'complete');
  };
  const attempt = async (): Promise<boolean> => {
    try {
      await runReindex(parts, end.signal, PAUSE_MS);
      return take(await reindexStatus(parts));
    } catch (error) {
      if (!end.signal.aborted) parts.logger.warn({ err: error }, 'search parameters could not be filled');
      return false;
    }
  };
  const loop = async (): Promise<void> => {
    while (!end.signal.aborted && !(await attempt())) {
      await sleep(LOOK_MS, undefined, { signal: end.signal, ref: false }).catch(() => { /* It ends. */ });
    }
  };
  const working = take(await reindexStatus(parts)) ? Promise.resolve() : loop();
  return {
    lacking: (type) => byType.get(type) ?? NOTHING,
    async stop() {
      end.abort();
      await working;
    },
  };
}
