// From the claims of a verified token to a principal; what a foreign issuer calls otherwise is mapped.
import type { JWTPayload } from 'jose';
import type { Confirmation, Principal } from './principal.ts';
import { refusal } from './refusal.ts';
import { parseScopes } from './smart-scope.ts';

/** An organisation as tokens name it. */
export const ORG_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

function claimAt(payload: JWTPayload, path: string): unknown {
  if (Object.hasOwn(payload, path)) return payload[path];
  return path.split('.').reduce<unknown>((node, step) => (typeof node === 'object' && node !== null && Object.hasOwn(node, step) ? (node as Record<string, unknown>)[step] : undefined), payload);
}

const strings = (value: unknown): string[] => (Array.isArray(value) ? value : [value]).filter((member): member is string => typeof member === 'string' && member !== '');

/**
 * `mapping`: our claim names to theirs, dots into objects. A claim that is not what it should be is passed over, except
 * those that decide whose data is seen. Raises 401 `token-invalid` without exactly one organisation, without anybody,
 * and for a token that is bound to a key in a way that is not known here (`cnf`).
 */
export function principalOf(payload: JWTPayload, mapping: Readonly<Record<string, string>>): Principal {
  const claim = (name: string): unknown => claimAt(payload, mapping[name] ?? name);
  const text = (name: string): string | undefined => strings(claim(name))[0];
  const [org, ...furtherOrgs] = strings(claim('org'));
  if (org === undefined || furtherOrgs.length > 0 || !ORG_NAME.test(org)) throw refusal('token-invalid', 'The token does not name one organisation');
  const [subject] = strings(payload.sub);
  const clientId = text('client_id') ?? text('azp') ?? subject;
  if (clientId === undefined) throw refusal('token-invalid', 'The token names neither a subject nor a client');
  const optional = {
    jti: strings(payload.jti)[0], fhirUser: userReference(text('fhirUser')), name: text('name'), patient: contextId(text('patient'), 'Patient'), encounter: contextId(text('encounter'), 'Encounter'),
    confirmation: confirmationOf(payload['cnf']),
    purposeOfUse: purposes(claim('purpose_of_use') ?? claimAt(payload, 'extensions.ihe_iua.purpose_of_use')),
  };
  // Requests with the same token share one principal.
  return Object.freeze({
    issuer: payload.iss as string,
    subject: subject ?? clientId,
    clientId,
    org,
    roles: strings(claim('role')),
    scopes: parseScopes(strings(claim('scope')).join(' ')),
    expiresAt: payload.exp as number,
    ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)),
  });
}

const SHA256 = /^[\w-]{43}$/;

/** Every member of `cnf` (RFC 7800) must be one whose proof can be taken: else the token would be good without it. */
function confirmationOf(cnf: unknown): Confirmation | undefined {
  if (cnf === undefined) return undefined;
  const { 'jkt': jwk, 'x5t#S256': certificate, ...others } = (typeof cnf === 'object' && cnf !== null ? cnf : { cnf }) as Record<string, unknown>;
  const known = [jwk, certificate].filter((member) => member !== undefined);
  if (known.length === 0 || Object.keys(others).length > 0 || !known.every((member) => typeof member === 'string' && SHA256.test(member))) {
    throw refusal('token-invalid', 'The token is bound to a key in a way that is not known here');
  }
  return Object.freeze({ ...(jwk === undefined ? {} : { jwk: jwk as string }), ...(certificate === undefined ? {} : { certificate: certificate as string }) });
}

/** fhirUser may be an absolute URL; the record keeps type and id. */
function userReference(text: string | undefined): string | undefined {
  return text === undefined ? undefined : /(?:^|\/)([A-Z][A-Za-z]+\/[A-Za-z0-9\-.]{1,64})$/.exec(text)?.[1];
}

const PURPOSES_MAX = 10;

/** Codes, or codings as IHE IUA has them; undefined where there are none. */
function purposes(value: unknown): string[] | undefined {
  const members: unknown[] = Array.isArray(value) ? value : [value];
  const codes = strings(members.map((member) => (typeof member === 'object' && member !== null ? (member as { code?: unknown }).code : member)));
  const known = codes.filter((code) => code.length <= 64).slice(0, PURPOSES_MAX);
  return known.length === 0 ? undefined : known;
}

/** Launch context is an id (SMART 2.2); some issuers send a reference. */
function contextId(text: string | undefined, type: string): string | undefined {
  const id = text?.startsWith(`${type}/`) === true ? text.slice(type.length + 1) : text;
  return id !== undefined && /^[A-Za-z0-9\-.]{1,64}$/.test(id) ? id : undefined;
}
