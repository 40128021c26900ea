// A signed call on a key of the bucket, and what a refusal of the store means for us.
import { fhirError, type FhirError } from '../../fhir/fhir-error.ts';
import type { S3Answer } from './s3-request.ts';

export interface S3Call {
  method: string;
  key: string;
  query?: Record<string, string>;
  headers?: Record<string, string>;
  body?: Buffer | AsyncIterable<Buffer>;
  payloadHash?: string;
}

/** Signed calls on the keys of one bucket. */
export type S3Caller = (call: S3Call) => Promise<S3Answer>;

const FULL = new Set(['XMinioStorageFull', 'QuotaExceeded', 'XMinioAdminBucketQuotaExceeded']);

/** What a refusal of the store means for us; a code of its own is kept for the log. */
export function storeError(answer: Pick<S3Answer, 'status' | 'code'>): FhirError {
  const cause = new Error(`The store answered ${answer.status} ${answer.code ?? ''}`);
  if (answer.status === 507 || FULL.has(answer.code ?? '')) return fhirError('storage-full', 'The store has no room; nothing was kept', { cause });
  return unreachable(cause);
}

/** The store cannot be used now; nothing was kept. */
export function unreachable(cause: unknown): FhirError {
  return fhirError('unavailable', 'The store of bytes cannot be used now', { cause, headers: { 'Retry-After': '10' } });
}
