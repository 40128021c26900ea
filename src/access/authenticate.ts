// Who asks: passport drives the bearer strategy; a token that was verified is remembered for a minute, never past its
// end, because a signature costs more than the read that it guards.
import { hash } from 'node:crypto';
import passport from 'passport';
import type { PassportStatic } from 'passport';
import { bearerToken, BearerStrategy, CLOCK_TOLERANCE_SECONDS, refusal, type IssuerKeys } from './bearer-strategy.ts';
import type { Principal } from './principal.ts';

export interface Authenticator {
  /** Raises 401 with WWW-Authenticate, 400 for doubled credentials, 503 when an issuer's keys cannot be had. */
  authenticate(headers: { authorization?: string | string[] | undefined }): Principal | Promise<Principal>;
}

const REMEMBERED_MS = 60_000;
const REMEMBERED_MAX = 10_000;

interface Remembered {
  principal: Principal;
  until: number;
}

type PassportInstance = PassportStatic & { Authenticator: new () => PassportStatic };

export function createAuthenticator(issuers: readonly IssuerKeys[]): Authenticator {
  const instance = new (passport as PassportInstance).Authenticator();
  instance.use('bearer-jwt', new BearerStrategy(issuers));
  const remembered = new Map<string, Remembered>();

  function recall(key: string, now: number): Principal | undefined {
    const entry = remembered.get(key);
    if (entry === undefined) return undefined;
    if (now < entry.until) return entry.principal;
    remembered.delete(key);
    return undefined;
  }

  function remember(key: string, principal: Principal, now: number): void {
    if (remembered.size >= REMEMBERED_MAX) remembered.delete(remembered.keys().next().value as string);
    remembered.set(key, { principal, until: Math.min(now + REMEMBERED_MS, (principal.expiresAt + CLOCK_TOLERANCE_SECONDS) * 1_000) });
  }

  function verify(authorization: string): Promise<Principal> {
    return new Promise((resolve, reject) => {
      const done = (error: unknown, user?: unknown): void => {
        if (error !== null && error !== undefined) reject(error as Error);
        else if (user === undefined || user === false) reject(refusal('token-invalid', 'The token cannot be verified'));
        else resolve(user as Principal);
      };
      const middleware = instance.authenticate('bearer-jwt', { session: false }, done) as (request: unknown, response: unknown, next: (error?: unknown) => void) => void;
      middleware({ headers: { authorization } }, {}, (error) => done(error ?? new Error('The bearer strategy passed')));
    });
  }

  return {
    authenticate({ authorization }) {
      const token = bearerToken(authorization);
      const now = Date.now();
      const key = hash('sha256', token, 'base64');
      const known = recall(key, now);
      if (known !== undefined) return known;
      return verify(`Bearer ${token}`).then((principal) => {
        remember(key, principal, now);
        return principal;
      });
    },
  };
}
