import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseJson, type JsonObject } from '../../src/fhir/json.ts';
import { comparableForm, comparableHash, firstDifference } from '../../src/mirror/comparable-form.ts';

const BASE = 'http://hapi.test/fhir';
const form = (resource: object | string): JsonObject => comparableForm(parseJson(typeof resource === 'string' ? resource : JSON.stringify(resource)) as JsonObject, BASE);
const difference = (ours: object | string, theirs: object | string): string | undefined => firstDifference(form(ours), form(theirs), 'DocumentReference');
const document = (more: object): object => ({ resourceType: 'DocumentReference', id: 'a', status: 'current', ...more });

describe('a resource as it is compared', () => {
  it.each([
    ['the versions, times and sources of both servers', { meta: { versionId: '3', lastUpdated: '2024-01-01T00:00:00Z', source: 'urn:a' } }, {}],
    ['the order of labels, and userSelected that HAPI adds', { meta: { security: [{ code: 'R' }, { code: 'N' }] } }, { meta: { security: [{ userSelected: false, code: 'N' }, { code: 'R' }] } }],
    ['a reference by the address of HAPI itself', { subject: { reference: `${BASE}/Patient/p` } }, { subject: { reference: 'Patient/p' } }],
    ['the version of a reference, which HAPI removes', { relatesTo: [{ target: { reference: 'DocumentReference/b/_history/2' } }] }, { relatesTo: [{ target: { reference: 'DocumentReference/b' } }] }],
    ['how the XHTML is written', { text: { div: '<div><p>a&nbsp;b</p><br/>\n  c</div>' } }, { text: { div: '<div><p>a\u00A0b</p><br /> c</div>' } }],
    ['the order of members', { type: { text: 'a', coding: [] } }, { type: { coding: [], text: 'a' } }],
  ])('is equal whatever is %s', (_, ours, theirs) => {
    expect(difference(document(ours), document(theirs))).toBeUndefined();
    expect(comparableHash(form(document(ours)))).toBe(comparableHash(form(document(theirs))));
  });

  it.each([
    ['DocumentReference.status', { status: 'current' }, { status: 'superseded' }],
    ['DocumentReference.content[1]', { content: [{ a: 1 }] }, { content: [{ a: 1 }, { a: 2 }] }],
    ['DocumentReference.meta.security', { meta: { security: [{ code: 'R' }], tag: [{ code: 't' }] } }, { meta: { tag: [{ code: 't' }] } }],
    ['DocumentReference.subject.reference', { subject: { reference: 'http://other.test/fhir/Patient/p' } }, { subject: { reference: 'Patient/p' } }],
    ['DocumentReference.text.div', { text: { div: '<div>one</div>' } }, { text: { div: '<div>two</div>' } }],
  ])('names %s as the place where the two differ', (path, ours, theirs) => {
    expect(difference(document(ours), document(theirs))).toBe(path);
  });

  it('tells decimals apart by their digits', () => {
    expect(difference('{"resourceType":"DocumentReference","valueDecimal":1.50}', '{"resourceType":"DocumentReference","valueDecimal":1.5}')).toBe('DocumentReference.valueDecimal');
    expect(difference('{"resourceType":"DocumentReference","valueDecimal":1.50}', '{"resourceType":"DocumentReference","valueDecimal":1.50}')).toBeUndefined();
  });

  it('keeps the version of what a Provenance is about', () => {
    const provenance = (reference: string): object => ({ resourceType: 'Provenance', target: [{ reference }] });
    expect(comparableHash(form(provenance('List/a/_history/1')))).not.toBe(comparableHash(form(provenance('List/a/_history/2'))));
  });

  it('finds a place wherever two hashes differ, and none where they are equal', () => {
    const value = fc.jsonValue({ maxDepth: 3 }).filter((made) => !JSON.stringify(made).includes('"__proto__"'));
    fc.assert(fc.property(value, value, (a, b) => {
      const [one, two] = [form({ resourceType: 'List', x: a }), form({ resourceType: 'List', x: b })];
      expect(firstDifference(one, two, 'List') === undefined).toBe(comparableHash(one) === comparableHash(two));
    }));
  });
});
