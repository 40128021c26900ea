// Values of R4's primitive types, at their edges.
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseJson } from '../../src/fhir/json.ts';
import { PRIMITIVES } from '../../src/fhir/primitives.ts';

function isValid(type: string, jsonText: string): boolean {
  const check = PRIMITIVES.get(type);
  if (check === undefined) throw new Error(`${type} is unknown`);
  return check(parseJson(jsonText)) === undefined;
}

const TABLE: [type: string, good: string[], bad: string[]][] = [
  ['boolean', ['true', 'false'], ['"true"', '0', 'null']],
  ['integer', ['0', '-1', '2147483647', '-2147483648'], ['1.0', '1e0', '1.5', '2147483648', '-2147483649', '"1"', '12345678901234567890']],
  ['unsignedInt', ['0', '2147483647'], ['-1', '2147483648', '0.0']],
  ['positiveInt', ['1', '2147483647'], ['0', '-1', '1.0']],
  ['decimal', ['0', '-1.50', '1e2', '0.010', '12345678901234567890.12345'], ['"1.5"', 'true', 'null']],
  ['string', ['" a "', '"a\\nb"', '"\\u00a0"'], ['""', '1', `"${'a'.repeat(1_048_577)}"`]],
  ['code', ['"a"', '"a b"', '"text/plain; charset=utf-8"'], ['" a"', '"a "', '"a  b"', '"a\\n"', '""']],
  ['id', ['"a-1.B"', `"${'a'.repeat(64)}"`], ['"a_b"', '"a/b"', '""', `"${'a'.repeat(65)}"`]],
  ['uri', ['"urn:oid:1.2"', '"http://example.org/ä?x=1#y"', '"a"'], ['"a b"', '"a\\n"', '""']],
  ['oid', ['"urn:oid:1.2.840"', '"urn:oid:0.0"'], ['"1.2.840"', '"urn:oid:3.1"', '"urn:oid:1.02"', '"urn:oid:1"']],
  ['uuid', ['"urn:uuid:c757873d-ec9a-4326-a141-556f43239520"'], ['"c757873d-ec9a-4326-a141-556f43239520"', '"urn:uuid:C757873D-EC9A-4326-A141-556F43239520"', '"urn:uuid:1"']],
  ['date', ['"2024"', '"2024-02"', '"2024-02-29"', '"2000-02-29"', '"1905-08-23"'],
    ['"2023-02-29"', '"1900-02-29"', '"2024-04-31"', '"2024-13"', '"2024-00"', '"2024-01-00"', '"0000"', '"24"', '"2024-1-1"', '"2024-01-01T00:00:00Z"', '"2024-02-29 "', '20240229']],
  ['dateTime', ['"2024"', '"2024-02"', '"2024-02-29"', '"2024-02-29T23:59:60Z"', '"2024-02-29T00:00:00.123456+14:00"', '"2015-02-07T13:28:17-05:00"'],
    ['"2024-02-30"', '"2026-02-30T10:00:00Z"', '"2024-02-29T24:00:00Z"', '"2024-02-29T10:00Z"', '"2024-02-29T10:00:00"', '"2024-02-29T10:00:00+15:00"', '"2024-02-29T10:00:00+01"',
      '"2024-02-29 10:00:00Z"', '"2024-02-29T10:00:00z"', '"2024-02T10:00:00Z"', '"2024-02-29T"']],
  ['instant', ['"2024-02-29T23:59:59Z"', '"2015-02-07T13:28:17.239+02:00"'], ['"2024"', '"2024-02-29"', '"2024-02-29T23:59Z"', '"2024-02-29T23:59:59"', '"2023-02-29T23:59:59Z"']],
  ['time', ['"00:00:00"', '"23:59:59.123"'], ['"24:00:00"', '"10:00"', '"10:00:00Z"', '"1:00:00"']],
  ['base64Binary', ['"QUJD"', '"QUI="', '"QQ=="', '"QUJD REVG"', '"QUJD\\r\\nREVG\\n"', '"Q U\\nJ D"', '" QUI= "', '"+/+/"'],
    ['""', '"QUJ"', '"QUJDR"', '"Q==="', '"===="', '"QUI=QUI="', '"QU=I"', '"QU-_"', '"QUJD!"', '" "', '"QUJDä"', '1']],
];

describe('the primitive types of R4', () => {
  it.each(TABLE.flatMap(([type, good]) => good.map((text): [string, string] => [type, text])))('take as %s %s', (type, text) => {
    expect(isValid(type, text)).toBe(true);
  });

  it.each(TABLE.flatMap(([type, , bad]) => bad.map((text): [string, string] => [type, text.slice(0, 60)])))('refuse as %s %s', (type, text) => {
    const whole = TABLE.find(([name]) => name === type)?.[2].find((bad) => bad.startsWith(text)) ?? text;
    expect(isValid(type, whole)).toBe(false);
  });

  it('take any day and second of the calendar', () => {
    fc.assert(fc.property(fc.date({ min: new Date('0001-01-01T00:00:00Z'), max: new Date('9999-12-31T23:59:59Z'), noInvalidDate: true }), (date) => {
      const text = date.toISOString();
      expect(isValid('instant', `"${text}"`)).toBe(true);
      expect(isValid('date', `"${text.slice(0, 10)}"`)).toBe(true);
    }));
  });

  it('refuse any day that the calendar does not have', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 9999 }), fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 31 }), (year, month, day) => {
      const text = [String(year).padStart(4, '0'), String(month).padStart(2, '0'), String(day).padStart(2, '0')].join('-');
      const exists = new Date(`${text}T00:00:00Z`).toISOString().startsWith(text);
      expect(isValid('date', `"${text}"`)).toBe(exists);
    }));
  });

  it('take as base64 whatever an encoder makes, in one line or many', () => {
    fc.assert(fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), (bytes) => {
      const text = Buffer.from(bytes).toString('base64');
      expect(isValid('base64Binary', `"${text}"`)).toBe(true);
      expect(isValid('base64Binary', JSON.stringify(text.replace(/.{76}/g, '$&\r\n')))).toBe(true);
      expect(isValid('base64Binary', `"${text}A"`)).toBe(false);
    }));
  });

  it('read 32 MB of base64 in lines, and refuse a bad last character', () => {
    const lines = `${'QUJD'.repeat(19)}\n`.repeat(436_000);
    const check = PRIMITIVES.get('base64Binary');
    expect(check?.(lines)).toBeUndefined();
    expect(check?.(`${lines}?`)).toMatchObject({ detail: 'invalid-value' });
  });

  it('end on long hostile text without running out of stack', () => {
    expect(PRIMITIVES.get('code')?.(`${'a '.repeat(500_000)} `)).toMatchObject({ detail: 'invalid-value' });
    expect(PRIMITIVES.get('oid')?.(`urn:oid:1${'.1'.repeat(500_000)}x`)).toMatchObject({ detail: 'invalid-value' });
    expect(PRIMITIVES.get('xhtml')?.(`<div xmlns="http://www.w3.org/1999/xhtml"${' a=""'.repeat(1_000_000)}>`)).toMatchObject({ detail: 'invalid-value' });
    expect(PRIMITIVES.get('xhtml')?.(`<div xmlns="http://www.w3.org/1999/xhtml">${'<!--'.repeat(200_000)}</div>`)).toMatchObject({ detail: 'invalid-value' });
    expect(PRIMITIVES.get('xhtml')?.(`<div${' '.repeat(1_000_000)}x`)).toMatchObject({ detail: 'invalid-value' });
  });
});
