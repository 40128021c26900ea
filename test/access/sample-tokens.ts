// Tokens as issuers sign them, and as forgers do.
import { generateKeyPair, exportJWK, SignJWT, type CryptoKey, type JWK, type JWTHeaderParameters } from 'jose';
import type { FhirError } from '../../src/fhir/fhir-error.ts';

export const ISSUER = 'https://issuer.example';
export const FHIR_BASE = 'https://muniment.test/fhir';
/** Milliseconds. */
export const NOW = Date.UTC(2024, 0, 1);
export const NOW_SECONDS = NOW / 1_000;

export interface SigningKey {
  alg: string;
  kid: string;
  privateKey: CryptoKey;
  /** With kid and alg. */
  publicJwk: JWK;
}

export async function makeSigningKey(alg: string, kid: string): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { alg, kid, privateKey, publicJwk: { ...(await exportJWK(publicKey)), kid, alg } };
}

export function goodClaims(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    iss: ISSUER, aud: FHIR_BASE, sub: 'ann', iat: NOW_SECONDS, exp: NOW_SECONDS + 300, jti: 'j1', client_id: 'app', org: 'demo', fhirUser: 'Practitioner/ann', role: ['practitioner'],
    scope: 'openid user/DocumentReference.rs', ...changes,
  };
}

export function signToken(key: SigningKey, claims: Record<string, unknown> = goodClaims(), header: Partial<JWTHeaderParameters> = {}): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg: key.alg, kid: key.kid, ...header }).sign(key.privateKey);
}

/** The error that a call ends with, thrown or rejected. */
export async function refusalOf(call: () => unknown): Promise<FhirError> {
  try {
    await call();
  } catch (error) { return error as FhirError; }
  throw new Error('The call was not refused');
}
