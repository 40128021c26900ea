// A few rounds of the faults of the mirror, from a seed; `npm run soak -- mirror` has a hundred. HAPI with partitions, whose base
// stands in TEST_PARTITIONED_HAPI_URL.
import { describe, expect, it, jest } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runMirrorRounds } from '../../bench/mirror-rounds.ts';
import { seeded } from '../support/faulty-proxy.ts';

const HAPI = process.env['TEST_PARTITIONED_HAPI_URL'];
if (HAPI === undefined) console.log('Left out: rounds of faults of the mirror (TEST_PARTITIONED_HAPI_URL is not set)');

jest.setTimeout(300_000);

(HAPI === undefined ? describe.skip : describe)('workers of two servers, PostgreSQL and the way to HAPI, killed and broken while the same resources are written', () => {
  it('leave HAPI with the same, in our order', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'muniment-rounds-'));
    try {
      const report = await runMirrorRounds({ rounds: 5, dataDir, random: seeded(8), tell: () => {} });
      expect(report).toMatchObject({ rounds: 5, broken: [] });
      expect(report.versions).toBeGreaterThan(50);
    } finally {
      await rm(dataDir, { recursive: true, force: true });
    }
  });
});
