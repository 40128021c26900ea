// The checkpoints in DATA_DIR against those of the database, both ways. The file is read before the database is looked at
// and after: what a running server adds meanwhile is no finding.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Transaction } from '../database/database.ts';
import { checkpointPath, readCheckpoints, type KeptCheckpoint } from './checkpoint-file.ts';
import type { Findings } from './findings.ts';
import { checkpointsAfter, newestCheckpoint } from './seal-checkpoint.ts';
import { publicPath, readIfThere } from './signing-key.ts';

const AT_ONCE = 1_000;
/** A server that runs appends to its file just after the database. */
const APPENDED_WITHIN_MS = 5_000;

export interface FileBefore {
  path: string;
  lines: number;
}

/** undefined for a folder that never held the key. */
export async function readFileBefore(dataDir: string): Promise<FileBefore | undefined> {
  const path = checkpointPath(dataDir);
  let lines = 0;
  for await (const _checkpoint of readCheckpoints(path)) lines += 1;
  return lines === 0 && (await readIfThere(publicPath(dataDir))) === undefined ? undefined : { path, lines };
}

async function newestOf(path: string): Promise<number> {
  let newest = 0;
  for await (const checkpoint of readCheckpoints(path)) newest = Math.max(newest, checkpoint?.size ?? 0);
  return newest;
}

/** The checkpoints of the database in their order, a page at a time. */
async function* databaseCheckpoints(tx: Transaction): AsyncGenerator<KeptCheckpoint> {
  for (let size = -1; ;) {
    const page = await checkpointsAfter(tx, size, AT_ONCE);
    yield* page;
    const last = page.at(-1);
    if (last === undefined) return;
    size = last.size;
  }
}

/** Both are in the order of their sizes; what is on one side alone is said, as is what differs. */
export async function compareFile(tx: Transaction, { path, lines }: FileBefore, findings: Findings): Promise<void> {
  const newest = (await newestCheckpoint(tx))?.size ?? 0;
  for (const until = Date.now() + APPENDED_WITHIN_MS; newest > 0 && Date.now() < until && (await newestOf(path)) < newest;) await sleep(100);
  const stored = databaseCheckpoints(tx);
  let ours = (await stored.next()).value as KeptCheckpoint | undefined;
  const advance = async (): Promise<void> => { ours = (await stored.next()).value as KeptCheckpoint | undefined; };
  const lacksFile = ({ size }: KeptCheckpoint): void => findings.add({ kind: 'checkpoint-missing', what: `The database has a checkpoint over ${size} leaves, and ${path} has not` });
  let line = 0;
  let before: KeptCheckpoint | undefined;
  let older: { from: number; to: number } | undefined;
  for await (const theirs of readCheckpoints(path)) {
    line += 1;
    if (theirs === undefined || (before !== undefined && theirs.size < before.size)) {
      findings.add({ kind: 'file-damaged', what: `Line ${line} of ${path} is ${theirs === undefined ? 'no checkpoint' : 'out of order'}` });
      continue;
    }
    // Two servers of one folder may both append the same one.
    if (before?.size === theirs.size && before.note === theirs.note) continue;
    before = theirs;
    while (ours !== undefined && ours.size < theirs.size) {
      lacksFile(ours);
      await advance();
    }
    if (ours?.size === theirs.size) {
      if (ours.note !== theirs.note || ours.sealedAt !== theirs.sealedAt) findings.add({ kind: 'checkpoint-changed', what: `The checkpoint over ${theirs.size} leaves is another one in the database than in ${path}` });
      await advance();
    } else if (theirs.size > newest && line <= lines) older = { from: older?.from ?? theirs.size, to: theirs.size };
    else if (theirs.size <= newest) findings.add({ kind: 'checkpoint-missing', what: `${path} has a checkpoint over ${theirs.size} leaves, and the database has not` });
  }
  if (older !== undefined) findings.add({ kind: 'database-older', what: `The database is older than ${path}: it lacks the checkpoints over ${older.from === older.to ? older.to : `${older.from} to ${older.to}`} leaves` });
  for (; ours !== undefined; await advance()) lacksFile(ours);
}
