// Fills a HAPI that lacks what is here: a new one, an emptied one, or one that was restored from a backup. Documents that are written
// meanwhile go their own way, since only what nothing is due for is taken here.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { LEASE_MS } from './claim.ts';
import type { TheirResource } from './hapi-side.ts';
import { ABSENT, writeGuarded, type DeliveryResult } from './guarded-write.ts';
import { portions } from './compare.ts';
import { endLeases, leaseIdleHeads, type LeaseEnd } from './lease-heads.ts';
import { sourceVersion } from './mirrored-text.ts';
import { referencesIn } from './precedence.ts';
import { countOurs, readOursAfter, type ComparedType, type OurResource } from './our-side.ts';
import { endRun, openRun, saveRun, type Run } from './reconcile-progress.ts';
import { bodyOf, readVersionsSince, type RepairParts } from './repair.ts';
import { probeDelayMs } from './retry-schedule.ts';

export interface BackfillProgress {
  /** Which type is under way; past the last one when all are done. */
  at: number;
  after: string;
  /** Resources that are here, that were looked at, sent, there already, waiting in the outbox, and refused by HAPI. */
  total: number;
  done: number;
  sent: number;
  present: number;
  waiting: number;
  refused: string[];
  /** Time at work, without that between two runs. */
  seconds: number;
}

export interface BackfillOptions extends RepairParts {
  types: readonly ComparedType[];
  again: boolean;
  pace: (count: number) => Promise<void>;
  stop: AbortSignal;
  onProgress?: (progress: BackfillProgress) => void;
  /** HAPI could not be asked: it is waited for. */
  onTrouble?: (reason: string) => void;
}

/** A document comes after its bytes' stub, and what tells about it last: so HAPI makes few placeholders. */
export const FILLING_ORDER: readonly ComparedType[] = ['Binary', 'DocumentReference', 'Media', 'List', 'Provenance'];
const PORTION = 200;
const AT_ONCE = 8;
const REFUSED_KEPT = 1_000;

/** Undefined when it was stopped: the next one goes on. Waits as long as HAPI does not answer. */
export async function backfill(options: BackfillOptions): Promise<BackfillProgress | undefined> {
  const { database, org, stop } = options;
  const begin: BackfillProgress = { at: 0, after: '', total: 0, done: 0, sent: 0, present: 0, waiting: 0, refused: [], seconds: 0 };
  const run = await openRun(database, org, 'backfill', begin, options.again);
  const { progress } = run;
  progress.total = await totalOf(options);
  for (let failures = 0; progress.at < FILLING_ORDER.length && !stop.aborted;) {
    const begun = performance.now();
    const trouble = await fillPortion(options, run).catch((error: unknown) => (error as Error).message);
    progress.seconds += (performance.now() - begun) / 1_000;
    failures = trouble === undefined ? 0 : failures + 1;
    if (trouble !== undefined) options.onTrouble?.(trouble);
    if (trouble !== undefined) await sleep(500 + probeDelayMs(failures, Math.random), undefined, { signal: stop }).catch(() => undefined);
    options.onProgress?.(progress);
  }
  if (progress.at < FILLING_ORDER.length) return undefined;
  await database.workerTransaction((tx) => endRun(tx, org, 'backfill', run, null));
  return progress;
}

async function totalOf({ database, org, types }: BackfillOptions): Promise<number> {
  const counts = await database.workerTransaction(async (tx) => {
    const all: number[] = [];
    for (const type of types) all.push(await countOurs(tx, org, type));
    return all;
  });
  return counts.reduce((sum, count) => sum + count, 0);
}

/** Why HAPI could not be filled at the moment; undefined when the portion is done, and written down. */
async function fillPortion(options: BackfillOptions, run: Run<BackfillProgress>): Promise<string | undefined> {
  const { database, org } = options;
  const { progress } = run;
  const type = FILLING_ORDER[progress.at] as ComparedType;
  const rows = options.types.includes(type) ? await database.workerTransaction((tx) => readOursAfter(tx, org, type, progress.after, PORTION)) : [];
  const live = rows.filter(({ deleted }) => !deleted);
  const theirs = await heldByHapi(options, type, live.filter(({ waiting }) => !waiting));
  const lacking = live.filter((row) => !row.waiting && isLacking(options, type, row, theirs.get(row.id)));
  const { sent, refused, trouble } = lacking.length === 0 ? { sent: 0, refused: [], trouble: undefined } : await send(options, type, lacking, theirs);
  if (trouble !== undefined) return trouble;
  const waiting = live.length - live.filter((row) => !row.waiting).length + lacking.length - sent - refused.length;
  progress.done += live.length;
  progress.sent += sent;
  progress.waiting += waiting;
  progress.present += live.length - sent - waiting - refused.length;
  progress.refused.push(...refused.slice(0, REFUSED_KEPT - progress.refused.length));
  const last = rows.length < PORTION;
  Object.assign(progress, last ? { at: progress.at + 1, after: '' } : { after: rows.at(-1)?.id ?? '' });
  await database.workerTransaction((tx) => saveRun(tx, org, 'backfill', run));
  return undefined;
}

