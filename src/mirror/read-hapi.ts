// One read of HAPI, bounded in time and bytes, its JSON kept exact.
import { parseJson, isJsonObject, type JsonObject } from '../fhir/json.ts';
import type { HapiClient } from './hapi-client.ts';
import type { Received } from './hapi-transport.ts';

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
export async function readHapi(client: HapiClient, { path, form }: HapiQuestion, bounds: ReadBounds): Promise<HapiReading> {
  try {
    const received = await client.send(path.startsWith('?') ? path : `/${path}`, { ...bounds, headers: headersOf(form), ...(form === undefined ? { method: 'GET' } : { method: 'POST', body: form }) });
    return readingOf(received);
  } catch (error) {
    const { code, message } = error as Error & { code?: string };
    return { kind: 'failed', reason: `No answer: ${code ?? message}`, transport: true };
  }
}

function headersOf(form: string | undefined): Record<string, string> {
  return {
    'accept': 'application/fhir+json',
    // HAPI may answer a search from an earlier one otherwise.
    'cache-control': 'no-cache',
    ...(form === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
  };
}

function readingOf({ status, headers, text }: Received): HapiReading {
  if (status !== 200 && (status < 400 || UNREACHED.has(status))) return { kind: 'failed', reason: `HTTP ${status}`, transport: true };
  if (!FHIR_JSON.test(headers['content-type'] ?? '')) return { kind: 'failed', reason: `HTTP ${status} without FHIR JSON`, transport: true };
  if (text === undefined) return { kind: 'too-long' };
  const resource = parsed(text);
  if (resource === undefined) return { kind: 'failed', reason: `HTTP ${status} with a body that is no resource`, transport: true };
  const outcome = resource['resourceType'] === 'OperationOutcome';
  if (status === 200) return outcome ? { kind: 'failed', reason: 'HTTP 200 with an OperationOutcome', transport: false } : { kind: 'resource', resource, address: addressIn(headers, resource) };
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
function addressIn(headers: Received['headers'], resource: JsonObject): string | undefined {
  const links = Array.isArray(resource['link']) ? resource['link'].filter(isJsonObject) : [];
  const self = links.find(({ relation }) => relation === 'self')?.['url'];
  if (resource['resourceType'] === 'Bundle') return typeof self === 'string' ? SELF_OF_SEARCH.exec(self)?.[1] : undefined;
  return VERSION_ADDRESS.exec(headers['content-location'] ?? '')?.[1];
}
