// What the development authorization server says of itself in SMART's discovery (SMART App Launch 2.2, conformance).
import { PLAIN_SCOPES } from './authorization-scopes.ts';

/** Path of the issuer below BASE_URL. */
export const AUTHORIZATION_MOUNT = '/oauth';

/** What a client may sign the proofs with that its tokens are bound by (RFC 9449 5.1). */
export const PROOF_SIGNING = ['ES256', 'Ed25519', 'EdDSA'] as const;

/** How a client may sign who it is (RFC 7523). */
export const CLIENT_SIGNING = ['RS256', 'RS384', 'PS256', 'PS384', 'ES256', 'ES384', 'EdDSA', 'Ed25519'] as const;

export function authorizationIssuer(baseUrl: string): string {
  return `${baseUrl}${AUTHORIZATION_MOUNT}`;
}

/** Members of /.well-known/smart-configuration. `types`: what resource scopes may be about. */
export function authorizationMetadata(baseUrl: string, types: readonly string[]): Record<string, string | boolean | readonly string[]> {
  const issuer = authorizationIssuer(baseUrl);
  const contexts = ['patient', 'user', 'system'];
  return {
    issuer,
    jwks_uri: `${issuer}/jwks`,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    registration_endpoint: `${issuer}/register`,
    introspection_endpoint: `${issuer}/introspect`,
    revocation_endpoint: `${issuer}/revoke`,
    token_endpoint_auth_methods_supported: ['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt'],
    token_endpoint_auth_signing_alg_values_supported: CLIENT_SIGNING,
    dpop_signing_alg_values_supported: PROOF_SIGNING,
    grant_types_supported: ['authorization_code', 'refresh_token', 'client_credentials'],
    response_types_supported: ['code'],
    response_modes_supported: ['form_post', 'fragment', 'query'],
    authorization_response_iss_parameter_supported: true,
    id_token_signing_alg_values_supported: ['RS256'],
    subject_types_supported: ['public'],
    code_challenge_methods_supported: ['S256'],
    scopes_supported: [...Object.keys(PLAIN_SCOPES), ...contexts.map((context) => `${context}/*.cruds`), ...contexts.flatMap((context) => types.map((type) => `${context}/${type}.cruds`))],
    capabilities: [
      'launch-ehr', 'launch-standalone', 'authorize-post', 'client-public', 'client-confidential-symmetric', 'client-confidential-asymmetric', 'sso-openid-connect',
      'context-banner', 'context-ehr-patient', 'context-ehr-encounter', 'context-standalone-patient', 'context-standalone-encounter',
      'permission-offline', 'permission-online', 'permission-patient', 'permission-user', 'permission-v1', 'permission-v2',
    ],
  };
}
