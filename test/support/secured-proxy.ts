// What may stand before a HAPI that is not open to everybody: TLS with certificates of an authority of its own, an
// Authorization header that must be right, and a token endpoint.
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request as ask, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KeyObject } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { jwtVerify } from 'jose';

export interface SecuredProxy {
  /** https://127.0.0.1:PORT */
  url: string;
  folder: string;
  files: Record<'ca' | 'cert' | 'key' | 'strangeCert' | 'strangeKey', string>;
  /** Values of Authorization that are let in; undefined = none is needed. */
  admitted: Set<string> | undefined;
  /** Whether a certificate of the authority is needed as well. */
  certified: boolean;
  /** Where requests are sent on instead of being served. */
  redirect: string | undefined;
  /** What `client:secret` is right at the token endpoint, or whose assertion, how long its tokens live, and those that it gave. */
  client: { id: string; secret: string | undefined; key?: { public: KeyObject; id: string }; asserted: Set<string>; seconds: number; given: string[] };
  /** Requests that were let in. */
  served: number;
  /** Writes a file of its folder and answers its path. */
  file(name: string, text: string): string;
  stop(): Promise<void>;
}

/** `target` is the origin behind it. */
export async function startSecuredProxy(target: string): Promise<SecuredProxy> {
  const folder = mkdtempSync(join(tmpdir(), 'secured-'));
  const at = (name: string): string => join(folder, name);
  const openssl = (...flags: string[]): void => void execFileSync('openssl', flags, { stdio: 'ignore', cwd: folder });
  const EC = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  openssl('req', '-x509', ...EC, '-subj', '/CN=authority', '-keyout', 'ca-key.pem', '-out', 'ca.pem');
  openssl('req', '-x509', ...EC, '-subj', '/CN=client', '-keyout', 'strange-key.pem', '-out', 'strange.pem');
  for (const [name, more] of [['server', 'subjectAltName=IP:127.0.0.1'], ['client', 'extendedKeyUsage=clientAuth']] as const) {
    writeFileSync(at(`${name}.ext`), more);
    openssl('req', ...EC, '-subj', `/CN=${name}`, '-keyout', `${name}-key.pem`, '-out', `${name}.csr`);
    openssl('x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca-key.pem', '-CAcreateserial', '-days', '2', '-extfile', `${name}.ext`, '-out', `${name}.pem`);
  }

  const server = createServer({ cert: readFileSync(at('server.pem')), key: readFileSync(at('server-key.pem')), ca: readFileSync(at('ca.pem')), requestCert: true, rejectUnauthorized: false },
    (incoming, outgoing) => void serve(incoming, outgoing).catch(() => outgoing.destroy()));

  async function serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const body = Buffer.concat(await incoming.toArray() as Buffer[]);
    if (proxy.certified && !(incoming.socket as TLSSocket).authorized) return void outgoing.writeHead(403, { 'content-type': 'text/plain' }).end('no certificate');
    if (incoming.url === '/token') return giveToken(incoming.headers.authorization, new URLSearchParams(body.toString()), outgoing);
    if (proxy.admitted !== undefined && !proxy.admitted.has(incoming.headers.authorization ?? '')) return void outgoing.writeHead(401, { 'content-type': 'text/html' }).end('<html>Who are you?</html>');
    if (proxy.redirect !== undefined) return void outgoing.writeHead(307, { location: `${proxy.redirect}${incoming.url}` }).end();
    proxy.served += 1;
    const { 'transfer-encoding': _, connection: __, authorization: ___, ...headers } = incoming.headers;
    const upstream = ask(`${target}${incoming.url}`, { method: incoming.method, headers: { ...headers, host: new URL(target).host, 'content-length': body.length } });
    upstream.on('error', () => outgoing.destroy());
    upstream.on('response', (response) => { response.pipe(outgoing.writeHead(response.statusCode ?? 502, response.headers)); });
    upstream.end(body);
  }

  /** RFC 7523 3: about this client, for this endpoint, and taken once. */
  async function isAsserted(form: URLSearchParams): Promise<boolean> {
    const { id, key, asserted } = proxy.client;
    if (key === undefined || form.get('client_assertion_type') !== 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer') return false;
    const checked = await jwtVerify(form.get('client_assertion') ?? '', key.public, { issuer: id, subject: id, audience: `${proxy.url}/token`, maxTokenAge: '5 minutes' }).catch(() => undefined);
    const jti = checked?.payload.jti;
    if (jti === undefined || asserted.has(jti) || checked?.protectedHeader.kid !== key.id || (checked.payload.exp ?? Infinity) - (checked.payload.iat ?? 0) > 300) return false;
    asserted.add(jti);
    return true;
  }

  async function giveToken(authorization: string | undefined, form: URLSearchParams, outgoing: ServerResponse): Promise<void> {
    const { id, secret, key, seconds, given } = proxy.client;
    const right = key !== undefined ? await isAsserted(form) : secret === undefined ? form.get('client_id') === id : authorization === `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`;
    if (!right || form.get('grant_type') !== 'client_credentials') return void outgoing.writeHead(401, { 'content-type': 'application/json' }).end('{"error":"invalid_client"}');
    const token = `token-${given.length + 1}`;
    given.push(token);
    (proxy.admitted ??= new Set()).add(`Bearer ${token}`);
    outgoing.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ access_token: token, token_type: 'Bearer', expires_in: seconds }));
  }

  const proxy: SecuredProxy = {
    url: '', folder, files: { ca: at('ca.pem'), cert: at('client.pem'), key: at('client-key.pem'), strangeCert: at('strange.pem'), strangeKey: at('strange-key.pem') },
    admitted: undefined, certified: false, redirect: undefined, client: { id: 'muniment', secret: undefined, asserted: new Set(), seconds: 3_600, given: [] }, served: 0,
    file(name, text) {
      writeFileSync(at(name), text);
      return at(name);
    },
    async stop() {
      server.close();
      server.closeAllConnections();
      if (server.listening) await once(server, 'close');
      rmSync(folder, { recursive: true, force: true });
    },
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  proxy.url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return proxy;
}
