// Who asks: what a verified token says, in this server's words.
import type { AccessGrant } from './access-grant.ts';
import type { CallerConsents } from './consent-denials.ts';
import type { Rights } from './policy.ts';
import type { SmartScope } from './smart-scope.ts';

export interface Confirmation {
  /** RFC 9449 6.1, jkt. */
  jwk?: string;
  /** RFC 8705 3.1, x5t#S256. */
  certificate?: string;
}

export interface Principal {
  issuer: string;
  subject: string;
  clientId: string;
  jti?: string;
  /** Organisation of the token; isolates. */
  org: string;
  /** Practitioner/1 and the like. */
  fhirUser?: string;
  name?: string;
  /** Launch context. */
  patient?: string;
  encounter?: string;
  roles: string[];
  /** v3-ActReason codes: what the access is for. */
  purposeOfUse?: string[];
  scopes: SmartScope[];
  /** What the organisation's policy gives the roles; joined at the doorway. */
  rights?: Rights;
  /** What patients withhold from this caller; joined at the doorway. */
  consents?: CallerConsents;
  /** Set where no token was shown but a signed URL: the grant by which this one's right is used. */
  grant?: AccessGrant;
  /** Keys that the token is bound to (RFC 7800), as SHA-256 in base64url: without proof of them it is worth nothing. */
  confirmation?: Confirmation;
  /** Seconds since the epoch. */
  expiresAt: number;
}

/** The creator of a Binary: same client and same user. */
export function creatorOf(principal: Principal): string {
  return [principal.issuer, principal.subject, principal.clientId].join('|');
}
