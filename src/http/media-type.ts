// Media types of requests and answers (RFC 9110 8.3, 12.5.1; R4 http.html 3.1.0.1.9).

export interface MediaType {
  /** type/subtype in lower case. */
  essence: string;
  parameters: Record<string, string>;
}

export interface MediaRange extends MediaType {
  /** 0 to 1 */
  quality: number;
}

const TYPE = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+\/[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

export function parseMediaType(text: string): MediaType | undefined {
  const [essence = '', ...rest] = text.split(';').map((part) => part.trim());
  // An unencoded + of _format=application/fhir+json arrives as a space.
  const whole = essence.replace(' ', '+').toLowerCase();
  if (!TYPE.test(whole)) return undefined;
  const parameters: Record<string, string> = {};
  for (const part of rest) {
    const [name = '', value = ''] = part.split('=', 2);
    parameters[name.trim().toLowerCase()] = value.trim().replace(/^"(.*)"$/, '$1');
  }
  return { essence: whole, parameters };
}

/** The ranges of an Accept header, the most wanted first; those with q=0 last. */
export function parseAccept(text: string | undefined): MediaRange[] {
  if (text === undefined || text.trim() === '') return [{ essence: '*/*', parameters: {}, quality: 1 }];
  const ranges = text.split(',').flatMap((part): MediaRange[] => {
    const type = parseMediaType(part);
    if (type === undefined) return [];
    const quality = Number(type.parameters['q'] ?? 1);
    return [{ ...type, quality: Number.isFinite(quality) ? Math.min(Math.max(quality, 0), 1) : 0 }];
  });
  return ranges.sort((a, b) => b.quality - a.quality || specificity(b.essence) - specificity(a.essence));
}

function specificity(essence: string): number {
  return essence === '*/*' ? 0 : essence.endsWith('/*') ? 1 : 2;
}

export const FHIR_JSON = 'application/fhir+json';

export const JSON_TYPES: ReadonlySet<string> = new Set([FHIR_JSON, 'application/json+fhir', 'application/json', 'text/json', 'json']);
const FHIR_TYPES: ReadonlySet<string> = new Set([FHIR_JSON, 'application/json+fhir']);
const FHIR_XML: ReadonlySet<string> = new Set(['application/fhir+xml', 'application/xml+fhir']);

export function isFhirJson(essence: string): boolean {
  return FHIR_TYPES.has(essence);
}

/** R4 is 4.0; any other version asked for by the fhirVersion parameter cannot be served. */
function isR4(type: MediaType): boolean {
  const version = type.parameters['fhirversion'];
  return version === undefined || version === '4.0' || version === '4.0.1';
}

/** Whether FHIR JSON can answer this request: `_format` decides before Accept. */
export function acceptsFhirJson(format: string | undefined, accept: string | undefined): boolean {
  if (format !== undefined) {
    const type = format === 'json' ? { essence: 'json', parameters: {} } : parseMediaType(format);
    return type !== undefined && JSON_TYPES.has(type.essence) && isR4(type);
  }
  const ranges = parseAccept(accept);
  const named = ranges.filter((range) => JSON_TYPES.has(range.essence) && isR4(range));
  if (named.length > 0) return named.some((range) => range.quality > 0);
  return ranges.some((range) => (range.essence === '*/*' || range.essence === 'application/*') && range.quality > 0);
}

export type BinaryForm = 'raw' | 'resource' | 'none';

const JSON_FAMILY = /^(application|text)\/(json|[^;]+\+json)$/;
const XML_FAMILY = /^(application|text)\/(xml|[^;]+\+xml)$/;

/**
 * How a Binary answers (R4 binary.html): a FHIR type in Accept asks for the resource, a generic JSON or XML type for the
 * bytes when they are of that family, anything that covers the stored type for the bytes. `none` = 406.
 */
export function binaryForm(format: string | undefined, accept: string | undefined, storedType: string): BinaryForm {
  if (format !== undefined) return acceptsFhirJson(format, undefined) ? 'resource' : 'none';
  const stored = parseMediaType(storedType)?.essence ?? 'application/octet-stream';
  for (const range of parseAccept(accept)) {
    if (range.quality === 0) continue;
    if (isFhirJson(range.essence) && isR4(range)) return 'resource';
    // The resource in another version or in XML cannot be answered, whatever the bytes are; a wish after it can.
    if (isFhirJson(range.essence) || FHIR_XML.has(range.essence)) continue;
    if (range.essence === 'application/json' || range.essence === 'text/json') return JSON_FAMILY.test(stored) ? 'raw' : 'resource';
    if ((range.essence === 'application/xml' || range.essence === 'text/xml') && XML_FAMILY.test(stored)) return 'raw';
    if (range.essence === '*/*' || range.essence === stored || range.essence === 'application/octet-stream') return 'raw';
    if (range.essence.endsWith('/*') && stored.startsWith(range.essence.slice(0, -1))) return 'raw';
  }
  return 'none';
}
