// The photo of a person at HAPI by tables and properties: one element changes, ours alone.
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { JsonObject } from '../../src/fhir/json.ts';
import { withPhoto } from '../../src/mirror/deliver-photo.ts';

const BASE = 'https://muniment.test/fhir';
const ours = (id: string): JsonObject => ({ contentType: 'image/jpeg', url: `${BASE}/Binary/${id}` });
const other = fc.record({ url: fc.constantFrom('https://elsewhere.example/1.png', 'https://muniment.test.example/fhir/Binary/1', `${BASE}/DocumentReference/1`), title: fc.string({ unit: 'grapheme-ascii' }) });
const id = fc.stringMatching(/^[a-z0-9]{1,12}$/);

describe('the photo of a person', () => {
  it('is the first, in the place of ours; those of others keep their order, and all else is as it was', () => {
    fc.assert(fc.property(fc.array(other, { maxLength: 4 }), fc.option(id), id, (others, before, after) => {
      const person: JsonObject = { resourceType: 'Patient', id: '1', name: [{ family: 'Shaw' }], photo: [...others, ...(before === null ? [] : [ours(before)])] };
      const { photo: _photo, ...rest } = person;
      const changed = withPhoto(person, ours(after), BASE) ?? person;
      expect(changed).toEqual({ ...rest, photo: [ours(after), ...others] });
      expect(withPhoto(changed, ours(after), BASE)).toBeUndefined();
    }));
  });

  it('is taken out with its element where it was the only one, and nothing is written where there is none of ours', () => {
    expect(withPhoto({ resourceType: 'Patient', id: '1', photo: [ours('a')] }, null, BASE)).toEqual({ resourceType: 'Patient', id: '1' });
    expect(withPhoto({ resourceType: 'Patient', id: '1' }, null, BASE)).toBeUndefined();
    expect(withPhoto({ resourceType: 'Patient', id: '1', photo: [{ url: 'https://elsewhere.example/1.png' }] }, null, BASE)).toBeUndefined();
  });
});
