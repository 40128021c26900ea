import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { acceptsFhirJson, binaryForm, parseAccept, parseMediaType, type BinaryForm } from '../../src/http/media-type.ts';

const FJ = 'application/fhir+json';
const FX = 'application/fhir+xml';

describe('parseMediaType', () => {
  it.each([
    ['application/pdf', 'application/pdf', {}],
    ['Application/PDF', 'application/pdf', {}],
    ['application/fhir+json; charset=UTF-8', FJ, { charset: 'UTF-8' }],
    ['application/fhir+json;fhirVersion=4.0', FJ, { fhirversion: '4.0' }],
    ['application/fhir json', FJ, {}],
    ['text/plain; charset="utf-8"', 'text/plain', { charset: 'utf-8' }],
  ])('%s', (text, essence, parameters) => {
    expect(parseMediaType(text)).toEqual({ essence, parameters });
  });

  it.each(['', 'json', 'application', 'application/', '/json', 'a/b/c', 'text/pl ain x', 'tëxt/plain'])('%j is none', (text) => {
    expect(parseMediaType(text)).toBeUndefined();
  });
});

describe('parseAccept', () => {
  it('orders by quality, then by what is said most exactly', () => {
    expect(parseAccept('text/*;q=0.5, */*;q=0.1, application/pdf, text/html;q=0.5').map((range) => range.essence)).toEqual(['application/pdf', 'text/html', 'text/*', '*/*']);
  });

  it.each([undefined, '', '  '])('%j takes anything', (header) => {
    expect(parseAccept(header)).toEqual([{ essence: '*/*', parameters: {}, quality: 1 }]);
  });

  it('keeps qualities between 0 and 1, whatever the header', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.string().map((quality) => `text/plain;q=${quality}`)), (header) => {
      for (const range of parseAccept(header)) {
        expect(range.quality).toBeGreaterThanOrEqual(0);
        expect(range.quality).toBeLessThanOrEqual(1);
      }
    }));
  });
});

describe('acceptsFhirJson', () => {
  it.each<[string | undefined, string | undefined, boolean]>([
    [undefined, undefined, true],
    [undefined, '*/*', true],
    [undefined, 'application/*', true],
    [undefined, FJ, true],
    [undefined, 'application/json+fhir', true],
    [undefined, 'application/json', true],
    [undefined, 'text/json', true],
    [undefined, `${FX}, ${FJ};q=0.9`, true],
    [undefined, `${FX}, */*;q=0.1`, true],
    [undefined, `${FJ};fhirVersion=4.0`, true],
    [undefined, `${FJ};fhirVersion=3.0`, false],
    [undefined, `${FJ};q=0, */*`, false],
    [undefined, FX, false],
    [undefined, 'text/html', false],
    [undefined, '*/*;q=0', false],
    ['json', FX, true],
    ['application/fhir+json', 'text/html', true],
    ['application/fhir json', undefined, true],
    ['application/json', undefined, true],
    ['xml', FJ, false],
    ['application/fhir+xml', FJ, false],
    ['html', undefined, false],
    ['', undefined, false],
  ])('_format %j, Accept %j: %s', (format, accept, expected) => {
    expect(acceptsFhirJson(format, accept)).toBe(expected);
  });
});

describe('binaryForm', () => {
  // R4 binary.html; where XML would be the answer, which this release does not have, the answer is 406.
  it.each<[string | undefined, string | undefined, string, BinaryForm]>([
    // A FHIR type of the highest quality asks for the resource, whatever is stored.
    [undefined, FJ, 'application/pdf', 'resource'],
    [undefined, FJ, FJ, 'resource'],
    [undefined, `${FJ};q=0.9, application/pdf;q=0.8`, 'application/pdf', 'resource'],
    [undefined, `${FJ};q=0.8, application/pdf;q=0.9`, 'application/pdf', 'raw'],
    [undefined, `${FJ};fhirVersion=4.0`, 'application/pdf', 'resource'],
    [undefined, `${FJ};fhirVersion=3.0`, 'application/pdf', 'none'],
    [undefined, `${FJ};fhirVersion=3.0, application/pdf;q=0.5`, 'application/pdf', 'raw'],
    [undefined, FX, 'application/pdf', 'none'],
    [undefined, FX, FX, 'none'],
    [undefined, `${FX}, ${FJ};q=0.5`, 'application/pdf', 'resource'],
    [undefined, `${FX}, */*;q=0.1`, 'application/pdf', 'raw'],
    // _format decides before Accept; generic values are read as FHIR types.
    ['json', 'application/pdf', 'application/pdf', 'resource'],
    ['application/json', undefined, 'application/json', 'resource'],
    [FJ, undefined, 'application/pdf', 'resource'],
    ['xml', FJ, 'application/pdf', 'none'],
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
    [undefined, 'application/json', 'application/pdf', 'resource'],
    [undefined, 'application/xml', 'text/xml', 'raw'],
    [undefined, 'text/xml', 'application/xml; charset=utf-8', 'raw'],
    [undefined, 'application/xml', 'application/cda+xml', 'raw'],
    [undefined, 'application/xml', FX, 'raw'],
    [undefined, 'application/xml', 'application/pdf', 'none'],
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
