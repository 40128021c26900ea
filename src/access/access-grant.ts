// A grant: the right of its owner to one resource, by one method, lent to whoever holds its URL, within limits that the
// owner set. Pure: whether it holds is asked with the instant and the address of each request.
import { fhirError, type FhirError } from '../fhir/fhir-error.ts';
import { liesWithin } from './address-range.ts';
import type { NamedPicture } from './grant-token.ts';

export const GRANT_METHODS = ['GET', 'PUT'] as const;
export const DISPOSITIONS = ['inline', 'attachment'] as const;
export const GRANTED_TYPES = ['Binary', 'DocumentReference'] as const;
export const MINUTES_MAX = 60;

/** What the owner asked for. */
export interface GrantLimits {
  method: (typeof GRANT_METHODS)[number];
  /** CIDR; none = every address. */
  allowedIp: readonly string[];
  disposition?: (typeof DISPOSITIONS)[number];
  /** How often it may be used; undefined = as often as one likes until it ends. */
  usesMax?: number;
  /** What is to be put: media type, length and SHA-256. */
  contentType?: string;
  size?: number;
  sha256?: Buffer;
  /** Whoever uses it may be sent to the store itself. */
  direct?: true;
}

export interface AccessGrant extends GrantLimits {
  id: string;
  type: (typeof GRANTED_TYPES)[number];
  resourceId: string;
  /** Milliseconds. */
  createdAt: number;
  expiresAt: number;
  revokedAt?: number;
  used: number;
  /** Set for the pictures of lists: the one that the URL shows. The grant names no resource then. */
  picture?: NamedPicture;
}

export const grantEnded = (why: string): FhirError => fhirError('grant-ended', `The signed URL ${why}`);

/** Why the grant is of no use any more; undefined while it is. */
export function endOfGrant(grant: AccessGrant, now: number): FhirError | undefined {
  if (grant.revokedAt !== undefined) return grantEnded('was revoked');
  if (now >= grant.expiresAt) return grantEnded('has expired');
  return grant.usesMax !== undefined && grant.used >= grant.usesMax ? grantEnded('is used up') : undefined;
}

export interface GrantedRequest {
  /** HEAD counts as GET; POST, which ends a direct upload, as PUT. */
  method: string;
  address: string | undefined;
  now: number;
}

/** Raises 410 for a grant that has ended, 403 for another method or an address outside its ranges. */
export function requireGranted(grant: AccessGrant, { method, address, now }: GrantedRequest): void {
  const end = endOfGrant(grant, now);
  if (end !== undefined) throw end;
  const asked = method === 'HEAD' ? 'GET' : method === 'POST' && grant.direct === true ? 'PUT' : method;
  if (asked !== grant.method) throw fhirError('forbidden', `The signed URL is for ${grant.method} alone`);
  if (!liesWithin(grant.allowedIp, address)) throw fhirError('forbidden', 'The signed URL is not for this address');
}
