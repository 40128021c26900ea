import { describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { bytesTag, matchesVersion, parseTags, versionTag } from '../../src/fhir/etag.ts';

const SHA256 = createHash('sha256').update('x').digest();

describe('entity tags', () => {
  it('of a version are weak, of bytes strong', () => {
    expect(versionTag(3)).toBe('W/"3"');
    expect(bytesTag(3, SHA256)).toBe(`"3.${SHA256.toString('hex')}"`);
  });

  it.each([
    ['W/"1"', ['1']],
    ['"1"', ['1']],
    ['1', ['1']],
    ['W/"1", W/"2" ,"3"', ['1', '2', '3']],
    ['*', ['*']],
    ['', []],
    [' , ', []],
  ])('%j holds %j', (header, expected) => {
    expect(parseTags(header)).toEqual(expected);
  });

  it('match the version that they were printed for, and no other', () => {
    const version = fc.integer({ min: 1, max: 2_147_483_647 });
    fc.assert(fc.property(version, version, (one, other) => {
      for (const tag of [versionTag(one), bytesTag(one, SHA256), `"${one}"`, String(one)]) expect(matchesVersion(tag, other)).toBe(one === other);
      expect(matchesVersion(`${versionTag(one)}, ${versionTag(other)}`, other)).toBe(true);
      expect(matchesVersion('*', other)).toBe(true);
    }));
  });

  it.each(['W/"01"', '"1x"', 'W/""', '""', 'W/"-1"', '"1 "', 'W/"1e0"'])('%s does not match version 1', (header) => {
    expect(matchesVersion(header, 1)).toBe(false);
  });
});
