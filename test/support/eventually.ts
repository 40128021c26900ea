// Waiting for what happens by itself.
import { setTimeout as sleep } from 'node:timers/promises';

/** Looks until `done` says so; raises an Error with the last value when that takes too long. */
export async function eventually<T>(look: () => Promise<T>, done: (value: T) => boolean, withinMs = 10_000): Promise<T> {
  const until = Date.now() + withinMs;
  for (;;) {
    const value = await look();
    if (done(value)) return value;
    if (Date.now() > until) throw new Error(`Not within ${withinMs} ms: ${JSON.stringify(value)?.slice(0, 400)}`);
    await sleep(50);
  }
}
