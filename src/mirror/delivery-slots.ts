// Deliveries in flight in this server: so many for each lane, and one at most for each shard, which keeps two writes
// about one patient from making the same placeholder at the same moment. What waits of a shard goes together where it may.
import type { Database } from '../database/database.ts';
import type { Logger } from '../logger.ts';
import { LANES } from '../resources/outbox.ts';
import type { Circuits } from './circuits.ts';
import { claimDue, SHARDS, type LeasedVersion, type OrgRange } from './claim.ts';
import type { Delivery } from './deliver.ts';
import type { Outcomes } from './deliver-together.ts';
import type { DeliveryResult } from './guarded-write.ts';
import { parcelsOf } from './parcels.ts';
import { retryDelayMs } from './retry-schedule.ts';
import { createSettler, releaseLeases, type EndedDelivery, type Settlement } from './settle.ts';

export interface MirrorMetrics {
  /** A delivery ended; `stale` = it could not be settled, because its lease was lost. `seconds` since the version was published. */
  delivery(outcome: DeliveryResult['kind'] | 'stale', seconds: number): void;
}

export interface DeliverySlots {
  /** Leases as much as there is room for, and starts to deliver it. */
  fill(orgs: OrgRange): Promise<void>;
  /** Gives back what is not begun, and resolves when nothing is in flight. */
  finish(): Promise<void>;
}

interface SlotOptions {
  database: Database;
  delivery: Delivery;
  circuits: Circuits;
  log: Logger;
  metrics: MirrorMetrics | undefined;
  random: () => number;
  /** Ends what is in flight. */
  end: AbortSignal;
  /** Called when there is room for more. */
  freed: () => void;
}

type Lane = keyof typeof LANES;

/** Deliveries in flight at once. */
const CONCURRENCY: Record<Lane, number> = { clinical: 8, derived: 2 };
/** Shards leased beforehand for each of them, so that none waits for the database. Few: a lease also runs while it waits. */
const AHEAD = 2;
const ALL_SHARDS = Array.from({ length: SHARDS }, (_, shard) => shard);

interface LaneState {
  lane: Lane;
  running: number;
  /** Leased and not yet begun: all of one shard and organisation each. */
  queue: LeasedVersion[][];
}

export function createDeliverySlots(options: SlotOptions): DeliverySlots {
  const lanes: LaneState[] = (Object.keys(LANES) as Lane[]).map((lane) => ({ lane, running: 0, queue: [] }));
  const settle = createSettler(options.database);
  const busyShards = new Set<number>();
  const unsettled = new Set<Promise<void>>();
  let stopping = false;

  async function fillLane(state: LaneState, orgs: OrgRange): Promise<void> {
    if (!hasRoom(state)) return;
    const room = CONCURRENCY[state.lane] * (1 + AHEAD) - state.running - state.queue.length;
    const shards = ALL_SHARDS.filter((shard) => !busyShards.has(shard));
    const claimed = await options.database.workerTransaction((tx) => claimDue(tx, orgs, LANES[state.lane], shards, room));
    for (const { shard } of claimed) busyShards.add(shard);
    state.queue.push(...byShard(claimed));
    advance(state);
  }

  function advance(state: LaneState): void {
    while (state.running < CONCURRENCY[state.lane]) {
      const leased = state.queue.shift();
      if (leased === undefined) return;
      const delivery = run(state, leased).finally(() => unsettled.delete(delivery));
      unsettled.add(delivery);
    }
  }

  /** HAPI is given the next delivery before this one is settled; its shard stays busy until then. */
  async function run(state: LaneState, consignment: LeasedVersion[]): Promise<void> {
    state.running += 1;
    const settling: Promise<void>[] = [];
    for (const [position, parcel] of parcelsOf(consignment).entries()) {
      if (stopping && position > 0) settling.push(giveBack(parcel));
      else for (const [leased, result] of await deliver(parcel, options)) settling.push(settleResult(leased, result, settle, options));
    }
    state.running -= 1;
    advance(state);
    await Promise.all(settling);
    for (const { shard } of consignment) busyShards.delete(shard);
    if (hasRoom(state)) options.freed();
  }

  /** Never rejects: the leases end by themselves. */
  async function giveBack(leased: LeasedVersion[]): Promise<void> {
    await options.database.workerTransaction((tx) => releaseLeases(tx, leased)).catch((error: unknown) => options.log.warn({ err: error }, 'Leases of the mirror end by themselves'));
  }

  return {
    async fill(orgs) {
      for (const state of lanes) await fillLane(state, orgs);
    },
    async finish() {
      stopping = true;
      const unbegun = lanes.flatMap(({ queue }) => queue.splice(0).flat());
      if (unbegun.length > 0) await options.database.workerTransaction((tx) => releaseLeases(tx, unbegun));
      await Promise.all(unsettled);
    },
  };
}

