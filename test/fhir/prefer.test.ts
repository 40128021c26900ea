import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { preference } from '../../src/fhir/prefer.ts';

describe('a preference', () => {
  it.each([
    ['handling=strict', 'strict'], ['return=minimal, handling=strict', 'strict'], ['handling="strict"', 'strict'], ['HANDLING=strict', 'strict'], ['handling = strict ; x=y', 'strict'],
    ['handling=lenient, handling=strict', 'lenient'], ['respond-async, wait=100', undefined], ['x-handling=strict', undefined], ['handling', ''], ['', undefined], [undefined, undefined],
    ['return=representation;handling=strict', undefined],
  ])('of %p is %p', (header, expected) => {
    expect(preference(header, 'handling')).toBe(expected);
  });

  it('of any header is found in time that grows with its length alone', () => {
    fc.assert(fc.property(fc.string({ maxLength: 2_000 }), (text) => { preference(text, 'handling'); }));
    const start = performance.now();
    preference(`${' '.repeat(30_000)}=`, 'handling');
    preference('a'.repeat(30_000), 'handling');
    expect(performance.now() - start).toBeLessThan(500);
  });
});
