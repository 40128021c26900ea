// From the claims of a verified token to a principal; what a foreign issuer calls otherwise is mapped.
import type { JWTPayload } from 'jose';
import { fhirError } from '../fhir/fhir-error.ts';
import type { Principal } from './principal.ts';
import { parseScopes } from './smart-scope.ts';

const ORG_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

function claimAt(payload: JWTPayload, path: string): unknown {
  if (Object.hasOwn(payload, path)) return payload[path];
  return path.split('.').reduce<unknown>((node, step) => (typeof node === 'object' && node !== null && Object.hasOwn(node, step) ? (node as Record<string, unknown>)[step] : undefined), payload);
}

const strings = (value: unknown): string[] => (Array.isArray(value) ? value : [value]).filter((member): member is string => typeof member === 'string' && member !== '');

/** `mapping`: our claim names to theirs, dots into objects. Raises 401 `token-invalid` for a token without organisation. */
export function principalOf(payload: JWTPayload, mapping: Readonly<Record<string, string>>): Principal {
  const claim = (name: string): unknown => claimAt(payload, mapping[name] ?? name);
  const text = (name: string): string | undefined => strings(claim(name))[0];
  const org = text('org');
  if (org === undefined || !ORG_NAME.test(org)) throw fhirError('token-invalid', 'The token names no organisation');
  if (payload.sub === undefined && text('client_id') === undefined) throw fhirError('token-invalid', 'The token names neither a subject nor a client');
  const clientId = text('client_id') ?? text('azp') ?? (payload.sub as string);
  const optional = { jti: payload.jti, fhirUser: userReference(text('fhirUser')), name: text('name'), patient: text('patient'), encounter: text('encounter') };
  return {
    issuer: payload.iss as string,
    subject: payload.sub ?? clientId,
    clientId,
    org,
    roles: strings(claim('role')),
    scopes: parseScopes(strings(claim('scope')).join(' ')),
    expiresAt: payload.exp as number,
    ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)),
  };
}

/** fhirUser may be an absolute URL; the record keeps type and id. */
function userReference(text: string | undefined): string | undefined {
  return text === undefined ? undefined : /([A-Z][A-Za-z]+\/[A-Za-z0-9\-.]{1,64})$/.exec(text)?.[1];
}