async function heldByHapi({ hapi }: BackfillOptions, type: ComparedType, rows: readonly OurResource[]): Promise<Map<string, TheirResource>> {
  const parts = await Promise.all(portions(rows.map(({ id }) => id)).map((ids) => hapi.readByIds(type, ids)));
  return new Map(parts.flatMap((part) => [...part]));
}

/** What others changed is not touched: comparing tells of it. */
function isLacking({ orgName }: BackfillOptions, type: ComparedType, { id, version }: OurResource, theirs: TheirResource | undefined): boolean {
  if (theirs === undefined || theirs.placeholder) return true;
  const named = sourceVersion(theirs.source, { orgName, type, id, version });
  return typeof named === 'number' && named < version;
}

interface Sent {
  sent: number;
  /** `Type/id: HTTP status` */
  refused: string[];
  trouble: string | undefined;
}

/** Under leases of their own, eight at once, and one at a time what refers to others of ours. What is not leased is with the worker, or parked. */
async function send(options: BackfillOptions, type: ComparedType, lacking: readonly OurResource[], theirs: ReadonlyMap<string, TheirResource>): Promise<Sent> {
  const { database, org } = options;
  const lease = randomUUID();
  const leaseUntil = performance.now() + LEASE_MS;
  const mine = await database.workerTransaction((tx) => leaseIdleHeads(tx, org, type, lacking.map(({ id }) => id), lease));
  const leased = lacking.filter(({ id }) => mine.has(id));
  const ends: LeaseEnd[] = leased.map(({ id, version }) => ({ id, version, hapiVersion: undefined }));
  const outcome: Sent = { sent: 0, refused: [], trouble: undefined };
  async function work(queue: OurResource[]): Promise<void> {
    for (let row = queue.shift(); row !== undefined && outcome.trouble === undefined && !options.stop.aborted; row = queue.shift()) {
      const { id, version } = row;
      await options.pace(1);
      const result = await sendOne(options, type, row, theirs.get(id), leaseUntil);
      if (result.kind === 'delivered') {
        outcome.sent += 1;
        const end = ends.find((one) => one.id === id);
        if (end !== undefined) Object.assign(end, { hapiVersion: result.hapiVersion, version });
      } else if (result.kind === 'parked' || result.refused) outcome.refused.push(`${type}/${id}: ${/HTTP \d+/.exec(result.reason)?.[0] ?? 'refused'}`);
      else outcome.trouble = result.reason;
    }
    if (options.stop.aborted) outcome.trouble ??= 'Stopped';
  }
  const alone = (row: OurResource): boolean => type !== 'Provenance' && row.text !== null && referencesIn(row.text).length > 0;
  const [together, after] = [leased.filter((row) => !alone(row)), leased.filter(alone)];
  await Promise.all(Array.from({ length: AT_ONCE }, () => work(together)));
  await work(after);
  await database.workerTransaction((tx) => endLeases(tx, org, type, lease, ends));
  return outcome;
}

/** All versions that HAPI lacks, in their order. */
async function sendOne(options: BackfillOptions, type: ComparedType, row: OurResource, theirs: TheirResource | undefined, leaseUntil: number): Promise<DeliveryResult> {
  const { orgName, call } = options;
  const { id } = row;
  const named = theirs === undefined ? 0 : sourceVersion(theirs.source, { orgName, type, id, version: 0 });
  let expected = theirs?.version ?? ABSENT;
  for (const one of await readVersionsSince(options, type, row, typeof named === 'number' ? named : 0)) {
    const result = await writeGuarded({ orgName, type, id, version: one.version, body: await bodyOf(options, type, one), expected, refusals: 0, leaseUntil }, call);
    if (result.kind !== 'delivered') return result;
    expected = result.hapiVersion;
  }
  return { kind: 'delivered', hapiVersion: expected };
}

/** Seconds that it still takes at the speed so far; undefined before there is one. */
export function secondsLeft({ total, done, seconds }: BackfillProgress): number | undefined {
  return done === 0 || seconds === 0 ? undefined : Math.round(((total - done) / done) * seconds);
}

