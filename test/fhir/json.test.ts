// FHIR JSON: strict reading, numbers kept digit by digit, exact printing.
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { isJsonObject, JsonNumber, JsonSyntaxError, parseJson, printJson, type JsonValue } from '../../src/fhir/json.ts';

function faultOf(text: string): JsonSyntaxError {
  try {
    parseJson(text);
  } catch (error) {
    if (error instanceof JsonSyntaxError) return error;
    throw error;
  }
  throw new Error(`${text.slice(0, 80)} was accepted`);
}

describe('parseJson', () => {
  it.each([
    '1.50', '0.010', '1e2', '1E+2', '-0', '1.0', '12345678901234567890', '1e400', '0.10000000000000000001', '100000000000000000000000', '-1.0e-7',
  ])('keeps the digits of %s', (text) => {
    const value = parseJson(text);
    expect(value).toBeInstanceOf(JsonNumber);
    expect(printJson(value)).toBe(text);
    expect(printJson(parseJson(`{"a":[${text},{"b":${text}}]}`))).toBe(`{"a":[${text},{"b":${text}}]}`);
  });

  it.each([['0', 0], ['-1', -1], ['12.5', 12.5], ['999999999999999', 999999999999999], ['1e-7', 1e-7], ['9007199254740993', null]])(
    'reads %s as a plain number only when nothing is lost', (text, expected) => {
      const value = parseJson(text);
      if (expected === null) expect(value).toBeInstanceOf(JsonNumber);
      else expect(value).toBe(expected);
    });

  it.each([
    '', ' ', '{', '[', '{"a"', '{"a":', '{"a":1', '{"a":1,', '{"a":1,}', '[1,]', '[,1]', '[1 2]', '{a:1}', "{'a':1}", '01', '00', '-', '-a', '+1', '.5', '1.', '1.e1',
    '1e', '1e+', '0x1', 'NaN', 'Infinity', 'tru', 'nul', 'True', '1 1', '{} {}', '"', '"\\"', '"\\x41"', '"\\u12"', '"\t"', '"a\nb"', '/* c */ 1', '1 // c',
    '\u00a01', '[1]\u0000', '{"a":1 "b":2}', '{:1}', '{"a"}', '{"a",1}', `"${'x'.repeat(100)}`, `"${'x'.repeat(100)}\n"`,
  ])('refuses %j, as JSON.parse does', (text) => {
    expect(() => JSON.parse(text) as unknown).toThrow();
    expect(faultOf(text).message).toMatch(/, at line \d+, column \d+$/);
  });

  it('names a property that occurs twice in one object, also when written with escapes', () => {
    expect(faultOf('{\n  "status": "current",\n  "status": "superseded"\n}').message)
      .toBe('The property "status" occurs twice in one object, at line 3, column 3');
    expect(faultOf('{"a":1,"\\u0061":2}').message).toContain('"a" occurs twice');
    expect(faultOf('{"a":null,"a":null}').message).toContain('"a" occurs twice');
    expect(parseJson('[{"a":1},{"a":2}]')).toEqual([{ a: 1 }, { a: 2 }]);
  });

  it('takes keys that objects inherit as ordinary keys, and refuses __proto__', () => {
    const value = parseJson('{"toString":1,"constructor":2,"hasOwnProperty":3}');
    expect(Object.entries(value as object)).toEqual([['toString', 1], ['constructor', 2], ['hasOwnProperty', 3]]);
    expect(faultOf('{"toString":1,"toString":2}').message).toContain('occurs twice');
    expect(faultOf('{"__proto__":{"a":1}}').message).toContain('__proto__');
    expect(faultOf('{"\\u005f_proto__":1}').message).toContain('__proto__');
  });

  it('reads 64 levels and refuses the 65th', () => {
    const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);
    expect(printJson(parseJson(nested(64)))).toBe(nested(64));
    expect(faultOf(nested(65)).message).toContain('64 levels');
    expect(faultOf('{"a":'.repeat(100_000)).message).toContain('64 levels');
    expect(() => parseJson('[[1]]', { depthMax: 1 })).toThrow(JsonSyntaxError);
  });

  it('refuses more than 50,000 properties, or arrays and objects, unless the caller allows more', () => {
    const objects = (count: number): string => `[${Array.from({ length: count }, () => '{"a":1}').join(',')}]`;
    expect(parseJson(objects(49_999))).toHaveLength(49_999);
    const wide = `{${Array.from({ length: 50_001 }, (_, index) => `"k${index}":1`).join(',')}}`;
    expect(faultOf(wide).message).toContain('50000 properties');
    expect(parseJson(objects(50_001), { keysMax: 60_000 })).toHaveLength(50_001);
    expect(faultOf('{},'.repeat(50_001).replace(/^/, '[')).message).toContain('50000 arrays and objects');
  });

  it.each(['"\\u0000"', '"\\u0001"', '"a\\u001f"', '"\\b"', '"\\f"', '{"\\u0007":1}'])('refuses the control character in %s', (text) => {
    expect(faultOf(text).message).toContain('control character');
  });

  it.each(['"\\ud800"', '"\\udc00\\ud800"', '"\ud83d"', '"x\udc00"', `"${'x'.repeat(200)}\ud83d"`, '{"\\udead":1}'])('refuses the half surrogate pair in %j', (text) => {
    expect(faultOf(text).message).toContain('surrogate');
  });

  it('keeps tab, line feed, carriage return, escapes and whole surrogate pairs', () => {
    expect(parseJson('"\\t\\n\\r\\/\\\\\\"\\ud83d\\ude00😀"')).toBe('\t\n\r/\\"😀😀');
    expect(parseJson('"\\\\"')).toBe('\\');
    expect(parseJson(`"${'😀'.repeat(100)}"`)).toBe('😀'.repeat(100));
  });

  it('refuses numbers that nobody measures', () => {
    for (const text of ['9'.repeat(400), `0.${'1'.repeat(400)}`, `-${'9'.repeat(101)}`, '1e1000', '1E-00012345']) expect(faultOf(`{"a":\n${text}}`)).toMatchObject({ line: 2, column: 1 });
    expect(parseJson('9'.repeat(100))).toBeInstanceOf(JsonNumber);
  });

  it('refuses a byte order mark, at the start as anywhere', () => {
    expect(faultOf('\ufeff{"a":1}')).toMatchObject({ line: 1, column: 1 });
    expect(faultOf('{\ufeff"a":1}')).toBeInstanceOf(JsonSyntaxError);
    expect(faultOf('\ufeff')).toBeInstanceOf(JsonSyntaxError);
  });

  it('gives line and column of the fault, counted from 1', () => {
    expect(faultOf('{"a":1,\n "b": tru}')).toMatchObject({ line: 2, column: 7 });
    expect(faultOf('[1')).toMatchObject({ line: 1, column: 3 });
  });

  it('never repeats the values of the text in its message', () => {
    expect(faultOf('{"name": "Ada Lovelace \\x"}').message).not.toContain('Ada');
    expect(faultOf(`{"${'k'.repeat(500)}":1,"${'k'.repeat(500)}":1}`).message.length).toBeLessThan(200);
  });

  it('reads a base64 value of 32 MB as one string', () => {
    const data = 'QUJD'.repeat(8 * 1024 * 1024);
    expect((parseJson(`{"resourceType":"Binary","data":"${data}"}`) as { data: string }).data === data).toBe(true);
  });
});

