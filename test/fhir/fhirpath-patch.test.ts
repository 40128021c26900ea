import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FhirError } from '../../src/fhir/fhir-error.ts';
import { applyFhirPathPatch, readFhirPathPatch } from '../../src/fhir/fhirpath-patch.ts';
import { parseJson, printJson, type JsonObject } from '../../src/fhir/json.ts';

type Part = Record<string, unknown>;

/** The parameter of one operation; `more` are further parts by name. */
function operation(type: string, path: string, more: Record<string, Part> = {}): Part {
  const parts = Object.entries(more).map(([name, part]) => ({ name, ...part }));
  return { name: 'operation', part: [{ name: 'type', valueCode: type }, { name: 'path', valueString: path }, ...parts] };
}

function patched(resource: string, ...operations: Part[]): string {
  const target = parseJson(resource) as JsonObject;
  applyFhirPathPatch(target, readFhirPathPatch(parseJson(JSON.stringify({ resourceType: 'Parameters', parameter: operations })) as JsonObject));
  return printJson(target);
}

function status(resource: string, ...operations: Part[]): number {
  try {
    patched(resource, ...operations);
  } catch (error) {
    if (error instanceof FhirError) return error.status;
    throw error;
  }
  return 200;
}

const document = (members: string): string => `{"resourceType":"DocumentReference",${members}}`;
const TWO = document('"status":"current","category":[{"text":"a"},{"text":"b","coding":[{"system":"s","code":"c"}]}]');

describe('the operations', () => {
  it.each([
    ['add appends to a list', document('"status":"current","category":[{"text":"a"}]'), operation('add', 'DocumentReference', { name: { valueString: 'category' }, value: { valueCodeableConcept: { text: 'b' } } }),
      document('"status":"current","category":[{"text":"a"},{"text":"b"}]')],
    ['add makes what is not there', document('"status":"current"'), operation('add', 'DocumentReference', { name: { valueString: 'description' }, value: { valueString: 'x' } }),
      document('"status":"current","description":"x"')],
    ['add below an element', TWO, operation('add', "DocumentReference.category.where(text = 'a')", { name: { valueString: 'coding' }, value: { valueCoding: { code: 'n' } } }),
      document('"status":"current","category":[{"text":"a","coding":[{"code":"n"}]},{"text":"b","coding":[{"system":"s","code":"c"}]}]')],
    ['add of an extension to a primitive', document('"status":"current"'), operation('add', 'DocumentReference.status', { name: { valueString: 'extension' }, value: { part: [{ name: 'url', valueUri: 'urn:x' }, { name: 'value', valueString: 'y' }] } }),
      document('"status":"current","_status":{"extension":[{"url":"urn:x","valueString":"y"}]}')],
    ['add of an element that is no data type, from its parts', document('"status":"current"'), operation('add', 'DocumentReference', { name: { valueString: 'content' }, value: { part: [{ name: 'attachment', valueAttachment: { url: 'http://x', size: 1 } }, { name: 'format', valueCoding: { code: 'f' } }] } }),
      document('"status":"current","content":[{"attachment":{"url":"http://x","size":1},"format":{"code":"f"}}]')],
    ['insert before an index', TWO, operation('insert', 'DocumentReference.category', { value: { valueCodeableConcept: { text: 'n' } }, index: { valueInteger: 1 } }),
      document('"status":"current","category":[{"text":"a"},{"text":"n"},{"text":"b","coding":[{"system":"s","code":"c"}]}]')],
    ['insert at the end, into a list that is not there', document('"status":"current"'), operation('insert', 'DocumentReference.category', { value: { valueCodeableConcept: { text: 'n' } }, index: { valueInteger: 0 } }),
      document('"status":"current","category":[{"text":"n"}]')],
    ['delete of one of a list', TWO, operation('delete', 'DocumentReference.category[0]'), document('"status":"current","category":[{"text":"b","coding":[{"system":"s","code":"c"}]}]')],
    ['delete of the last of a list takes the list away', document('"status":"current","category":[{"text":"a"}]'), operation('delete', 'category.first()'), document('"status":"current"')],
    ['delete of what is not there', TWO, operation('delete', 'DocumentReference.docStatus'), TWO],
    ['delete of a primitive takes its extensions along', document('"status":"current","_docStatus":{"id":"i"},"docStatus":"final"'), operation('delete', 'DocumentReference.docStatus'), document('"status":"current"')],
    ['replace', TWO, operation('replace', 'DocumentReference.status', { value: { valueCode: 'superseded' } }), TWO.replace('current', 'superseded')],
    ['replace deep inside', TWO, operation('replace', "DocumentReference.category.coding.where(system = 's' and code = 'c').code", { value: { valueCode: 'd' } }), TWO.replace('"c"', '"d"')],
    ['replace of the last', TWO, operation('replace', 'DocumentReference.category.last().text', { value: { valueString: 'z' } }), TWO.replace('"b"', '"z"')],
    ['move', document('"category":[{"text":"0"},{"text":"1"},{"text":"2"}]'), operation('move', 'DocumentReference.category', { source: { valueInteger: 2 }, destination: { valueInteger: 0 } }),
      document('"category":[{"text":"2"},{"text":"0"},{"text":"1"}]')],
    ['a choice of types, by its name without the type', '{"resourceType":"Media","createdDateTime":"2020"}', operation('replace', 'Media.created', { value: { valuePeriod: { start: '2021' } } }), '{"resourceType":"Media","createdPeriod":{"start":"2021"}}'],
    ['a choice that is added', '{"resourceType":"Media"}', operation('add', 'Media', { name: { valueString: 'created[x]' }, value: { valueDateTime: '2020' } }), '{"resourceType":"Media","createdDateTime":"2020"}'],
    ['ofType chooses by type', document('"extension":[{"url":"a","valueCode":"x"},{"url":"b","valueString":"y"}]'), operation('replace', 'DocumentReference.extension.value.ofType(string)', { value: { valueString: 'z' } }),
      document('"extension":[{"url":"a","valueCode":"x"},{"url":"b","valueString":"z"}]')],
    ['extension(url)', document('"extension":[{"url":"a","valueCode":"x"},{"url":"b","valueString":"y"}]'), operation('delete', "DocumentReference.extension('a')"), document('"extension":[{"url":"b","valueString":"y"}]')],
  ])('%s', (_what, before, change, after) => {
    expect(patched(before, change)).toBe(after);
  });

  it('apply in their order, each to what the one before left', () => {
    expect(patched(document('"status":"current"'),
      operation('add', 'DocumentReference', { name: { valueString: 'category' }, value: { valueCodeableConcept: { text: 'a' } } }),
      operation('replace', 'DocumentReference.category[0].text', { value: { valueString: 'b' } }),
    )).toBe(document('"status":"current","category":[{"text":"b"}]'));
  });

  it('keep values and extensions of a list of primitives together', () => {
    const before = '{"resourceType":"DocumentReference","meta":{"profile":["p0","p1"],"_profile":[null,{"id":"i"}]}}';
    expect(patched(before, operation('move', 'DocumentReference.meta.profile', { source: { valueInteger: 1 }, destination: { valueInteger: 0 } })))
      .toBe('{"resourceType":"DocumentReference","meta":{"profile":["p1","p0"],"_profile":[{"id":"i"},null]}}');
    expect(patched(before, operation('delete', 'DocumentReference.meta.profile[1]'))).toBe('{"resourceType":"DocumentReference","meta":{"profile":["p0"]}}');
  });

  it('leave every digit of what they do not touch', () => {
    const before = '{"resourceType":"Media","duration":12.50,"extension":[{"url":"u","valueDecimal":0.010}],"deviceName":"d"}';
    expect(patched(before, operation('replace', 'Media.deviceName', { value: { valueString: 'e' } }))).toBe(before.replace('"d"', '"e"'));
  });
});