function hasRoom({ lane, queue }: LaneState): boolean {
  return queue.length < CONCURRENCY[lane];
}

function byShard(claimed: readonly LeasedVersion[]): LeasedVersion[][] {
  const groups = new Map<string, LeasedVersion[]>();
  for (const leased of claimed) {
    const key = `${leased.org}/${leased.shard}`;
    groups.set(key, [...groups.get(key) ?? [], leased]);
  }
  return [...groups.values()];
}

/** Never rejects. */
async function deliver(parcel: readonly LeasedVersion[], { delivery, circuits, log, end }: SlotOptions): Promise<Outcomes> {
  const [first, second] = parcel;
  if (first === undefined) return new Map();
  const sent = second === undefined ? delivery.deliver(first, end).then((result): Outcomes => new Map([[first, result]])) : delivery.deliverTogether(parcel, end);
  const outcomes = await sent.catch((error: unknown): Outcomes => {
    log.error({ err: error, references: parcel.map(named) }, 'A delivery failed unexpectedly');
    return new Map(parcel.map((leased) => [leased, UNEXPECTED]));
  });
  // What failed together failed once.
  const failed = [...outcomes.values()].find((result) => result.kind === 'again' && (result.transport || result.denied === true));
  circuits.record(first, failed?.kind !== 'again' ? { transportFailed: false } : { transportFailed: failed.transport, ...(failed.denied === true ? { denied: failed.reason } : {}) });
  return outcomes;
}

type Settle = (ended: EndedDelivery) => Promise<boolean>;

/** Never rejects: what cannot be settled is delivered again when its lease has ended. */
async function settleResult(leased: LeasedVersion, result: DeliveryResult, settle: Settle, { log, metrics, random }: SlotOptions): Promise<void> {
  const settled = await settle({ leased, settlement: settlementOf(result, leased, random) }).catch((error: unknown) => {
    log.warn({ err: error, reference: named(leased) }, 'A delivery could not be settled');
    return false;
  });
  metrics?.delivery(settled ? result.kind : 'stale', (Date.now() - leased.publishedAt.getTime()) / 1000);
  if (settled && result.kind === 'delivered' && result.note !== undefined) log.warn({ org: leased.orgName, reference: named(leased) }, result.note);
  // What HAPI said may quote the resource: it is kept with the head and never logged.
  if (settled && result.kind === 'parked') log.warn({ org: leased.orgName, reference: named(leased) }, 'A version was parked: muniment mirror show tells why');
}

function named({ type, id, version }: LeasedVersion): string {
  return `${type}/${id}/_history/${version}`;
}

const UNEXPECTED: DeliveryResult = { kind: 'again', reason: 'Unexpected failure: the log of the server tells more', transport: false, refused: false };

function settlementOf(result: DeliveryResult, leased: LeasedVersion, random: () => number): Settlement {
  return result.kind === 'again' ? { ...result, delayMs: Math.max(retryDelayMs(leased.attempts + 1, random), result.retryAfterMs ?? 0) } : result;
}
