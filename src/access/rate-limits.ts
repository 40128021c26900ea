// How much an organisation, a client and a user may ask for: token buckets for requests, bytes and the time of searches. Pure:
// the clock is an argument. What is known only afterwards is charged afterwards, and a bucket in debt lets nobody in.
import type { Principal } from './principal.ts';

export type RateScope = 'org' | 'client' | 'user';

/** Per second; Infinity = as much as there is. */
export interface Rate {
  requests: number;
  bytes: number;
  /** Milliseconds that searches take. */
  search: number;
}

export type RateLimits = Readonly<Record<RateScope, Rate | undefined>>;

export interface Cost {
  /** Besides the one that `admit` took: entries of a Bundle. */
  requests: number;
  bytes: number;
  search: number;
}

export interface RateVerdict {
  scope: RateScope;
  what: keyof Rate;
  retryAfterSeconds: number;
}

export interface RateLimiter {
  /** Takes one request; undefined when there is room for it. */
  admit(principal: Principal, nowMs: number): RateVerdict | undefined;
  charge(principal: Principal, cost: Cost): void;
}

/** A pause fills a bucket with so many seconds' worth, for those who come in bursts. */
const BURST_SECONDS = 10;
const BUCKETS_MAX = 50_000;
const KINDS: readonly (keyof Rate)[] = ['requests', 'bytes', 'search'];

interface Buckets {
  scope: RateScope;
  rate: Rate;
  /** What is left of each; below zero in debt. */
  left: Rate;
  filledAt: number;
}

export function createRateLimiter(limits: RateLimits, bucketsMax = BUCKETS_MAX): RateLimiter {
  const byKey = new Map<string, Buckets>();
  // One token's requests share a principal: it finds its buckets without a key.
  const byPrincipal = new WeakMap<Principal, readonly Buckets[]>();

  function bucketsOf(principal: Principal, nowMs: number): readonly Buckets[] {
    const known = byPrincipal.get(principal);
    if (known !== undefined) return known;
    const { org, issuer, clientId, subject } = principal;
    const found = [open('org', [org], nowMs), open('client', [org, issuer, clientId], nowMs), subject === clientId ? undefined : open('user', [org, issuer, subject], nowMs)];
    const buckets = found.filter((one) => one !== undefined);
    byPrincipal.set(principal, buckets);
    return buckets;
  }

  function open(scope: RateScope, names: readonly string[], nowMs: number): Buckets | undefined {
    const rate = limits[scope];
    if (rate === undefined) return undefined;
    const key = JSON.stringify([scope, ...names]);
    const known = byKey.get(key);
    if (known !== undefined) return known;
    if (byKey.size >= bucketsMax) makeRoom(nowMs);
    const made = { scope, rate, left: full(rate), filledAt: nowMs };
    byKey.set(key, made);
    return made;
  }

  /** What is full again is as good as new. Where too little is, the oldest go: a tenth, so that this is not done for each newcomer. */
  function makeRoom(nowMs: number): void {
    for (const [key, buckets] of byKey) {
      fill(buckets, nowMs);
      if (KINDS.every((kind) => buckets.left[kind] >= buckets.rate[kind] * BURST_SECONDS)) byKey.delete(key);
    }
    for (const key of byKey.keys()) {
      if (byKey.size <= bucketsMax * 0.9) return;
      byKey.delete(key);
    }
  }

  return {
    admit(principal, nowMs) {
      const all = bucketsOf(principal, nowMs);
      for (const buckets of all) {
        fill(buckets, nowMs);
        const what = buckets.left.requests < 1 ? 'requests' : buckets.left.bytes <= 0 ? 'bytes' : buckets.left.search <= 0 ? 'search' : undefined;
        if (what !== undefined) return { scope: buckets.scope, what, retryAfterSeconds: secondsUntil(buckets, what) };
      }
      // Taken of all or of none: whoever is refused for one is not charged for another.
      for (const { left } of all) left.requests -= 1;
      return undefined;
    },
    charge(principal, cost) {
      for (const { left } of byPrincipal.get(principal) ?? []) {
        left.requests -= cost.requests;
        left.bytes -= cost.bytes;
        left.search -= cost.search;
      }
    },
  };
}

function full(rate: Rate): Rate {
  return { requests: rate.requests * BURST_SECONDS, bytes: rate.bytes * BURST_SECONDS, search: rate.search * BURST_SECONDS };
}

function fill(buckets: Buckets, nowMs: number): void {
  const seconds = (nowMs - buckets.filledAt) / 1_000;
  buckets.filledAt = nowMs;
  // A clock that was set back fills nothing.
  if (seconds <= 0) return;
  const { left, rate } = buckets;
  left.requests = Math.min(rate.requests * BURST_SECONDS, left.requests + rate.requests * seconds);
  left.bytes = Math.min(rate.bytes * BURST_SECONDS, left.bytes + rate.bytes * seconds);
  left.search = Math.min(rate.search * BURST_SECONDS, left.search + rate.search * seconds);
}

function secondsUntil({ left, rate }: Buckets, what: keyof Rate): number {
  // A debt must be more than paid.
  return what === 'requests' ? Math.max(1, Math.ceil((1 - left.requests) / rate.requests)) : Math.floor(-left[what] / rate[what]) + 1;
}
