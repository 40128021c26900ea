// An annotation as the documents API has it, and as a Web Annotation (W3C Web Annotation Data Model): what is written, and
// where on which page. Pure.
import { fhirError } from '../fhir/fhir-error.ts';
import { isJsonObject, JsonNumber, type JsonObject, type JsonValue } from '../fhir/json.ts';
import { pathFault } from './svg-path.ts';

/** Kinds of annotations, with the motivation that says the same in W3C's words; both ways it is one for one. */
const MOTIVATIONS = { marker: 'identifying', drawing: 'describing', text: 'commenting', highlight: 'highlighting' } as const;
export type AnnotationType = keyof typeof MOTIVATIONS;

export interface Rectangle { x: number; y: number; width: number; height: number }

export interface Annotation {
  type: AnnotationType;
  content: {
    text?: string;
    /** One of them at most. Sides of the page are 1. */
    coordinates?: Rectangle;
    path?: string;
    quote?: string;
    /** Pixels of the source that was drawn on. */
    source_size?: { width: number; height: number };
  };
  page_number?: number;
}

const TEXT_MAX = 10_000;
const PATH_MAX = 100_000;
const PAGE_MAX = 100_000;
const PIXELS_MAX = 1_000_000;
/** What the server says of an annotation: in a body it counts for nothing. */
const SERVER_MEMBERS: ReadonlySet<string> = new Set(['id', 'document_id', 'created_by', 'created_at', 'updated_at', 'version']);

const wrong = (expression: string, diagnostics: string): Error => fhirError('invalid-value', `${expression} ${diagnostics}`, { expression });

function requireMembers(value: JsonValue | undefined, known: readonly string[], at: string, ignored: ReadonlySet<string> = new Set()): JsonObject {
  if (!isJsonObject(value)) throw fhirError('structure', `${at} must be an object`, { expression: at });
  const other = Object.keys(value).find((name) => !known.includes(name) && !ignored.has(name));
  if (other !== undefined) throw fhirError('structure', `${at} has ${known.join(', ')}, and nothing else`, { expression: at });
  return value;
}

const isGiven = (value: JsonValue | undefined): value is JsonValue => value !== undefined && value !== null;
const numberOf = (value: JsonValue | undefined): number => (value instanceof JsonNumber ? value.toNumber() : typeof value === 'number' ? value : Number.NaN);

function textOf(value: JsonValue, at: string, charactersMax: number): string {
  if (typeof value !== 'string' || value === '' || value.length > charactersMax || /[\u0000-\u0008\u000b\u000c\u000e-\u001f]/u.test(value)) throw wrong(at, `must be a text of 1 to ${charactersMax} characters, without control characters`);
  return value;
}

function wholeOf(value: JsonValue, at: string, most: number): number {
  const number = numberOf(value);
  if (!Number.isInteger(number) || number < 1 || number > most) throw wrong(at, `must be a whole number from 1 to ${most}`);
  return number;
}

/** Nine digits are finer than any page is drawn on; sums of what was rounded must not leave it. */
const rounded = (value: number): number => Number(value.toFixed(9)) + 0;

function rectangleOf(value: JsonValue, at: string): Rectangle {
  const given = requireMembers(value, ['x', 'y', 'width', 'height'], at);
  const side = (name: string, missing: number): number => {
    const number = isGiven(given[name]) ? numberOf(given[name]) : missing;
    if (!(number >= 0 && number <= 1)) throw wrong(`${at}.${name}`, 'must be a number from 0 to 1');
    return rounded(number);
  };
  // A marker may be a point.
  const rectangle = { x: side('x', Number.NaN), y: side('y', Number.NaN), width: side('width', 0), height: side('height', 0) };
  if (rectangle.x + rectangle.width > 1 + 1e-9 || rectangle.y + rectangle.height > 1 + 1e-9) throw wrong(at, 'must stay on the page, whose sides are 1');
  return rectangle;
}

function pathOf(value: JsonValue, at: string): string {
  const path = textOf(value, at, PATH_MAX);
  const fault = pathFault(path);
  if (fault !== undefined) throw wrong(at, fault);
  return path;
}

function sizeOf(value: JsonValue, at: string): { width: number; height: number } {
  const { width = null, height = null } = requireMembers(value, ['width', 'height'], at);
  return { width: wholeOf(width, `${at}.width`, PIXELS_MAX), height: wholeOf(height, `${at}.height`, PIXELS_MAX) };
}

function contentOf(value: JsonValue | undefined): Annotation['content'] {
  const { text, coordinates, path, quote, source_size: size } = requireMembers(value, ['text', 'coordinates', 'path', 'quote', 'source_size'], 'content');
  if ([coordinates, path, quote].filter(isGiven).length > 1) throw wrong('content', 'has one of coordinates, path and quote');
  return {
    ...(isGiven(text) ? { text: textOf(text, 'content.text', TEXT_MAX) } : {}),
    ...(isGiven(coordinates) ? { coordinates: rectangleOf(coordinates, 'content.coordinates') } : {}),
    ...(isGiven(path) ? { path: pathOf(path, 'content.path') } : {}),
    ...(isGiven(quote) ? { quote: textOf(quote, 'content.quote', TEXT_MAX) } : {}),
    ...(isGiven(size) ? { source_size: sizeOf(size, 'content.source_size') } : {}),
  };
}

