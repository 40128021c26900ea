import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { newUuidV7, uuidV7, uuidV7Ceil, uuidV7Floor, uuidV7Time } from '../../src/fhir/uuid-v7.ts';

const MS = fc.integer({ min: 0, max: 2 ** 48 - 1 });
const RANDOM = fc.uint8Array({ minLength: 10, maxLength: 10 });

describe('UUIDv7', () => {
  test('gives the example of RFC 9562 A.6', () => {
    const random = Buffer.from('0cc318c4dc0c0c07398f', 'hex');
    expect(uuidV7(0x017f22e279b0, random)).toBe('017f22e2-79b0-7cc3-98c4-dc0c0c07398f');
  });

  test('has version 7, the RFC variant and its own time, whatever the random bytes', () => {
    fc.assert(fc.property(MS, RANDOM, (ms, random) => {
      const id = uuidV7(ms, random);
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      expect(uuidV7Time(id)).toBe(ms);
    }));
  });

  test('lies between the bounds of its millisecond, and outside those of its neighbours', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 2 ** 48 - 2 }), RANDOM, (ms, random) => {
      const id = uuidV7(ms, random);
      expect(uuidV7Floor(ms) <= id && id <= uuidV7Ceil(ms)).toBe(true);
      expect(uuidV7Ceil(ms - 1) < id && id < uuidV7Floor(ms + 1)).toBe(true);
    }));
  });

  test('rises within one millisecond and never repeats', () => {
    const ids = Array.from({ length: 100_000 }, () => newUuidV7(1_790_000_000_000));
    expect(ids.every((id, at) => at === 0 || (ids[at - 1] as string) < id)).toBe(true);
    expect(ids.every((id) => uuidV7Time(id) === 1_790_000_000_000)).toBe(true);
  });

  test('keeps the given instant when the clock steps back', () => {
    newUuidV7(2_000);
    expect(uuidV7Time(newUuidV7(1_000))).toBe(1_000);
  });

  test('refuses what is no whole millisecond of 48 bits', () => {
    for (const ms of [-1, 0.5, 2 ** 48, Number.NaN]) expect(() => uuidV7Floor(ms)).toThrow(RangeError);
    expect(() => uuidV7(0, new Uint8Array(9))).toThrow(RangeError);
  });
});
