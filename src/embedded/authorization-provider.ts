// The development authorization server's protocol engine (OpenID Connect, RFC 6749, 7591, 7009, 7662), set up for
// SMART App Launch 2.2: PKCE with S256, one grant for each launch, and access tokens for the FHIR base alone.
import type { AccountClaims, Configuration, JWKS, KoaContextWithOIDC, Provider } from 'oidc-provider';
import { CLIENT_SIGNING, PROOF_SIGNING } from './authorization-metadata.ts';
import { PLAIN_SCOPES, systemScopes, userScopes, type ScopeRule } from './authorization-scopes.ts';
import type { AuthorizationStore } from './authorization-store.ts';
import { accountOfLaunch, personOf } from './demo-people.ts';
import { findLaunch, type LaunchContext } from './launch-context.ts';
import { pageHeaders, printPage, problemPage } from './authorization-pages.ts';

export interface ProviderParts {
  issuer: string;
  /** The only audience of access tokens. */
  fhirBase: string;
  /** Path of the issuer, with a leading slash. */
  mount: string;
  privateKeys: JWKS;
  store: AuthorizationStore;
  grantsResources: ScopeRule['grantsResources'];
}

type Library = typeof import('oidc-provider');

/** What a grant remembers of its launch. */
export type GrantContext = Pick<LaunchContext, 'patient' | 'encounter'>;

export const GRANT_SECONDS = 30 * 86_400;
const ACCESS_SECONDS = 3_600;
/** SMART Backend Services recommends five minutes at most. */
const BACKEND_ACCESS_SECONDS = 300;

/** What a backend service is when its registration does not say. */
const BACKEND_ORG = 'demo';
const BACKEND_ROLES = ['integration'];

/** Metadata of ours beside RFC 7591: the scopes, which oidc-provider would hold against its own list; organisation and roles of a backend service. */
export const CLIENT_METADATA = ['smart_scope', 'org', 'role'];

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** At its import the library warns of every Node before 22; what it uses of Node is there in 20, and tests run on it. */
async function importQuietly(): Promise<Library> {
  const { release } = process;
  const warns = release.lts !== undefined && release.lts < 'Jod';
  if (warns) Object.defineProperty(process, 'release', { configurable: true, enumerable: true, value: { ...release, lts: 'Jod' } });
  try {
    return await import('oidc-provider');
  } finally {
    if (warns) Object.defineProperty(process, 'release', { configurable: true, enumerable: true, value: release });
  }
}

export async function createAuthorizationProvider(parts: ProviderParts): Promise<Provider> {
  const library = await importQuietly();
  const provider = new library.Provider(parts.issuer, configurationOf(parts, library));
  // The front sets the forwarded headers itself, from BASE_URL.
  provider.proxy = true;
  return provider;
}

function configurationOf(parts: ProviderParts, library: Library): Configuration {
  const { store, fhirBase } = parts;
  return {
    adapter: (model: string) => store.adapter(model),
    jwks: parts.privateKeys,
    scopes: Object.keys(PLAIN_SCOPES),
    claims: { openid: ['sub'], fhirUser: ['fhirUser'], profile: ['name'] },
    conformIdTokenClaims: false,
    responseTypes: ['code'],
    subjectTypes: ['public'],
    pkce: { required: () => true },
    routes: { authorization: '/authorize', token: '/token', jwks: '/jwks', registration: '/register', introspection: '/introspect', revocation: '/revoke' },
    clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt'],
    enabledJWA: { clientAuthSigningAlgValues: [...CLIENT_SIGNING], idTokenSigningAlgValues: ['RS256'], dPoPSigningAlgValues: [...PROOF_SIGNING] },
    extraClientMetadata: { properties: CLIENT_METADATA, validator: (_ctx, key, value) => checkMetadata(library, key, value) },
    extraParams: {
      aud: (_ctx, value) => {
        if (value !== undefined && value.replace(/\/+$/, '') !== fhirBase) throw new library.errors.InvalidRequest(`aud must be ${fhirBase}`);
      },
      launch: async (ctx, value) => {
        const asked = (ctx.oidc.params?.['scope'] as string | undefined ?? '').split(' ');
        if (value !== undefined && await findLaunch(store, value) === undefined) throw new library.errors.InvalidRequest('launch is not known, or has ended');
        if (value === undefined && asked.includes('launch')) throw new library.errors.InvalidRequest('the scope launch needs the parameter launch');
      },
    },
    features: {
      devInteractions: { enabled: false },
      userinfo: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      clientCredentials: { enabled: true },
      pushedAuthorizationRequests: { enabled: false },
      // A public client cannot prove who it is: it may look at its own tokens alone.
      introspection: { enabled: true, allowedPolicy: (_ctx, client, token) => client.clientAuthMethod !== 'none' || token.clientId === client.clientId },
      revocation: { enabled: true, allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId },
      registration: { enabled: true, initialAccessToken: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => fhirBase,
        useGrantedResource: () => true,
        getResourceServerInfo: (ctx, resource) => {
          if (resource.replace(/\/+$/, '') !== fhirBase) throw new library.errors.InvalidTarget();
          const client = ctx.oidc.params?.['grant_type'] === 'client_credentials';
          return { scope: scopesAt(ctx, parts, library).join(' '), audience: fhirBase, accessTokenTTL: client ? BACKEND_ACCESS_SECONDS : ACCESS_SECONDS, accessTokenFormat: 'opaque' };
        },
      },
    },
    findAccount: (_ctx, account) => {
      const person = personOf(account);
      if (person === undefined) return undefined;
      return { accountId: account, claims: (): AccountClaims => ({ sub: account, name: person.name, fhirUser: `${fhirBase}/${person.fhirUser}` }) };
    },
    extraTokenClaims: (_ctx, token) => claimsOf(token, store),
    interactions: { url: (_ctx, interaction) => `${parts.mount}/interaction/${interaction.uid}`, policy: policyOf(parts, library) },
    // A grant belongs to one launch, with its patient: the one that was just given, never an earlier one.
    loadExistingGrant: (ctx) => {
      const given = ctx.oidc.result?.consent?.grantId;
      return given === undefined ? Promise.resolve(undefined) : ctx.oidc.provider.Grant.find(given);
    },
    issueRefreshToken: (_ctx, client, code) => client.grantTypeAllowed('refresh_token') && (code.scopes.has('offline_access') || code.scopes.has('online_access')),
    rotateRefreshToken: (ctx) => ctx.oidc.client?.clientAuthMethod === 'none',
    expiresWithSession: (_ctx, token) => token.scopes.has('online_access') && !token.scopes.has('offline_access'),
    clientBasedCORS: () => true,
    // The keys of an app under development lie on this machine, where the library would not look.
    fetch: (url, options) => {
      const { dispatcher: _guard, ...rest } = options as RequestInit & { dispatcher?: unknown };
      return globalThis.fetch(url, rest);
    },
    ttl: { AccessToken: ACCESS_SECONDS, ClientCredentials: BACKEND_ACCESS_SECONDS, AuthorizationCode: 60, Grant: GRANT_SECONDS, RefreshToken: GRANT_SECONDS, IdToken: ACCESS_SECONDS, Interaction: 3_600, Session: 8 * 3_600 },
    cookies: { names: { session: 'muniment_session', interaction: 'muniment_interaction', resume: 'muniment_resume' } },
    renderError: (ctx, out) => {
      ctx.set(pageHeaders());
      ctx.body = printPage(problemPage('This cannot go on', `${out.error}: ${out.error_description ?? 'the request cannot be answered'}`));
    },
  };
}

