// Tokens that an issuer would sign, and those that it never would.
import { createHmac, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose';

export interface SigningKey {
  kid: string;
  alg: string;
  privateKey: CryptoKey;
  /** With kid, alg and use. */
  publicKey: JWK;
}

export async function makeKey(alg = 'ES256', kid: string = randomUUID()): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, alg, privateKey, publicKey: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

/** Signs exactly these claims; further header members as given. */
export function sign(key: SigningKey, claims: Record<string, unknown>, header: Record<string, unknown> = {}): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg: key.alg, kid: key.kid, typ: 'at+jwt', ...header }).sign(key.privateKey);
}

const encode = (value: unknown): string => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** A token without a signature, as `alg: none` has it. */
export function unsigned(claims: Record<string, unknown>): string {
  return `${encode({ alg: 'none', typ: 'JWT' })}.${encode(claims)}.`;
}

/** HS256 with the text of a public key as its secret: the classic confusion of algorithms. */
export function confused(secret: string, kid: string, claims: Record<string, unknown>): string {
  const head = `${encode({ alg: 'HS256', kid, typ: 'JWT' })}.${encode(claims)}`;
  return `${head}.${createHmac('sha256', secret).update(head).digest('base64url')}`;
}

export interface KeyServer {
  /** Address of the key set. */
  url: string;
  /** What it answers now; a status other than 200 makes it fail. */
  keys: JWK[];
  status: number;
  /** How often it was asked. */
  asked: number;
  stop(): Promise<void>;
}

/** An issuer's address of keys, whose keys and health a test changes. */
export async function startKeyServer(keys: JWK[]): Promise<KeyServer> {
  const http = createServer((_request, response) => {
    server.asked += 1;
    response.writeHead(server.status, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify({ keys: server.keys }));
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const server: KeyServer = {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/jwks`,
    keys,
    status: 200,
    asked: 0,
    async stop() {
      http.closeAllConnections();
      http.close();
      if (http.listening) await once(http, 'close');
    },
  };
  return server;
}
