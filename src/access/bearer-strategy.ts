// The passport strategy `bearer-jwt`: RFC 6750 header, RFC 9068 token, verified against the keys of configured issuers.
import { createLocalJWKSet, createRemoteJWKSet, decodeProtectedHeader, errors, jwtVerify, type JWK, type JWTVerifyGetKey, decodeJwt } from 'jose';
import { Strategy } from 'passport';
import type { Request } from 'express';
import { fhirError, type ErrorDetail, type FhirError } from '../fhir/fhir-error.ts';
import { principalOf } from './claims.ts';
import type { Principal } from './principal.ts';

export interface IssuerKeys {
  issuer: string;
  audience: string;
  claims: Readonly<Record<string, string>>;
  /** Keys held here, or the address of the issuer's key set. */
  keys: { jwks: JWK[] } | { jwksUri: string };
}

export const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'];
export const TOKEN_CHARACTERS_MAX = 16_384;
export const CLOCK_TOLERANCE_SECONDS = 5;
/** Headers by which a token would bring its own key. */
const KEY_HEADERS = ['jku', 'jwk', 'x5u', 'x5c'];

interface TrustedIssuer extends IssuerKeys {
  find: JWTVerifyGetKey;
}

export function refusal(detail: ErrorDetail, text: string, cause?: unknown): FhirError {
  const challenge = detail === 'login-required' ? 'Bearer realm="Muniment"' : `Bearer realm="Muniment", error="invalid_token", error_description="${text}"`;
  return fhirError(detail, text, { headers: { 'WWW-Authenticate': challenge }, ...(cause === undefined ? {} : { cause }) });
}

/** The token of the Authorization header. Raises 401, and 400 for more than one set of credentials. */
export function bearerToken(authorization: string | string[] | undefined): string {
  if (authorization === undefined || authorization.length === 0) throw refusal('login-required', 'A bearer token is needed');
  const text = Array.isArray(authorization) ? authorization.join(',') : authorization;
  const match = /^Bearer +([^\s,]+)$/i.exec(text.trim());
  if (match !== null) return match[1] as string;
  if (/,\s*(Bearer|Basic)\s/i.test(text)) throw fhirError('malformed-request', 'More than one set of credentials was sent');
  throw refusal('login-required', 'The Authorization header must hold a bearer token');
}

export class BearerStrategy extends Strategy {
  override name = 'bearer-jwt';
  // Passport works on an object that inherits from this one, so nothing here may be a private #field.
  private readonly issuers: ReadonlyMap<string, TrustedIssuer>;

  constructor(issuers: readonly IssuerKeys[]) {
    super();
    this.issuers = new Map(issuers.map((issuer) => [issuer.issuer, { ...issuer, find: keyFinder(issuer) }]));
  }

  override authenticate(request: Pick<Request, 'headers'>): void {
    this.verify(request.headers.authorization).then(
      (principal) => this.success(principal),
      (error: unknown) => this.error(error),
    );
  }

  private async verify(authorization: string | undefined): Promise<Principal> {
    const token = bearerToken(authorization);
    const trusted = this.trustedIssuer(token);
    try {
      const { payload } = await jwtVerify(token, trusted.find, {
        algorithms: ALGORITHMS, issuer: trusted.issuer, audience: trusted.audience, clockTolerance: CLOCK_TOLERANCE_SECONDS, requiredClaims: ['exp', 'iss', 'aud'],
      });
      return principalOf(payload, trusted.claims);
    } catch (error) { throw translate(error); }
  }

  /** Which issuer the token says it is from; nothing in it is believed before the signature was verified. */
  private trustedIssuer(token: string): TrustedIssuer {
    if (token.length > TOKEN_CHARACTERS_MAX) throw refusal('token-invalid', 'The token is too long');
    try {
      const header = decodeProtectedHeader(token) as Record<string, unknown>;
      if (KEY_HEADERS.some((name) => header[name] !== undefined)) throw refusal('token-invalid', 'The token brings its own key');
      const trusted = this.issuers.get(decodeJwt(token).iss ?? '');
      if (trusted !== undefined) return trusted;
    } catch (error) {
      if (error instanceof errors.JOSEError || error instanceof TypeError) throw refusal('token-invalid', 'The token is malformed', error);
      throw error;
    }
    throw refusal('token-invalid', 'The issuer of the token is not trusted here');
  }
}

function keyFinder(issuer: IssuerKeys): JWTVerifyGetKey {
  if ('jwks' in issuer.keys) return createLocalJWKSet({ keys: issuer.keys.jwks });
  return createRemoteJWKSet(new URL(issuer.keys.jwksUri), { cooldownDuration: 10_000, cacheMaxAge: 600_000, timeoutDuration: 3_000 });
}

function translate(error: unknown): unknown {
  if (error instanceof errors.JWTExpired) return refusal('token-expired', 'The token has expired', error);
  if (error instanceof errors.JWTClaimValidationFailed) return refusal('token-invalid', `The claim ${error.claim} of the token does not hold`, error);
  if (error instanceof errors.JWKSTimeout || isUnreachable(error)) return fhirError('unavailable', 'The keys of the issuer cannot be fetched', { cause: error, headers: { 'Retry-After': '5' } });
  if (error instanceof errors.JOSEError) return refusal('token-invalid', 'The token cannot be verified', error);
  if (error instanceof TypeError) return refusal('token-invalid', 'The token cannot be verified', error);
  return error;
}

/** jose answers a failed request for keys with its plain error; fetch with a TypeError that has a cause. */
function isUnreachable(error: unknown): boolean {
  if (error instanceof TypeError) return error.message === 'fetch failed';
  return error instanceof errors.JOSEError && error.code === 'ERR_JOSE_GENERIC';
}
