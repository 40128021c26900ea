// Annotations in both words: what the documents API says, a Web Annotation says as well, and back.
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { annotationOf, readAnnotation, webAnnotation, type Annotation } from '../../src/adapters/annotation.ts';
import { pathFault } from '../../src/adapters/svg-path.ts';
import { parseJson, printJson, type JsonValue } from '../../src/fhir/json.ts';
import { FhirError } from '../../src/fhir/fhir-error.ts';

const ABOUT = { source: 'http://localhost/fhir/DocumentReference/d', creator: 'http://localhost/fhir/Practitioner/p', created: '2026-01-02T03:04:05.678Z' };
const web = (annotation: object): JsonValue => webAnnotation(readAnnotation(annotation as JsonValue), ABOUT);

function refusal(annotation: unknown): string {
  try {
    readAnnotation(annotation as JsonValue);
  } catch (error) {
    if (error instanceof FhirError) return `${error.status} ${error.detail} ${error.issues[0]?.expression ?? ''}`.trim();
    throw error;
  }
  return 'taken';
}

describe('a Web Annotation', () => {
  it('has the rectangle as a media fragment within its page', () => {
    expect(web({ type: 'marker', content: { text: 'Fracture', coordinates: { x: 0.07, y: 0.2, width: 0.3, height: 0.155 } }, page_number: 3 })).toEqual({
      '@context': 'http://www.w3.org/ns/anno.jsonld', type: 'Annotation', motivation: 'identifying', creator: ABOUT.creator, created: ABOUT.created,
      body: { type: 'TextualBody', value: 'Fracture', format: 'text/plain' },
      target: { source: ABOUT.source, selector: {
        type: 'FragmentSelector', conformsTo: 'http://tools.ietf.org/rfc/rfc3778', value: 'page=3',
        refinedBy: { type: 'FragmentSelector', conformsTo: 'http://www.w3.org/TR/media-frags/', value: 'xywh=percent:7,20,30,15.5' },
      } },
    });
  });

  it('has a drawing as SVG, a highlight as a quotation, and the pixels of the source', () => {
    expect(web({ type: 'drawing', content: { path: 'M0.1 0.1 L0.9,0.9Z', source_size: { width: 640, height: 480 } } })).toMatchObject({
      motivation: 'describing', target: { source: { id: ABOUT.source, width: 640, height: 480 }, selector: { type: 'SvgSelector', value: '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><path d="M0.1 0.1 L0.9,0.9Z"/></svg>' } },
    });
    expect(web({ type: 'highlight', content: { quote: 'no <b>evidence</b>' } })).toMatchObject({ motivation: 'highlighting', target: { selector: { type: 'TextQuoteSelector', exact: 'no <b>evidence</b>' } } });
  });

  it('says what was said, through its printed form and back', () => {
    const side = fc.integer({ min: 0, max: 1_000_000_000 }).map((value) => value / 1_000_000_000);
    const text = fc.string({ minLength: 1, maxLength: 50 }).filter((value) => !/[\u0000-\u001f]/u.test(value));
    const place = fc.oneof(
      fc.tuple(side, side, side, side).map(([x, y, width, height]) => ({ coordinates: { x, y, width: Math.min(width, 1 - x), height: Math.min(height, 1 - y) } })),
      fc.tuple(side, side).map(([x, y]) => ({ path: `M${x.toFixed(6)} ${y.toFixed(6)} h0` })), text.map((quote) => ({ quote })),
    );
    const annotation = fc.record({ type: fc.constantFrom('marker', 'drawing', 'text', 'highlight'), content: fc.tuple(text, place).map(([said, at]) => ({ text: said, ...at })) }).chain((made) => fc.option(fc.integer({ min: 1, max: 500 })).map((page) => (page === null ? made : { ...made, page_number: page })));
    fc.assert(fc.property(annotation, (given) => {
      const read: Annotation = readAnnotation(given);
      expect(annotationOf(parseJson(printJson(webAnnotation(read, ABOUT))))).toEqual(read);
    }));
  });
});

describe('an annotation', () => {
  it.each<[unknown, string]>([
    [{ type: 'text', content: { text: 'a' } }, 'taken'],
    [{ type: 'marker', content: { coordinates: { x: 0, y: 1 } } }, 'taken'],
    [{ type: 'text', content: { text: 'a' }, created_by: 'Practitioner/forged', id: 'x' }, 'taken'],
    ['text', '400 structure annotation'],
    [{ type: 'circle', content: { text: 'a' } }, '422 code-invalid type'],
    [{ type: 'toString', content: { text: 'a' } }, '422 code-invalid type'],
    [{ type: 'text' }, '400 structure content'],
    [{ type: 'text', content: {} }, '422 required content'],
    [{ type: 'text', content: { quote: 'a' } }, '422 required content'],
    [{ type: 'text', content: { text: 'a', colour: 'red' } }, '400 structure content'],
    [{ type: 'text', content: { text: 'a' }, page: 1 }, '400 structure annotation'],
    [{ type: 'text', content: { text: 'a\u0007' } }, '400 invalid-value content.text'],
    [{ type: 'text', content: { text: 'a'.repeat(10_001) } }, '400 invalid-value content.text'],
    [{ type: 'marker', content: { coordinates: { x: -0.1, y: 0 } } }, '400 invalid-value content.coordinates.x'],
    [{ type: 'marker', content: { coordinates: { x: 0.5, y: 0, width: 0.6, height: 0 } } }, '400 invalid-value content.coordinates'],
    [{ type: 'marker', content: { coordinates: { x: 0.5 } } }, '400 invalid-value content.coordinates.y'],
    [{ type: 'marker', content: { coordinates: [0, 0] } }, '400 structure content.coordinates'],
    [{ type: 'marker', content: { coordinates: { x: 0, y: 0 }, quote: 'a' } }, '400 invalid-value content'],
    [{ type: 'drawing', content: { path: '<script>' } }, '400 invalid-value content.path'],
    [{ type: 'drawing', content: { path: 'M0 0 L2 2' } }, '400 invalid-value content.path'],
    [{ type: 'text', content: { text: 'a' }, page_number: 0 }, '400 invalid-value page_number'],
    [{ type: 'text', content: { text: 'a' }, page_number: 1.5 }, '400 invalid-value page_number'],
  ])('%j is %s', (annotation, expected) => {
    expect(refusal(annotation)).toBe(expected);
  });
});

describe('path data', () => {
  it.each(['M0 0', 'M 0.1,0.2 L.3.4', 'm.5.5l.5.5', 'M0 0H1V1H0Z', 'M0,0 1,1', 'M.5.5a.1.1 0 0 1 .2 0', 'M0 0C0 1 1 1 1 0S1 0 1 0Q.5.5 0 0T1 1', 'M.9.9l-.8-.8zm.05.05l.05.05', 'M1e-3 0'])('%s stays on the page', (path) => {
    expect(pathFault(path)).toBeUndefined();
  });

  it.each(['', 'L0 0', 'M0', 'M0 0 L1', 'M0 0 X', 'M0 0"', 'M0 0 L1.1 0', 'M.5.5l.6 0', 'M0 0 -1 0', 'M0 0Z1', 'M.5.5 h', 'M0 0 L1e999 0'])('%s is refused', (path) => {
    expect(pathFault(path)).toEqual(expect.any(String));
  });
});
