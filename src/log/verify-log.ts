// The whole verification, in one look at the database: keys, leaves, tree, checkpoints, what has no leaf, and the
// checkpoints that DATA_DIR keeps. Memory does not grow with the log.
import { openCheckpoint } from '../audit/checkpoint.ts';
import { EMPTY_TREE, treeRoot, type TreeHead } from '../audit/merkle-log.ts';
import type { Removal } from '../audit/removal-statement.ts';
import type { Database, Transaction } from '../database/database.ts';
import { PLAN_FOR_VALUES } from '../database/plans.ts';
import { Findings, type Finding } from './findings.ts';
import { readRemoval } from './read-removal.ts';
import { readState, type LogState } from './log-state.ts';
import { readHead } from './tree-ranges.ts';
import { findEventsWithoutLeaf, findVersionsWithoutLeaf } from './verify-completeness.ts';
import { findEntitiesWithoutEvent } from './verify-entities.ts';
import { compareFile, readFileBefore } from './verify-file.ts';
import { readKeys, trustOf, type Trust, type TrustedKey } from './verify-keys.ts';
import { LEAVES_AT_ONCE, readLeaves } from './read-leaves.ts';
import { checkLeaves, type CheckedLeaves } from './verify-leaves.ts';
import { TreeCheck } from './verify-tree.ts';

export interface VerifyWish {
  database: Database;
  /** Empty: the key that the log names itself. */
  keys: readonly TrustedKey[];
  /** The folder whose checkpoints are compared. */
  dataDir: string;
  /** Leaves before the newest checkpoint that was sealed by then are taken as they were sealed. */
  since?: Date;
  onProgress?: (done: number, all: number) => void;
}

export interface VerifyReport {
  origin: string;
  /** Leaves of the log, and from which one on they were compared. */
  size: number;
  start: number;
  events: number;
  versions: number;
  /** Versions whose text or bytes went with a purge that has its leaf. */
  purged: number;
  /** Events that were removed from the record as a signed statement in the log says; before when they were recorded. */
  removed: number;
  removedBefore: string | undefined;
  checkpoints: number;
  /** The newest checkpoint that a trusted key signed. */
  sealed: { size: number; at: string } | undefined;
  /** Leaves that no such checkpoint covers, and events that have no leaf yet. */
  unsealed: number;
  waiting: number;
  /** False: the keys are those that the database names. */
  keyGiven: boolean;
  /** Whether the folder had checkpoints to compare. */
  fileCompared: boolean;
  findingCount: number;
  findings: Finding[];
}

/** Throws an Error for people where nothing was sealed by then, or what was sealed cannot be relied on. */
async function headSince(tx: Transaction, since: Date, trust: Trust): Promise<TreeHead> {
  const { rows: [row] } = await tx.query<{ size: string; note: string }>('select size, note from log_checkpoint where sealed_at <= $1 order by size desc limit 1', [since]);
  if (row === undefined) return EMPTY_TREE;
  const checkpoint = openCheckpoint(row.note, trust.verifiers);
  const head = await readHead(tx, Number(row.size)).catch(() => undefined);
  const fits = checkpoint !== undefined && head !== undefined && checkpoint.size === head.size && treeRoot(head).equals(checkpoint.root);
  if (!fits) throw new Error(`The checkpoint over ${row.size} leaves cannot be relied on: verify without --since`);
  return head;
}

type Walked = CheckedLeaves;

