// The development authorization server below /oauth: any app is registered, everybody's password is `demo`. It exists
// outside production alone, on loopback, and only while tokens of the development issuer are trusted.
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import type { JWKS, KoaContextWithOIDC, Provider } from 'oidc-provider';
import { aimAt, askForConsent, nameRefreshingClient, nameToken, openToOrigins, readBody, readRegistration, withBody, type MountedRequest } from './authorization-front.ts';
import { authorizationIssuer, AUTHORIZATION_MOUNT } from './authorization-metadata.ts';
import { formPostHeaders } from './authorization-pages.ts';
import { answerInteraction, type InteractionParts } from './authorization-interactions.ts';
import { createAuthorizationProvider } from './authorization-provider.ts';
import type { ScopeRule } from './authorization-scopes.ts';
import { openAuthorizationStore, type AuthorizationStore } from './authorization-store.ts';
import { authorizationFolder } from './launch-context.ts';

export interface AuthorizationServerParts {
  /** Without a trailing slash. */
  baseUrl: string;
  fhirBase: string;
  dataDir: string;
  keys: {
    /** Newest first, as JWKs. */
    load(): Promise<readonly { privateKey: object }[]>;
    sign(claims: Record<string, unknown>): Promise<string>;
    read(token: string): Promise<{ jti?: string } | undefined>;
  };
  grantsResources: ScopeRule['grantsResources'];
  onError: (error: unknown) => void;
}

export interface AuthorizationServer {
  /** For what lies below /oauth; the path of `request` is relative to it. */
  answer(request: IncomingMessage, response: ServerResponse): Promise<void>;
  /** Whether the access token of this `jti` was revoked, or never issued. */
  isRevoked(jti: string | undefined): boolean;
}

const FORM = 'application/x-www-form-urlencoded';

