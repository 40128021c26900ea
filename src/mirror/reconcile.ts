// One comparison of everything of an organisation: first what is here is looked for at HAPI, then what HAPI lists is looked
// for here, then both are asked how much they have. Kept after each portion, so that a run that was ended goes on.
import { setTimeout as sleep } from 'node:timers/promises';
import { compareIds, compareRead, portions, type Compared, type CompareParts, type Drift } from './compare.ts';
import type { TheirResource } from './hapi-side.ts';
import { sourceVersion } from './mirrored-text.ts';
import { COMPARED_TYPES, countOurs, readOurs, readOursAfter, type ComparedType } from './our-side.ts';
import { beginProgress, keepDrift, openRun, saveRun, type ReconcileProgress, type Run, type TypeCounts } from './reconcile-progress.ts';
import { repairDrift, type RepairParts } from './repair.ts';

export interface ReconcileOptions extends RepairParts {
  /** Provenances go to HAPI with what they tell about. */
  types: readonly ComparedType[];
  repair: boolean;
  /** Begins anew, also where a run did not end. */
  again: boolean;
  /** Resolves when so many resources more may be read. */
  pace: (count: number) => Promise<void>;
  /** Ends after the portion under way; the run can be gone on with. */
  stop: AbortSignal;
  onProgress?: (progress: ReconcileProgress) => void;
  /** How long deliveries that are under way are waited for at the end; 10 s by default. */
  settleMs?: number;
}

/** Four requests at HAPI at once. */
const PORTION = 200;
const SETTLE_MS = 10_000;
const WAITING_KEPT = 10_000;

/** Undefined when it was stopped. Rejects with an Error that says why when HAPI or the database cannot be asked. */
export async function reconcile(options: ReconcileOptions): Promise<Run<ReconcileProgress> | undefined> {
  const { database, org, stop } = options;
  const run = await openRun(database, org, 'reconcile', beginProgress(), options.again);
  const { progress } = run;
  for (; progress.at < COMPARED_TYPES.length; Object.assign(progress, { at: progress.at + 1, side: 'ours', after: '', position: null })) {
    const type = COMPARED_TYPES[progress.at] as ComparedType;
    if (!options.types.includes(type)) continue;
    while (progress.side === 'ours') {
      if (stop.aborted) return undefined;
      await lookForOurs(options, run, type);
    }
    for (let more = true; more;) {
      if (stop.aborted) return undefined;
      more = await lookForTheirs(options, run, type);
    }
  }
  await lookAgain(options, progress);
  for (const type of options.types) await countBoth(options, progress.types[type], type);
  await database.workerTransaction((tx) => saveRun(tx, org, 'reconcile', run));
  return run;
}

async function lookForOurs(options: ReconcileOptions, run: Run<ReconcileProgress>, type: ComparedType): Promise<void> {
  const { progress } = run;
  const rows = await options.database.workerTransaction((tx) => readOursAfter(tx, options.org, type, progress.after, PORTION));
  await options.pace(rows.length);
  const known = new Map(rows.map((row) => [row.id, row]));
  const parts = await Promise.all(portions(rows.map(({ id }) => id)).map((ids) => compareRead(options, type, ids, known)));
  for (const part of parts) addCounts(progress, type, part);
  progress.after = rows.at(-1)?.id ?? progress.after;
  if (rows.length < PORTION) progress.side = 'theirs';
  await settleDrift(options, run, type, rows.map(({ id }) => id), parts.flatMap(({ drift }) => drift));
}

/** Whether there is more of it. */
async function lookForTheirs(options: ReconcileOptions, run: Run<ReconcileProgress>, type: ComparedType): Promise<boolean> {
  const { progress } = run;
  const counts = progress.types[type];
  const { found, next } = await options.hapi.walk(type, progress.position ?? undefined);
  await options.pace(found.length);
  const ids = found.map(({ id }) => id);
  const ours = await options.database.workerTransaction((tx) => readOurs(tx, options.org, type, ids));
  const unknown = found.filter(({ id }) => !ours.has(id));
  counts.listed += found.length;
  counts.placeholders += found.filter(({ placeholder }) => placeholder).length;
  const foreign = unknown.filter((one) => !one.placeholder && isForeign(options, type, one));
  counts.foreign += foreign.length;
  const suspects = unknown.filter((one) => !one.placeholder && !foreign.includes(one)).map(({ id }) => id);
  const parts = await Promise.all(portions(suspects).map((some) => compareIds(options, type, some)));
  for (const part of parts) addCounts(progress, type, part);
  progress.position = next ?? null;
  await settleDrift(options, run, type, suspects, parts.flatMap(({ drift }) => drift));
  options.onProgress?.(progress);
  return next !== undefined;
}

