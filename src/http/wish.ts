// What a client wishes of any answer, before it is known what the answer will be: format, white space, coding.
import { negotiate, type FhirFormat } from './negotiate.ts';

export interface Wish {
  /** Undefined when nothing that is offered is acceptable: errors are told in JSON then. */
  format: FhirFormat | undefined;
  pretty: boolean;
  gzip: boolean;
}

/** Method, URL below the base, and headers. */
interface Asked {
  url: string;
  header(name: string): string | undefined;
}

export const NOT_ACCEPTABLE = 'This server answers in application/fhir+json and application/fhir+xml, FHIR version 4.0';

/** Clients say the same again and again. */
const known = new Map<string | undefined, FhirFormat | undefined>();
const KNOWN_MAX = 500;

export function wishOf({ url, header }: Asked): Wish {
  const query = url.includes('_format') || url.includes('_pretty') ? new URLSearchParams(url.slice(url.indexOf('?') + 1)) : undefined;
  return {
    format: negotiateOnce(query?.get('_format') ?? undefined, header('accept')),
    pretty: query?.get('_pretty') === 'true',
    gzip: acceptsGzip(header('accept-encoding')),
  };
}

/** What the form of a search by POST says of the same (R4 search.html 3.1.1.1.1); what it says of the format and is not offered counts for nothing. */
export function wishOfForm(wish: Wish, form: string): Wish {
  const parameters = new URLSearchParams(form);
  const format = parameters.get('_format');
  const pretty = parameters.get('_pretty');
  return {
    ...wish,
    format: (format === null ? undefined : negotiate(format, undefined)) ?? wish.format,
    pretty: pretty === null ? wish.pretty : pretty === 'true',
  };
}

function negotiateOnce(format: string | undefined, accept: string | undefined): FhirFormat | undefined {
  if (format !== undefined) return negotiate(format, accept);
  if (known.has(accept)) return known.get(accept);
  const found = negotiate(undefined, accept);
  if (known.size >= KNOWN_MAX) known.clear();
  if ((accept?.length ?? 0) < 200) known.set(accept, found);
  return found;
}

/** RFC 9110 12.5.3: named, or covered by *, and not with a quality of 0. */
export function acceptsGzip(header: string | undefined): boolean {
  if (header === undefined) return false;
  const qualities = new Map(header.split(',').map((part): [string, number] => {
    const [coding = '', ...parameters] = part.split(';').map((one) => one.trim().toLowerCase());
    const quality = parameters.find((one) => one.startsWith('q='))?.slice(2);
    return [coding, quality === undefined ? 1 : Number(quality)];
  }));
  const quality = qualities.get('gzip') ?? qualities.get('x-gzip') ?? qualities.get('*') ?? 0;
  return quality > 0;
}
