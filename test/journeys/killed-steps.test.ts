// kill -9 at each named step of an upload: what was answered is there, whoever repeats a key makes nothing twice, and nothing is left
// behind days later. Hundreds of rounds are `npm run soak -- steps`.
import { expect, it } from '@jest/globals';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runStepKills, STEPS } from '../../bench/step-kills.ts';
import { seeded } from '../support/faulty-proxy.ts';
import { createDatabase } from '../support/start-muniment.ts';

it('at each step once: nothing that was answered is lost, nothing is half visible, nothing is left', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'muniment-killed-steps-'));
  try {
    const { answered, broken, halves, killedAt, left, unreached } = await runStepKills({ rounds: STEPS.length, dataDir, databaseUrl: await createDatabase(), random: seeded(20_261_128) });
    expect({ broken, left, unreached }).toEqual({ broken: [], left: [], unreached: 0 });
    expect(Object.values(halves).every((count) => count === 0)).toBe(true);
    expect(Object.keys(killedAt).sort()).toEqual([...STEPS].sort());
    expect(answered).toBeGreaterThan(10);
  } finally { await rm(dataDir, { recursive: true, force: true }); }
}, 300_000);

it('without the hook of the tests a step is a comment', async () => {
  const sources = await Promise.all(['gate/perform.ts', 'content/receive-content.ts', 'content/stores/gathered-writes.ts', 'http/serve-access.ts'].map((path) => readFile(join(import.meta.dirname, '..', '..', 'src', path), 'utf8')));
  const lines = sources.join('\n').split('\n').filter((line) => line.includes('failpoint'));
  expect(lines.map((line) => line.trim()).sort()).toEqual(STEPS.map((step) => `// failpoint: ${step}`).sort());
});
