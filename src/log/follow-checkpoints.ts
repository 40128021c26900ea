// The file of a holder of the key follows the checkpoints of the database, its own and those of other servers. It never
// follows a database that lost what the file has: that is a finding, and nothing is sealed until a person looked at it.
import type { Database, Transaction } from '../database/database.ts';
import { appendCheckpoints, checkpointPath, mendFile, type KeptCheckpoint } from './checkpoint-file.ts';
import { holdState } from './log-state.ts';
import { checkpointAt, checkpointsAfter, LogBrokenError } from './seal-checkpoint.ts';

const AT_ONCE = 1_000;

export interface CheckpointFollower {
  /** Appends what the database has beyond the file. Throws LogBrokenError where the two differ. */
  follow(): Promise<void>;
}

/** Mends what a crash left half written; the size of the newest checkpoint in the file. Two servers may share a folder: whoever holds the log writes. */
async function mend(path: string): Promise<KeptCheckpoint | undefined> {
  const newest = await mendFile(path);
  if (newest === 'damaged') throw new LogBrokenError(`The last line of ${path} is no checkpoint`);
  return newest;
}

/** Throws LogBrokenError where the file has what the database has not. */
export async function openFollower(database: Pick<Database, 'workerTransaction'>, dataDir: string): Promise<CheckpointFollower> {
  const path = checkpointPath(dataDir);
  let size = await database.workerTransaction(async (tx) => {
    await holdState(tx, true);
    const newest = await mend(path);
    if (newest !== undefined && (await checkpointAt(tx, newest.size))?.note !== newest.note) throw new LogBrokenError(`The database does not have the checkpoint over ${newest.size} leaves that ${path} has: it is older, or another one`);
    return newest?.size ?? 0;
  });
  const append = async (tx: Transaction): Promise<boolean> => {
    if ((await checkpointsAfter(tx, size, 1)).length === 0 || await holdState(tx, true) === undefined) return false;
    size = (await mend(path))?.size ?? 0;
    const news = await checkpointsAfter(tx, size, AT_ONCE);
    if (news.length > 0) await appendCheckpoints(path, news);
    size = news.at(-1)?.size ?? size;
    return news.length === AT_ONCE;
  };
  return {
    async follow() {
      while (await database.workerTransaction(append));
    },
  };
}
