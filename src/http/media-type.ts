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

/** R4 is 4.0; any other version asked for by the fhirVersion parameter cannot be served. */
export function isR4(type: MediaType): boolean {
  const version = type.parameters['fhirversion'];
  return version === undefined || version === '4.0' || version === '4.0.1';
}
