// The passport strategy `bearer-introspection`: RFC 6750 header, a token that its issuer is asked about (RFC 7662).
import type { JWTPayload } from 'jose';
import { Strategy } from 'passport';
import { FhirError } from '../fhir/fhir-error.ts';
import { bearerToken, CLOCK_TOLERANCE_SECONDS, ISSUED_AHEAD_SECONDS_MAX } from './bearer-strategy.ts';
import { principalOf } from './claims.ts';
import { createIntrospection, type IntrospectionEndpoint } from './introspect.ts';
import type { Principal } from './principal.ts';
import { refusal } from './refusal.ts';

export interface IntrospectedIssuer {
  issuer: string;
  audience: string;
  /** A token that names no audience is taken: its issuer is believed to make tokens for this server alone. */
  audienceOptional: boolean;
  claims: Readonly<Record<string, string>>;
  introspection: IntrospectionEndpoint;
  /** Beginning of its tokens; '' = all that are no JWT. */
  tokenPrefix: string;
}

/** A token without an end is asked about again after this. */
const ENDLESS_SECONDS = 60;

interface KnownIssuer extends IntrospectedIssuer {
  ask: (token: string) => Promise<JWTPayload | undefined>;
}

export class IntrospectionStrategy extends Strategy {
  override name = 'bearer-introspection';
  // Passport works on an object that inherits from this one, so nothing here may be a private #field.
  private readonly issuers: readonly KnownIssuer[];
  private readonly now: () => number;

  /** `now` gives milliseconds. */
  constructor(issuers: readonly IntrospectedIssuer[], now: () => number) {
    super();
    this.now = now;
    this.issuers = issuers
      .map((issuer) => ({ ...issuer, ask: createIntrospection(issuer.introspection) }))
      .sort((one, other) => other.tokenPrefix.length - one.tokenPrefix.length);
  }

  /** Whether the beginning of the token says that it is one of these, though it may look like a JWT. */
  knowsPrefix(token: string): boolean {
    return this.issuers.some(({ tokenPrefix }) => tokenPrefix !== '' && token.startsWith(tokenPrefix));
  }

  /** A refusal is a failure in passport's sense, with the FhirError as its challenge; all else is an error. */
  override authenticate(request: { headers: { authorization?: string | undefined } }): void {
    this.verify(bearerToken(request.headers.authorization)).then(
      (principal) => this.success(principal),
      (error: unknown) => (error instanceof FhirError && error.status === 401 ? this.fail({ message: error.message, refusal: error }, 401) : this.error(error)),
    );
  }

  private async verify(token: string): Promise<Principal> {
    const known = this.issuers.find(({ tokenPrefix }) => token.startsWith(tokenPrefix));
    if (known === undefined) throw refusal('token-invalid', 'The issuer of the token is not trusted here');
    const claims = await known.ask(token);
    if (claims === undefined) throw refusal('token-invalid', 'The token is not active');
    const nowSeconds = this.now() / 1_000;
    checkTimes(claims, nowSeconds);
    checkParties(claims, known);
    return principalOf({ ...claims, iss: known.issuer, exp: claims.exp ?? Math.floor(nowSeconds) + ENDLESS_SECONDS }, known.claims);
  }
}

/** The issuer's word that a token is active does not outweigh its own times. */
function checkTimes({ exp, nbf, iat }: JWTPayload, nowSeconds: number): void {
  for (const [name, value] of Object.entries({ exp, nbf, iat })) {
    if (value !== undefined && !Number.isFinite(value)) throw refusal('token-invalid', `The claim ${name} of the token does not hold`);
  }
  if (exp !== undefined && exp <= nowSeconds - CLOCK_TOLERANCE_SECONDS) throw refusal('token-expired', 'The token has expired');
  if (nbf !== undefined && nbf > nowSeconds + CLOCK_TOLERANCE_SECONDS) throw refusal('token-invalid', 'The claim nbf of the token does not hold');
  if (iat !== undefined && iat > nowSeconds + ISSUED_AHEAD_SECONDS_MAX) throw refusal('token-invalid', 'The token was issued in the future');
}

function checkParties({ iss, aud }: JWTPayload, known: IntrospectedIssuer): void {
  if (iss !== undefined && iss !== known.issuer) throw refusal('token-invalid', 'The claim iss of the token does not hold');
  const audiences = aud === undefined ? [] : [aud].flat();
  const isForUs = audiences.length === 0 ? known.audienceOptional : audiences.includes(known.audience);
  if (!isForUs) throw refusal('token-invalid', 'The claim aud of the token does not hold');
}
