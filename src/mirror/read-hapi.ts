// One read of HAPI, bounded in time and bytes, its JSON kept exact. fhir-kit-client has the address and the credentials,
// but reads a body whole, whatever its size, and through JSON.parse, which loses the digits of decimals: so the
// transfer is ours here.
import { parseJson, isJsonObject, type JsonObject } from '../fhir/json.ts';
import { boundedText } from './bounded-text.ts';
import type { HapiClient } from './call-hapi.ts';

export interface HapiQuestion {
  /** Below the FHIR base, with the query. */
  path: string;
  /** Criteria of a search that are too long for an address: sent by POST. */
  form?: string;
}

export type HapiReading =
  /** `address` is where HAPI says that it is, undefined where it does not say. */
  | { kind: 'resource'; resource: JsonObject; address: string | undefined }
  /** HAPI spoke against the request: 404, 410, 400 and the like. */
  | { kind: 'refused'; status: number }
  /** More than `bytesMax`. */
  | { kind: 'too-long' }
  /** `transport`: HAPI was not reached, or it was not HAPI that answered. The reason is for the log. */
  | { kind: 'failed'; reason: string; transport: boolean };

export interface ReadBounds {
  timeoutMs: number;
  bytesMax: number;
}

/** Properties of all resources of a page together. */
const KEYS_MAX = 1_000_000;
const FHIR_JSON = /^application\/(?:fhir\+)?json\s*(?:;|$)/i;
// From a server in front of HAPI, from HAPI while it has no database, or about our own credentials.
const UNREACHED = new Set([401, 403, 407, 408, 421, 425, 429, 502, 503, 504]);

/** Never rejects. */
export async function readHapi(client: HapiClient, question: HapiQuestion, bounds: ReadBounds): Promise<HapiReading> {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(new Error(`No answer within ${bounds.timeoutMs} ms`)), bounds.timeoutMs);
  try {
    const response = await fetch(addressOf(client, question), {
      headers: headersOf(client, question), signal: stop.signal,
      // A redirect would carry our credentials and a patient's name to an address that nobody configured.
      redirect: 'manual',
      ...(question.form === undefined ? {} : { method: 'POST', body: question.form }),
    });
    return await readingOf(response, bounds.bytesMax);
  } catch (error) {
    const { cause, message } = error as Error & { cause?: { code?: string; message?: string } };
    return { kind: 'failed', reason: `No answer: ${cause?.code ?? cause?.message ?? message}`, transport: true };
  } finally {
    clearTimeout(timer);
    // Ends what was not read to its end.
    stop.abort();
  }
}

function addressOf({ baseUrl }: HapiClient, { path }: HapiQuestion): string {
  const base = baseUrl.replace(/\/+$/, '');
  return path.startsWith('?') ? `${base}${path}` : `${base}/${path}`;
}

function headersOf({ customHeaders }: HapiClient, { form }: HapiQuestion): Record<string, string> {
  return {
    ...(customHeaders),
    'accept': 'application/fhir+json',
    // HAPI may answer a search from an earlier one otherwise.
    'cache-control': 'no-cache',
    ...(form === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
  };
}

async function readingOf(response: Response, bytesMax: number): Promise<HapiReading> {
  const { status } = response;
  if (status !== 200 && (status < 400 || UNREACHED.has(status))) return { kind: 'failed', reason: `HTTP ${status}`, transport: true };
  if (!FHIR_JSON.test(response.headers.get('content-type') ?? '')) return { kind: 'failed', reason: `HTTP ${status} without FHIR JSON`, transport: true };
  const text = await boundedText(response, bytesMax);
  if (text === undefined) return { kind: 'too-long' };
  const resource = parsed(text);
  if (resource === undefined) return { kind: 'failed', reason: `HTTP ${status} with a body that is no resource`, transport: true };
  const outcome = resource['resourceType'] === 'OperationOutcome';
  if (status === 200) return outcome ? { kind: 'failed', reason: 'HTTP 200 with an OperationOutcome', transport: false } : { kind: 'resource', resource, address: addressIn(response, resource) };
  if (!outcome) return { kind: 'failed', reason: `HTTP ${status} without an OperationOutcome`, transport: true };
  return status >= 500 ? { kind: 'failed', reason: `HTTP ${status}`, transport: false } : { kind: 'refused', status };
}

function parsed(text: string): JsonObject | undefined {
  try {
    const value = parseJson(text, { keysMax: KEYS_MAX });
    return isJsonObject(value) && typeof value['resourceType'] === 'string' ? value : undefined;
  } catch {
    return undefined;
  }
}

const SELF_OF_SEARCH = /^(https?:\/\/[^?#]+?)\/(?:[A-Z][A-Za-z]+(?:\/_search)?)?(?:\?|$)/;
const VERSION_ADDRESS = /^(https?:\/\/[^?#]+)\/[A-Z][A-Za-z]+\/[^/]+\/_history\/[^/]+$/;

/** The base that HAPI itself names: another than ours where it stands behind something, and it then writes that one into resources. */
function addressIn(response: Response, resource: JsonObject): string | undefined {
  const links = Array.isArray(resource['link']) ? resource['link'].filter(isJsonObject) : [];
  const self = links.find(({ relation }) => relation === 'self')?.['url'];
  if (resource['resourceType'] === 'Bundle') return typeof self === 'string' ? SELF_OF_SEARCH.exec(self)?.[1] : undefined;
  return VERSION_ADDRESS.exec(response.headers.get('content-location') ?? '')?.[1];
}