/** Raises 400 `structure` or `invalid-value`, 422 `code-invalid` for another type, `required` where nothing is said and no place named. */
export function readAnnotation(value: JsonValue): Annotation {
  const { type, content: given, page_number: page } = requireMembers(value, ['type', 'content', 'page_number'], 'annotation', SERVER_MEMBERS);
  if (typeof type !== 'string' || !Object.hasOwn(MOTIVATIONS, type)) throw fhirError('code-invalid', `type must be one of ${Object.keys(MOTIVATIONS).join(', ')}`, { expression: 'type' });
  const content = contentOf(given);
  const { text, coordinates, path, quote } = content;
  if (text === undefined && (type === 'text' || (coordinates ?? path ?? quote) === undefined)) throw fhirError('required', 'content needs a text, or another type than text a place', { expression: 'content' });
  return { type: type as AnnotationType, content, ...(isGiven(page) ? { page_number: wholeOf(page, 'page_number', PAGE_MAX) } : {}) };
}

const PAGES = 'http://tools.ietf.org/rfc/rfc3778';
const REGIONS = 'http://www.w3.org/TR/media-frags/';

/** A number of 0 to 1 as percent and back, without the noise of a multiplication in binary. */
const percent = (value: number): string => (value * 100).toFixed(7).replace(/\.?0+$/, '');
const fraction = (text: string): number => rounded(Number(text) / 100);

function regionOf({ coordinates, path, quote }: Annotation['content']): JsonObject | undefined {
  if (coordinates !== undefined) {
    const { x, y, width, height } = coordinates;
    return { type: 'FragmentSelector', conformsTo: REGIONS, value: `xywh=percent:${[x, y, width, height].map(percent).join(',')}` };
  }
  if (path !== undefined) return { type: 'SvgSelector', value: `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><path d="${path}"/></svg>` };
  return quote === undefined ? undefined : { type: 'TextQuoteSelector', exact: quote };
}

function selectorOf({ content, page_number: page }: Annotation): JsonObject | undefined {
  const region = regionOf(content);
  if (page === undefined) return region;
  return { type: 'FragmentSelector', conformsTo: PAGES, value: `page=${page}`, ...(region === undefined ? {} : { refinedBy: region }) };
}

/** The Web Annotation. `source` and `creator` are addresses, `created` an instant. */
export function webAnnotation(annotation: Annotation, about: { source: string; creator: string | undefined; created: string }): JsonObject {
  const { type, content: { text, source_size: size } } = annotation;
  const selector = selectorOf(annotation);
  return {
    '@context': 'http://www.w3.org/ns/anno.jsonld',
    type: 'Annotation',
    motivation: MOTIVATIONS[type],
    ...(about.creator === undefined ? {} : { creator: about.creator }),
    created: about.created,
    ...(text === undefined ? {} : { body: { type: 'TextualBody', value: text, format: 'text/plain' } }),
    target: { source: size === undefined ? about.source : { id: about.source, ...size }, ...(selector === undefined ? {} : { selector }) },
  };
}

const XYWH = /^xywh=percent:([\d.]+),([\d.]+),([\d.]+),([\d.]+)$/;

function contentIn(selector: JsonValue | undefined): Pick<Annotation['content'], 'coordinates' | 'path' | 'quote'> {
  if (!isJsonObject(selector)) return {};
  const { type, value, exact } = selector;
  const [, x, y, width, height] = typeof value === 'string' ? XYWH.exec(value) ?? [] : [];
  if (x !== undefined && y !== undefined && width !== undefined && height !== undefined) return { coordinates: { x: fraction(x), y: fraction(y), width: fraction(width), height: fraction(height) } };
  const path = type === 'SvgSelector' && typeof value === 'string' ? /<path d="([^"]*)"/.exec(value)?.[1] : undefined;
  if (path !== undefined) return { path };
  return type === 'TextQuoteSelector' && typeof exact === 'string' ? { quote: exact } : {};
}

function sizeIn(source: JsonValue | undefined): Pick<Annotation['content'], 'source_size'> {
  const [width, height] = isJsonObject(source) ? [numberOf(source['width']), numberOf(source['height'])] : [];
  return width !== undefined && height !== undefined && width > 0 && height > 0 ? { source_size: { width, height } } : {};
}

/** The annotation that a Web Annotation of this server says; undefined for another one. */
export function annotationOf(web: JsonValue): Annotation | undefined {
  if (!isJsonObject(web) || !isJsonObject(web['target'])) return undefined;
  const { motivation, body, target } = web;
  const type = (Object.keys(MOTIVATIONS) as AnnotationType[]).find((name) => MOTIVATIONS[name] === motivation);
  if (type === undefined) return undefined;
  const { selector, source } = target;
  const page = isJsonObject(selector) && typeof selector['value'] === 'string' ? /^page=(\d+)$/.exec(selector['value'])?.[1] : undefined;
  const text = isJsonObject(body) ? body['value'] : undefined;
  return {
    type,
    content: { ...(typeof text === 'string' ? { text } : {}), ...contentIn(page === undefined || !isJsonObject(selector) ? selector : selector['refinedBy']), ...sizeIn(source) },
    ...(page === undefined ? {} : { page_number: Number(page) }),
  };
}