/** Each leaf once, the next page on its way while one is compared. */
async function walk(tx: Transaction, tree: TreeCheck, state: LogState, findings: Findings, removal: Removal | undefined, onProgress: VerifyWish['onProgress']): Promise<Walked> {
  const walked = { events: 0, versions: 0, purged: 0, removed: 0 };
  const end = await lastLeaf(tx);
  let coming = readLeaves(tx, tree.head.size);
  for (let start = tree.head.size; start < end; start += LEAVES_AT_ONCE) {
    const page = await coming;
    coming = start + LEAVES_AT_ONCE < end ? readLeaves(tx, start + LEAVES_AT_ONCE) : Promise.resolve([]);
    for (let at = 0; at < page.length;) {
      const first = page[at]?.index ?? 0;
      if (first > tree.head.size) tree.skip(first);
      let to = at + 1;
      while (to < page.length && page[to]?.index === first + to - at) to += 1;
      await tree.append(page.slice(at, to).map(({ hash }) => hash));
      at = to;
    }
    const { events, purged, removed, versions } = await checkLeaves(tx, page, findings, removal);
    walked.removed += removed;
    walked.events += events;
    walked.versions += versions;
    walked.purged += purged;
    onProgress?.(Math.min(end, start + LEAVES_AT_ONCE), end);
  }
  await tree.end(state.head);
  return walked;
}

async function lastLeaf(tx: Transaction): Promise<number> {
  return Number((await tx.query<{ size: string | null }>('select max(index) + 1 as size from log_leaf')).rows[0]?.size ?? 0);
}

export async function verifyLog({ database, keys, dataDir, since, onProgress }: VerifyWish): Promise<VerifyReport> {
  const findings = new Findings();
  const before = await readFileBefore(dataDir);
  return database.workerTransaction(async (tx) => {
    await tx.query('set transaction isolation level repeatable read, read only');
    await tx.query(PLAN_FOR_VALUES);
    const state = await readState(tx);
    const trust = trustOf(await readKeys(tx), state.origin, keys, findings);
    const start = since === undefined ? EMPTY_TREE : await headSince(tx, since, trust);
    const tree = new TreeCheck(tx, state.origin, trust, findings, start);
    const removal = await readRemoval(tx, state.origin, trust.verifiers, findings);
    const walked = await walk(tx, tree, state, findings, removal, onProgress);
    if (removal !== undefined && walked.removed > removal.events) {
      findings.add({ kind: 'event-missing', what: `Below leaf ${removal.size} ${walked.removed} events are gone, and ${removal.events} were removed`, leaves: { start: 0, end: removal.size } });
    }
    tree.requireSigned();
    const earlier = start.size === 0 ? { events: 0, versions: 0 } : await countBefore(tx, start.size);
    const waiting = await findEventsWithoutLeaf(tx, state, walked.events + earlier.events, findings);
    await findVersionsWithoutLeaf(tx, state, { versions: walked.versions + earlier.versions }, findings);
    if (before !== undefined) await compareFile(tx, before, findings);
    await findEntitiesWithoutEvent(tx, findings);
    const { newest, head, checkpoints } = tree;
    return {
      origin: state.origin, size: head.size, start: start.size, ...walked, removedBefore: removal?.before, checkpoints,
      sealed: newest === undefined ? undefined : { size: newest.size, at: newest.sealedAt },
      unsealed: head.size - (newest?.size ?? start.size), waiting, keyGiven: trust.given, fileCompared: before !== undefined,
      findingCount: findings.count, findings: findings.named,
    };
  });
}

/** Rows that the leaves before are of: that they are there is compared, what they hold is not. */
async function countBefore(tx: Transaction, size: number): Promise<Omit<Walked, 'purged' | 'removed'>> {
  const { rows: [row] } = await tx.query<{ events: string; versions: string }>(
    `select count(*) filter (where l.version is null and exists (select from access_event e where e.org = l.org and e.id = l.event)) as events,
      count(*) filter (where l.version is not null and (exists (select from resource r where r.org = l.org and r.type = l.type and r.id = l.id and r.version = l.version)
        or exists (select from resource_history h where h.org = l.org and h.type = l.type and h.id = l.id and h.version = l.version))) as versions
      from log_leaf l where l.index < $1`, [size],
  );
  return { events: Number(row?.events ?? 0), versions: Number(row?.versions ?? 0) };
}
