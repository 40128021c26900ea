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
  /** Keys held here, the address of the issuer's key set, or a way to find a key. */
  keys: { jwks: JWK[] } | { jwksUri: string } | { find: JWTVerifyGetKey };
  /** Asked of every request, with the token's `jti`: whether it was taken back before its end. */
  isRevoked?: (jti: string | undefined) => boolean;
}

/** Of access tokens and of proofs of possession: asymmetric ones alone, and none that is weak. */
export const ALGORITHMS = ['RS256', 'RS384', 'PS256', 'PS384', 'ES256', 'ES384', 'EdDSA', 'Ed25519'];
export const TOKEN_CHARACTERS_MAX = 16_384;
export const CLOCK_TOLERANCE_SECONDS = 5;
/** An issuer's clock may run ahead of ours; a token from further in the future is a fault. */
export const ISSUED_AHEAD_SECONDS_MAX = 60;
/** Headers by which a token would bring its own key, and the one that demands extensions: none is understood here. */
const REFUSED_HEADERS: readonly (readonly [string, string])[] = [
  ['jku', 'The token brings its own key'], ['jwk', 'The token brings its own key'], ['x5u', 'The token brings its own key'], ['x5c', 'The token brings its own key'],
  ['crit', 'The token demands an extension that is not understood here'],
];
/** RFC 7515 7.1, without padding: else one token could be written in several ways. */
export const COMPACT_FORM = /^[\w-]+\.[\w-]+\.[\w-]+$/;
/** A token of another kind must not pass as an access token (RFC 8725 3.11, RFC 9068 2.1). */
const TYPES: readonly unknown[] = [undefined, 'jwt', 'at+jwt', 'application/at+jwt'];

interface KnownIssuer extends IssuerKeys {
  find: JWTVerifyGetKey;
}

/** The token of the Authorization header. Raises 401, and 400 for more than one set of credentials. */
export function bearerToken(authorization: string | string[] | undefined): string {
  return sentToken(authorization).token;
}

/** With the scheme that it came by (RFC 6750 2.1, RFC 9449 7.1). */
export function sentToken(authorization: string | string[] | undefined): { scheme: 'Bearer' | 'DPoP'; token: string } {
  if (authorization === undefined || authorization.length === 0) throw refusal('login-required', 'A bearer token is needed');
  const text = (typeof authorization === 'string' ? authorization : authorization.join(',')).trim();
  const [, scheme, token] = /^(Bearer|DPoP) +([^\s,]+)$/i.exec(text) ?? [];
  if (scheme !== undefined && token !== undefined) return { scheme: scheme.toLowerCase() === 'dpop' ? 'DPoP' : 'Bearer', token };
  // Several header lines arrive joined by commas, and a bearer token holds none; other schemes have commas of their own.
  const doubled = Array.isArray(authorization) && authorization.length > 1;
  if (doubled || /^(Bearer|DPoP)\s[^,]*,|,\s*(Bearer|Basic|DPoP)\s/i.test(text)) throw refusal('malformed-request', 'More than one set of credentials was sent');
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
    if (!COMPACT_FORM.test(token)) throw refusal('token-invalid', 'The token is malformed');
    try {
      const header = decodeProtectedHeader(token) as Record<string, unknown>;
      for (const [name, text] of REFUSED_HEADERS) if (header[name] !== undefined) throw refusal('token-invalid', text);
      if (!TYPES.includes(typeof header['typ'] === 'string' ? header['typ'].toLowerCase() : header['typ'])) throw refusal('token-invalid', 'The token is of another kind');
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
  if ('find' in issuer.keys) return issuer.keys.find;
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
