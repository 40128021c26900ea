// TLS served directly (RFC 8446, 1.3 alone): certificate and key are files, and a certificate that was renewed is served from
// the next connection on, while the server runs.
import { readFileSync, watchFile, unwatchFile } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { RequestListener, ServerOptions } from 'node:http';
import { createServer, type Server } from 'node:https';
import { createSecureContext } from 'node:tls';
import type { Logger } from '../logger.ts';

export interface TlsFiles {
  /** PEM: the certificate with those that vouch for it. */
  cert: string;
  /** PEM: its private key, not encrypted. */
  key: string;
  /** Whether clients are asked for a certificate of theirs, which their token may be bound to (RFC 8705). */
  clientCertificates: boolean;
}

const LOOKED_AT_MS = 2_000;

const contextOf = (cert: Buffer, key: Buffer): { cert: Buffer; key: Buffer; minVersion: 'TLSv1.3' } => {
  const context = { cert, key, minVersion: 'TLSv1.3' as const };
  // Raises where they do not belong together.
  createSecureContext(context);
  return context;
};

export interface TlsServer {
  server: Server;
  /** Ends the look at the files. */
  unwatch(): void;
}

/** Raises an Error for people when the files cannot be served. `everyMs`: how often the files are looked at. */
export function createTlsServer(options: ServerOptions, files: TlsFiles, handler: RequestListener, logger: Logger, everyMs = LOOKED_AT_MS): TlsServer {
  // What vouches for a client's certificate is the token that names it, not an authority.
  const clients = files.clientCertificates ? { requestCert: true, rejectUnauthorized: false } : {};
  const server = createServer({ ...options, ...firstContext(files), ...clients }, handler);

  async function renew(): Promise<void> {
    try {
      server.setSecureContext(contextOf(await readFile(files.cert), await readFile(files.key)));
      logger.info('the certificate was exchanged');
    } catch (error) {
      // Certificate and key are two files: for a moment one of them may be the old one.
      logger.warn({ err: error }, 'the new certificate and its key cannot be served; the one before is');
    }
  }

  // Looked at by time, because files that are mounted into a container give no notice.
  const changed = (now: { mtimeMs: number; ino: number }, before: { mtimeMs: number; ino: number }): void => {
    if (now.mtimeMs !== before.mtimeMs || now.ino !== before.ino) void renew();
  };
  for (const file of [files.cert, files.key]) watchFile(file, { interval: everyMs, persistent: false }, changed);
  return { server, unwatch: () => { for (const file of [files.cert, files.key]) unwatchFile(file, changed); } };
}

function firstContext(files: TlsFiles): ReturnType<typeof contextOf> {
  try {
    return contextOf(readFileSync(files.cert), readFileSync(files.key));
  } catch (error) {
    throw new Error('TLS_CERT and TLS_KEY cannot be served: they must be PEM files that belong together', { cause: error });
  }
}