function isForeign({ orgName }: CompareParts, type: ComparedType, { id, source }: TheirResource): boolean {
  return sourceVersion(source, { orgName, type, id, version: 0 }) === 'foreign';
}

function addCounts(progress: ReconcileProgress, type: ComparedType, { compared, equal, drift, waiting }: Compared): void {
  const counts = progress.types[type];
  counts.compared += compared;
  counts.equal += equal;
  for (const { kind } of drift) counts[kind] += 1;
  const kept = progress.waiting[type] ?? [];
  progress.waiting[type] = [...kept, ...waiting.slice(0, WAITING_KEPT - kept.length)];
  counts.waiting += waiting.length;
}

/** Repairs where that is asked for, and writes down what is left. */
async function settleDrift(options: ReconcileOptions, run: Run<ReconcileProgress>, type: ComparedType, ids: readonly string[], drift: readonly Drift[]): Promise<void> {
  const left: Drift[] = [];
  const counts = run.progress.types[type];
  for (const one of drift) {
    if (options.repair && !options.stop.aborted && await repairDrift(options, one)) counts.repaired += 1;
    else left.push(one);
  }
  for (const { kind } of left) {
    if (kind === 'missing') counts.missingLeft += 1;
    if (kind === 'extra') counts.extraLeft += 1;
  }
  await options.database.workerTransaction(async (tx) => {
    await keepDrift(tx, options.org, type, ids, left);
    await saveRun(tx, options.org, 'reconcile', run);
  });
  options.onProgress?.(run.progress);
}

/** What was under way when it was compared, once its delivery has had some time. */
async function lookAgain(options: ReconcileOptions, progress: ReconcileProgress): Promise<void> {
  const end = performance.now() + (options.settleMs ?? SETTLE_MS);
  for (const type of options.types) {
    let ids = progress.waiting[type] ?? [];
    while (ids.length > 0) {
      const parts = await Promise.all(portions(ids).slice(0, PORTION).map((some) => compareIds(options, type, some)));
      const still = parts.flatMap(({ waiting }) => waiting);
      const drift = parts.flatMap((part) => part.drift);
      const counts = progress.types[type];
      counts.waiting -= ids.length - still.length;
      for (const { kind } of drift) counts[kind] += 1;
      counts.missingLeft += drift.filter(({ kind }) => kind === 'missing').length;
      counts.extraLeft += drift.filter(({ kind }) => kind === 'extra').length;
      counts.equal += parts.reduce((sum, part) => sum + part.equal, 0);
      const looked = ids.filter((id) => !still.includes(id));
      ids = still;
      await options.database.workerTransaction((tx) => keepDrift(tx, options.org, type, looked, drift));
      if (performance.now() >= end || options.stop.aborted) break;
      await sleep(ids.length > 0 ? 250 : 0);
    }
    progress.waiting[type] = ids;
  }
}

/** Both sides are asked for their numbers by themselves, a few times where writes go on between the two. */
async function countBoth(options: ReconcileOptions, counts: TypeCounts, type: ComparedType): Promise<void> {
  for (let round = 0; round < 5; round++) {
    counts.here = await options.database.workerTransaction((tx) => countOurs(tx, options.org, type));
    counts.atHapi = await options.hapi.count(type);
    if (isBalanced(counts)) return;
    await sleep(300);
  }
}

/** Whether HAPI's own count is explained by ours and by what is known to differ. */
export function isBalanced({ here, atHapi, placeholders, foreign, missingLeft, extraLeft }: TypeCounts): boolean {
  return here !== null && atHapi !== null && here - missingLeft + extraLeft === atHapi - placeholders - foreign;
}
