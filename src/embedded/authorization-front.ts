// What comes before the protocol engine: CORS for apps in a browser, and requests as SMART's public libraries write them,
// turned into the form that the engine takes.
import { IncomingMessage, type ServerResponse } from 'node:http';
import type { Provider } from 'oidc-provider';
import type { AuthorizationStore } from './authorization-store.ts';

const BODY_BYTES_MAX = 56 * 1024;

/** As Express hands it on: the path below the mount, and the whole one. */
export type MountedRequest = IncomingMessage & { originalUrl?: string };

/** True when the request was a preflight and is answered. */
export function openToOrigins(request: IncomingMessage, response: ServerResponse): boolean {
  response.setHeader('Access-Control-Allow-Origin', '*');
  response.setHeader('Access-Control-Expose-Headers', 'WWW-Authenticate');
  if (request.method !== 'OPTIONS') return false;
  response.writeHead(204, { 'Access-Control-Allow-Methods': 'GET, POST, OPTIONS', 'Access-Control-Allow-Headers': 'Authorization, Content-Type, Accept, DPoP', 'Access-Control-Max-Age': '600' });
  response.end();
  return true;
}

/** The body as text; undefined when it is too long. */
export async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes <= BODY_BYTES_MAX) chunks.push(chunk);
  }
  return bytes > BODY_BYTES_MAX ? undefined : Buffer.concat(chunks).toString('utf8');
}

/** The same request with another body. */
export function withBody(request: MountedRequest, body: string): MountedRequest {
  const copy: MountedRequest = new IncomingMessage(request.socket);
  const { 'transfer-encoding': _chunked, ...headers } = request.headers;
  copy.headers = { ...headers, 'content-length': String(Buffer.byteLength(body)) };
  copy.httpVersion = request.httpVersion;
  copy.httpVersionMajor = request.httpVersionMajor;
  copy.httpVersionMinor = request.httpVersionMinor;
  if (request.method !== undefined) copy.method = request.method;
  if (request.url !== undefined) copy.url = request.url;
  if (request.originalUrl !== undefined) copy.originalUrl = request.originalUrl;
  // Else its end would count as an aborted transfer, and take the connection along.
  copy.complete = true;
  copy.push(body);
  copy.push(null);
  return copy;
}

/** All addresses that the engine prints come from BASE_URL, whatever the client says of its host. */
export function aimAt(request: IncomingMessage, baseUrl: string): void {
  const { host, protocol } = new URL(baseUrl);
  for (const name of Object.keys(request.headers)) if (name.startsWith('x-forwarded-')) delete request.headers[name];
  Object.assign(request.headers, { 'host': host, 'x-forwarded-host': host, 'x-forwarded-proto': protocol.slice(0, -1) });
}

/** Every launch is consented to: without `prompt` the engine would leave offline_access out. */
export function askForConsent(request: MountedRequest): void {
  const [path = '/', search = ''] = (request.url ?? '/').split('?');
  const query = new URLSearchParams(search);
  const prompts = (query.get('prompt') ?? '').split(' ').filter((prompt) => prompt !== '');
  if (prompts.includes('none') || prompts.includes('consent') || query.getAll('prompt').length > 1) return;
  query.set('prompt', [...prompts, 'consent'].join(' '));
  request.originalUrl = `${(request.originalUrl ?? '').split('?')[0]}?${query.toString()}`;
  request.url = `${path}?${query.toString()}`;
}

/** A refresh by a public client that sends no client_id, as fhirclient does: the token says whose it is. */
export async function nameRefreshingClient(request: IncomingMessage, fields: URLSearchParams, store: AuthorizationStore, provider: Provider): Promise<void> {
  const [token] = fields.getAll('refresh_token');
  if (fields.get('grant_type') !== 'refresh_token' || token === undefined || fields.has('client_id') || fields.has('client_assertion') || request.headers.authorization !== undefined) return;
  const stored = await store.get<{ clientId?: string }>('RefreshToken', token);
  const client = stored?.clientId === undefined ? undefined : await provider.Client.find(stored.clientId);
  if (client?.clientAuthMethod === 'none') fields.set('client_id', client.clientId);
}

/** Introspection and revocation of an access token: the engine knows it by its `jti`. */
export async function nameToken(fields: URLSearchParams, read: (token: string) => Promise<{ jti?: string } | undefined>): Promise<void> {
  const [token] = fields.getAll('token');
  if (token === undefined || token.split('.').length !== 3 || fields.getAll('token').length > 1) return;
  fields.set('token', (await read(token))?.jti ?? 'unknown');
}

/** RFC 7591 as SMART apps send it: scopes of resources, services that have nowhere to be redirected to. */
export function readRegistration(body: string): string {
  let metadata: unknown;
  try {
    metadata = JSON.parse(body);
  } catch {
    return body;
  }
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) return body;
  const { scope, ...rest } = metadata as Record<string, unknown>;
  const grants = rest['grant_types'] ?? (rest['redirect_uris'] === undefined ? undefined : ['authorization_code', 'refresh_token']);
  const redirected = !Array.isArray(grants) || grants.includes('authorization_code');
  return JSON.stringify({
    ...rest,
    ...(grants === undefined ? {} : { grant_types: grants }),
    ...(redirected ? {} : { redirect_uris: rest['redirect_uris'] ?? [], response_types: rest['response_types'] ?? [] }),
    ...(scope === undefined ? {} : { smart_scope: scope }),
  });
}
