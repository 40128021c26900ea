import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseDateRange, periodRange, printInstant } from '../../src/fhir/instant.ts';

const at = (text: string): number => Date.parse(text);

describe('parseDateRange', () => {
  it.each([
    ['2024', '2024-01-01T00:00:00.000Z', '2025-01-01T00:00:00.000Z'],
    ['2024-02', '2024-02-01T00:00:00.000Z', '2024-03-01T00:00:00.000Z'],
    ['2024-12', '2024-12-01T00:00:00.000Z', '2025-01-01T00:00:00.000Z'],
    ['2024-02-29', '2024-02-29T00:00:00.000Z', '2024-03-01T00:00:00.000Z'],
    ['2024-05-06T07:08', '2024-05-06T07:08:00.000Z', '2024-05-06T07:09:00.000Z'],
    ['2024-05-06T07:08Z', '2024-05-06T07:08:00.000Z', '2024-05-06T07:09:00.000Z'],
    ['2024-05-06T07:08:09Z', '2024-05-06T07:08:09.000Z', '2024-05-06T07:08:10.000Z'],
    ['2024-05-06T07:08:09.1Z', '2024-05-06T07:08:09.100Z', '2024-05-06T07:08:09.200Z'],
    ['2024-05-06T07:08:09.123Z', '2024-05-06T07:08:09.123Z', '2024-05-06T07:08:09.124Z'],
    ['2024-05-06T07:08:09.123456789Z', '2024-05-06T07:08:09.123Z', '2024-05-06T07:08:09.124Z'],
    ['2024-05-06T07:08:09+02:00', '2024-05-06T05:08:09.000Z', '2024-05-06T05:08:10.000Z'],
    ['2024-05-06T23:30:00-05:30', '2024-05-07T05:00:00.000Z', '2024-05-07T05:00:01.000Z'],
    ['2024-05-06T12:00:00+14:00', '2024-05-05T22:00:00.000Z', '2024-05-05T22:00:01.000Z'],
    ['2016-12-31T23:59:60Z', '2017-01-01T00:00:00.000Z', '2017-01-01T00:00:01.000Z'],
    ['0050-06', '0050-06-01T00:00:00.000Z', '0050-07-01T00:00:00.000Z'],
  ])('%s covers %s to %s', (text, lo, hi) => {
    expect(parseDateRange(text)).toEqual({ lo: at(lo), hi: at(hi) });
  });

  it.each(['', '24', '0000', '2024-13', '2024-00', '2024-02-30', '2023-02-29', '2024-1-1', '2024-05-06T', '2024-05-06T24:00:00Z', '2024-05-06T07:60:00Z', '2024-05-06T07:08:61Z', '2024-05-06T07:08:09.Z',
    '2024-05-06T07:08:09+14:01', '2024-05-06T07:08:09+99:00', '2024-05-06T07:08:09+02:60', '2024-05-06 07:08:09Z', '2024-05-06T07Z', '-2024', '+2024', '12024', 'today', '2024-05-06T07:08:09z', '２０２４'])('%j is no date', (text) => {
    expect(parseDateRange(text)).toBeUndefined();
  });

  it('is open where it leaves the years that FHIR has, so that every bound can be printed as an instant', () => {
    expect(parseDateRange('9999')).toEqual({ lo: at('9999-01-01T00:00:00.000Z'), hi: Infinity });
    expect(parseDateRange('9999-12-31')).toEqual({ lo: at('9999-12-31T00:00:00.000Z'), hi: Infinity });
    expect(parseDateRange('9999-12-31T23:59:59-12:00')?.hi).toBe(Infinity);
    expect(parseDateRange('0001-01-01T00:00:00+14:00')?.lo).toBe(-Infinity);
    const edge = fc.tuple(fc.constantFrom('0001-01-01', '0001-01', '0001', '9999-12-31', '9999'), fc.constantFrom('', 'T00:00:00Z', 'T00:00+14:00', 'T23:59:59.999-14:00', 'T23:59:60Z'));
    fc.assert(fc.property(edge, ([day, time]) => {
      const range = parseDateRange(day.length === 10 ? day + time : day);
      for (const bound of [range?.lo, range?.hi]) if (Number.isFinite(bound)) expect(printInstant(bound as number)).toMatch(/^\d{4}-/);
    }));
  });

  const instant = fc.date({ min: new Date(at('0001-01-01T00:00:00Z')), max: new Date(at('9999-12-30T00:00:00Z')), noInvalidDate: true });

  it('reads back what it prints, with one millisecond of width', () => {
    fc.assert(fc.property(instant, (date) => {
      expect(parseDateRange(printInstant(date.getTime()))).toEqual({ lo: date.getTime(), hi: date.getTime() + 1 });
    }));
  });

  it('agrees with Date where the precision is full, in every zone', () => {
    const zone = fc.tuple(fc.constantFrom('+', '-'), fc.integer({ min: 0, max: 13 }), fc.integer({ min: 0, max: 59 })).map(([sign, hours, minutes]) => `${sign}${String(hours).padStart(2, '0')}:${String(minutes).padStart(2, '0')}`);
    fc.assert(fc.property(fc.date({ min: new Date(at('0002-01-01T00:00:00Z')), max: new Date(at('9998-01-01T00:00:00Z')), noInvalidDate: true }), zone, (date, offset) => {
      const text = date.toISOString().replace('Z', offset);
      expect(parseDateRange(text)?.lo).toBe(Date.parse(text));
    }));
  });

  it('a shorter precision covers every longer one of the same text', () => {
    fc.assert(fc.property(instant, (date) => {
      const text = date.toISOString();
      const exact = parseDateRange(text);
      for (const shorter of [text.slice(0, 4), text.slice(0, 7), text.slice(0, 10), `${text.slice(0, 16)}Z`, `${text.slice(0, 19)}Z`]) {
        const range = parseDateRange(shorter);
        expect(range?.lo).toBeLessThanOrEqual(exact?.lo as number);
        expect(range?.hi).toBeGreaterThanOrEqual(exact?.hi as number);
      }
    }));
  });

  it('answers undefined or a range that is not empty, whatever the text', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.stringMatching(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}[Z+-]?[\d:]{0,5}$/)), (text) => {
      const range = parseDateRange(text);
      if (range !== undefined) expect(range.hi).toBeGreaterThan(range.lo);
    }));
  });
});

describe('periodRange', () => {
  it('is open where an end is missing', () => {
    expect(periodRange('2024-01-01', undefined)).toEqual({ lo: at('2024-01-01'), hi: Infinity });
    expect(periodRange(undefined, '2024-01-01')).toEqual({ lo: -Infinity, hi: at('2024-01-02') });
  });

  it('is none when an end is no date', () => {
    expect(periodRange('2024-01-01', 'later')).toBeUndefined();
    expect(periodRange('soon', undefined)).toBeUndefined();
  });
});
