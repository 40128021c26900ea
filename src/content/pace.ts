// A budget of bytes a second, so that what works in the background leaves the disk to people.
import { setTimeout as sleep } from 'node:timers/promises';

const LONGEST_SLEEP_MS = 1_000;

/** Resolves when as many bytes may be read as were; unlimited without a rate. Bytes that were not used are not saved up. */
export function createPace(bytesPerSecond: number | undefined, signal?: AbortSignal): (bytes: number) => Promise<void> {
  let freeAt = performance.now();
  return async (bytes) => {
    if (bytesPerSecond === undefined) return;
    freeAt = Math.max(freeAt, performance.now()) + (bytes / bytesPerSecond) * 1_000;
    while (signal?.aborted !== true && freeAt > performance.now()) await sleep(Math.min(LONGEST_SLEEP_MS, freeAt - performance.now()));
  };
}