// Strings without what FHIR refuses; keys that are no array indexes, which JavaScript sorts first.
const string = fc.string({ unit: 'binary' }).filter((text) => !/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/.test(text));
const key = string.filter((text) => text !== '__proto__' && !/^\d+$/.test(text));
const numberText = fc.stringMatching(/^-?(0|[1-9][0-9]{0,22})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?$/);
const { value } = fc.letrec<{ value: JsonValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 }, string, fc.integer(), fc.boolean(), fc.constant(null), numberText.map((text) => parseJson(text)),
    fc.array(tie('value'), { maxLength: 5 }), fc.dictionary(key, tie('value'), { maxKeys: 5, noNullPrototype: true }),
  ),
}));

describe('parseJson and printJson', () => {
  it('give back any value that was printed, compact and pretty', () => {
    fc.assert(fc.property(value, (any) => {
      expect(parseJson(printJson(any))).toEqual(any);
      expect(parseJson(printJson(any, { pretty: true }))).toEqual(any);
    }));
  });

  it('give back the text of any number', () => {
    fc.assert(fc.property(numberText, (text) => {
      expect(printJson(parseJson(text))).toBe(text);
      expect(printJson(parseJson(`{"a":${text}}`))).toBe(`{"a":${text}}`);
    }));
  });

  it('agree with JSON.parse on every text that JSON.stringify makes', () => {
    fc.assert(fc.property(fc.jsonValue({ stringUnit: 'binary' }), (any) => {
      const text = JSON.stringify(any);
      fc.pre(!/\\u00[01]|\\[bf]|__proto__/.test(text));
      const read = parseJson(text);
      expect(JSON.stringify(read)).toBe(JSON.stringify(JSON.parse(text)));
      expect(parseJson(JSON.stringify(any, null, 2))).toEqual(read);
    }));
  });

  it('refuse whatever JSON.parse refuses', () => {
    const shuffled = fc.array(fc.constantFrom('{', '}', '[', ']', ',', ':', '"', '"a"', '"b"', '1', '-', '.', 'e', '0', 'true', 'null', ' ', '\n', '\\', '\\u', 'd800', '\t', '\u0001'));
    const cut = fc.tuple(value.map((any) => printJson(any)), fc.nat(), fc.string({ maxLength: 2 }))
      .map(([text, at, more]) => text.slice(0, at % (text.length + 1)) + more + text.slice((at % (text.length + 1)) + 1));
    fc.assert(fc.property(fc.oneof(shuffled.map((parts) => parts.join('')), cut), (text) => {
      let native: unknown;
      try {
        native = JSON.parse(text);
      } catch {
        expect(() => parseJson(text)).toThrow(JsonSyntaxError);
        return;
      }
      try {
        expect(JSON.stringify(parseJson(text))).toBe(JSON.stringify(native));
      } catch (error) {
        if (!(error instanceof JsonSyntaxError)) throw error;
        expect(error.message).toMatch(/occurs twice|control character|surrogate|__proto__|of a number has more than|A number has more than/);
      }
    }), { numRuns: 2000 });
  });
});

