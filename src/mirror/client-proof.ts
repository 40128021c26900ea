// How a client proves at a token endpoint who it is: with a secret (RFC 6749 2.3.1), or with an assertion that its private key
// signs (RFC 7523 2.2, http://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html).
import { createPrivateKey, randomUUID, sign, type KeyObject } from 'node:crypto';
import type { ClientProof } from '../config/mirror-security.ts';
import { freshFile } from './fresh-file.ts';

/** What is sent beside the grant. */
export interface ClientClaim {
  form: Record<string, string>;
  headers: Record<string, string>;
}

export interface AssertedClient {
  tokenUrl: string;
  clientId: string;
}

/** Five minutes are the most that SMART allows. */
const LIFE_SECONDS = 240;
const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

/** A function that proves it anew for each token. It rejects with an Error for people that quotes neither secret nor key. `named` puts the organisation into a path. */
export function proving(proof: ClientProof | undefined, named: (path: string) => string, client: AssertedClient): () => Promise<ClientClaim> {
  const { clientId } = client;
  if (proof === undefined) return async () => ({ form: { client_id: clientId }, headers: {} });
  if (proof.kind === 'secret') {
    const secret = freshFile(named(proof.secretFile), 'MIRROR_OAUTH_CLIENT_SECRET_FILE');
    // Both are written as in a form first (RFC 6749 2.3.1).
    return async () => ({ form: {}, headers: { authorization: `Basic ${Buffer.from(`${formEncoded(clientId)}:${formEncoded(await secret())}`).toString('base64')}` } });
  }
  const pem = freshFile(named(proof.keyFile), 'MIRROR_OAUTH_KEY_FILE');
  return async () => ({ form: { client_assertion_type: ASSERTION_TYPE, client_assertion: assertion(client, readKey(await pem()), proof.keyId) }, headers: {} });
}

function assertion({ tokenUrl, clientId }: AssertedClient, key: KeyObject, keyId: string | undefined): string {
  const seconds = Math.floor(Date.now() / 1_000);
  const { alg, digest } = algorithmOf(key);
  const header = { alg, typ: 'JWT', ...(keyId === undefined ? {} : { kid: keyId }) };
  const claims = { iss: clientId, sub: clientId, aud: tokenUrl, iat: seconds, exp: seconds + LIFE_SECONDS, jti: randomUUID() };
  const signed = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${signed}.${sign(digest, Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

function readKey(pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    throw new Error('The file of MIRROR_OAUTH_KEY_FILE holds no private key in PEM');
  }
}

interface Algorithm { alg: string; digest: 'sha256' | 'sha384' | null }

/** By kind of key, or curve. RS384 and ES384 are what every server of SMART Backend Services takes. */
const ALGORITHMS: Partial<Record<string, Algorithm>> = {
  rsa: { alg: 'RS384', digest: 'sha384' }, secp384r1: { alg: 'ES384', digest: 'sha384' }, prime256v1: { alg: 'ES256', digest: 'sha256' }, ed25519: { alg: 'EdDSA', digest: null },
};

function algorithmOf(key: KeyObject): Algorithm {
  const algorithm = ALGORITHMS[key.asymmetricKeyDetails?.namedCurve ?? key.asymmetricKeyType ?? ''];
  if (algorithm === undefined) throw new Error('The key of MIRROR_OAUTH_KEY_FILE is neither RSA, P-256, P-384 nor Ed25519');
  return algorithm;
}

function formEncoded(text: string): string {
  return new URLSearchParams({ x: text }).toString().slice(2);
}
