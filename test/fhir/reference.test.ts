import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ID_PATTERN, parseLocalReference, referenceKey } from '../../src/fhir/reference.ts';

const BASE = 'https://documents.example/fhir';
const type = fc.stringMatching(/^[A-Z][A-Za-z]{1,20}$/);
const id = fc.stringMatching(/^[A-Za-z0-9\-.]{1,64}$/);

describe('parseLocalReference', () => {
  it.each([
    ['Patient/1', { type: 'Patient', id: '1' }],
    ['Patient/1/_history/2', { type: 'Patient', id: '1', version: '2' }],
    [`${BASE}/Binary/a-b.c`, { type: 'Binary', id: 'a-b.c' }],
    ['http://documents.example/fhir/Binary/1', { type: 'Binary', id: '1' }],
    [`${BASE}/Binary/1/_history/3`, { type: 'Binary', id: '1', version: '3' }],
  ])('%s is of this server', (text, expected) => {
    expect(parseLocalReference(text, BASE)).toEqual(expected);
  });

  it.each(['', '#contained', 'Patient', 'Patient/', 'patient/1', 'Patient/1/', 'Patient/1?x=1', 'Patient/1#x', 'Patient/a_b', `Patient/${'x'.repeat(65)}`, 'Patient/1/2', 'Patient/1/_history/', 'urn:uuid:0000', '/Patient/1', '../Patient/1',
    'https://documents.example/fhir2/Patient/1', 'https://elsewhere.example/fhir/Patient/1', 'https://documents.example/Patient/1', 'http:Patient/1', 'https:Patient/1', 'ftp://documents.example/fhir/Patient/1'])('%s is not', (text) => {
    expect(parseLocalReference(text, BASE)).toBeUndefined();
  });
});

describe('referenceKey', () => {
  it('is one for every form of one resource here', () => {
    fc.assert(fc.property(type, id, id, (name, logicalId, version) => {
      const key = `${name}/${logicalId}`;
      for (const form of [key, `${BASE}/${key}`, `http://documents.example/fhir/${key}`, `${key}/_history/${version}`, `${BASE}/${key}/_history/${version}`]) expect(referenceKey(form, BASE)).toBe(key);
    }));
  });

  it('is one for every scheme and version of an address elsewhere, and never that of a resource here', () => {
    fc.assert(fc.property(type, id, id, (name, logicalId, version) => {
      const keys = ['http', 'https'].flatMap((scheme) => ['', `/_history/${version}`].map((tail) => referenceKey(`${scheme}://elsewhere.example/${name}/${logicalId}${tail}`, BASE)));
      expect(new Set(keys).size).toBe(1);
      expect(keys[0]).not.toBe(`${name}/${logicalId}`);
    }));
  });

  it('does not take a scheme without an address for a resource here', () => {
    expect(referenceKey('http:Patient/1', BASE)).not.toBe('Patient/1');
  });

  it('is its own key', () => {
    fc.assert(fc.property(fc.oneof(fc.webUrl(), type, fc.tuple(type, id).map((parts) => parts.join('/'))), (text) => {
      const key = referenceKey(text, BASE);
      expect(referenceKey(key, BASE)).toBe(key);
    }));
  });
});

it.each([['a', true], ['A-b.9', true], ['x'.repeat(64), true], ['', false], ['x'.repeat(65), false], ['a/b', false], ['a_b', false], ['ü', false], ['a\n', false], ['a b', false]])('id %j: %s', (text, valid) => {
  expect(ID_PATTERN.test(text)).toBe(valid);
});