/** Clients of `authorization-clients.json` in the data folder, in the words of RFC 7591 with client_id; read again each time. */
async function fileClient(dataDir: string, clientId: string): Promise<Record<string, unknown> | undefined> {
  try {
    const clients = JSON.parse(await readFile(join(dataDir, 'authorization-clients.json'), 'utf8')) as Record<string, unknown>[];
    const found = clients.find(({ client_id: id }) => id === clientId);
    return found === undefined ? undefined : (JSON.parse(readRegistration(JSON.stringify(found))) as Record<string, unknown>);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function withFileClients(store: AuthorizationStore, dataDir: string): AuthorizationStore {
  return {
    ...store,
    adapter(model) {
      const adapter = store.adapter(model);
      return model === 'Client' ? { ...adapter, find: async (id) => await fileClient(dataDir, id) ?? adapter.find(id) } : adapter;
    },
  };
}

export function createAuthorizationServer(parts: AuthorizationServerParts): AuthorizationServer {
  const { baseUrl, fhirBase, dataDir, keys } = parts;
  const issuer = authorizationIssuer(baseUrl);
  const store = withFileClients(openAuthorizationStore(authorizationFolder(dataDir)), dataDir);
  const pages: InteractionParts = { fhirBase, store, grantsResources: parts.grantsResources };
  let running: { mark: string; provider: Promise<Provider> } | undefined;

  /** Built at the first request, and again after a rotation: all that lasts lies in the store. */
  async function engine(): Promise<Provider> {
    const privateKeys = { keys: (await keys.load()).map(({ privateKey }) => privateKey) } as JWKS;
    const mark = privateKeys.keys.map(({ kid }) => kid).join();
    if (running?.mark !== mark) {
      if (running === undefined) await store.sweep();
      running = { mark, provider: build(privateKeys) };
    }
    return running.provider;
  }

  async function build(privateKeys: JWKS): Promise<Provider> {
    const provider = await createAuthorizationProvider({ issuer, fhirBase, mount: AUTHORIZATION_MOUNT, privateKeys, store, grantsResources: parts.grantsResources });
    provider.use(async (ctx, next) => {
      await next();
      await finishAnswer(ctx as KoaContextWithOIDC);
    });
    provider.on('server_error', (_ctx, error) => parts.onError(error));
    return provider;
  }

  /** SMART's members of a token answer; a registration in the words in which it was sent; a form that browsers may send on. */
  async function finishAnswer(ctx: KoaContextWithOIDC): Promise<void> {
    const oidc = ctx.oidc as KoaContextWithOIDC['oidc'] | undefined;
    if (typeof ctx.body === 'string' && oidc?.params?.['response_mode'] === 'form_post') {
      ctx.set(formPostHeaders(ctx.body, String(oidc.params['redirect_uri'])) ?? {});
      return;
    }
    const body = ctx.body as Record<string, unknown> | undefined;
    const route = oidc?.route;
    if (typeof body !== 'object' || body === null) return;
    if (route === 'token' && body['access_token'] !== undefined) ctx.body = await tokenAnswer(ctx, body);
    if ((route === 'registration' || route === 'client') && body['smart_scope'] !== undefined) {
      const { smart_scope: scope, ...rest } = body;
      ctx.body = { ...rest, scope };
    }
  }

  /** The engine's own token stays in the store; clients get a signed one, which the FHIR server verifies without asking. */
  async function tokenAnswer(ctx: KoaContextWithOIDC, body: Record<string, unknown>): Promise<Record<string, unknown>> {
    const token = ctx.oidc.entities.AccessToken ?? ctx.oidc.entities.ClientCredentials;
    if (token === undefined) throw new Error('A token answer without a token');
    const claims = (token as { extra?: Record<string, unknown> }).extra ?? {};
    const { jti, scope, clientId } = token;
    const subject = 'accountId' in token ? token.accountId : clientId;
    const stored = await store.get<{ iat: number; exp: number }>(token.kind, jti);
    const context = Object.fromEntries(['patient', 'encounter'].filter((name) => claims[name] !== undefined).map((name) => [name, claims[name]]));
    return {
      ...body,
      access_token: await keys.sign({ ...claims, iss: issuer, sub: subject, aud: fhirBase, client_id: clientId, jti, scope, iat: stored?.iat, exp: stored?.exp, ...(token.jkt === undefined ? {} : { cnf: { jkt: token.jkt } }) }),
      scope,
      ...context,
      ...('patient' in context ? { need_patient_banner: true } : {}),
    };
  }

  async function answerForm(provider: Provider, request: MountedRequest, response: ServerResponse, path: string): Promise<void> {
    const body = await readBody(request);
    if (body === undefined) { response.writeHead(413, { Connection: 'close' }).end(); return; }
    const isForm = (request.headers['content-type'] ?? '').toLowerCase().startsWith(FORM);
    const fields = new URLSearchParams(isForm ? body : '');
    if (path.startsWith('/interaction/')) { await answerInteraction(pages, provider, request, response, fields); return; }
    if (path === '/authorize' && isForm) { response.writeHead(303, { Location: `${issuer}/authorize?${fields.toString()}` }).end(); return; }
    if (path === '/token') await nameRefreshingClient(request, fields, store, provider);
    if (path === '/introspect' || path === '/revoke') await nameToken(fields, keys.read);
    const sent = path === '/register' ? readRegistration(body) : isForm ? fields.toString() : body;
    await provider.callback()(withBody(request, sent), response);
  }

  return {
    isRevoked: (jti) => jti === undefined || !(store.holds('AccessToken', jti) || store.holds('ClientCredentials', jti)),
    async answer(request: MountedRequest, response) {
      const path = (request.url ?? '/').split('?')[0] ?? '/';
      const page = path.startsWith('/authorize') || path.startsWith('/interaction/');
      if (!page && openToOrigins(request, response)) return;
      aimAt(request, baseUrl);
      const provider = await engine();
      if (request.method === 'POST') await answerForm(provider, request, response, path);
      else if (path.startsWith('/interaction/')) await answerInteraction(pages, provider, request, response, undefined);
      else {
        if (path === '/authorize') askForConsent(request);
        await provider.callback()(request, response);
      }
    },
  };
}
