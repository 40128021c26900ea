// Which representation answers a request (RFC 9110 12.5.1; R4 http.html 3.1.0.1.9 and 3.1.0.1.11): `_format` decides before Accept,
// quality before order, and what is said most exactly counts.
import { isR4, parseAccept, parseMediaType, type MediaRange } from './media-type.ts';

export interface FhirFormat {
  format: 'json' | 'xml';
  /** As it is answered, without parameters: generic types are answered as they were asked for. */
  contentType: string;
}

const JSON_FORMAT: FhirFormat = { format: 'json', contentType: 'application/fhir+json' };
const XML_FORMAT: FhirFormat = { format: 'xml', contentType: 'application/fhir+xml' };

/** The types that Accept may name, the most wanted by us first; those of DSTU2 are answered as those of R4. */
const OFFERED: ReadonlyMap<string, FhirFormat> = new Map([
  ['application/fhir+json', JSON_FORMAT], ['application/fhir+xml', XML_FORMAT],
  ['application/json', { format: 'json', contentType: 'application/json' }], ['text/json', { format: 'json', contentType: 'text/json' }],
  ['application/xml', { format: 'xml', contentType: 'application/xml' }], ['text/xml', { format: 'xml', contentType: 'text/xml' }],
  ['application/json+fhir', JSON_FORMAT], ['application/xml+fhir', XML_FORMAT],
]);
const FHIR_TYPES: ReadonlySet<string> = new Set(['application/fhir+json', 'application/json+fhir', 'application/fhir+xml', 'application/xml+fhir']);

/** The representation of a resource; undefined = 406. */
export function negotiate(format: string | undefined, accept: string | undefined): FhirFormat | undefined {
  if (format !== undefined) return formatOf(format);
  return accept === undefined ? JSON_FORMAT : best(withoutBrowserTypes(parseAccept(accept)));
}

/** `_format` knows short names, and takes generic types for those of FHIR. */
function formatOf(format: string): FhirFormat | undefined {
  if (format === 'json') return JSON_FORMAT;
  if (format === 'xml') return XML_FORMAT;
  const type = parseMediaType(format);
  if (type === undefined || !isR4(type)) return undefined;
  const offered = OFFERED.get(type.essence)?.format;
  return offered === undefined ? undefined : offered === 'json' ? JSON_FORMAT : XML_FORMAT;
}

/** A browser that asks for HTML and also for anything wants application/xml for its pages, not for resources. */
function withoutBrowserTypes(ranges: MediaRange[]): MediaRange[] {
  const isBrowser = ranges.some((range) => range.essence === 'text/html') && ranges.some((range) => range.essence === '*/*');
  return isBrowser ? ranges.filter((range) => range.essence !== 'application/xml' && range.essence !== 'text/xml') : ranges;
}

/** Ranges are in the order of their quality: the first that names or covers something that is not excluded. */
function best(ranges: readonly MediaRange[]): FhirFormat | undefined {
  const fitting = ranges.filter(isR4);
  for (const range of fitting) {
    if (range.quality === 0) return undefined;
    for (const [essence, offered] of OFFERED) {
      if (covers(range.essence, essence) && mostExact(fitting, essence) === range) return offered;
    }
  }
  return undefined;
}

function covers(range: string, essence: string): boolean {
  return range === essence || range === '*/*' || (range.endsWith('/*') && essence.startsWith(range.slice(0, -1)));
}

function mostExact(ranges: readonly MediaRange[], essence: string): MediaRange | undefined {
  const exactness = (range: MediaRange): number => (range.essence === essence ? 3 : range.essence === '*/*' ? 1 : 2);
  let found: MediaRange | undefined;
  for (const range of ranges) {
    if (covers(range.essence, essence) && (found === undefined || exactness(range) > exactness(found))) found = range;
  }
  return found;
}

export type BinaryForm = 'raw' | 'json' | 'xml' | 'none';

const JSON_FAMILY = /^(application|text)\/(json|[^;]+\+json)$/;
const XML_FAMILY = /^(application|text)\/(xml|[^;]+\+xml)$/;

/**
 * How a Binary answers (R4 binary.html): a FHIR type in Accept asks for the resource, a generic JSON or XML type for the bytes when they are of
 * that family, anything that covers the stored type for the bytes. `none` = 406.
 */
export function binaryForm(format: string | undefined, accept: string | undefined, storedType: string): BinaryForm {
  if (format !== undefined) return formatOf(format)?.format ?? 'none';
  const stored = parseMediaType(storedType)?.essence ?? 'application/octet-stream';
  const ranges = withoutBrowserTypes(parseAccept(accept)).filter(isR4OrRaw);
  const isExcluded = (essence: string): boolean => mostExact(ranges, essence)?.quality === 0;
  for (const range of ranges) {
    if (range.quality === 0) continue;
    const form = formOfRange(range.essence, stored, isExcluded(stored));
    if (form !== undefined) return form;
  }
  return 'none';
}

/** The resource in another version cannot be answered, whatever the bytes are; a wish after it can. */
function isR4OrRaw(range: MediaRange): boolean {
  return !FHIR_TYPES.has(range.essence) || isR4(range);
}

function formOfRange(essence: string, stored: string, isExcluded: boolean): BinaryForm | undefined {
  if (FHIR_TYPES.has(essence)) return OFFERED.get(essence)?.format;
  const generic = OFFERED.get(essence)?.format;
  if (generic !== undefined) return (generic === 'json' ? JSON_FAMILY : XML_FAMILY).test(stored) && !isExcluded ? 'raw' : generic;
  if (!isExcluded && (essence === 'application/octet-stream' || covers(essence, stored))) return 'raw';
  return essence === '*/*' ? 'json' : undefined;
}
