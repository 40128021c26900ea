// Deliveries in flight in this server: so many for each lane, and one at most for each shard, which keeps two writes
// about one patient from making the same placeholder at the same moment.
import type { Database } from '../database/database.ts';
import type { Logger } from '../logger.ts';
import { LANES } from '../resources/outbox.ts';
import type { Circuits } from './circuits.ts';
import { claimDue, SHARDS, type LeasedVersion, type OrgRange } from './claim.ts';
import type { Delivery } from './deliver.ts';
import type { DeliveryResult } from './guarded-write.ts';
import { retryDelayMs } from './retry-schedule.ts';
import { settle, type Settlement } from './settle.ts';

export interface MirrorMetrics {
  /** A delivery ended; `stale` = it could not be settled, because its lease was lost. `seconds` since the version was published. */
  delivery(outcome: DeliveryResult['kind'] | 'stale', seconds: number): void;
}

export interface DeliverySlots {
  /** Leases as much as there is room for, and starts to deliver it. */
  fill(orgs: OrgRange): Promise<void>;
  /** Resolves when nothing is in flight. */
  idle(): Promise<void>;
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
  /** Called when a slot is free again. */
  freed: () => void;
}

type Lane = keyof typeof LANES;

const CONCURRENCY: Record<Lane, number> = { clinical: 8, derived: 2 };
const ALL_SHARDS = Array.from({ length: SHARDS }, (_, shard) => shard);

export function createDeliverySlots(options: SlotOptions): DeliverySlots {
  /** By shard. */
  const inFlight = new Map<number, { lane: Lane; done: Promise<void> }>();

  async function fillLane(lane: Lane, orgs: OrgRange): Promise<void> {
    const free = CONCURRENCY[lane] - [...inFlight.values()].filter((slot) => slot.lane === lane).length;
    if (free <= 0) return;
    const shards = ALL_SHARDS.filter((shard) => !inFlight.has(shard));
    const claimed = await options.database.workerTransaction((tx) => claimDue(tx, orgs, LANES[lane], shards, free));
    for (const leased of claimed) start(lane, leased);
  }

  function start(lane: Lane, leased: LeasedVersion): void {
    const done = deliverAndSettle(leased, options).finally(() => {
      inFlight.delete(leased.shard);
      options.freed();
    });
    inFlight.set(leased.shard, { lane, done });
  }

  return {
    async fill(orgs) {
      for (const lane of Object.keys(LANES) as Lane[]) await fillLane(lane, orgs);
    },
    async idle() {
      await Promise.all([...inFlight.values()].map(({ done }) => done));
    },
  };
}

/** Never rejects: what cannot be settled is delivered again when its lease has ended. */
async function deliverAndSettle(leased: LeasedVersion, { database, delivery, circuits, log, metrics, random, end }: SlotOptions): Promise<void> {
  const reference = `${leased.type}/${leased.id}/_history/${leased.version}`;
  const result = await delivery.deliver(leased, end).catch((error: unknown) => {
    log.error({ err: error, reference }, 'A delivery failed unexpectedly');
    return UNEXPECTED;
  });
  circuits.record(leased, result.kind === 'again' && result.transport);
  const settlement = settlementOf(result, leased, random);
  const settled = await database.workerTransaction((tx) => settle(tx, leased, settlement)).catch((error: unknown) => {
    log.warn({ err: error, reference }, 'A delivery could not be settled');
    return false;
  });
  metrics?.delivery(settled ? result.kind : 'stale', (Date.now() - leased.publishedAt.getTime()) / 1000);
  // What HAPI said may quote the resource: it is kept with the head and never logged.
  if (settled && result.kind === 'parked') log.warn({ org: leased.orgName, reference }, 'A version was parked: muniment mirror show tells why');
}

const UNEXPECTED: DeliveryResult = { kind: 'again', reason: 'Unexpected failure: the log of the server tells more', transport: false, refused: false };

function settlementOf(result: DeliveryResult, leased: LeasedVersion, random: () => number): Settlement {
  return result.kind === 'again' ? { ...result, delayMs: retryDelayMs(leased.attempts + 1, random) } : result;
}
