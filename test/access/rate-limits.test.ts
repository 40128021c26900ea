// Token buckets of organisations, clients and users.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Principal } from '../../src/access/principal.ts';
import { createRateLimiter, type Rate, type RateLimits } from '../../src/access/rate-limits.ts';
import { readRate } from '../../src/config/rates.ts';

const rate = (changes: Partial<Rate>): Rate => ({ requests: Infinity, bytes: Infinity, search: Infinity, ...changes });
const only = (limits: Partial<RateLimits>): RateLimits => ({ org: undefined, client: undefined, user: undefined, ...limits });

function principal(changes: Partial<Principal> = {}): Principal {
  return { issuer: 'https://issuer.example', subject: 'ann', clientId: 'app', org: 'demo', roles: [], scopes: [], expiresAt: 0, ...changes };
}

describe('requests', () => {
  test('past ten seconds\' worth are refused until the bucket has one again', () => {
    const limiter = createRateLimiter(only({ user: rate({ requests: 2 }) }));
    const ann = principal();
    for (let at = 0; at < 20; at += 1) expect(limiter.admit(ann, 0)).toBeUndefined();
    expect(limiter.admit(ann, 0)).toEqual({ scope: 'user', what: 'requests', retryAfterSeconds: 1 });
    expect(limiter.admit(ann, 499)).toBeDefined();
    expect(limiter.admit(ann, 500)).toBeUndefined();
    expect(limiter.admit(ann, 500)).toBeDefined();
  });

  test('are counted for a user over all of his tokens and clients, and for nobody else', () => {
    const limiter = createRateLimiter(only({ user: rate({ requests: 0.1 }) }));
    expect(limiter.admit(principal(), 0)).toBeUndefined();
    expect(limiter.admit(principal({ clientId: 'another-app' }), 0)).toMatchObject({ scope: 'user' });
    for (const other of [principal({ subject: 'ben' }), principal({ org: 'north' }), principal({ issuer: 'https://other.example' })]) expect(limiter.admit(other, 0)).toBeUndefined();
  });

  test('of a client without a user are bounded as the client\'s', () => {
    const limiter = createRateLimiter(only({ user: rate({ requests: 0.1 }), client: rate({ requests: 0.2 }) }));
    const system = principal({ subject: 'app' });
    expect([limiter.admit(system, 0), limiter.admit(system, 0)]).toEqual([undefined, undefined]);
    expect(limiter.admit(system, 0)).toMatchObject({ scope: 'client' });
  });

  test('that are refused for one bucket take nothing of another', () => {
    const limiter = createRateLimiter(only({ org: rate({ requests: 1 }), user: rate({ requests: 0.1 }) }));
    limiter.admit(principal(), 0);
    for (let at = 0; at < 100; at += 1) expect(limiter.admit(principal(), 0)).toMatchObject({ scope: 'user' });
    expect(limiter.admit(principal({ subject: 'ben' }), 0)).toBeUndefined();
  });
});

describe('what is known afterwards', () => {
  test.each([['bytes', { requests: 0, bytes: 150, search: 0 }], ['search', { requests: 0, bytes: 0, search: 150 }]] as const)('%s in debt let nobody in until they are paid', (what, cost) => {
    const limiter = createRateLimiter(only({ org: rate({ [what]: 10 }) }));
    const ann = principal();
    expect(limiter.admit(ann, 0)).toBeUndefined();
    limiter.charge(ann, cost);
    expect(limiter.admit(ann, 0)).toEqual({ scope: 'org', what, retryAfterSeconds: 6 });
    expect(limiter.admit(principal({ subject: 'ben' }), 4_999)).toMatchObject({ what });
    expect(limiter.admit(ann, 5_001)).toBeUndefined();
  });

  test('entries of a Bundle are requests', () => {
    const limiter = createRateLimiter(only({ client: rate({ requests: 1 }) }));
    limiter.admit(principal(), 0);
    limiter.charge(principal(), { requests: 100, bytes: 0, search: 0 });
    const ann = principal();
    limiter.admit(ann, 0);
    limiter.charge(ann, { requests: 100, bytes: 0, search: 0 });
    expect(limiter.admit(ann, 0)).toMatchObject({ what: 'requests', retryAfterSeconds: 93 });
  });
});

describe('buckets', () => {
  test('never let through more than the burst and the rate', () => {
    fc.assert(fc.property(fc.array(fc.integer({ min: 0, max: 3_000 }), { maxLength: 200 }), (waits) => {
      const limiter = createRateLimiter(only({ user: rate({ requests: 1 }) }));
      let clock = 0;
      let admitted = 0;
      for (const wait of waits) {
        clock += wait;
        if (limiter.admit(principal(), clock) === undefined) admitted += 1;
      }
      expect(admitted).toBeLessThanOrEqual(10 + clock / 1_000 + 1e-6);
    }));
  });

  test('are bounded in number: what is full is dropped, and no debt with it while there is room', () => {
    const limiter = createRateLimiter(only({ user: rate({ requests: 1 }) }), 10);
    const debtor = principal({ subject: 'debtor' });
    limiter.admit(debtor, 0);
    limiter.charge(debtor, { requests: 1_000, bytes: 0, search: 0 });
    for (let at = 0; at < 100; at += 1) limiter.admit(principal({ subject: `idle-${at}` }), at * 2_000);
    expect(limiter.admit(principal({ subject: 'debtor' }), 200_000)).toBeDefined();
  });

  test('fill nothing when the clock was set back', () => {
    const limiter = createRateLimiter(only({ user: rate({ requests: 0.1 }) }));
    limiter.admit(principal(), 100_000);
    expect(limiter.admit(principal(), 0)).toBeDefined();
    expect(limiter.admit(principal(), 9_000)).toBeDefined();
    expect(limiter.admit(principal(), 10_000)).toBeUndefined();
  });

  test('without limits let everybody in', () => {
    const limiter = createRateLimiter(only({}));
    for (let at = 0; at < 1_000; at += 1) expect(limiter.admit(principal(), 0)).toBeUndefined();
  });
});

describe('RATE_*', () => {
  test.each([
    ['requests=5', { requests: 5, bytes: Infinity, search: Infinity }],
    [' requests = 5 ,bytes=2MiB, search=100', { requests: 5, bytes: 2_097_152, search: 100 }],
    ['off', undefined],
  ])('%j is %j', (text, expected) => {
    expect(readRate(text, () => { throw new Error('refused'); })).toEqual(expected);
  });

  test.each(['', 'requests', 'requests=0', 'requests=-1', 'requests=5MiB', 'search=1KiB', 'calls=5', 'requests=5;bytes=1', 'requests=1e3'])('%j is refused', (text) => {
    let problems = 0;
    readRate(text, () => { problems += 1; });
    expect(problems).toBe(1);
  });
});
