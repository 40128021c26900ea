// What of one shard goes together. Pure.
import { describe, expect, it } from '@jest/globals';
import type { LeasedVersion } from '../../src/mirror/claim.ts';
import { parcelsOf } from '../../src/mirror/parcels.ts';

function leased(id: string, more: Partial<LeasedVersion> = {}): LeasedVersion {
  return {
    org: 1, orgName: 'demo', type: 'DocumentReference', id, version: 1, deleted: false, purged: false, text: '{}', content: null, event: `e-${id}`, eventText: '{}', photo: null, lastOfWrite: true, waitsFor: [],
    publishedAt: new Date(0), seq: '1', shard: 0, lease: 'l', leaseUntil: 0, attempts: 0, refusals: 0, hapiVersion: null, ...more,
  };
}

const named = (all: LeasedVersion[]): string[][] => parcelsOf(all).map((parcel) => parcel.map(({ id }) => id));

describe('the parcels of a shard', () => {
  it('are one for all that was not tried yet, before what goes alone', () => {
    expect(named([leased('gone', { deleted: true, text: null }), leased('a'), leased('again', { attempts: 1 }), leased('b'), leased('photo', { photo: 'null' }), leased('lost', { text: null }), leased('eventless', { eventText: null })]))
      .toEqual([['a', 'b'], ['gone'], ['again'], ['photo'], ['lost'], ['eventless']]);
  });

  it('take along what waits for something in them, and leave out what waits for anything else, and whatever waits for that', () => {
    expect(named([
      leased('a'), leased('b', { waitsFor: ['DocumentReference/a'] }), leased('c', { waitsFor: ['DocumentReference/a', 'Binary/elsewhere'] }), leased('d', { waitsFor: ['DocumentReference/c'] }),
    ])).toEqual([['a', 'b'], ['c'], ['d']]);
  });

  it('are single ones where only one could go', () => {
    expect(named([leased('a'), leased('b', { attempts: 2 })])).toEqual([['a'], ['b']]);
  });

  it('leave what is long to go alone', () => {
    const long = 'x'.repeat(1_500_000);
    expect(named([leased('a'), leased('b', { text: long }), leased('c', { text: long }), leased('d')])).toEqual([['a', 'b', 'd'], ['c']]);
  });
});
