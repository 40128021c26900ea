// Keys of objects: whatever the parts hold, a key stays inside the store.
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { objectKey, templateProblem } from '../../src/content/object-key.ts';

const parts = { org: 'demo', patient: undefined, now: new Date('2026-03-04T05:06:07Z'), uuid: '6a1f', mediaType: 'application/pdf' };
const CUSTOMER = '{org}/{patient}/documents/{year}/{month}/{uuid}.{ext}';

describe('the key of an object', () => {
  it('holds nothing clinical by default', () => {
    expect(objectKey('{org}/{year}/{month}/{uuid}', { ...parts, patient: 'p1' })).toBe('demo/2026/03/6a1f');
  });

  it('takes the layout of the customer, with `unlinked` for a patient that is not known', () => {
    expect(objectKey(CUSTOMER, parts)).toBe('demo/unlinked/documents/2026/03/6a1f.pdf');
    expect(objectKey(CUSTOMER, { ...parts, patient: 'p-1', mediaType: 'image/jpeg' })).toBe('demo/p-1/documents/2026/03/6a1f.jpg');
    expect(objectKey(CUSTOMER, { ...parts, mediaType: 'application/x-unheard-of' })).toMatch(/\.bin$/);
  });

  it('writes what is not safe in hexadecimal', () => {
    expect(objectKey(CUSTOMER, { ...parts, org: '..', patient: 'a/b' })).toBe('2e2e/612f62/documents/2026/03/6a1f.pdf');
  });

  it('stays inside the store and within the limits of every store, whatever the names are', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 400 }), fc.string({ unit: 'binary', minLength: 1, maxLength: 400 }), (patient, org) => {
      const segments = objectKey(CUSTOMER, { ...parts, org, patient }).split('/');
      expect(segments).toHaveLength(6);
      for (const segment of segments) expect(segment).toMatch(/^(?!\.+$)[A-Za-z0-9._-]{0,200}$/);
    }));
  });

  it.each(['{org}/{year}', '/{uuid}', '{uuid}/', 'a//{uuid}', '../{uuid}', '.../{uuid}', '{uuid}/{name}', 'ä/{uuid}', '{uuid'])('finds what is wrong with the template %s', (template) => {
    expect(templateProblem(template)).toEqual(expect.any(String));
  });

  it.each(['{uuid}', CUSTOMER, '{org}/{year}/{month}/{uuid}', 'prefix/{uuid}.{ext}'])('accepts the template %s', (template) => {
    expect(templateProblem(template)).toBeUndefined();
  });
});
