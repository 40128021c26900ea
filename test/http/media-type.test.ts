import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseAccept, parseMediaType } from '../../src/http/media-type.ts';

const FJ = 'application/fhir+json';

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
