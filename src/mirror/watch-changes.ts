// The light comparison of a running server: what HAPI's own history says that changed (http://hl7.org/fhir/R4/http.html#history)
// is compared with what is here, and what differs is told, or put back.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database, Transaction } from '../database/database.ts';
import type { OrgId } from '../database/tables.ts';
import type { Logger } from '../logger.ts';
import { compareIds, portions, type Compared, type Drift } from './compare.ts';
import { COMPARED_TYPES, readOurs, type ComparedType, type MirroredOrg } from './our-side.ts';
import { keepDrift, readDrift } from './reconcile-progress.ts';
import { repairDrift, type RepairParts } from './repair.ts';
import { comparisonParts, type ComparisonConfig } from './run-reconcile.ts';

export interface WatchOptions extends ComparisonConfig {
  database: Database;
  /** `alarm` tells of what others changed at HAPI; `authoritative` puts ours back. */
  changes: 'alarm' | 'authoritative';
  /** One look in so many seconds, by whichever server is first; 0 = none. */
  seconds: number;
  log: Logger;
  onRepaired?: () => void;
}

/** meta.lastUpdated is set before the commit: a version may show up late. */
const OVERLAP_MS = 10 * 60_000;
const DRIFT_MAX = 500;

export interface WatchOutcome {
  /** Resources of ours that HAPI's history named. */
  looked: number;
  drift: Drift[];
  repaired: number;
}

/** Answers the stop. */
export function startWatching(options: WatchOptions): () => Promise<void> {
  const end = new AbortController();
  const loop = (async () => {
    while (options.seconds > 0 && !end.signal.aborted) {
      await sleep(options.seconds * 1_000, undefined, { signal: end.signal, ref: false }).catch(() => undefined);
      if (end.signal.aborted) return;
      await watchOnce(options, end.signal).catch((error: unknown) => {
        // HAPI may be away: the deliveries tell of that.
        if (!end.signal.aborted) options.log.warn({ err: error }, 'Changes at HAPI could not be looked at');
      });
    }
  })();
  return async () => {
    end.abort(new Error('The server stops'));
    await loop;
  };
}

/** Looks at each mirrored organisation whose turn it is. */
export async function watchOnce(options: WatchOptions, stop: AbortSignal): Promise<WatchOutcome> {
  const sum: WatchOutcome = { looked: 0, drift: [], repaired: 0 };
  for (const { orgName } of await mirroredOrgs(options)) {
    const parts = await comparisonParts(options, { org: orgName, scope: 'all', removeOthers: false, stop });
    const turn = await options.database.workerTransaction((tx) => takeTurn(tx, parts.org, options.seconds));
    if (turn === undefined) continue;
    const outcome = await lookSince(parts, options, new Date(turn.since.getTime() - OVERLAP_MS));
    await options.database.workerTransaction((tx) => endTurn(tx, parts.org, turn.startedAt));
    sum.looked += outcome.looked;
    sum.repaired += outcome.repaired;
    sum.drift.push(...outcome.drift);
  }
  return sum;
}

async function mirroredOrgs({ database, baseUrl }: WatchOptions): Promise<MirroredOrg[]> {
  return database.workerTransaction(async (tx) => {
    const { rows } = await tx.query<MirroredOrg>('select id as org, name as "orgName" from organisation order by id');
    return baseUrl.includes('{org}') ? rows : rows.slice(0, 1);
  });
}

interface Turn {
  since: Date;
  startedAt: Date;
}

/** One server at a time, and none before its time; a look that did not end is begun again from where the one before it ended. */
async function takeTurn(tx: Transaction, org: OrgId, seconds: number): Promise<Turn | undefined> {
  await tx.query(`select pg_advisory_xact_lock(hashtextextended('muniment mirror watch', $1))`, [org]);
  const { rows } = await tx.query<{ startedAt: Date; since: Date }>(`
    insert into mirror_run (org, kind, progress)
    select $1, 'light', '{}' where not exists (
      select from mirror_run where org = $1 and kind = 'light' and started_at > now() - make_interval(secs => $2))
    returning started_at as "startedAt", coalesce((
      select max(started_at) from mirror_run where org = $1 and kind = 'light' and ended_at is not null), now()) as since`, [org, seconds * 0.9]);
  return rows[0];
}

async function endTurn(tx: Transaction, org: OrgId, startedAt: Date): Promise<void> {
  await tx.query(`update mirror_run set ended_at = now(), updated_at = now() where org = $1 and kind = 'light' and started_at = $2`, [org, startedAt]);
  await tx.query(`delete from mirror_run where org = $1 and kind = 'light' and started_at < $2`, [org, startedAt]);
}

async function lookSince(parts: RepairParts, options: WatchOptions, since: Date): Promise<WatchOutcome> {
  const outcome: WatchOutcome = { looked: 0, drift: [], repaired: 0 };
  const seen = new Set<string>();
  // What differed before is looked at again as well: somebody may have mended it.
  const known = await options.database.workerTransaction((tx) => readDrift(tx, parts.org, DRIFT_MAX));
  await lookAt(parts, options, known.map(({ reference }) => reference), outcome);
  for (let next: string | undefined, first = true; first || next !== undefined; first = false) {
    const page = await parts.hapi.changedSince(since.toISOString(), next);
    const fresh = [...new Set(page.references)].filter((reference) => !seen.has(reference));
    for (const reference of fresh) seen.add(reference);
    await lookAt(parts, options, fresh, outcome);
    next = page.next;
  }
  return outcome;
}

/** Only what is or was here: what others keep at HAPI beside it is for the comparison of everything. */
async function lookAt(parts: RepairParts, options: WatchOptions, references: readonly string[], outcome: WatchOutcome): Promise<void> {
  for (const type of COMPARED_TYPES) {
    if (type === 'Provenance' && options.access === 'off') continue;
    const named = references.flatMap((reference) => (reference.startsWith(`${type}/`) ? [reference.slice(type.length + 1)] : []));
    if (named.length === 0) continue;
    const ours = await options.database.workerTransaction((tx) => readOurs(tx, parts.org, type, named));
    for (const ids of portions(named.filter((id) => ours.has(id)))) {
      outcome.looked += ids.length;
      await settle(parts, options, type, ids, await compareIds(parts, type, ids), outcome);
    }
  }
}

async function settle(parts: RepairParts, options: WatchOptions, type: ComparedType, ids: readonly string[], { drift, waiting }: Compared, outcome: WatchOutcome): Promise<void> {
  const left: Drift[] = [];
  for (const one of drift) {
    const repaired = options.changes === 'authoritative' && await repairDrift(parts, one);
    const said = { org: parts.orgName, reference: `${one.type}/${one.id}`, kind: one.kind, path: one.path };
    options.log.warn(said, repaired ? 'HAPI held something else than this server: ours was put back' : 'HAPI holds something else than this server');
    if (repaired) {
      outcome.repaired += 1;
      options.onRepaired?.();
    } else left.push(one);
  }
  outcome.drift.push(...left);
  const certain = ids.filter((id) => !waiting.includes(id));
  await options.database.workerTransaction((tx) => keepDrift(tx, parts.org, type, certain, left));
}
