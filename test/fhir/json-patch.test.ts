import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FhirError } from '../../src/fhir/fhir-error.ts';
import { applyJsonPatch, isSameJson, readJsonPatch } from '../../src/fhir/json-patch.ts';
import { parseJson, printJson, type JsonObject } from '../../src/fhir/json.ts';

function patched(document: string, patch: string): string {
  return printJson(applyJsonPatch(parseJson(document) as JsonObject, readJsonPatch(parseJson(patch))));
}

function refusal(document: string, patch: string): [number, string] {
  try {
    patched(document, patch);
  } catch (error) {
    if (error instanceof FhirError) return [error.status, error.message];
    throw error;
  }
  throw new Error('It applied');
}

describe('the operations of RFC 6902', () => {
  it.each([
    ['adds a member', '{"a":1}', '[{"op":"add","path":"/b","value":[1]}]', '{"a":1,"b":[1]}'],
    ['replaces a member that add finds', '{"a":1,"b":2}', '[{"op":"add","path":"/a","value":3}]', '{"a":3,"b":2}'],
    ['adds into a list', '{"a":[1,3]}', '[{"op":"add","path":"/a/1","value":2}]', '{"a":[1,2,3]}'],
    ['adds at the end by index and by -', '{"a":[1]}', '[{"op":"add","path":"/a/1","value":2},{"op":"add","path":"/a/-","value":3}]', '{"a":[1,2,3]}'],
    ['removes', '{"a":[1,2,3],"b":1}', '[{"op":"remove","path":"/a/1"},{"op":"remove","path":"/b"}]', '{"a":[1,3]}'],
    ['replaces in place', '{"a":1,"b":2}', '[{"op":"replace","path":"/a","value":null}]', '{"a":null,"b":2}'],
    ['moves', '{"a":[1,2,3]}', '[{"op":"move","from":"/a/0","path":"/a/2"}]', '{"a":[2,3,1]}'],
    ['moves a value to where it is', '{"a":1}', '[{"op":"move","from":"/a","path":"/a"}]', '{"a":1}'],
    ['copies without sharing', '{"a":{"x":1}}', '[{"op":"copy","from":"/a","path":"/b"},{"op":"add","path":"/b/y","value":2}]', '{"a":{"x":1},"b":{"x":1,"y":2}}'],
    ['tests whatever the order of members and the way a number is written', '{"a":{"x":1.50,"y":[2e2]}}', '[{"op":"test","path":"/a","value":{"y":[200],"x":1.5}}]', '{"a":{"x":1.50,"y":[2e2]}}'],
    ['reads ~1 and ~0, in that order', '{"a/b":1,"c~1d":2,"":3}', '[{"op":"remove","path":"/a~1b"},{"op":"replace","path":"/c~01d","value":4},{"op":"remove","path":"/"}]', '{"c~1d":4}'],
    ['replaces the whole document', '{"a":1}', '[{"op":"replace","path":"","value":{"b":2}}]', '{"b":2}'],
    ['ignores members it does not know', '{"a":1}', '[{"op":"remove","path":"/a","comment":"x"}]', '{}'],
  ])('%s', (_what, document, patch, result) => {
    expect(patched(document, patch)).toBe(result);
  });

  it('keeps the digits and the order of what it does not touch, and of what it brings', () => {
    expect(patched('{"z":1.50,"a":12345678901234567890,"_x":{"y":-0.0}}', '[{"op":"add","path":"/b","value":0.10}]'))
      .toBe('{"z":1.50,"a":12345678901234567890,"_x":{"y":-0.0},"b":0.10}');
  });

  it('leaves the document as it was, also when a later operation fails', () => {
    const document = parseJson('{"a":[1,{"b":2}]}') as JsonObject;
    expect(() => applyJsonPatch(document, readJsonPatch(parseJson('[{"op":"remove","path":"/a/1/b"},{"op":"remove","path":"/x"}]')))).toThrow(FhirError);
    expect(printJson(document)).toBe('{"a":[1,{"b":2}]}');
  });
});

describe('what does not apply is 422', () => {
  it.each([
    ['{"a":1}', '[{"op":"test","path":"/a","value":2}]'],
    ['{"a":1}', '[{"op":"test","path":"/a","value":"1"}]'],
    ['{"a":1}', '[{"op":"test","path":"/b","value":null}]'],
    ['{"a":1}', '[{"op":"remove","path":"/b"}]'],
    ['{"a":1}', '[{"op":"replace","path":"/b","value":1}]'],
    ['{"a":1}', '[{"op":"add","path":"/b/c","value":1}]'],
    ['{"a":1}', '[{"op":"add","path":"/a/c","value":1}]'],
    ['{"a":[]}', '[{"op":"add","path":"/a/1","value":1}]'],
    ['{"a":[1]}', '[{"op":"remove","path":"/a/-"}]'],
    ['{"a":[1]}', '[{"op":"replace","path":"/a/00","value":1}]'],
    ['{"a":[1]}', '[{"op":"replace","path":"/a/length","value":1}]'],
    ['{"a":{}}', '[{"op":"move","from":"/a","path":"/a/b"}]'],
    ['{"a":{}}', '[{"op":"replace","path":"/toString","value":1}]'],
    ['{"a":{}}', '[{"op":"add","path":"/a/__proto__","value":{"x":1}}]'],
    ['{"a":{}}', '[{"op":"add","path":"/__proto__/x","value":1}]'],
    ['{"a":1}', '[{"op":"remove","path":""}]'],
  ])('%s with %s', (document, patch) => {
    expect(refusal(document, patch)[0]).toBe(422);
  });

  it('a list that is copied into itself again and again ends at a bound, at once', () => {
    const operations = Array.from({ length: 60 }, () => '{"op":"copy","from":"/a","path":"/a/-"}').join(',');
    const start = performance.now();
    expect(refusal('{"a":[1]}', `[${operations}]`)).toEqual([422, expect.stringMatching(/carries too much|levels deep/)]);
    expect(performance.now() - start).toBeLessThan(5_000);
  });
});

describe('what is no patch is 400', () => {
  it.each(['{}', '"x"', '[1]', '[{}]', '[{"op":"spam","path":"/a"}]', '[{"op":"add","path":"a","value":1}]', '[{"op":"add","path":"/a"}]',
    '[{"op":"remove","path":"/a~2"}]', '[{"op":"move","path":"/a"}]', '[{"op":"test","path":"/a"}]', '[{"op":"remove"}]'])('%s', (patch) => {
    expect(refusal('{"a":1}', patch)[0]).toBe(400);
  });
});

describe('equality', () => {
  it('is that of values: a decimal equals itself however many zeros are written', () => {
    fc.assert(fc.property(fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }), fc.nat(40), fc.nat(5), (digits, scale, zeros) => {
      const plain = parseJson(`${digits}e-${scale}`);
      const padded = parseJson(`${digits}${digits === 0n ? '' : '0'.repeat(zeros)}e-${scale + zeros}`);
      const next = parseJson(`${digits + 1n}e-${scale}`);
      return isSameJson(plain, padded) && !isSameJson(plain, next);
    }));
  });
});
