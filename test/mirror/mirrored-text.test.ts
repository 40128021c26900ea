import { describe, expect, it } from '@jest/globals';
import { mirroredText, mirrorSource, sourceVersion } from '../../src/mirror/mirrored-text.ts';

const BASE = 'https://documents.test/fhir';
const name = { orgName: 'demo', type: 'DocumentReference', id: 'd1', version: 3 };

describe('what is sent to the mirror', () => {
  it('is the exact text of the version, digits included, with our version in meta.source', () => {
    const text = '{"resourceType":"DocumentReference","id":"d1","meta":{"versionId":"3","source":"urn:client"},"extension":[{"url":"urn:x","valueDecimal":1.50}]}';
    expect(mirroredText(name, text, BASE)).toBe(text.replace('urn:client', 'urn:muniment:demo/DocumentReference/d1/_history/3'));
  });

  it('makes meta where the version has none', () => {
    expect(JSON.parse(mirroredText(name, '{"resourceType":"DocumentReference","id":"d1"}', BASE))).toEqual({ resourceType: 'DocumentReference', id: 'd1', meta: { source: mirrorSource(name) } });
  });

  it('points attachments to this server, wherever in the resource they are', () => {
    const text = '{"resourceType":"DocumentReference","contained":[{"resourceType":"Media","content":{"url":"Binary/b"}}],"content":[{"attachment":{"url":"https://documents.test/fhir/Binary/a"}}]}';
    const sent = mirroredText(name, text, BASE);
    expect(sent).toContain(`"url":"${BASE}/Binary/b"`);
    expect(sent).toContain(`"url":"${BASE}/Binary/a"`);
  });

  it('leaves the bytes of a Binary behind', () => {
    const text = '{"resourceType":"Binary","id":"b","contentType":"text/plain","securityContext":{"reference":"DocumentReference/d1"},"data":"aGVsbG8="}';
    const sent = JSON.parse(mirroredText({ ...name, type: 'Binary', id: 'b' }, text, BASE)) as Record<string, unknown>;
    expect(Object.keys(sent)).toEqual(['resourceType', 'id', 'contentType', 'securityContext', 'meta']);
  });
});

describe('meta.source at the mirror', () => {
  it.each<[string | undefined, number | 'foreign' | undefined]>([
    ['urn:muniment:demo/DocumentReference/d1/_history/7', 7],
    ['urn:muniment:demo/DocumentReference/d1/_history/7x', 'foreign'],
    ['urn:muniment:other/DocumentReference/d1/_history/7', 'foreign'],
    ['urn:muniment:demo/DocumentReference/d12/_history/7', 'foreign'],
    ['urn:somebody', undefined],
    [undefined, undefined],
  ])('%s is read as %s', (source, version) => {
    expect(sourceVersion(source, name)).toBe(version);
  });
});
