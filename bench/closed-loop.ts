// Closed loop: so many clients, each with one request under way at a time, bounded in time and in count.

export interface LoopBounds {
  clients: number;
  seconds: number;
  countMax: number;
}

export interface Measurement {
  count: number;
  seconds: number;
  /** Milliseconds of each request that was answered as expected. */
  latencies: number[];
  /** How often each failure occurred, by its text. */
  errors: Record<string, number>;
}

/** Runs `work` until a bound is met; a rejection is counted as an error of its message and ends nothing. */
export async function runClosedLoop(bounds: LoopBounds, work: () => Promise<void>): Promise<Measurement> {
  const latencies: number[] = [];
  const errors: Record<string, number> = {};
  const begun = performance.now();
  const until = begun + bounds.seconds * 1_000;
  let started = 0;

  async function client(): Promise<void> {
    while (started < bounds.countMax && performance.now() < until) {
      started += 1;
      const from = performance.now();
      try {
        await work();
        latencies.push(performance.now() - from);
      } catch (error) {
        const text = (error as Error).message;
        errors[text] = (errors[text] ?? 0) + 1;
      }
    }
  }

  await Promise.all(Array.from({ length: bounds.clients }, client));
  return { count: latencies.length, seconds: (performance.now() - begun) / 1_000, latencies, errors };
}

/** The value below which a share of all lies; NaN of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}
