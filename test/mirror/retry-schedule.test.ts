import { describe, expect, it } from '@jest/globals';
import { isLastRefusal, probeDelayMs, retryDelayMs } from '../../src/mirror/retry-schedule.ts';

const almostOne = (): number => 0.999_999;

describe('the retry schedule', () => {
  it.each([[1, 1_000], [2, 2_000], [3, 4_000], [10, 512_000], [11, 900_000], [5_000, 900_000]])(
    'waits after %d failed tries for at most %d ms', (attempts, ceiling) => {
      expect(retryDelayMs(attempts, almostOne)).toBeLessThan(ceiling);
      expect(retryDelayMs(attempts, almostOne)).toBeGreaterThan(ceiling * 0.99);
    },
  );

  it('spreads tries over the whole interval, so that what failed together does not return together', () => {
    expect([0, 0.25, 0.5, 0.75].map((chance) => retryDelayMs(3, () => chance))).toEqual([0, 1_000, 2_000, 3_000]);
  });

  it('asks a server that is away at least every 15 s', () => {
    expect(probeDelayMs(100, almostOne)).toBeLessThan(15_000);
  });

  it('parks at the fifth refusal', () => {
    expect([0, 1, 2, 3, 4, 5].map(isLastRefusal)).toEqual([false, false, false, false, true, true]);
  });
});
