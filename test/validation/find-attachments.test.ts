// Where attachments are found.
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { JsonObject, JsonValue } from '../../src/fhir/json.ts';
import { findAttachments } from '../../src/validation/find-attachments.ts';
import { documentReference, media } from './valid-resources.ts';

const one = { contentType: 'text/plain', data: 'QQ==' };

function places(resource: JsonObject, type = 'DocumentReference'): string[] {
  return findAttachments(resource, type).map(({ expression }) => expression);
}

describe('findAttachments', () => {
  it('finds each content of a document, in order, and gives the object itself', () => {
    const resource = documentReference({ content: [{ attachment: { title: 'a' } }, { attachment: { title: 'b' } }] });
    const found = findAttachments(resource, 'DocumentReference');
    expect(found.map(({ expression }) => expression)).toEqual(['DocumentReference.content[0].attachment', 'DocumentReference.content[1].attachment']);
    expect(found[1]?.attachment).toBe((resource['content'] as { attachment: JsonObject }[])[1]?.attachment);
  });

  it('finds the content of Media and the photos of a Patient', () => {
    expect(places(media(), 'Media')).toEqual(['Media.content']);
    expect(places({ resourceType: 'Patient', photo: [one, one] }, 'Patient')).toEqual(['Patient.photo[0]', 'Patient.photo[1]']);
  });

  it('finds attachments in extensions of the resource, of data types, of primitives and of attachments', () => {
    const extension = [{ url: 'http://example.org/x', valueAttachment: { ...one } }];
    const resource = documentReference({
      extension: [{ url: 'http://example.org/y', extension }], type: { extension, text: 'x', _text: { extension } }, _description: { extension },
      content: [{ attachment: { ...one, extension } }],
    });
    expect(places(resource).sort()).toEqual([
      'DocumentReference.content[0].attachment', 'DocumentReference.content[0].attachment.extension[0].value', 'DocumentReference.description.extension[0].value',
      'DocumentReference.extension[0].extension[0].value', 'DocumentReference.type.extension[0].value', 'DocumentReference.type.text.extension[0].value',
    ]);
  });

  it('finds attachments in contained resources and in the entries of a Bundle', () => {
    const contained = [{ resourceType: 'Patient', id: 'p', photo: [one] }, { resourceType: 'Observation', extension: [{ url: 'x', valueAttachment: one }] }];
    const resource = documentReference({ contained });
    const inner = ['contained[0].photo[0]', 'contained[1].extension[0].value', 'content[0].attachment'];
    expect(places(resource).sort()).toEqual(inner.map((place) => `DocumentReference.${place}`));
    expect(places({ resourceType: 'Bundle', entry: [{ resource }] }, 'Bundle').sort()).toEqual(inner.map((place) => `Bundle.entry[0].resource.${place}`));
  });

  it('finds nothing where there is none, also in what is not valid', () => {
    expect(places({ resourceType: 'Binary', contentType: 'text/plain', data: 'QQ==' }, 'Binary')).toEqual([]);
    expect(places({ resourceType: 'Bot' }, 'Bot')).toEqual([]);
    expect(places(documentReference({ content: 'x', contained: [null, 'x', { resourceType: 'Bot' }, {}] }))).toEqual([]);
  });

  it('never throws', () => {
    fc.assert(fc.property(fc.jsonValue({ maxDepth: 4 }), fc.constantFrom('content', 'contained', 'extension', '_status', 'text'), (value, name) => {
      expect(Array.isArray(findAttachments(documentReference({ [name]: value as JsonValue }), 'DocumentReference'))).toBe(true);
    }));
  });
});
