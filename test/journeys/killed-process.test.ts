import { expect, it } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runKillRounds } from '../../bench/kill-rounds.ts';

/** Seeded, so that a round that fails can be run again. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

it('a server killed in the middle of parallel uploads has everything that it answered, and no half of anything', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'muniment-killed-'));
  try {
    const report = await runKillRounds({ rounds: 3, uploadsAtOnce: 8, dataDir, random: seeded(20_240_506) });
    expect(report.answered).toBeGreaterThan(10);
    expect(report.broken).toEqual([]);
    expect(Object.values(report.halves)).toEqual([0, 0, 0, 0]);
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}, 180_000);
