// One request to HAPI through fhir-kit-client, bounded in time, and its answer as a value.
import { Client } from 'fhir-kit-client';

export type HapiClient = Client;

export interface HapiRequest {
  method: 'GET' | 'PUT' | 'DELETE';
  /** Below the FHIR base. */
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
  /** HAPI's version of the resource that it answered about. */
  version: string | undefined;
  /** meta.source of the resource in the body. */
  source: string | undefined;
  /** Whether the body of a failure is an OperationOutcome: only then HAPI itself has spoken. */
  outcome: boolean;
  /** How long HAPI asks to be left alone (Retry-After in seconds), an hour at most. */
  retryAfterMs?: number;
  /** Text of a failure for people: the diagnostics, or why there was no answer. */
  reason: string;
}

const RETRY_AFTER_MAX_MS = 60 * 60_000;

const HEADERS = {
  'content-type': 'application/fhir+json',
  'cache-control': 'no-cache',
  prefer: 'return=minimal',
  // Tags, profiles and labels that this version no longer has are merged in from the version before otherwise.
  'x-meta-snapshot-mode': 'TAG,PROFILE,SECURITY_LABEL',
};

/** A client for a FHIR base; user and password in it become basic authentication, and stand in no message any more. */
export function openHapi(baseUrl: string): HapiClient {
  const url = new URL(baseUrl);
  const login = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  [url.username, url.password] = ['', ''];
  const customHeaders = login === ':' ? {} : { authorization: `Basic ${Buffer.from(login).toString('base64')}` };
  return new Client({ baseUrl: url.href, customHeaders });
}

/** Never rejects. Ended after `timeoutMs`, or by `stop`, it has status 0. */
export async function callHapi(client: HapiClient, request: HapiRequest, timeoutMs: number, stop: AbortSignal): Promise<HapiAnswer> {
  const bound = boundInTime(timeoutMs, stop);
  try {
    const data: unknown = await client.request(request.path, {
      method: request.method,
      // A redirect would carry clinical text to an address that nobody configured.
      options: { headers: headersOf(request), redirect: 'manual', signal: bound.signal },
      // Declared as an object, but text is passed through.
      ...(request.body === undefined ? {} : { body: request.body }),
    });
    const { response } = Client.httpFor(data as never);
    return answerOf(response?.status ?? 0, response?.headers, data);
  } catch (error) {
    return failedAnswer(error as ClientError);
  } finally {
    bound.release();
  }
}

function headersOf({ ifMatch, waitForOthers }: HapiRequest): Record<string, string> {
  return {
    ...HEADERS,
    ...(ifMatch === undefined ? {} : { 'if-match': `W/"${ifMatch}"` }),
    ...(waitForOthers === true ? { 'x-retry-on-version-conflict': 'retry; max-retries=5' } : {}),
  };
}

/** One signal for both bounds. Its listener is taken off again: `stop` outlives thousands of requests. */
function boundInTime(timeoutMs: number, stop: AbortSignal): { signal: AbortSignal; release: () => void } {
  const controller = new AbortController();
  const end = (): void => controller.abort(new Error('The server stops'));
  const timer = setTimeout(() => controller.abort(new Error(`No answer within ${timeoutMs} ms`)), timeoutMs);
  stop.addEventListener('abort', end);
  if (stop.aborted) end();
  return {
    signal: controller.signal,
    release: () => {
      clearTimeout(timer);
      stop.removeEventListener('abort', end);
    },
  };
}

interface ClientError extends Error {
  response?: { status: number; data: unknown };
  config?: { headers?: Headers };
  cause?: { code?: string; message?: string };
}

function failedAnswer(error: ClientError): HapiAnswer {
  if (error.response !== undefined) return answerOf(error.response.status, error.config?.headers, error.response.data);
  const reason = error.cause?.code ?? error.cause?.message ?? error.message;
  return { status: 0, version: undefined, source: undefined, outcome: false, reason: `No answer: ${reason}` };
}

function answerOf(status: number, headers: Headers | undefined, data: unknown): HapiAnswer {
  const resource = (typeof data === 'object' && data !== null ? data : {}) as { resourceType?: unknown; meta?: { source?: unknown }; issue?: unknown };
  const outcome = resource.resourceType === 'OperationOutcome';
  const source = typeof resource.meta?.source === 'string' ? resource.meta.source : undefined;
  const seconds = headers?.get('retry-after') ?? '';
  return {
    status, version: versionOf(headers), source, outcome, reason: outcome ? diagnostics(resource.issue) : 'not an OperationOutcome',
    ...(/^\d{1,9}$/.test(seconds) ? { retryAfterMs: Math.min(Number(seconds) * 1_000, RETRY_AFTER_MAX_MS) } : {}),
  };
}

/** HAPI gives ETag with a resource, but only an address with what it deleted (Content-Location at 200, Location at 410). */
function versionOf(headers: Headers | undefined): string | undefined {
  const etag = /"([^"]+)"/.exec(headers?.get('etag') ?? '')?.[1];
  const address = headers?.get('content-location') ?? headers?.get('location') ?? '';
  return etag ?? /\/_history\/([^/]+)$/.exec(address)?.[1];
}

function diagnostics(issues: unknown): string {
  const list = (Array.isArray(issues) ? issues : []) as { diagnostics?: string; details?: { text?: string } }[];
  return list.map((issue) => issue.diagnostics ?? issue.details?.text ?? '').filter((text) => text !== '').join('; ');
}
