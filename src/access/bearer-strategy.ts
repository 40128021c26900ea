// The passport strategy `bearer-jwt`: RFC 6750 header, RFC 9068 token, verified against the keys of configured issuers.
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, errors, jwtVerify, type JWK, type JWTPayload, type JWTVerifyGetKey } from 'jose';
import { Strategy } from 'passport';
import { FhirError } from '../fhir/fhir-error.ts';
import { principalOf } from './claims.ts';
import { remoteKeys } from './issuer-keys.ts';
import type { Principal } from './principal.ts';
import { refusal } from './refusal.ts';

export interface IssuerKeys {
  issuer: string;
  audience: string;
  claims: Readonly<Record<string, string>>;
  /** Keys held here, or the address of the issuer's key set. */
  keys: { jwks: JWK[] } | { jwksUri: string };
}

const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'];
const TOKEN_CHARACTERS_MAX = 16_384;
const CLOCK_TOLERANCE_SECONDS = 5;
/** An issuer's clock may run ahead of ours; a token from further in the future is a fault. */
const ISSUED_AHEAD_SECONDS_MAX = 60;
/** Headers by which a token would bring its own key. */
const KEY_HEADERS = ['jku', 'jwk', 'x5u', 'x5c'];

interface KnownIssuer extends IssuerKeys {
  find: JWTVerifyGetKey;
}

/** The token of the Authorization header. Raises 401, and 400 for more than one set of credentials. */
export function bearerToken(authorization: string | string[] | undefined): string {
  if (authorization === undefined || authorization.length === 0) throw refusal('login-required', 'A bearer token is needed');
  const text = (typeof authorization === 'string' ? authorization : authorization.join(',')).trim();
  const match = /^Bearer +([^\s,]+)$/i.exec(text);
  if (match !== null) return match[1] as string;
  // Several header lines arrive joined by commas, and a bearer token holds none; other schemes have commas of their own.
  const doubled = Array.isArray(authorization) && authorization.length > 1;
  if (doubled || /^Bearer\s[^,]*,|,\s*(Bearer|Basic)\s/i.test(text)) throw refusal('malformed-request', 'More than one set of credentials was sent');
  throw refusal('login-required', 'The Authorization header must hold a bearer token');
}

export class BearerStrategy extends Strategy {
  override name = 'bearer-jwt';
  // Passport works on an object that inherits from this one, so nothing here may be a private #field.
  private readonly issuers: ReadonlyMap<string, KnownIssuer>;
  private readonly now: () => number;

  /** `now` gives milliseconds. */
  constructor(issuers: readonly IssuerKeys[], now: () => number) {
    super();
    this.now = now;
    this.issuers = new Map(issuers.map((issuer) => [issuer.issuer, { ...issuer, find: keyFinder(issuer, now) }]));
  }

  /** A refusal is a failure in passport's sense, with the FhirError as its challenge; all else is an error. */
  override authenticate(request: { headers: { authorization?: string | undefined } }): void {
    this.verify(request.headers.authorization).then(
      (principal) => this.success(principal),
      (error: unknown) => (error instanceof FhirError && error.status === 401 ? this.fail({ message: error.message, refusal: error }, 401) : this.error(error)),
    );
  }

  private async verify(authorization: string | undefined): Promise<Principal> {
    const token = bearerToken(authorization);
    const known = this.issuerOf(token);
    const now = new Date(this.now());
    try {
      const { payload } = await jwtVerify(token, known.find, {
        algorithms: ALGORITHMS, issuer: known.issuer, audience: known.audience, clockTolerance: CLOCK_TOLERANCE_SECONDS, currentDate: now, requiredClaims: ['exp', 'iss', 'aud'],
      });
      checkIssuedAt(payload, now.getTime());
      return principalOf(payload, known.claims);
    } catch (error) { throw translate(error); }
  }

  /** Which issuer the token says it is from; nothing in it is believed before the signature was verified. */
  private issuerOf(token: string): KnownIssuer {
    if (token.length > TOKEN_CHARACTERS_MAX) throw refusal('token-invalid', 'The token is too long');
    try {
      const header = decodeProtectedHeader(token) as Record<string, unknown>;
      if (KEY_HEADERS.some((name) => header[name] !== undefined)) throw refusal('token-invalid', 'The token brings its own key');
      const known = this.issuers.get(decodeJwt(token).iss ?? '');
      if (known !== undefined) return known;
    } catch (error) {
      if (error instanceof errors.JOSEError || error instanceof TypeError) throw refusal('token-invalid', 'The token is malformed', error);
      throw error;
    }
    throw refusal('token-invalid', 'The issuer of the token is not trusted here');
  }
}

function keyFinder(issuer: IssuerKeys, now: () => number): JWTVerifyGetKey {
  return 'jwks' in issuer.keys ? createLocalJWKSet({ keys: issuer.keys.jwks }) : remoteKeys(issuer.keys.jwksUri, now);
}

function checkIssuedAt(payload: JWTPayload, nowMs: number): void {
  if (payload.iat !== undefined && payload.iat > nowMs / 1_000 + ISSUED_AHEAD_SECONDS_MAX) throw refusal('token-invalid', 'The token was issued in the future');
}

function translate(error: unknown): unknown {
  if (error instanceof errors.JWTExpired) return refusal('token-expired', 'The token has expired', error);
  if (error instanceof errors.JWTClaimValidationFailed) return refusal('token-invalid', `The claim ${error.claim} of the token does not hold`, error);
  // A TypeError is a key that does not fit its algorithm, or is too short for it.
  if (error instanceof errors.JOSEError || error instanceof TypeError) return refusal('token-invalid', 'The token cannot be verified', error);
  return error;
}