describe('what does not apply is 422', () => {
  it.each([
    ['a path that names two', operation('replace', 'DocumentReference.category', { value: { valueCodeableConcept: { text: 'x' } } })],
    ['a deletion that names two', operation('delete', 'DocumentReference.category')],
    ['a replacement of nothing', operation('replace', 'DocumentReference.docStatus', { value: { valueCode: 'final' } })],
    ['an addition below nothing', operation('add', 'DocumentReference.context', { name: { valueString: 'event' }, value: { valueCodeableConcept: { text: 'x' } } })],
    ['an addition where something is', operation('add', 'DocumentReference', { name: { valueString: 'status' }, value: { valueCode: 'current' } })],
    ['an unknown element', operation('add', 'DocumentReference', { name: { valueString: 'colour' }, value: { valueCode: 'red' } })],
    ['__proto__', operation('add', 'DocumentReference', { name: { valueString: '__proto__' }, value: { valueCode: 'red' } })],
    ['a wrong type', operation('replace', 'DocumentReference.status', { value: { valueInteger: 1 } })],
    ['a wrong complex type', operation('insert', 'DocumentReference.category', { value: { valueCoding: { code: 'x' } }, index: { valueInteger: 0 } })],
    ['an index past the end', operation('insert', 'DocumentReference.category', { value: { valueCodeableConcept: { text: 'x' } }, index: { valueInteger: 3 } })],
    ['a list that is none', operation('insert', 'DocumentReference.status', { value: { valueCode: 'x' }, index: { valueInteger: 0 } })],
    ['a move past the end', operation('move', 'DocumentReference.category', { source: { valueInteger: 0 }, destination: { valueInteger: 2 } })],
    ['the resource as a whole', operation('delete', 'DocumentReference')],
  ])('%s', (_what, change) => {
    expect(status(TWO, change)).toBe(422);
  });
});

it('paths that look at everything again and again end at a bound, at once', () => {
  const many = document(`"extension":[${Array.from({ length: 20_000 }, (_, n) => `{"url":"u${n}","valueString":"x"}`).join(',')}]`);
  const costly = Array.from({ length: 200 }, () => operation('delete', `DocumentReference.extension.where(${Array.from({ length: 60 }, () => "url = 'none'").join(' or ')})`));
  const start = performance.now();
  expect(status(many, ...costly)).toBe(422);
  expect(performance.now() - start).toBeLessThan(10_000);
});

describe('what is no patch is 400', () => {
  it.each([
    ['another name', { name: 'x' }],
    ['an unknown type', operation('spam', 'DocumentReference.status')],
    ['no value', operation('replace', 'DocumentReference.status')],
    ['no index', operation('insert', 'DocumentReference.category', { value: { valueCodeableConcept: { text: 'x' } } })],
    ['a path that cannot be read', operation('delete', 'DocumentReference.status.')],
    ['a function that leaves the resource', operation('delete', 'DocumentReference.subject.resolve()')],
    ['an operator outside the subset', operation('delete', 'DocumentReference.status | DocumentReference.type')],
  ])('%s', (_what, change) => {
    expect(status(TWO, change)).toBe(400);
  });

  it('whatever stands in a path, the answer is 400, 422 or a result', () => {
    const text = fc.oneof(fc.string(), fc.array(fc.constantFrom('DocumentReference', '.', 'where', '(', ')', '[', ']', '0', "'", 'a', ' = ', ' and ', 'status', 'category', '$this', 'first()')).map((parts) => parts.join('')));
    fc.assert(fc.property(text.filter((path) => path !== ''), (path) => [200, 400, 422].includes(status(TWO, operation('delete', path)))), { numRuns: 500 });
  });
});
