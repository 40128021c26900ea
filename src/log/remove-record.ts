// `muniment record remove`: accesses of more than eight years leave the database once an export that holds them was verified.
// A signed statement comes first, in an event with its leaf; then the events go that it covers. What wrote something stays:
// it is the Provenance of what is kept. So do purges, and what a legal hold is on.
import { hash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { leafDigest, type AccessEvent } from '../audit/access-event.ts';
import { indexAccess } from '../audit/access-index.ts';
import { openCheckpoint, type NoteVerifier } from '../audit/checkpoint.ts';
import { appendLeaves, EMPTY_TREE, treeRoot } from '../audit/merkle-log.ts';
import { oldestKept, signRemoval, type Removal } from '../audit/removal-statement.ts';
import type { Database, Transaction } from '../database/database.ts';
import { PLAN_FOR_VALUES } from '../database/plans.ts';
import { MANIFEST, readManifest, type ExportManifest } from './export-files.ts';
import { Findings } from './findings.ts';
import { readState } from './log-state.ts';
import { readRemoval } from './read-removal.ts';
import { checkpointAt } from './seal-checkpoint.ts';
import { sequenceLeaves } from './sequence-leaves.ts';
import type { SigningKey } from './signing-key.ts';
import { verifyExport } from './verify-export.ts';
import { readKeys, trustOf, type TrustedKey } from './verify-keys.ts';
import { isVersion, LEAVES_AT_ONCE, readLeaves, type LeafRow } from './read-leaves.ts';

/** What keeps accesses from being removed, in words for people. */
export class RemovalError extends Error {}

export interface RemovalWish {
  database: Pick<Database, 'workerTransaction'>;
  /** The exports that hold what is to go, one the continuation of the other. */
  folders: readonly string[];
  keys: readonly TrustedKey[];
  /** What was recorded from then on stays. */
  before: Date;
  now: Date;
  onProgress?: (done: number, all: number) => void;
}

export interface RemovalPlan extends Removal {
  origin: string;
  /** Events that go with it, and those below it that stay for a hold. */
  removable: number;
  held: number;
  /** Its statement is in the log already; what it covers was not all removed. */
  begun: boolean;
}

type Holds = Map<number, Set<string>>;
type Due = Pick<LeafRow, 'org' | 'event'> & { body: string };

interface Looked { size: number; root: Buffer; gone: number; removable: number; held: number }

async function readHolds(tx: Transaction): Promise<Holds> {
  const { rows } = await tx.query<{ org: number; targets: string[] }>('select org, array_agg(target) as targets from legal_hold where lifted_at is null group by org');
  return new Map(rows.map(({ org, targets }) => [org, new Set(targets)]));
}

const isHeld = (holds: ReadonlySet<string> | undefined, event: AccessEvent): boolean =>
  holds !== undefined && (holds.has('Organization') || indexAccess(event).entities.some(({ reference }) => holds.has(reference)));

/** What becomes of an event below the place: it goes, a hold keeps it, or it is of what is never removed. */
function fate(event: AccessEvent, before: string, holds: ReadonlySet<string> | undefined): 'goes' | 'held' | 'stays' {
  if (event.write !== undefined || event.purge !== undefined || event.removal !== undefined || Date.parse(event.recorded) >= Date.parse(before)) return 'stays';
  return isHeld(holds, event) ? 'held' : 'goes';
}

/** Calls `look` with each page below `size`. Raises RemovalError where a row is not what its leaf is of. */
async function eachPage(database: RemovalWish['database'], size: number, look: (rows: LeafRow[], tx: Transaction) => Promise<void> | void, onProgress: RemovalWish['onProgress']): Promise<void> {
  for (let start = 0; start < size; start += LEAVES_AT_ONCE) {
    await database.workerTransaction(async (tx) => {
      await tx.query(PLAN_FOR_VALUES);
      const rows = (await readLeaves(tx, start)).filter(({ index }) => index < size);
      const wrong = rows.find((row, at) => row.index !== start + at || (!isVersion(row) && row.isKept && leafDigest(row.body ?? '') !== row.digest));
      if (wrong !== undefined || rows.length !== Math.min(LEAVES_AT_ONCE, size - start)) throw new RemovalError(`After leaf ${start} something is not as it was sealed: nothing is removed, and muniment verify tells what is wrong`);
      await look(rows, tx);
    });
    onProgress?.(Math.min(size, start + LEAVES_AT_ONCE), size);
  }
}

const events = (rows: readonly LeafRow[]): Due[] => rows.flatMap((row) => (isVersion(row) || !row.isKept ? [] : [{ org: row.org, event: row.event, body: row.body ?? '' }]));

async function lookThrough({ database, onProgress }: RemovalWish, size: number, before: string): Promise<Looked> {
  const looked = { size, gone: 0, removable: 0, held: 0 };
  let head = EMPTY_TREE;
  const holds = await database.workerTransaction(readHolds);
  await eachPage(database, size, (rows) => {
    head = appendLeaves(head, rows.map((row) => row.hash));
    looked.gone += rows.filter((row) => !isVersion(row) && !row.isKept).length;
    for (const { body, org } of events(rows)) {
      const what = fate(JSON.parse(body) as AccessEvent, before, holds.get(org));
      if (what === 'goes') looked.removable += 1;
      if (what === 'held') looked.held += 1;
    }
  }, onProgress);
  return { ...looked, root: treeRoot(head) };
}

interface Verified { manifest: ExportManifest; sha256: string }

/** Exports that were verified with the keys, in their order. Raises RemovalError for one that is not sound or not of this log. */
async function verifyExports({ database, folders, keys }: RemovalWish): Promise<Verified[]> {
  const verified: Verified[] = [];
  for (const folder of folders) {
    const report = await verifyExport(folder, keys);
    const manifest = await readManifest(folder);
    if (report.findingCount > 0 || report.sealed === undefined || manifest === undefined) throw new RemovalError(`${folder} is not a sound export: muniment verify --export ${folder} tells what is wrong`);
    const own = await database.workerTransaction((tx) => checkpointAt(tx, manifest.end.size));
    if (own?.note !== manifest.end.checkpoint) throw new RemovalError(`${folder} is not an export of this log`);
    verified.push({ manifest, sha256: hash('sha256', await readFile(join(folder, MANIFEST)), 'hex') });
  }
  return verified.sort((one, other) => one.manifest.start.size - other.manifest.start.size);
}

/** Up to where the exports hold every leaf from `from` on. */
function heldUpTo(from: number, exports: readonly Verified[]): number {
  return exports.reduce((reached, { manifest: { start, end } }) => (start.size <= reached ? Math.max(reached, end.size) : reached), from);
}

/** The largest checkpoint below which everything was recorded before. */
async function placeOf(tx: Transaction, from: number, end: number, before: string): Promise<{ size: number; note: string } | undefined> {
  await tx.query(PLAN_FOR_VALUES);
  const { rows: [young] } = await tx.query<{ index: string | null }>(
    'select min(l.index) as index from log_leaf l join access_event e on e.org = l.org and e.id = l.event where l.version is null and l.index >= $1 and l.index < $2 and e.recorded >= $3', [from, end, before],
  );
  const { rows: [row] } = await tx.query<{ size: string; note: string }>('select size, note from log_checkpoint where size > 0 and size <= $1 order by size desc limit 1', [Number(young?.index ?? end)]);
  return row === undefined ? undefined : { size: Number(row.size), note: row.note };
}

async function readTrust({ database, keys }: RemovalWish): Promise<{ origin: string; verifiers: readonly NoteVerifier[]; earlier: Removal | undefined }> {
  return database.workerTransaction(async (tx) => {
    const findings = new Findings();
    const { origin } = await readState(tx);
    const { verifiers } = trustOf(await readKeys(tx), origin, keys, findings);
    const earlier = await readRemoval(tx, origin, verifiers, findings);
    if (findings.count > 0) throw new RemovalError(findings.named.map(({ what }) => what).join('\n'));
    return { origin, verifiers, earlier };
  });
}

/** What would be removed; changes nothing. Raises RemovalError where it must not be, or nothing is old enough. */
export async function planRemoval(wish: RemovalWish): Promise<RemovalPlan> {
  const { before: wished, database, now } = wish;
  if (wished.getTime() > oldestKept(now).getTime()) throw new RemovalError(`The record is kept for eight years: nothing that was recorded after ${oldestKept(now).toISOString()} is removed`);
  const before = wished.toISOString();
  const { earlier, origin, verifiers } = await readTrust(wish);
  const from = earlier?.size ?? 0;
  const exports = await verifyExports(wish);
  const place = await database.workerTransaction((tx) => placeOf(tx, from, heldUpTo(from, exports), before));
  if (place === undefined || place.size < from) throw new RemovalError(`No checkpoint covers only what is exported and was recorded before ${before}: nothing is removed`);
  const sealed = openCheckpoint(place.note, verifiers);
  const looked = await lookThrough(wish, place.size, place.size === from && earlier !== undefined ? earlier.before : before);
  if (sealed?.size !== place.size || !sealed.root.equals(looked.root)) throw new RemovalError(`The log is not the one that was sealed over ${place.size} leaves: nothing is removed, and muniment verify tells what is wrong`);
  const { gone, held, removable, root, size } = looked;
  const begun = size === from && earlier !== undefined && gone + removable <= earlier.events;
  if (removable === 0 || (size === from && !begun)) throw new RemovalError('Nothing is left to remove below that date');
  if (begun) return { ...earlier, origin, removable, held, begun };
  return { size, root, events: gone + removable, before, signed: now.toISOString(), exports: exports.map(({ sha256 }) => sha256), origin, removable, held, begun };
}

const LEAF_WAIT_MS = 60_000;

/** Until the event that holds the statement has its leaf. Raises RemovalError when that takes too long. */
async function waitForLeaf(database: RemovalWish['database'], org: number, event: string): Promise<void> {
  for (const until = Date.now() + LEAF_WAIT_MS; Date.now() < until; await sleep(100)) {
    await database.workerTransaction((tx) => sequenceLeaves(tx, true));
    const { rows } = await database.workerTransaction((tx) => tx.query('select from log_leaf where org = $1 and event = $2 and version is null', [org, event]));
    if (rows.length > 0) return;
  }
  throw new RemovalError('The statement waits for its leaf, because another transaction is open in this PostgreSQL: nothing was removed; call it again');
}

async function removeEvents(tx: Transaction, due: readonly Due[]): Promise<void> {
  if (due.length === 0) return;
  await tx.query('select remove_events($1, $2)', [due.map(({ org }) => org), due.map(({ event }) => event)]);
  const found = due.flatMap(({ body, event, org }) => indexAccess(JSON.parse(body) as AccessEvent).entities.map(({ reference, role }) => ({ org, reference, role, event })));
  await tx.query(
    'select remove_entities($1, $2, $3, $4)',
    [found.map(({ org }) => org), found.map(({ reference }) => reference), found.map(({ role }) => role), found.map(({ event }) => event)],
  );
}

/** `record` commits an event that holds the statement. Answers how many events were removed; broken off, it is gone on with by the next call. */
export async function removeRecord(wish: RemovalWish, plan: RemovalPlan, key: SigningKey, record: (statement: string) => Promise<{ org: number; event: string }>): Promise<number> {
  const { database, onProgress } = wish;
  if (!plan.begun) {
    const statement = signRemoval(plan.origin, plan, key.privateKey);
    const { org, event } = await record(statement);
    await waitForLeaf(database, org, event);
    await database.workerTransaction((tx) => tx.query('insert into log_removal (size, statement, org, event) values ($1, $2, $3, $4)', [plan.size, statement, org, event]));
  }
  let removed = 0;
  await eachPage(database, plan.size, async (rows, tx) => {
    const holds = await readHolds(tx);
    const due = events(rows).filter(({ body, org }) => fate(JSON.parse(body) as AccessEvent, plan.before, holds.get(org)) === 'goes');
    await removeEvents(tx, due);
    removed += due.length;
  }, onProgress);
  return removed;
}
