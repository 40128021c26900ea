// A signed call on a key of the bucket, and what a refusal of the store means for us.
import { fhirError } from '../../fhir/fhir-error.ts';
import { ObjectExistsError, type StoredObject } from '../content-store.ts';
import type { StoreAnswer, StoreExchange, StoreTransport } from './store-request.ts';
import { encodePath, encodeQuery, signRequest, UNSIGNED_PAYLOAD, type S3Credentials } from './s3-signature.ts';
import { unreachable } from './store-errors.ts';

export interface S3Call extends Pick<StoreExchange, 'method' | 'body' | 'mayRepeat' | 'own'> {
  key: string;
  query?: Record<string, string>;
  headers?: Record<string, string>;
  payloadHash?: string;
}

/** Signed calls on the keys of one bucket. Answers with any status. */
export type S3Caller = (call: S3Call) => Promise<StoreAnswer>;

export function createS3Caller(transport: StoreTransport, endpoint: URL, bucket: string, credentials: S3Credentials): S3Caller {
  return ({ method, key, query = {}, headers = {}, body, payloadHash = UNSIGNED_PAYLOAD, ...rest }) => {
    const path = `/${bucket}/${key}`;
    const length: Record<string, string> = Array.isArray(body) ? { 'content-length': String((body as readonly Buffer[]).reduce((sum, piece) => sum + piece.length, 0)) } : {};
    const signed = signRequest({ method, host: endpoint.host, path, query, headers: { ...headers, ...length }, payloadHash }, credentials, new Date());
    const search = encodeQuery(query);
    return transport.exchange({ method, target: encodePath(path) + (search === '' ? '' : `?${search}`), headers: signed, ...(body === undefined ? {} : { body }), ...rest });
  };
}

const FULL = new Set(['XMinioStorageFull', 'QuotaExceeded', 'XMinioAdminBucketQuotaExceeded']);
const TAKEN = new Set(['PreconditionFailed', 'ConditionalRequestConflict']);

/** What a refusal of the store means for us; its own code is kept for the log. */
export function storeError(answer: Pick<StoreAnswer, 'status' | 'code'>): Error {
  const cause = new Error(`The store answered ${answer.status} ${answer.code ?? ''}`);
  if (answer.status === 507 || FULL.has(answer.code ?? '')) return fhirError('storage-full', 'The store has no room; nothing was kept', { cause });
  if (answer.status === 412 || TAKEN.has(answer.code ?? '')) return new ObjectExistsError();
  return unreachable(cause);
}

/** What an accepted write left: its size is ours, its version the store's. */
export function storedObject(size: number, answer: Pick<StoreAnswer, 'headers'>): StoredObject {
  const version = answer.headers['x-amz-version-id'];
  return { size, ...(typeof version === 'string' && version !== 'null' ? { version } : {}) };
}