describe('printJson', () => {
  it('prints numbers verbatim inside pretty text exactly as JSON.stringify would lay it out', () => {
    const plain = { a: 1, b: [1, { c: [] }], d: {}, e: [[2]], f: 'x"y' };
    const exact = { ...plain, g: new JsonNumber('1.50') };
    expect(printJson(exact, { pretty: true })).toBe(JSON.stringify({ ...plain, g: '#' }, null, 2).replace('"#"', '1.50'));
    expect(printJson(plain, { pretty: true })).toBe(JSON.stringify(plain, null, 2));
  });

  it('keeps the order of the keys', () => {
    expect(printJson(parseJson('{"z":1,"a":{"y":2,"b":3.0}}'))).toBe('{"z":1,"a":{"y":2,"b":3.0}}');
  });
});

describe('JsonNumber', () => {
  it.each(['', 'abc', '1,5', '01', '1.', '{}'])('refuses the text %j', (text) => {
    expect(() => new JsonNumber(text)).toThrow(TypeError);
  });
});

describe('isJsonObject', () => {
  it('tells objects from arrays, null, numbers and text', () => {
    expect([{}, { a: 1 }].every(isJsonObject)).toBe(true);
    expect([[], null, 1, 'a', true, undefined, new JsonNumber('1.0')].some(isJsonObject)).toBe(false);
  });
});
