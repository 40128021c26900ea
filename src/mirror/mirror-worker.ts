// The worker of the mirror: takes outbox rows in, leases what is due, delivers outside any transaction, settles in a
// short one. Any number of servers may run one on the same database.
import type { Database } from '../database/database.ts';
import type { OrgId } from '../database/tables.ts';
import type { Logger } from '../logger.ts';
import { startAccessLane } from './access-lane.ts';
import { createCircuits } from './circuits.ts';
import { takeIn, type OrgRange } from './claim.ts';
import type { Delivery } from './deliver.ts';
import { createDeliverySlots, type MirrorMetrics } from './delivery-slots.ts';
import { firstOrganisation, readMirrorStatus, type MirrorStatus } from './mirror-status.ts';
import { createWakeSignal } from './wake-signal.ts';

export interface MirrorWorkerOptions {
  database: Database;
  delivery: Delivery;
  log: Logger;
  metrics?: MirrorMetrics;
  /** [0, 1), for the jitter of retries; Math.random by default. */
  random?: () => number;
  /** How long what nobody woke it for may lie: retries that are due, and what other servers published. 1 s by default. */
  pollMs?: number;
}

export interface MirrorWorker {
  /** There is something new: call it after a commit. Cheap, and many calls are one. */
  wake(): void;
  /** Takes nothing more up, lets what is in flight finish for 10 s, then ends it. */
  stop(): Promise<void>;
  /** Rejects with `unavailable` when the database cannot be reached. */
  status(): Promise<MirrorStatus>;
}

/** Commits that follow each other closely are taken in together. */
const WAKE_DELAY_MS = 10;
const STOP_MS = 10_000;
const ORG_MAX = 2_147_483_647;

/** Starts at once and works until stopped; failures of the database or of HAPI are logged and outlived. */
export function startMirrorWorker({ database, delivery, log, metrics, random = Math.random, pollMs = 1_000 }: MirrorWorkerOptions): MirrorWorker {
  const signal = createWakeSignal();
  const end = new AbortController();
  const circuits = createCircuits({
    ask: (orgName, inside) => delivery.probe(orgName, end.signal, inside), log, random,
    onPause: (org, reason) => void notePause(database, org, reason).catch((error: unknown) => log.warn({ err: error }, 'A pause of the mirror could not be noted')),
  });
  const slots = createDeliverySlots({ database, delivery, circuits, log, metrics, random, end: end.signal, freed: signal.raise });
  let first: OrgId | undefined;
  let stopping = false;
  // New outbox rows are looked for when somebody says so, and at each poll; a slot that gets free is no reason.
  let fresh = true;
  let takeInAt = 0;
  let wakeTimer: NodeJS.Timeout | undefined;

  async function mirroredOrgs(): Promise<OrgRange | undefined> {
    const blocked = circuits.open().map(({ org }) => org);
    if (delivery.perOrganisation) return { low: 0, high: ORG_MAX, blocked };
    first ??= await database.workerTransaction(firstOrganisation);
    // With its only HAPI away there is nothing to do, not even to take in.
    return first === undefined || blocked.includes(first) ? undefined : { low: first, high: first, blocked };
  }

  /** Returns whether there is more to take in at once. */
  async function pass(): Promise<boolean> {
    circuits.probe(signal.raise);
    const orgs = await mirroredOrgs();
    if (orgs === undefined) return false;
    const more = (fresh || performance.now() >= takeInAt) && await takeInFor(orgs);
    if (!stopping) await slots.fill(orgs);
    return more;
  }

  async function takeInFor(orgs: OrgRange): Promise<boolean> {
    fresh = false;
    takeInAt = performance.now() + pollMs;
    return database.workerTransaction((tx) => takeIn(tx, orgs));
  }

  async function run(): Promise<void> {
    while (!stopping) {
      const more = await pass().catch((error: unknown) => {
        log.warn({ err: error }, 'The mirror cannot work and tries again');
        return false;
      });
      if (more) fresh = true;
      else await signal.wait(pollMs);
    }
  }

  const stopAccessLane = delivery.allAccesses ? startAccessLane({ database, call: delivery.call, orgs: mirroredOrgs, log, random, pollMs }) : async () => {};
  const running = run();
  return {
    wake() {
      wakeTimer ??= setTimeout(() => {
        wakeTimer = undefined;
        fresh = true;
        signal.raise();
      }, WAKE_DELAY_MS);
    },
    async stop() {
      stopping = true;
      clearTimeout(wakeTimer);
      signal.raise();
      const bound = setTimeout(() => end.abort(), STOP_MS);
      await Promise.all([running, stopAccessLane()]);
      await slots.finish().catch((error: unknown) => log.warn({ err: error }, 'Leases of the mirror end by themselves'));
      clearTimeout(bound);
      end.abort();
    },
    status: () => database.workerTransaction((tx) => readMirrorStatus(tx, delivery, circuits.open().map(({ orgName }) => orgName))),
  };
}

/** For whoever asks without this server. A reason of undefined ends it. */
async function notePause(database: Database, org: OrgId, reason: string | undefined): Promise<void> {
  await database.workerTransaction((tx) => (reason === undefined
    ? tx.query('delete from mirror_pause where org = $1', [org])
    : tx.query('insert into mirror_pause (org, reason) values ($1, $2) on conflict (org) do update set reason = excluded.reason', [org, reason])));
}
