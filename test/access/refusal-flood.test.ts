// The bound on refused logins: 600 a minute of one address leave a row each; what is more is counted.
import { describe, expect, test } from '@jest/globals';
import { createRefusalFlood, REFUSALS_PER_MINUTE } from '../../src/access/refusal-flood.ts';

const NOW = Date.UTC(2024, 0, 1);

describe('createRefusalFlood', () => {
  test('records 600 refusals of a minute and bounds the next', () => {
    const flood = createRefusalFlood();
    for (let at = 0; at < REFUSALS_PER_MINUTE; at += 1) expect(flood.noteRefusal('192.0.2.1', NOW + at * 100)).toEqual({ state: 'record' });
    expect(flood.noteRefusal('192.0.2.1', NOW + 59_999)).toEqual({ state: 'flood', retryAfterSeconds: 1 });
    expect(flood.noteRefusal('192.0.2.2', NOW + 59_999)).toEqual({ state: 'record' });
  });

  test('says when the address may come again, and then records again', () => {
    const flood = createRefusalFlood(1);
    flood.noteRefusal('192.0.2.1', NOW);
    expect(flood.noteRefusal('192.0.2.1', NOW + 15_000)).toEqual({ state: 'flood', retryAfterSeconds: 45 });
    expect(flood.noteRefusal('192.0.2.1', NOW + 60_000)).toEqual({ state: 'record' });
  });

  test('gives each count once, for each address', () => {
    const flood = createRefusalFlood(1);
    for (const address of ['192.0.2.1', '192.0.2.2', '192.0.2.1', '192.0.2.1', '192.0.2.2']) flood.noteRefusal(address, NOW);
    expect(flood.takeCounts(NOW + 1_000)).toEqual([{ address: '192.0.2.1', count: 2 }, { address: '192.0.2.2', count: 1 }]);
    expect(flood.takeCounts(NOW + 2_000)).toEqual([]);
  });

  test('keeps a count that was not taken when the minute is over', () => {
    const flood = createRefusalFlood(1);
    flood.noteRefusal('192.0.2.1', NOW);
    flood.noteRefusal('192.0.2.1', NOW);
    flood.noteRefusal('192.0.2.1', NOW + 60_000);
    expect(flood.takeCounts(NOW + 60_000)).toEqual([{ address: '192.0.2.1', count: 1 }]);
  });

  test('forgets the oldest of more than 10,000 addresses, never one with a count that waits', () => {
    const flood = createRefusalFlood(1);
    for (const address of ['counted', 'counted', 'oldest']) flood.noteRefusal(address, NOW);
    for (let at = 0; at < 10_000; at += 1) flood.noteRefusal(`address ${at}`, NOW + 1);
    expect(flood.noteRefusal('oldest', NOW + 2)).toEqual({ state: 'record' });
    expect(flood.takeCounts(NOW + 2)).toEqual([{ address: 'counted', count: 1 }]);
  });

  test('does not hold an address in a minute that a clock set back made long', () => {
    const flood = createRefusalFlood(1);
    flood.noteRefusal('192.0.2.1', NOW);
    expect(flood.noteRefusal('192.0.2.1', NOW - 3_600_000)).toEqual({ state: 'record' });
  });
});
