import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseByteRange } from '../../src/fhir/byte-range.ts';

describe('parseByteRange', () => {
  it.each([
    [undefined, 10, { kind: 'whole' }],
    ['bytes=0-4', 10, { kind: 'part', start: 0, length: 5 }],
    ['bytes=0-0', 10, { kind: 'part', start: 0, length: 1 }],
    ['bytes=9-9', 10, { kind: 'part', start: 9, length: 1 }],
    ['bytes=5-', 10, { kind: 'part', start: 5, length: 5 }],
    ['bytes=5-99', 10, { kind: 'part', start: 5, length: 5 }],
    ['bytes=-3', 10, { kind: 'part', start: 7, length: 3 }],
    ['bytes=-99', 10, { kind: 'part', start: 0, length: 10 }],
    ['Bytes=0-4', 10, { kind: 'part', start: 0, length: 5 }],
    ['bytes=0-9999999999999999', 10, { kind: 'part', start: 0, length: 10 }],
    [`bytes=5-${'9'.repeat(400)}`, 10, { kind: 'part', start: 5, length: 5 }],
    [`bytes=-${'9'.repeat(40)}`, 10, { kind: 'part', start: 0, length: 10 }],
    [`bytes=${'9'.repeat(40)}-`, 10, { kind: 'unsatisfiable' }],
    // A list of one; its empty members do not count.
    ['bytes=,0-4 , ', 10, { kind: 'part', start: 0, length: 5 }],
    ['bytes=10-', 10, { kind: 'unsatisfiable' }],
    ['bytes=10-20', 10, { kind: 'unsatisfiable' }],
    ['bytes=-0', 10, { kind: 'unsatisfiable' }],
    ['bytes=0-', 0, { kind: 'unsatisfiable' }],
    ['bytes=-1', 0, { kind: 'unsatisfiable' }],
    // Syntax that names no range is passed over (RFC 9110 14.2).
    ['bytes=4-2', 10, { kind: 'whole' }],
    ['bytes=', 10, { kind: 'whole' }],
    ['bytes=-', 10, { kind: 'whole' }],
    ['bytes=a-b', 10, { kind: 'whole' }],
    ['bytes=0-1,3-4', 10, { kind: 'whole' }],
    ['bytes 0-4', 10, { kind: 'whole' }],
    ['lines=0-4', 10, { kind: 'whole' }],
    ['bytes=0-4-5', 10, { kind: 'whole' }],
    ['bytes=--1', 10, { kind: 'whole' }],
    ['bytes=0x1-2', 10, { kind: 'whole' }],
    [`bytes=${'9'.repeat(41)}-${'9'.repeat(40)}`, 10, { kind: 'whole' }],
    ['bytes=0-1,99-', 10, { kind: 'whole' }],
  ])('%s of %d bytes', (header, size, expected) => {
    expect(parseByteRange(header, size)).toEqual(expected);
  });

  it('selects the bytes that RFC 9110 says, one by one', () => {
    const position = fc.option(fc.integer({ min: 0, max: 40 }), { nil: undefined });
    fc.assert(fc.property(fc.integer({ min: 0, max: 30 }), position, position, (size, first, last) => {
      const result = parseByteRange(`bytes=${first ?? ''}-${last ?? ''}`, size);
      const bytes = Array.from({ length: size }, (_byte, index) => index);
      const valid = !(first === undefined && last === undefined) && !(first !== undefined && last !== undefined && last < first);
      if (!valid) { expect(result).toEqual({ kind: 'whole' }); return; }
      const wanted = bytes.filter((index) => (first === undefined ? index >= size - (last as number) : index >= first && (last === undefined || index <= last)));
      if (wanted.length === 0) { expect(result).toEqual({ kind: 'unsatisfiable' }); return; }
      expect(result).toEqual({ kind: 'part', start: wanted[0], length: wanted.length });
    }), { numRuns: 2_000 });
  });

  it('never leaves the bytes, whatever the header', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.stringMatching(/^bytes=\d{0,17}-\d{0,17}$/)), fc.integer({ min: 0, max: 2 ** 40 }), (header, size) => {
      const range = parseByteRange(header, size);
      if (range.kind !== 'part') return;
      expect(range.start).toBeGreaterThanOrEqual(0);
      expect(range.length).toBeGreaterThan(0);
      expect(range.start + range.length).toBeLessThanOrEqual(size);
    }));
  });
});
