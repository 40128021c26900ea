import { describe, expect, it } from '@jest/globals';
import { createMetrics } from '../../src/metrics.ts';

describe('gauges that one reading gives', () => {
  it('are read once for each answer, however many they are', async () => {
    const metrics = createMetrics();
    let readings = 0;
    metrics.gauges({ a: 'First', b: 'Second', c: 'Third' }, async () => {
      readings += 1;
      return { a: readings, b: 10 * readings, c: 100 * readings };
    });
    expect(await metrics.registry.metrics()).toMatch(/muniment_a 1\n[^]*muniment_b 10\n[^]*muniment_c 100\n?/);
    expect(await metrics.registry.metrics()).toMatch(/muniment_a 2\n[^]*muniment_b 20\n[^]*muniment_c 200\n?/);
    expect(readings).toBe(2);
  });

  it('are not a number while the reading fails, and the other figures stay', async () => {
    const metrics = createMetrics();
    metrics.gauges({ waiting: 'What waits' }, () => Promise.reject(new Error('the database is gone')));
    metrics.answered('GET', 200, 0.01);
    const text = await metrics.registry.metrics();
    expect(text).toMatch(/muniment_waiting (?:Nan|NaN)\n?/);
    expect(text).toContain('muniment_requests_total{method="GET",status="200"} 1');
  });

  it('count deliveries to HAPI by their outcome', async () => {
    const metrics = createMetrics();
    metrics.delivered('delivered', 0.2);
    metrics.delivered('again', 3);
    const text = await metrics.registry.metrics();
    expect(text).toContain('muniment_mirror_deliveries_total{outcome="delivered"} 1');
    expect(text).toContain('muniment_mirror_delivery_seconds_bucket{le="5",outcome="again"} 1');
  });
});
