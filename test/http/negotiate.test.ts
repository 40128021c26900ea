import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { binaryForm, negotiate, type BinaryForm } from '../../src/http/negotiate.ts';
import { acceptsGzip } from '../../src/http/wish.ts';

const FJ = 'application/fhir+json';
const FX = 'application/fhir+xml';

describe('the representation that a client wants', () => {
  it.each<[string | undefined, string | undefined, string | undefined]>([
    // Nothing said, or anything.
    [undefined, undefined, FJ],
    [undefined, '', FJ],
    [undefined, '*/*', FJ],
    [undefined, 'application/*', FJ],
    [undefined, 'text/*', 'text/json'],
    // Named; the types of DSTU2 are answered as those of R4, generic ones as asked.
    [undefined, FJ, FJ],
    [undefined, FX, FX],
    [undefined, 'APPLICATION/FHIR+XML', FX],
    [undefined, 'application/json+fhir', FJ],
    [undefined, 'application/xml+fhir', FX],
    [undefined, 'application/json', 'application/json'],
    [undefined, 'text/json', 'text/json'],
    [undefined, 'application/xml', 'application/xml'],
    [undefined, 'text/xml', 'text/xml'],
    // Quality, then order, then exactness.
    [undefined, `${FX};q=0.9, ${FJ};q=1.0`, FJ],
    [undefined, `${FJ};q=0.9, ${FX}`, FX],
    [undefined, `${FX}, ${FJ}`, FX],
    [undefined, `${FX}, */*;q=0.1`, FX],
    [undefined, `*/*, ${FX};q=0.5`, FJ],
    [undefined, `${FJ};q=0, */*`, FX],
    [undefined, `${FJ};q=0, ${FX};q=0, application/*`, 'application/json'],
    [undefined, 'application/*;q=0, */*', 'text/json'],
    [undefined, '*/*;q=0', undefined],
    [undefined, `${FX};q=0`, undefined],
    // A browser: its application/xml is not about resources.
    [undefined, 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8', FJ],
    [undefined, 'text/html,application/xml;q=0.9', 'application/xml'],
    // The version of FHIR.
    [undefined, `${FJ};fhirVersion=4.0`, FJ],
    [undefined, `${FJ}; fhirVersion="4.0.1"`, FJ],
    [undefined, `${FJ};fhirVersion=3.0`, undefined],
    [undefined, `${FJ};fhirVersion=3.0, ${FX};fhirVersion=4.0;q=0.5`, FX],
    // Neither.
    [undefined, 'application/fhir+turtle', undefined],
    [undefined, 'text/turtle', undefined],
    [undefined, 'image/png', undefined],
    [undefined, 'text/html', undefined],
    // _format decides before Accept, and takes generic types for those of FHIR.
    ['json', FX, FJ],
    ['xml', FJ, FX],
    [FJ, 'text/html', FJ],
    ['application/fhir json', undefined, FJ],
    ['application/fhir xml', undefined, FX],
    ['application/json', undefined, FJ],
    ['text/xml', FJ, FX],
    ['application/xml', undefined, FX],
    ['application/fhir+json; fhirVersion=5.0', undefined, undefined],
    ['ttl', undefined, undefined],
    ['html', undefined, undefined],
    ['', undefined, undefined],
  ])('_format %j, Accept %j: %s', (format, accept, expected) => {
    expect(negotiate(format, accept)?.contentType).toBe(expected);
  });

  it('is one of two, whatever the header is', () => {
    const piece = fc.constantFrom('application/fhir+json', '*/*', 'text/*', 'application/xml', ';q=0', ';q=0.5', ',', ' ', ';', 'q=', '"', '=', 'x');
    fc.assert(fc.property(fc.oneof(fc.string(), fc.array(piece).map((parts) => parts.join(''))), (accept) => {
      expect(['json', 'xml', undefined]).toContain(negotiate(undefined, accept)?.format);
    }));
  });

  it('takes time in proportion to the header', () => {
    const start = performance.now();
    negotiate(undefined, Array.from({ length: 4_000 }, (_, at) => `a/b${at}`).join(','));
    expect(performance.now() - start).toBeLessThan(500);
  });
});

describe('gzip is accepted', () => {
  it.each<[string | undefined, boolean]>([
    [undefined, false], ['', false], ['identity', false], ['gzip', true], ['GZIP;q=0.5', true], ['gzip;q=0', false], ['gzip;q=0.0, *', false], ['*', true], ['*;q=0', false], ['deflate, br', false], ['br, x-gzip', true],
  ])('by %j: %s', (header, expected) => {
    expect(acceptsGzip(header)).toBe(expected);
  });
});

describe('binaryForm', () => {
  it.each<[string | undefined, string | undefined, string, BinaryForm]>([
    // A FHIR type of the highest quality asks for the resource, whatever is stored.
    [undefined, FJ, 'application/pdf', 'json'],
    [undefined, FJ, FJ, 'json'],
    [undefined, `${FJ};q=0.9, application/pdf;q=0.8`, 'application/pdf', 'json'],
    [undefined, `${FJ};q=0.8, application/pdf;q=0.9`, 'application/pdf', 'raw'],
    [undefined, `${FJ};fhirVersion=4.0`, 'application/pdf', 'json'],
    [undefined, `${FJ};fhirVersion=3.0`, 'application/pdf', 'none'],
    [undefined, `${FJ};fhirVersion=3.0, application/pdf;q=0.5`, 'application/pdf', 'raw'],
    [undefined, FX, 'application/pdf', 'xml'],
    [undefined, FX, FX, 'xml'],
    [undefined, 'application/xml+fhir', FJ, 'xml'],
    [undefined, `${FX}, ${FJ};q=0.5`, 'application/pdf', 'xml'],
    [undefined, `${FJ}, ${FX}`, 'application/pdf', 'json'],
    [undefined, `${FJ};q=0, */*`, 'application/pdf', 'raw'],
    [undefined, 'application/pdf;q=0, */*', 'application/pdf', 'json'],
    // _format decides before Accept; generic values are read as FHIR types.
    ['json', 'application/pdf', 'application/pdf', 'json'],
    ['application/json', undefined, 'application/json', 'json'],
    [FJ, undefined, 'application/pdf', 'json'],
    ['xml', FJ, 'application/pdf', 'xml'],
    ['text/xml', undefined, 'text/xml', 'xml'],
    ['ttl', undefined, 'application/pdf', 'none'],
    // Nothing said, or anything: the bytes.
    [undefined, undefined, 'application/pdf', 'raw'],
    [undefined, '*/*', 'application/pdf', 'raw'],
    [undefined, '*/*', FJ, 'raw'],
    [undefined, 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', 'application/pdf', 'raw'],
    // Equal to what is stored, or covering it.
    [undefined, 'application/pdf', 'application/pdf', 'raw'],
    [undefined, 'application/*', 'application/pdf', 'raw'],
    [undefined, 'image/*', 'image/png', 'raw'],
    [undefined, 'Text/Plain', 'text/plain; charset=utf-8', 'raw'],
    [undefined, 'application/octet-stream', 'application/pdf', 'raw'],
    // Generic types: the bytes when they are of the family.
    [undefined, 'application/json', 'application/json', 'raw'],
    [undefined, 'text/json', 'application/json', 'raw'],
    [undefined, 'application/json', FJ, 'raw'],
    [undefined, 'application/json', 'application/vnd.xacml+json', 'raw'],
    [undefined, 'application/json', 'application/pdf', 'json'],
    [undefined, 'application/xml', 'text/xml', 'raw'],
    [undefined, 'text/xml', 'application/xml; charset=utf-8', 'raw'],
    [undefined, 'application/xml', 'application/cda+xml', 'raw'],
    [undefined, 'application/xml', FX, 'raw'],
    [undefined, 'application/xml', 'application/pdf', 'xml'],
    // Another type, and no wildcard: 406 (ITI-68).
    [undefined, 'image/png', 'application/pdf', 'none'],
    [undefined, '*/*;q=0', 'application/pdf', 'none'],
    [undefined, 'image/*', 'application/pdf', 'none'],
  ])('_format %j, Accept %j, stored %s: %s', (format, accept, stored, expected) => {
    expect(binaryForm(format, accept, stored)).toBe(expected);
  });

  it('answers the bytes to whoever asks for the stored type alone, unless it is a FHIR type or a generic one', () => {
    const stored = fc.stringMatching(/^(image|audio|video|text)\/[a-z0-9.-]{1,20}$/).filter((type) => type !== 'text/json' && type !== 'text/xml');
    fc.assert(fc.property(stored, (type) => { expect(binaryForm(undefined, type, type)).toBe('raw'); }));
  });
});
