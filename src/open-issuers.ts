// Whose tokens are trusted: the configured issuers, else the development issuer, and beside it the development
// authorization server where there is one; and what SMART's discovery says of them.
import { join } from 'node:path';
import { ALGORITHMS, type IssuerKeys } from './access/bearer-strategy.ts';
import { DEVELOPMENT_ISSUER, loadDevelopmentKey } from './access/development-issuer.ts';
import type { IntrospectedIssuer } from './access/introspection-strategy.ts';
import { createSigningKeys } from './access/signing-keys.ts';
import { parseScopes } from './access/smart-scope.ts';
import type { Config } from './config/config.ts';
import { authorizationIssuer, authorizationMetadata } from './embedded/authorization-metadata.ts';
import { createAuthorizationServer, type AuthorizationServer } from './embedded/authorization-server.ts';
import { authorizationFolder } from './embedded/launch-context.ts';
import type { Logger } from './logger.ts';
import { PASSED_TYPES } from './search/passed-parameters.ts';

export interface Issuers {
  trusted: IssuerKeys[];
  /** Those that are asked about their tokens. */
  introspected: IntrospectedIssuer[];
  authorization: AuthorizationServer | undefined;
  /** The document of /.well-known/smart-configuration. */
  smartConfiguration: Record<string, unknown>;
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1)$/;

/** Everybody's password is known there, so nobody but this machine may reach it. */
function hasAuthorizationServer({ production, trustedIssuers, host }: Config): boolean {
  return !production && trustedIssuers.length === 0 && LOOPBACK.test(host);
}

function servedTypes(config: Config): string[] {
  return ['DocumentReference', 'Media', 'List', 'Binary', 'AuditEvent', 'Provenance', ...(config.mirrorBaseUrl === undefined ? [] : PASSED_TYPES)];
}

function withoutAuthorizationServer(config: Config): Record<string, unknown> {
  const [configured] = config.trustedIssuers;
  return {
    ...(configured === undefined ? {} : { issuer: configured.issuer, ...(configured.jwks_uri === undefined ? {} : { jwks_uri: configured.jwks_uri }) }),
    grant_types_supported: ['client_credentials'],
    capabilities: ['permission-patient', 'permission-user', 'permission-v1', 'permission-v2'],
    scopes_supported: ['patient/*.cruds', 'user/*.cruds', 'system/*.cruds', ...servedTypes(config).map((type) => `user/${type}.cruds`)],
    dpop_signing_alg_values_supported: ALGORITHMS,
    code_challenge_methods_supported: ['S256'],
  };
}

function introspectedIssuers({ trustedIssuers, fhirBase }: Config): IntrospectedIssuer[] {
  return trustedIssuers.flatMap(({ issuer, audience = fhirBase, audience_optional: audienceOptional = false, claims = {}, introspection }) => (introspection === undefined
    ? []
    : [{ issuer, audience, audienceOptional, claims, introspection, tokenPrefix: introspection.tokenPrefix }]));
}

export async function openIssuers(config: Config, logger: Logger): Promise<Issuers> {
  const { fhirBase, baseUrl, dataDir } = config;
  if (config.trustedIssuers.length > 0) {
    const trusted = config.trustedIssuers.flatMap(({ issuer, audience = fhirBase, claims = {}, jwks_uri: jwksUri }) => (jwksUri === undefined ? [] : [{ issuer, audience, claims, keys: { jwksUri } }]));
    return { trusted, introspected: introspectedIssuers(config), authorization: undefined, smartConfiguration: withoutAuthorizationServer(config) };
  }
  const { publicKey, kid } = await loadDevelopmentKey(dataDir);
  const development: IssuerKeys = { issuer: DEVELOPMENT_ISSUER, audience: fhirBase, claims: {}, keys: { jwks: [{ ...publicKey, kid, alg: 'ES256' }] } };
  if (!hasAuthorizationServer(config)) return { trusted: [development], introspected: [], authorization: undefined, smartConfiguration: withoutAuthorizationServer(config) };
  const keys = createSigningKeys(join(authorizationFolder(dataDir), 'keys'));
  const authorization = createAuthorizationServer({
    baseUrl, fhirBase, dataDir, keys,
    grantsResources: (scope) => parseScopes(scope).length > 0,
    onError: (error) => logger.error({ err: error }, 'the development authorization server failed'),
  });
  const issued: IssuerKeys = { issuer: authorizationIssuer(baseUrl), audience: fhirBase, claims: {}, keys: { find: keys.find }, isRevoked: authorization.isRevoked };
  return { trusted: [development, issued], introspected: [], authorization, smartConfiguration: authorizationMetadata(baseUrl, servedTypes(config)) };
}
