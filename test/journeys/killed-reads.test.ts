// kill -9 in the middle of reads: of each answer that began to come the event is there. Hundreds of rounds are `npm run soak -- reads`.
import { expect, it } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runReadKills } from '../../bench/read-kills.ts';
import { seeded } from '../support/faulty-proxy.ts';

it('no read that was answered is without its event after three kills among sixteen readers', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'muniment-killed-reads-'));
  try {
    const { answered, lost, strange } = await runReadKills({ rounds: 3, readersAtOnce: 16, dataDir, random: seeded(20_260_706) });
    expect({ lost, strange }).toEqual({ lost: [], strange: 0 });
    expect(Object.keys(answered).sort()).toEqual(['200', '206', '304', '400', '404', '410']);
    expect(Object.values(answered).reduce((sum, one) => sum + one, 0)).toBeGreaterThan(50);
  } finally { await rm(dataDir, { recursive: true, force: true }); }
}, 180_000);
