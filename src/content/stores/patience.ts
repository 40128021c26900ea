// How often a store that says "not now" is asked again.
import { setTimeout as sleep } from 'node:timers/promises';

/** After so many milliseconds no other try begins; nor after the pauses of 0.25 to 2 seconds are over, which are 3.75 together. */
const PATIENCE_MS = 8_000;
const PAUSES_MS = [250, 500, 1_000, 2_000];

/** Waits, and answers whether there is to be another try. The pauses differ, so that many who wait do not come back at once. */
export function createPatience(): () => Promise<boolean> {
  const until = performance.now() + PATIENCE_MS;
  const pauses = [...PAUSES_MS];
  return async () => {
    const pause = pauses.shift();
    if (pause === undefined || performance.now() + pause > until) return false;
    await sleep(pause * (0.5 + Math.random() / 2));
    return true;
  };
}