function checkMetadata(library: Library, key: string, value: unknown): void {
  const wrong = (text: string): never => { throw new library.errors.InvalidClientMetadata(text); };
  if (value === undefined) return;
  if (key === 'org' && !(typeof value === 'string' && /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(value))) wrong('org must be the name of an organisation');
  if (key === 'role' && !(Array.isArray(value) && value.every((role) => typeof role === 'string' && role !== ''))) wrong('role must be an array of strings');
  if (key === 'smart_scope' && typeof value !== 'string') wrong('scope must be a string');
}

/** The scopes that this request is about, as far as they can be given. */
function scopesAt(ctx: KoaContextWithOIDC, { grantsResources }: ProviderParts, library: Library): string[] {
  const rule: ScopeRule = { grantsResources, registered: textOf(ctx.oidc.client?.['smart_scope']) };
  const asked = textOf(ctx.oidc.params?.['scope']);
  if (ctx.oidc.params?.['grant_type'] !== 'client_credentials') return userScopes(ctx.oidc.entities.AuthorizationCode?.scope ?? ctx.oidc.entities.RefreshToken?.scope ?? asked, rule);
  const given = systemScopes(asked, rule);
  if (given.length === 0) throw new library.errors.InvalidScope('no scope of the form system/Type.cruds was asked for that can be given', asked ?? '');
  return given;
}

type Claims = Record<string, string | string[]>;

/** The claims of an access token that this server's principals are made of. */
async function claimsOf(token: object, store: AuthorizationStore): Promise<Claims | undefined> {
  const { accountId, grantId, client } = token as { accountId?: string; grantId?: string; client?: { org?: unknown; role?: unknown } };
  if (accountId === undefined) return { org: textOf(client?.org) ?? BACKEND_ORG, role: Array.isArray(client?.role) ? (client.role as string[]) : BACKEND_ROLES };
  const person = personOf(accountId);
  if (person === undefined) return undefined;
  const context = grantId === undefined ? undefined : await store.get<GrantContext>('GrantContext', grantId);
  return { org: person.org, fhirUser: person.fhirUser, name: person.name, role: [...person.roles], ...context };
}

/** Beside the usual reasons to ask for a login: a launch is for its user, and for people of its organisation. */
function policyOf({ store }: ProviderParts, { interactionPolicy: { base, Check } }: Library): ReturnType<Library['interactionPolicy']['base']> {
  const policy = base();
  policy.get('login')?.checks.add(new Check('launch_user', 'the launch is for somebody else', 'login_required', async (ctx) => {
    const launch = await findLaunch(store, ctx.oidc.params?.['launch']);
    const account = ctx.oidc.session?.accountId;
    if (launch === undefined || account === undefined) return Check.NO_NEED_TO_PROMPT;
    const fits = launch.user === undefined ? personOf(account)?.org === launch.org : account === accountOfLaunch(launch.org, launch.user);
    return fits ? Check.NO_NEED_TO_PROMPT : Check.REQUEST_PROMPT;
  }));
  return policy;
}
