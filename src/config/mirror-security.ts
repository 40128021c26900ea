// How HAPI is reached that is not open to everybody: who we say that we are, which certificates count, how long is waited.
import type { Reader } from './read-environment.ts';
import type { VariableName } from './env.ts';

/** Files hold secrets, and are read again while the server runs. `{org}` in a path, an address or a name stands for the organisation. */
export type HapiLogin =
  /** RFC 7617. */
  | { kind: 'basic'; user: string; passwordFile: string }
  /** RFC 6750. */
  | { kind: 'bearer'; tokenFile: string }
  /** Client credentials (RFC 6749 4.4). Without proof of its own the client's certificate vouches for it (RFC 8705 2). */
  | { kind: 'oauth'; tokenUrl: string; clientId: string; proof: ClientProof | undefined; scope: string | undefined };

/** A secret that both know, or a private key that signs an assertion (private_key_jwt, RFC 7523 2.2), as SMART Backend Services have it. */
export type ClientProof = { kind: 'secret'; secretFile: string } | { kind: 'key'; keyFile: string; keyId: string | undefined };

export interface HapiSecurity {
  login: HapiLogin | undefined;
  /** PEM files: the certificate that we show and its key, and whom we believe instead of the authorities that Node knows. */
  cert: string | undefined;
  key: string | undefined;
  ca: string | undefined;
  connectMs: number;
  /** Bound of one whole request of a delivery. */
  timeoutMs: number;
}

export const OPEN_HAPI: HapiSecurity = { login: undefined, cert: undefined, key: undefined, ca: undefined, connectMs: 5_000, timeoutMs: 30_000 };

const LOOPBACK = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/;

export function readMirrorSecurity(reader: Reader): HapiSecurity {
  const [cert, key] = [reader.text('MIRROR_TLS_CERT'), reader.text('MIRROR_TLS_KEY')];
  if ((cert === undefined) !== (key === undefined)) reader.problems.push('MIRROR_TLS_CERT and MIRROR_TLS_KEY are set together or not at all');
  const connectMs = reader.seconds('MIRROR_CONNECT_SECONDS', OPEN_HAPI.connectMs / 1_000) * 1_000;
  const timeoutMs = reader.seconds('MIRROR_TIMEOUT_SECONDS', OPEN_HAPI.timeoutMs / 1_000) * 1_000;
  if (connectMs < 1_000 || connectMs > 60_000) reader.problems.push('MIRROR_CONNECT_SECONDS must be from 1 to 60');
  // A delivery is several requests within one lease of a minute.
  if (timeoutMs < 1_000 || timeoutMs > 30_000) reader.problems.push('MIRROR_TIMEOUT_SECONDS must be from 1 to 30');
  return { login: readLogin(reader, cert !== undefined), cert, key, ca: reader.text('MIRROR_TLS_CA'), connectMs, timeoutMs };
}

function readLogin(reader: Reader, certified: boolean): HapiLogin | undefined {
  const [user, passwordFile, tokenFile, tokenUrl] = [reader.text('MIRROR_USER'), reader.text('MIRROR_PASSWORD_FILE'), reader.text('MIRROR_TOKEN_FILE'), reader.url('MIRROR_OAUTH_TOKEN_URL', ['http:', 'https:'])];
  const [clientId, secretFile, scope] = [reader.text('MIRROR_OAUTH_CLIENT_ID'), reader.text('MIRROR_OAUTH_CLIENT_SECRET_FILE'), reader.text('MIRROR_OAUTH_SCOPE')];
  const [keyFile, keyId] = [reader.text('MIRROR_OAUTH_KEY_FILE'), reader.text('MIRROR_OAUTH_KEY_ID')];
  const ways = [user !== undefined || passwordFile !== undefined || hasUser(reader), tokenFile !== undefined, tokenUrl !== undefined || clientId !== undefined || secretFile !== undefined || keyFile !== undefined];
  if (ways.filter((way) => way).length > 1) {
    reader.problems.push('Only one of MIRROR_USER (or a user in MIRROR_BASE_URL), MIRROR_TOKEN_FILE and MIRROR_OAUTH_TOKEN_URL may be set');
    return undefined;
  }
  if (tokenFile !== undefined) return { kind: 'bearer', tokenFile };
  if (user !== undefined || passwordFile !== undefined) return together(reader, { MIRROR_USER: user, MIRROR_PASSWORD_FILE: passwordFile }) ? { kind: 'basic', user: user ?? '', passwordFile: passwordFile ?? '' } : undefined;
  if (ways[2] !== true) return undefined;
  if (!together(reader, { MIRROR_OAUTH_TOKEN_URL: tokenUrl, MIRROR_OAUTH_CLIENT_ID: clientId })) return undefined;
  if (secretFile !== undefined && keyFile !== undefined) reader.problems.push('Only one of MIRROR_OAUTH_CLIENT_SECRET_FILE and MIRROR_OAUTH_KEY_FILE may be set');
  if (secretFile === undefined && keyFile === undefined && !certified) reader.problems.push('MIRROR_OAUTH_CLIENT_SECRET_FILE or MIRROR_OAUTH_KEY_FILE is needed, or MIRROR_TLS_CERT where a certificate vouches for the client');
  const { protocol, hostname } = new URL((tokenUrl ?? '').replace('{org}', 'o'));
  if (protocol !== 'https:' && !LOOPBACK.test(hostname)) reader.problems.push('MIRROR_OAUTH_TOKEN_URL must be https://: the secret of the client is sent there');
  return { kind: 'oauth', tokenUrl: tokenUrl ?? '', clientId: clientId ?? '', proof: proofOf(secretFile, keyFile, keyId), scope };
}

function proofOf(secretFile: string | undefined, keyFile: string | undefined, keyId: string | undefined): ClientProof | undefined {
  if (keyFile !== undefined) return { kind: 'key', keyFile, keyId };
  return secretFile === undefined ? undefined : { kind: 'secret', secretFile };
}

const BINARY_BYTES_MAX = 256 * 1024;

/** A comparison reads fifty of them at once. 0 = none. */
export function readBinaryBytesMax(reader: Reader): number {
  const bytes = reader.text('MIRROR_BINARY_BYTES_MAX') === undefined ? 0 : reader.bytes('MIRROR_BINARY_BYTES_MAX', 0);
  if (bytes > BINARY_BYTES_MAX) reader.problems.push('MIRROR_BINARY_BYTES_MAX must be 256KiB at most');
  return bytes;
}

function hasUser(reader: Reader): boolean {
  const address = reader.text('MIRROR_BASE_URL')?.replace('{org}', 'o') ?? '';
  return URL.canParse(address) && new URL(address).username !== '';
}

function together(reader: Reader, variables: Partial<Record<VariableName, string | undefined>>): boolean {
  const names = Object.keys(variables);
  const complete = Object.values(variables).every((value) => value !== undefined);
  if (!complete) reader.problems.push(`${names.join(' and ')} are set together or not at all`);
  return complete;
}
