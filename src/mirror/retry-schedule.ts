// When a delivery is tried again, and when it is given to a person. Pure: chance is an argument.

const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 15 * 60_000;
const PROBE_MAX_MS = 15_000;

/** A resource that HAPI refused this often is parked. */
export const REFUSALS_MAX = 5;

/**
 * Milliseconds until the next try after `attempts` failed ones (1 or more): exponential with full jitter, so that what
 * failed together does not come back together. The ceiling doubles from 1 s to 15 min. `random` gives [0, 1).
 */
export function retryDelayMs(attempts: number, random: () => number): number {
  return jittered(attempts, RETRY_MAX_MS, random);
}

/** Milliseconds until HAPI is asked again whether it is there, after `probes` questions: at most 15 s. */
export function probeDelayMs(probes: number, random: () => number): number {
  return jittered(probes, PROBE_MAX_MS, random);
}

/** Whether the next refusal, after `refusals` earlier ones of the same version, parks it. */
export function isLastRefusal(refusals: number): boolean {
  return refusals + 1 >= REFUSALS_MAX;
}

function jittered(attempts: number, max: number, random: () => number): number {
  const ceiling = Math.min(max, RETRY_MIN_MS * 2 ** Math.max(0, attempts - 1));
  return Math.floor(random() * ceiling);
}
