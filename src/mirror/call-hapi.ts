// One request to HAPI, bounded in time and bytes, and its answer as a value.
import type { IncomingHttpHeaders } from 'node:http';
import { isJsonObject, parseJson, type JsonObject, type JsonValue } from '../fhir/json.ts';
import type { HapiClient } from './hapi-client.ts';
import { LoginDenied } from './hapi-credentials.ts';

export interface HapiRequest {
  method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  /** Below the FHIR base; '' is the base itself. */
  path: string;
  /** Exact JSON text: given as a string, it is sent as it is, so that decimals keep their digits. */
  body?: string;
  /** The version that HAPI must hold for the write to happen. */
  ifMatch?: string;
  /** HAPI tries again by itself, for more than a second, while another write is in the way. */
  waitForOthers?: boolean;
}

/** Answered by whatever HAPI is there, to anybody. The whole CapabilityStatement of HAPI has 1.5 MB and takes seconds. */
export const ALIVE_PATH = 'metadata?_elements=fhirVersion';

export interface HapiAnswer {
  /** HTTP status; 0 = there was no answer. */
  status: number;
  /** Type of the resource in the body. */
  type: string | undefined;
  /** HAPI's version of the resource that it answered about. */
  version: string | undefined;
  /** meta.source of the resource in the body. */
  source: string | undefined;
  /** The resource of the answer, its decimals exact; empty for none. */
  resource: JsonObject;
  /** Whether the body of a failure is an OperationOutcome: only then HAPI itself has spoken. */
  outcome: boolean;
  /** How long HAPI asks to be left alone (Retry-After in seconds), an hour at most. */
  retryAfterMs?: number;
  /** Who does not let us in, where it was not HAPI itself: nothing was sent to HAPI. */
  denial?: string;
  /** Text of a failure for people: the diagnostics, or why there was no answer. */
  reason: string;
}

const RETRY_AFTER_MAX_MS = 60 * 60_000;
/** A resource of ours in its largest form, and a half. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;
const KEYS_MAX = 1_000_000;

const HEADERS = {
  'content-type': 'application/fhir+json',
  'cache-control': 'no-cache',
  prefer: 'return=minimal',
  // Tags, profiles and labels that this version no longer has are merged in from the version before otherwise.
  'x-meta-snapshot-mode': 'TAG,PROFILE,SECURITY_LABEL',
};

/** Never rejects. Ended after `timeoutMs`, whether it waits for the connection, the headers or the body, or by `stop`, it has status 0. */
export async function callHapi(client: HapiClient, request: HapiRequest, timeoutMs: number, stop: AbortSignal): Promise<HapiAnswer> {
  try {
    const { status, headers, text } = await client.send(request.path === '' ? '' : `/${request.path}`, {
      method: request.method, headers: headersOf(request), timeoutMs, stop, bytesMax: ANSWER_BYTES_MAX, ...(request.body === undefined ? {} : { body: request.body }),
    });
    if (text === undefined) return { ...NO_ANSWER, reason: 'No answer: it is too long' };
    const resource = resourceIn(text);
    // A part of an answer, or a page of something that is not HAPI: to take it for a resource without meta.source would overwrite it.
    const spoken = text === '' ? request.method !== 'GET' : resource['resourceType'] !== undefined;
    if (status >= 200 && status < 300 && !spoken) return { ...NO_ANSWER, reason: `No answer: HTTP ${status} without a resource` };
    return answerOf(status, headers, resource);
  } catch (error) {
    const { code, message } = error as Error & { code?: string };
    return error instanceof LoginDenied ? { ...NO_ANSWER, status: 401, denial: message, reason: message } : { ...NO_ANSWER, reason: `No answer: ${code ?? message}` };
  }
}

function headersOf({ ifMatch, waitForOthers }: HapiRequest): Record<string, string> {
  return {
    ...HEADERS,
    ...(ifMatch === undefined ? {} : { 'if-match': `W/"${ifMatch}"` }),
    ...(waitForOthers === true ? { 'x-retry-on-version-conflict': 'retry; max-retries=5' } : {}),
  };
}

const NO_ANSWER: Omit<HapiAnswer, 'reason'> = { status: 0, type: undefined, version: undefined, source: undefined, resource: {}, outcome: false };

function answerOf(status: number, headers: IncomingHttpHeaders, resource: JsonObject): HapiAnswer {
  const meta = isJsonObject(resource['meta']) ? resource['meta'] : {};
  const outcome = resource['resourceType'] === 'OperationOutcome';
  const seconds = headers['retry-after'] ?? '';
  return {
    status, type: typeof resource['resourceType'] === 'string' ? resource['resourceType'] : undefined, version: versionOf(headers), source: typeof meta['source'] === 'string' ? meta['source'] : undefined, resource, outcome,
    reason: outcome ? diagnostics(resource['issue']) : 'not an OperationOutcome',
    ...(/^\d{1,9}$/.test(seconds) ? { retryAfterMs: Math.min(Number(seconds) * 1_000, RETRY_AFTER_MAX_MS) } : {}),
  };
}

/** Empty for what is no JSON object: a page of something that is not HAPI, or a part of an answer. */
function resourceIn(text: string): JsonObject {
  try {
    const value = parseJson(text, { keysMax: KEYS_MAX });
    return isJsonObject(value) ? value : {};
  } catch {
    return {};
  }
}

/** HAPI gives ETag with a resource, but only an address with what it deleted (Content-Location at 200, Location at 410). */
function versionOf(headers: IncomingHttpHeaders): string | undefined {
  const etag = /"([^"]+)"/.exec(headers.etag ?? '')?.[1];
  const address = headers['content-location'] ?? headers.location ?? '';
  return etag ?? /\/_history\/([^/]+)$/.exec(address)?.[1];
}

function diagnostics(issues: JsonValue | undefined): string {
  const list = Array.isArray(issues) ? issues.filter(isJsonObject) : [];
  const texts = list.map(({ diagnostics: text, details }) => text ?? (isJsonObject(details) ? details['text'] : undefined));
  return texts.filter((text): text is string => typeof text === 'string' && text !== '').join('; ');
}
