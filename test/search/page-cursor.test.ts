import { describe, expect, it } from '@jest/globals';
import { createHmac, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { FhirError } from '../../src/fhir/fhir-error.ts';
import { parseCursor, printCursor, searchFingerprint, type Keyset } from '../../src/search/page-cursor.ts';

const KEY = Buffer.alloc(32, 7);
const OWN = searchFingerprint(1, 'DocumentReference', [['patient', 'Patient/1'], ['_sort', '-date']]);
const keyset = fc.record<Keyset>({ value: fc.oneof(fc.constant(null), fc.constantFrom(Infinity, -Infinity), fc.integer({ min: -62_135_596_800_000, max: 253_402_300_799_999 })), id: fc.stringMatching(/^[A-Za-z0-9\-.]{1,64}$/) });

function refused(key: Buffer, fingerprint: string, text: string): void {
  let thrown: unknown;
  try {
    parseCursor(key, fingerprint, text);
  } catch (error) { thrown = error; }
  expect(thrown).toBeInstanceOf(FhirError);
  expect(thrown).toMatchObject({ status: 400, detail: 'invalid-parameter' });
}

describe('a cursor', () => {
  it('is read back as it was printed', () => {
    fc.assert(fc.property(keyset, (one) => { expect(parseCursor(KEY, OWN, printCursor(KEY, OWN, one))).toEqual(one); }));
  });

  it('needs no escaping in a URL', () => {
    fc.assert(fc.property(keyset, (one) => { expect(printCursor(KEY, OWN, one)).toMatch(/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/); }));
  });

  it('of another organisation, type or search is refused', () => {
    const cursor = printCursor(KEY, OWN, { value: 1, id: 'a' });
    for (const other of [
      searchFingerprint(2, 'DocumentReference', [['patient', 'Patient/1'], ['_sort', '-date']]),
      searchFingerprint(1, 'Media', [['patient', 'Patient/1'], ['_sort', '-date']]),
      searchFingerprint(1, 'DocumentReference', [['patient', 'Patient/2'], ['_sort', '-date']]),
      searchFingerprint(1, 'DocumentReference', [['_sort', '-date']]),
      searchFingerprint(1, 'DocumentReference', [['patient', 'Patient/1'], ['_sort', 'date']]),
    ]) refused(KEY, other, cursor);
  });

  it('goes on with another page size or total', () => {
    expect(searchFingerprint(1, 'Media', [['type', 'x'], ['_count', '5'], ['_total', 'accurate']])).toBe(searchFingerprint(1, 'Media', [['type', 'x'], ['_count', '50']]));
  });

  it('cannot have its parts moved between parameters', () => {
    expect(searchFingerprint(1, 'Media', [['type', 'a","b']])).not.toBe(searchFingerprint(1, 'Media', [['type', 'a'], ['b', '']]));
    expect(searchFingerprint(1, 'Media', [['type', 'a,b']])).not.toBe(searchFingerprint(1, 'Media', [['type', 'a'], ['type', 'b']]));
  });

  it('of another key is refused', () => {
    refused(randomBytes(32), OWN, printCursor(KEY, OWN, { value: 1, id: 'a' }));
  });

  it('with one bit changed is refused', () => {
    const cursor = printCursor(KEY, OWN, { value: 1_700_000_000_000, id: '01a21398-6b43-72da-b895-e643e19a48f5' });
    const [payload = '', signature = ''] = cursor.split('.');
    fc.assert(fc.property(fc.boolean(), fc.nat(), fc.integer({ min: 0, max: 7 }), (inPayload, position, bit) => {
      const bytes = Buffer.from(inPayload ? payload : signature, 'base64url');
      const index = position % bytes.length;
      bytes.writeUInt8(bytes.readUInt8(index) ^ (1 << bit), index);
      refused(KEY, OWN, inPayload ? `${bytes.toString('base64url')}.${signature}` : `${payload}.${bytes.toString('base64url')}`);
    }));
  });

  it('that a stranger made up is refused', () => {
    refused(KEY, OWN, '');
    refused(KEY, OWN, '.');
    const payload = `${OWN}~1~a`;
    refused(KEY, OWN, Buffer.from(payload).toString('base64url'));
    refused(KEY, OWN, `${Buffer.from(payload).toString('base64url')}.`);
    refused(KEY, OWN, `${Buffer.from(payload).toString('base64url')}.${createHmac('sha256', '').update(payload).digest().subarray(0, 16).toString('base64url')}`);
    fc.assert(fc.property(fc.string(), (text) => { refused(KEY, OWN, text); }));
  });
});
