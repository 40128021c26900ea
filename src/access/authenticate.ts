// Who asks: passport drives the strategy of the token's kind; a token that was verified is remembered for a minute, never
// past its end, because a signature costs more than the read that it guards, and a question to its issuer much more.
import { hash } from 'node:crypto';
import passport from 'passport';
import type { PassportStatic } from 'passport';
import { FhirError } from '../fhir/fhir-error.ts';
import { BearerStrategy, COMPACT_FORM, sentToken, TOKEN_CHARACTERS_MAX, type IssuerKeys } from './bearer-strategy.ts';
import { IntrospectionStrategy, type IntrospectedIssuer } from './introspection-strategy.ts';
import type { Principal } from './principal.ts';
import { refusal } from './refusal.ts';
import { createSenderProofs, type SenderProof, type UseProof } from './sender-proof.ts';

/** What of a request the proof of a bound token is about. */
export type Sender = Omit<SenderProof, 'scheme' | 'token'>;

export interface Authenticator {
  /** Raises 401 with WWW-Authenticate, 400 for doubled credentials, 503 when an issuer's keys cannot be had. */
  authenticate(headers: { authorization?: string | string[] | undefined }, sender?: Sender): Principal | Promise<Principal>;
}

const REMEMBERED_MS = 60_000;
const REMEMBERED_MAX = 10_000;

interface Remembered {
  principal: Principal;
  until: number;
}

type PassportInstance = PassportStatic & { Authenticator: new () => PassportStatic };

const NO_SENDER: Sender = { method: '', dpop: undefined, target: undefined, certificate: () => undefined };

/** RFC 6750 2.1, b64token. */
const OPAQUE_FORM = /^[\w\-.~+/]+=*$/;

/** `now` gives milliseconds since the epoch; `introspected` are the issuers that are asked about their tokens; `baseUrl` is what proofs name; `useProof` tells other servers of them. */
export function createAuthenticator(issuers: readonly IssuerKeys[], now: () => number = Date.now, introspected: readonly IntrospectedIssuer[] = [], baseUrl = '', useProof?: UseProof): Authenticator {
  const instance = new (passport as PassportInstance).Authenticator();
  const opaque = new IntrospectionStrategy(introspected, now);
  instance.use('bearer-jwt', new BearerStrategy(issuers, now));
  instance.use('bearer-introspection', opaque);
  const proofs = createSenderProofs(baseUrl, now, useProof);
  const remembered = new Map<string, Remembered>();
  const revocations = new Map(issuers.flatMap(({ issuer, isRevoked }) => (isRevoked === undefined ? [] : [[issuer, isRevoked] as const])));

  function unlessRevoked(principal: Principal): Principal {
    if (revocations.get(principal.issuer)?.(principal.jti) === true) throw refusal('token-invalid', 'The token was revoked');
    return principal;
  }

  function recall(key: string, nowMs: number): Principal | undefined {
    const entry = remembered.get(key);
    if (entry === undefined) return undefined;
    if (nowMs < entry.until) return entry.principal;
    remembered.delete(key);
    return undefined;
  }

  /** The oldest goes first: it is also the one whose minute ends first. */
  function remember(key: string, principal: Principal, nowMs: number): void {
    if (remembered.size >= REMEMBERED_MAX) remembered.delete(remembered.keys().next().value as string);
    remembered.set(key, { principal, until: Math.min(nowMs + REMEMBERED_MS, principal.expiresAt * 1_000) });
  }

  /** A token that looks like a JWT is never carried to an issuer that could not have made it. */
  function strategyFor(token: string): string {
    if (opaque.knowsPrefix(token)) return opaque.name;
    if (introspected.length === 0 || token.startsWith('eyJ') || COMPACT_FORM.test(token)) return 'bearer-jwt';
    return opaque.name;
  }

  function verify(token: string): Promise<Principal> {
    if (token.length > TOKEN_CHARACTERS_MAX) return Promise.reject(refusal('token-invalid', 'The token is too long'));
    if (!OPAQUE_FORM.test(token)) return Promise.reject(refusal('token-invalid', 'The token is malformed'));
    return new Promise((resolve, reject) => {
      const done = (error: unknown, user?: unknown, challenge?: unknown): void => {
        if (error instanceof Error) reject(error);
        else if (user === undefined || user === false) reject(refusalOf(challenge));
        else resolve(user as Principal);
      };
      const middleware = instance.authenticate(strategyFor(token), { session: false }, done) as (request: unknown, response: unknown, next: (error?: Error) => void) => void;
      middleware({ headers: { authorization: `Bearer ${token}` } }, {}, (error) => done(error ?? new Error('The bearer strategy passed')));
    });
  }

  /** The token may be known from before; that its sender holds its key is proved each time. */
  function proved(principal: Principal, sent: SenderProof): Principal | Promise<Principal> {
    const checked = proofs.check(unlessRevoked(principal), sent);
    return checked === undefined ? principal : checked.then(() => principal);
  }

  return {
    authenticate({ authorization }, sender = NO_SENDER) {
      const { scheme, token } = sentToken(authorization);
      const nowMs = now();
      const key = hash('sha256', token, 'base64');
      const known = recall(key, nowMs);
      if (known !== undefined) return proved(known, { ...sender, scheme, token });
      return verify(token).then(unlessRevoked).then((principal) => {
        remember(key, principal, nowMs);
        return proved(principal, { ...sender, scheme, token });
      });
    },
  };
}

/** What the strategy gave as its challenge: the refusal with its texts and headers. */
function refusalOf(challenge: unknown): FhirError {
  const carried = (challenge as { refusal?: unknown } | undefined)?.refusal;
  return carried instanceof FhirError ? carried : refusal('token-invalid', 'The token cannot be verified');
}
