// The edge where answers leave: interactions answer FHIR JSON, and here it becomes what the client wished, in XML, indented,
// compressed. Bytes and what is no FHIR pass as they are.
import { promisify } from 'node:util';
import { gzip as gzipWithCallback } from 'node:zlib';
import { fhirError } from '../fhir/fhir-error.ts';
import { isJsonObject, parseJson, printJson } from '../fhir/json.ts';
import { printXml, XmlPrintError } from '../fhir/print-xml.ts';
import type { FhirResponse } from '../interactions/interaction.ts';
import { FHIR_JSON_TYPE } from '../interactions/representation.ts';
import { errorResponse } from './error-response.ts';
import type { Wish } from './wish.ts';

/** An answer as it leaves. */
export interface WireAnswer extends FhirResponse {
  /** The body, compressed; in the place of `body`. */
  compressed?: Buffer;
}

/** Smaller answers fit into one packet as they are. */
const GZIP_BYTES_MIN = 1_000;
const COMPRESSIBLE = /^(?:application\/(?:fhir\+)?(?:json|xml)|text\/(?:json|xml))(?:;|$)/;
const gzip = promisify(gzipWithCallback);

export async function presentAnswer(answer: FhirResponse, wish: Wish): Promise<WireAnswer> {
  const shown = inFormat(answer, wish);
  return wish.gzip ? compressed(shown) : shown;
}

function inFormat(answer: FhirResponse, { format, pretty }: Wish): FhirResponse {
  if (answer.stream !== undefined || answer.headers['Content-Type'] !== FHIR_JSON_TYPE || format === undefined) return answer;
  const isPlain = format.format === 'json' && !pretty;
  if (isPlain && format.contentType === 'application/fhir+json') return answer;
  const headers = { ...answer.headers, 'Content-Type': `${format.contentType}; charset=utf-8` };
  if (isPlain || answer.body === undefined || answer.body === '') return { ...answer, headers };
  // What we print ourselves is within no limit but that of memory.
  const resource = parseJson(answer.body, { depthMax: Infinity, keysMax: Infinity });
  if (!isJsonObject(resource)) throw new Error('An answer is no resource');
  if (format.format === 'json') return { ...answer, headers, body: printJson(resource, { pretty }) };
  try {
    return { ...answer, headers, body: printXml(resource, { pretty }) };
  } catch (error) {
    if (error instanceof XmlPrintError) return errorResponse(fhirError('not-acceptable', error.message));
    throw error;
  }
}

async function compressed(answer: FhirResponse): Promise<WireAnswer> {
  const { body } = answer;
  if (body === undefined || body.length < GZIP_BYTES_MIN || !COMPRESSIBLE.test(answer.headers['Content-Type'] ?? '')) return answer;
  const { body: _plain, ...rest } = answer;
  return { ...rest, headers: { ...answer.headers, 'Content-Encoding': 'gzip' }, compressed: await gzip(body, { level: 4 }) };
}
