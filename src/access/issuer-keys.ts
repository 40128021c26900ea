// The keys of one issuer (RFC 7517), fetched from its jwks_uri: again after a while, and when a token names a key that is
// not known yet. An issuer that cannot be reached for a while does not lock its people out, nor is it stormed.
import { createRemoteJWKSet, customFetch, errors, type JWTVerifyGetKey } from 'jose';
import { fhirError } from '../fhir/fhir-error.ts';
import { askIssuer } from './issuer-request.ts';

/** Older keys are fetched again before they are used. */
const FRESH_MS = 300_000;
/** A key that the issuer withdrew must not live on because the issuer is unreachable. */
const STALE_MS_MAX = 3_600_000;
/** Between two attempts, failed ones included: tokens with invented key ids cause no more than this. */
const ATTEMPT_MS_MIN = 5_000;

/** Finds the key of a token's header. Raises 503 `unavailable` when no keys could be had; jose's errors for an unknown key id. */
export function remoteKeys(jwksUri: string, now: () => number): JWTVerifyGetKey {
  // When to fetch is decided here, because jose waits only after an attempt that succeeded.
  const set = createRemoteJWKSet(new URL(jwksUri), { cooldownDuration: Infinity, cacheMaxAge: Infinity, timeoutDuration: 3_000, [customFetch]: askIssuer });
  let fetchedAt = -Infinity;
  let attemptedAt = -Infinity;
  let failure: unknown;
  let attempt: Promise<void> | undefined;

  /** After a clock was set back nobody knows how long ago that was: too long. */
  const since = (instant: number): number => (now() < instant ? Infinity : now() - instant);

  async function fetchKeys(): Promise<void> {
    try {
      await set.reload();
      fetchedAt = now();
    } catch (error) {
      failure = error;
    } finally {
      attempt = undefined;
    }
  }

  function refresh(): Promise<void> {
    if (attempt !== undefined) return attempt;
    if (since(attemptedAt) < ATTEMPT_MS_MIN) return Promise.resolve();
    attemptedAt = now();
    attempt = fetchKeys();
    return attempt;
  }

  return async (header, token) => {
    if (since(fetchedAt) > FRESH_MS) await refresh();
    if (since(fetchedAt) > STALE_MS_MAX) throw fhirError('unavailable', 'The keys of the issuer cannot be fetched', { cause: failure, headers: { 'Retry-After': '5' } });
    try {
      return await set(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      await refresh();
      return set(header, token);
    }
  };
}
