// How far a comparison got and what it counted, kept after each portion so that it can be gone on with.
import type { Database, Transaction } from '../database/database.ts';
import type { OrgId } from '../database/tables.ts';
import { typeName, typeNumber } from '../fhir/resource-type.ts';
import type { Drift, DriftKind } from './compare.ts';
import type { WalkPosition } from './hapi-side.ts';
import { COMPARED_TYPES, type ComparedType } from './our-side.ts';

export interface TypeCounts {
  /** Live ones here, asked of the database by itself; null = not asked yet. */
  here: number | null;
  /** Live ones at HAPI, asked of HAPI by itself. */
  atHapi: number | null;
  compared: number;
  equal: number;
  missing: number;
  extra: number;
  stale: number;
  different: number;
  /** Their delivery waits: nothing is said of them. */
  waiting: number;
  repaired: number;
  /** Missing and extra ones that were not repaired. */
  missingLeft: number;
  extraLeft: number;
  /** What HAPI's side was walked through for: all that it listed. */
  listed: number;
  placeholders: number;
  /** Of other organisations that share the HAPI. */
  foreign: number;
}

export interface ReconcileProgress {
  /** Which of the compared types is under way; past the last one when all are done. */
  at: number;
  side: 'ours' | 'theirs';
  after: string;
  position: WalkPosition | null;
  types: Record<ComparedType, TypeCounts>;
  /** Differences that were left when it ended. */
  left?: number;
  /** Ids to look at again at the end, by type. */
  waiting: Partial<Record<ComparedType, string[]>>;
}

export function beginProgress(): ReconcileProgress {
  const none = (): TypeCounts => ({ here: null, atHapi: null, compared: 0, equal: 0, missing: 0, extra: 0, stale: 0, different: 0, waiting: 0, repaired: 0, missingLeft: 0, extraLeft: 0, listed: 0, placeholders: 0, foreign: 0 });
  return { at: 0, side: 'ours', after: '', position: null, types: Object.fromEntries(COMPARED_TYPES.map((type) => [type, none()])) as Record<ComparedType, TypeCounts>, waiting: {} };
}

export interface Run<Progress> {
  startedAt: Date;
  progress: Progress;
  resumed: boolean;
}

type RunKind = 'reconcile' | 'light' | 'backfill';
type WorkerDatabase = Pick<Database, 'workerTransaction'>;

/** Goes on with the newest run that did not end, or begins one. `again` begins one in any case. */
export function openRun<Progress>(database: WorkerDatabase, org: OrgId, kind: RunKind, begin: Progress, again: boolean): Promise<Run<Progress>> {
  return database.workerTransaction(async (tx) => {
    const { rows } = await tx.query<{ startedAt: Date; progress: Progress }>(
      'select started_at as "startedAt", progress from mirror_run where org = $1 and kind = $2 and ended_at is null order by started_at desc limit 1', [org, kind]);
    if (rows[0] !== undefined && !again) return { ...rows[0], resumed: true };
    await tx.query('delete from mirror_run where org = $1 and kind = $2 and ended_at is null', [org, kind]);
    const made = await tx.query<{ startedAt: Date }>('insert into mirror_run (org, kind, progress) values ($1, $2, $3) returning started_at as "startedAt"', [org, kind, JSON.stringify(begin)]);
    return { startedAt: made.rows[0]?.startedAt ?? new Date(), progress: begin, resumed: false };
  });
}

export async function saveRun(tx: Transaction, org: OrgId, kind: RunKind, run: Run<unknown>): Promise<void> {
  await tx.query('update mirror_run set progress = $4, updated_at = now() where org = $1 and kind = $2 and started_at = $3', [org, kind, run.startedAt, JSON.stringify(run.progress)]);
}

const RUNS_KEPT = 20;

export async function endRun(tx: Transaction, org: OrgId, kind: RunKind, run: Run<unknown>, report: string | null): Promise<void> {
  await tx.query('update mirror_run set progress = $4, updated_at = now(), ended_at = now(), report = $5 where org = $1 and kind = $2 and started_at = $3', [org, kind, run.startedAt, JSON.stringify(run.progress), report]);
  await tx.query(`
    delete from mirror_run where org = $1 and kind = $2 and started_at <= (
      select started_at from mirror_run where org = $1 and kind = $2 order by started_at desc offset ${RUNS_KEPT} limit 1)`, [org, kind]);
}

/** What differs of `ids` from this look on; what of them is not in `drift` is mended. */
export async function keepDrift(tx: Transaction, org: OrgId, type: ComparedType, ids: readonly string[], drift: readonly Drift[]): Promise<void> {
  await tx.query('delete from mirror_drift where org = $1 and type = $2 and id = any ($3) and not id = any ($4)', [org, typeNumber(type), ids, drift.map(({ id }) => id)]);
  for (const { id, kind, path, detail } of drift) {
    await tx.query(`
      insert into mirror_drift (org, type, id, kind, path, detail) values ($1, $2, $3, $4, $5, $6)
      on conflict (org, type, id) do update set kind = excluded.kind, path = excluded.path, detail = excluded.detail, seen_at = now()`,
    [org, typeNumber(type), id, kind, path, detail]);
  }
}

/** A comparison of everything ended that began at `startedAt`: what it did not meet again is no difference any more. */
export async function forgetUnseen(tx: Transaction, org: OrgId, startedAt: Date): Promise<void> {
  await tx.query('delete from mirror_drift where org = $1 and seen_at < $2', [org, startedAt]);
}

export interface KnownDrift {
  reference: string;
  kind: DriftKind;
  path: string | null;
  detail: string;
  foundAt: string;
}

/** Differences that are not mended, the oldest first. */
export async function readDrift(tx: Transaction, org: OrgId, countMax: number): Promise<KnownDrift[]> {
  const { rows } = await tx.query<Omit<KnownDrift, 'foundAt'> & { type: number; id: string; foundAt: Date }>(
    'select type, id, kind, path, detail, found_at as "foundAt" from mirror_drift where org = $1 order by found_at, type, id limit $2', [org, countMax]);
  return rows.map(({ type, id, foundAt, ...row }) => ({ ...row, reference: `${typeName(type)}/${id}`, foundAt: foundAt.toISOString() }));
}
