// TLS served directly: 1.3 alone, and a renewed certificate without a restart.
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { get as httpGet } from 'node:http';
import { get } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { createTlsServer, type TlsServer } from '../../src/http/tls-server.ts';
import { answerUnreadable } from '../../src/http/unreadable-request.ts';
import { eventually } from '../support/eventually.ts';

const folder = mkdtempSync(join(tmpdir(), 'tls-'));
const files = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem'), clientCertificates: false };
const logged: string[] = [];
const note = (first: unknown, text?: unknown): void => { logged.push(String(text ?? first)); };
const logger = { debug: note, info: note, warn: note, error: note };

let served: TlsServer;
let port: number;

/** Makes NAME.pem and NAME-key.pem with NAME as common name. */
function makeCertificate(name: string): void {
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', `/CN=${name}`, '-keyout', join(folder, `${name}-key.pem`), '-out', join(folder, `${name}.pem`)], { stdio: 'ignore' });
}

beforeAll(async () => {
  for (const name of ['first', 'second']) makeCertificate(name);
  copyFileSync(join(folder, 'first.pem'), files.cert);
  copyFileSync(join(folder, 'first-key.pem'), files.key);
  served = createTlsServer({}, files, (_request, response) => { response.end('fine'); }, logger, 50);
  answerUnreadable(served.server, logger, 'https://localhost');
  served.server.listen(0, '127.0.0.1');
  await once(served.server, 'listening');
  port = (served.server.address() as AddressInfo).port;
});
afterAll(async () => {
  served.unwatch();
  served.server.close();
  served.server.closeAllConnections();
  await once(served.server, 'close');
  rmSync(folder, { recursive: true });
});

async function handshake(options: object = {}): Promise<{ name: string; protocol: string | null }> {
  const socket: TLSSocket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
  await once(socket, 'secureConnect');
  const seen = { name: String(socket.getPeerCertificate().subject.CN), protocol: socket.getProtocol() };
  socket.destroy();
  return seen;
}

it('speaks TLS 1.3, and nothing older', async () => {
  expect(await handshake()).toEqual({ name: 'first', protocol: 'TLSv1.3' });
  await expect(handshake({ maxVersion: 'TLSv1.2' })).rejects.toThrow(/protocol version/);
});

it('answers over it', async () => {
  const [response] = await once(get({ port, host: '127.0.0.1', rejectUnauthorized: false }), 'response') as [{ statusCode: number; resume(): void }];
  response.resume();
  expect(response.statusCode).toBe(200);
});

it('closes a connection that speaks plain HTTP', async () => {
  await expect(once(httpGet({ port, host: '127.0.0.1' }), 'response')).rejects.toThrow();
  expect(await handshake()).toMatchObject({ name: 'first' });
});

it('goes on with the certificate before while only one of the two files is new, then serves the new one, and still 1.3 alone', async () => {
  copyFileSync(join(folder, 'second.pem'), files.cert);
  await eventually(async () => logged, (lines) => lines.includes('the new certificate and its key cannot be served; the one before is'));
  expect(await handshake()).toMatchObject({ name: 'first' });
  copyFileSync(join(folder, 'second-key.pem'), files.key);
  await eventually(() => handshake(), ({ name, protocol }) => name === 'second' && protocol === 'TLSv1.3');
  await expect(handshake({ maxVersion: 'TLSv1.2' })).rejects.toThrow(/protocol version/);
});

it('does not start with files that do not belong together', () => {
  expect(() => createTlsServer({}, { ...files, cert: join(folder, 'first.pem') }, () => {}, logger)).toThrow(/TLS_CERT and TLS_KEY/);
  expect(() => createTlsServer({}, { ...files, key: join(folder, 'none.pem') }, () => {}, logger)).toThrow(/TLS_CERT and TLS_KEY/);
});
