// A signed call on a blob of the container, or on the container, and what a refusal of Azure means for us.
import { fhirError } from '../../fhir/fhir-error.ts';
import { ObjectExistsError, type StoredObject } from '../content-store.ts';
import { signAzureRequest, type AzureCredentials } from './azure-signature.ts';
import { encodePath, encodeQuery } from './s3-signature.ts';
import { unreachable } from './store-errors.ts';
import type { StoreAnswer, StoreTransport } from './store-request.ts';

export interface AzureCall {
  method: string;
  /** Name of the blob; the container itself when it is left out. */
  key?: string;
  query?: Record<string, string>;
  headers?: Record<string, string>;
  body?: readonly Buffer[];
  mayRepeat?: boolean;
  own?: boolean;
}

export interface AzureCaller {
  /** Answers with any status. */
  call(request: AzureCall): Promise<StoreAnswer>;
  /** A GET whose bytes are taken as they come. */
  download(request: Pick<AzureCall, 'key' | 'query' | 'headers'>): Promise<StoreAnswer & { bytes?: AsyncIterable<Buffer> }>;
}

/** `endpoint` is that of the account; a path in it, as an emulator has, stays before the container. */
export function createAzureCaller(transport: StoreTransport, endpoint: URL, container: string, credentials: AzureCredentials): AzureCaller {
  const base = `${endpoint.pathname.replace(/\/$/, '')}/${container}`;

  function signed({ method, key, query = {}, headers = {}, body }: AzureCall): { target: string; headers: Record<string, string> } {
    const path = key === undefined ? base : `${base}/${encodePath(key)}`;
    const length: Record<string, string> = body === undefined ? {} : { 'content-length': String(body.reduce((sum, piece) => sum + piece.length, 0)) };
    const search = encodeQuery(query);
    return { target: path + (search === '' ? '' : `?${search}`), headers: signAzureRequest({ method, path, query, headers: { ...headers, ...length } }, credentials, new Date()) };
  }

  return {
    call: ({ mayRepeat = true, own = false, ...request }) => transport.exchange({ method: request.method, ...signed(request), ...(request.body === undefined ? {} : { body: request.body }), mayRepeat, own }),
    download: (request) => transport.download(signed({ method: 'GET', ...request })),
  };
}

/** The service's own code; an answer to HEAD has it in a header alone. */
export function azureCode({ headers, code }: Pick<StoreAnswer, 'headers' | 'code'>): string {
  const named = headers['x-ms-error-code'];
  return typeof named === 'string' ? named : code ?? '';
}

/** There is no such blob, or no such version of it. A container that is missing is another thing. */
export function isMissing(answer: Pick<StoreAnswer, 'status' | 'headers' | 'code'>): boolean {
  return answer.status === 404 && azureCode(answer) !== 'ContainerNotFound';
}

/** What a refusal means for us; its own code is kept for the log. */
export function azureError(answer: Pick<StoreAnswer, 'status' | 'headers' | 'code'>): Error {
  const code = azureCode(answer);
  const cause = new Error(`The store answered ${answer.status} ${code}`);
  if (answer.status === 507) return fhirError('storage-full', 'The store has no room; nothing was kept', { cause });
  if (answer.status === 412 || code === 'BlobAlreadyExists') return new ObjectExistsError();
  return unreachable(cause);
}

/** Blobs are encrypted by the service, always; it says so of each. */
export function azureObject(size: number, { headers }: Pick<StoreAnswer, 'headers'>): StoredObject {
  const version = headers['x-ms-version-id'];
  const encrypted = headers['x-ms-server-encrypted'] ?? headers['x-ms-request-server-encrypted'];
  return { size, ...(typeof version === 'string' ? { version } : {}), ...(encrypted === 'true' ? { encryption: 'AES256' } : {}) };
}
