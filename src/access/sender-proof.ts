// Proofs that the sender holds the key of the token: a JWT of its own for each request (RFC 9449 4.3), or the certificate of
// the connection (RFC 8705 3).
import { createHash, hash, timingSafeEqual } from 'node:crypto';
import { calculateJwkThumbprint, EmbeddedJWK, jwtVerify, type JWK, type JWTPayload } from 'jose';
import { fhirError, type FhirError } from '../fhir/fhir-error.ts';
import { ALGORITHMS } from './bearer-strategy.ts';
import type { Principal } from './principal.ts';
import { refusal } from './refusal.ts';

/** What of a request a proof is about. */
export interface SenderProof {
  scheme: 'Bearer' | 'DPoP';
  token: string;
  method: string;
  /** The header DPoP; several lines joined by comma. */
  dpop: string | undefined;
  /** Path of the request as it was sent, with its query. */
  target: string | undefined;
  /** DER of the certificate that the client showed. */
  certificate: () => Buffer | undefined;
}

const PROOF_CHARACTERS_MAX = 8_192;
const JTI_CHARACTERS_MAX = 256;
const OLD_SECONDS_MAX = 60;
const AHEAD_SECONDS_MAX = 10;
const REMEMBERED_MAX = 100_000;
const CHALLENGE = `DPoP realm="Muniment", algs="${ALGORITHMS.join(' ')}"`;

export interface SenderProofs {
  /** Resolves when the sender has proved what the token demands. Raises 401, and 503 when too many proofs must be remembered. */
  check(principal: Principal, sent: SenderProof): void | Promise<void>;
}

const invalidProof = (text: string, cause?: unknown): FhirError =>
  fhirError('token-invalid', text, { headers: { 'WWW-Authenticate': `${CHALLENGE}, error="invalid_dpop_proof", error_description="${text}"` }, ...(cause === undefined ? {} : { cause }) });
const invalidToken = (text: string): FhirError => fhirError('token-invalid', text, { headers: { 'WWW-Authenticate': `${CHALLENGE}, error="invalid_token", error_description="${text}"` } });
/** RFC 9449 7.2: both schemes are named, so that the client learns which one its token is for. */
const wrongScheme = (text: string): FhirError =>
  fhirError('token-invalid', text, { headers: { 'WWW-Authenticate': `Bearer realm="Muniment", error="invalid_token", error_description="${text}", DPoP algs="${ALGORITHMS.join(' ')}"` } });

/** True the first time that any server is shown the proof of this digest (SHA-256). */
export type UseProof = (digest: Buffer, untilSeconds: number) => Promise<boolean>;

/** `baseUrl`: of this server as clients see it; `now` gives milliseconds; `useProof` is what this server shares with others. */
export function createSenderProofs(baseUrl: string, now: () => number, useProof: UseProof = () => Promise.resolve(true)): SenderProofs {
  const seen = createReplayMemory(now);

  async function checkDpop(thumbprint: string, sent: SenderProof): Promise<void> {
    const { payload, jwk } = await verified(sent.dpop ?? '', now());
    if ((await calculateJwkThumbprint(jwk)) !== thumbprint) throw invalidProof('The proof is of another key than the token is bound to');
    checkClaims(payload, sent, baseUrl, now() / 1_000);
    const digest = hash('sha256', `${thumbprint} ${String(payload.jti)}`, 'buffer');
    const until = Number(payload.iat) + OLD_SECONDS_MAX + 1;
    if (!seen.isNew(digest.toString('base64'), until) || !await useProof(digest, until)) throw invalidProof('The proof was used before');
  }

  return {
    check(principal, sent) {
      const { confirmation } = principal;
      if (confirmation === undefined) {
        if (sent.scheme === 'DPoP') throw invalidToken('The token is not bound to a key, and is no DPoP token');
        return undefined;
      }
      if (confirmation.certificate !== undefined) checkCertificate(confirmation.certificate, sent.certificate());
      if (confirmation.jwk === undefined) {
        if (sent.scheme === 'DPoP') throw invalidToken('The token is not bound to the key of a proof');
        return undefined;
      }
      if (sent.scheme !== 'DPoP') throw wrongScheme('The token is bound to a key, and comes without a proof');
      return checkDpop(confirmation.jwk, sent);
    },
  };
}

function checkCertificate(thumbprint: string, certificate: Buffer | undefined): void {
  const shown = certificate === undefined ? undefined : createHash('sha256').update(certificate).digest();
  const demanded = Buffer.from(thumbprint, 'base64url');
  if (shown === undefined || demanded.length !== shown.length || !timingSafeEqual(shown, demanded)) throw refusal('token-invalid', 'The token is bound to a certificate that this connection does not show');
}

/** The signature alone: by the key that the proof brings along, which must be a public one. */
async function verified(proof: string, nowMs: number): Promise<{ payload: JWTPayload; jwk: JWK }> {
  if (proof === '') throw invalidProof('The proof is missing');
  if (proof.length > PROOF_CHARACTERS_MAX || !/^[\w-]+\.[\w-]+\.[\w-]+$/.test(proof)) throw invalidProof('There must be one proof, as a compact JWT');
  try {
    const { payload, protectedHeader } = await jwtVerify(proof, EmbeddedJWK, { typ: 'dpop+jwt', algorithms: ALGORITHMS, currentDate: new Date(nowMs), requiredClaims: ['iat', 'jti', 'htm', 'htu', 'ath'] });
    return { payload, jwk: protectedHeader.jwk as JWK };
  } catch (error) { throw invalidProof('The proof cannot be verified', error); }
}

function checkClaims(payload: JWTPayload, { method, target, token }: SenderProof, baseUrl: string, nowSeconds: number): void {
  const { jti, iat = NaN, htm, htu, ath } = payload;
  if (typeof jti !== 'string' || jti === '' || jti.length > JTI_CHARACTERS_MAX) throw invalidProof('The claim jti of the proof does not hold');
  if (!(iat >= nowSeconds - OLD_SECONDS_MAX && iat <= nowSeconds + AHEAD_SECONDS_MAX)) throw invalidProof('The proof is too old, or from the future');
  if (htm !== method) throw invalidProof('The claim htm of the proof does not hold');
  if (target === undefined || typeof htu !== 'string' || withoutQuery(htu) !== withoutQuery(`${baseUrl}${target}`)) throw invalidProof('The claim htu of the proof does not hold');
  if (ath !== hash('sha256', token, 'base64url')) throw invalidProof('The claim ath of the proof does not hold');
}

/** RFC 9449 4.3, 9: compared as URLs are, without query and fragment. */
function withoutQuery(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined;
  const { origin, pathname } = new URL(text);
  return `${origin}${pathname}`;
}

/** Each proof is good once. What this process saw by itself, until the proof is too old: one that is sent again asks nobody else. */
function createReplayMemory(now: () => number): { isNew(digest: string, untilSeconds: number): boolean } {
  const until = new Map<string, number>();

  function dropEnded(): void {
    const seconds = now() / 1_000;
    for (const [key, end] of until) if (end < seconds) until.delete(key);
  }

  return {
    isNew(digest, untilSeconds) {
      if (until.has(digest)) return false;
      if (until.size >= REMEMBERED_MAX) dropEnded();
      // To forget one would make it good again.
      if (until.size >= REMEMBERED_MAX) throw fhirError('unavailable', 'Too many proofs are under way', { headers: { 'Retry-After': '5' } });
      until.set(digest, untilSeconds);
      return true;
    },
  };
}
