import { expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { createReadiness, type HealthChecks } from '../../src/http/health.ts';
import { moveClock } from '../support/moved-clock.ts';

it('readiness is asked for anew after a second, also when the clock was set back meanwhile', async () => {
  let state: 'up' | 'down' = 'up';
  const check = async (): Promise<{ state: typeof state }> => ({ state });
  const checks: HealthChecks = { database: check, storage: check, audit: check, mirror: check, scanner: check };
  const ready = createReadiness(checks);
  expect((await ready()).status).toBe('up');
  state = 'down';
  expect((await ready()).status).toBe('up');
  const back = moveClock(-3_600_000);
  try {
    await sleep(1_100);
    expect((await ready()).status).toBe('down');
  } finally { back(); }
});
