// The bound on refused logins of one address. Pure: the clock is an argument.

export type RefusalVerdict = { state: 'record' } | { state: 'flood'; retryAfterSeconds: number };

export interface RefusalFlood {
  noteRefusal(address: string, nowMs: number): RefusalVerdict;
  /** Refusals past the bound since the last call, for one counted row of each address. */
  takeCounts(nowMs: number): { address: string; count: number }[];
}

/** Below this many in a minute an address is never throttled. */
export const REFUSALS_PER_MINUTE = 600;
const WINDOW_MS = 60_000;
const ADDRESSES_MAX = 10_000;

interface Window {
  since: number;
  refused: number;
  /** Past the bound, not yet taken. */
  uncounted: number;
}

export function createRefusalFlood(bound = REFUSALS_PER_MINUTE): RefusalFlood {
  const windows = new Map<string, Window>();

  function windowOf(address: string, nowMs: number): Window {
    let window = windows.get(address);
    // A clock that was set back begins a new minute too, else its address would wait for the old one.
    if (window === undefined || nowMs - window.since >= WINDOW_MS || nowMs < window.since) {
      window = { since: nowMs, refused: 0, uncounted: window?.uncounted ?? 0 };
      windows.delete(address);
      windows.set(address, window);
      dropOldest();
    }
    return window;
  }

  /** Memory is bounded; an address with counts that wait is kept until they are taken. */
  function dropOldest(): void {
    if (windows.size <= ADDRESSES_MAX) return;
    for (const [address, window] of windows) {
      if (window.uncounted > 0) continue;
      windows.delete(address);
      return;
    }
  }

  return {
    noteRefusal(address, nowMs) {
      const window = windowOf(address, nowMs);
      window.refused += 1;
      if (window.refused <= bound) return { state: 'record' };
      window.uncounted += 1;
      return { state: 'flood', retryAfterSeconds: Math.max(1, Math.ceil((window.since + WINDOW_MS - nowMs) / 1_000)) };
    },
    takeCounts() {
      const counts: { address: string; count: number }[] = [];
      for (const [address, window] of windows) {
        if (window.uncounted === 0) continue;
        counts.push({ address, count: window.uncounted });
        window.uncounted = 0;
      }
      return counts;
    },
  };
}
