// May this principal do that? Pure: scope ∩ policy, answered as permit with a restriction or deny with a reason.
import { rightsOfPrincipal } from './category-policy.ts';
import { coversAll, type Action } from './policy.ts';
import type { Principal } from './principal.ts';
import type { Restriction } from './restriction.ts';
import type { Permission, SmartScope } from './smart-scope.ts';

export interface AuthorizationRequest {
  interaction: keyof typeof LETTERS;
  type: string;
  /** A conditional create also tells whether something exists: it needs s as well. */
  conditional?: boolean;
  /** An operation of administrators; with `org`, of that organisation's alone. `letter` is what the scope must grant on Organization. */
  administration?: { letter: 'r' | 'u'; org?: string };
  /** The request is refused anyway (no such path): whoever has a valid token may be told so. */
  refusal?: boolean;
}

export type Decision =
  | { permit: true; restriction: Restriction }
  | { permit: false; reason: string; code: 'insufficient_scope' | 'forbidden' };

/** The letter of SMART's cruds that an interaction needs; null = each type or entry that it touches is asked by itself. */
const LETTERS = {
  'create': 'c', 'read': 'r', 'vread': 'r', 'history-instance': 'r', 'history-type': 'r', 'update': 'u', 'patch': 'u', 'delete': 'd', 'search-type': 's',
  'search-system': null, 'history-system': null, 'batch': null, 'transaction': null, 'operation': null,
} as const satisfies Record<string, Permission | null>;

/** A Binary is read by the right to the document that owns it as well; which one that is, the data decides. */
const BINARY_READERS = ['Binary', 'DocumentReference', 'Media'];

function grants(scope: SmartScope, type: string, letter: Permission): boolean {
  if (!scope.permissions.has(letter) || scope.filter !== undefined) return false;
  if (scope.type === '*' || scope.type === type) return true;
  return type === 'Binary' && letter === 'r' && BINARY_READERS.includes(scope.type);
}

/** Who saw what is shown to a client without roles only when its scope names AuditEvent: `*` does not mean the record. */
function systemSuffices(scope: SmartScope, type: string): boolean {
  return scope.context === 'system' && (type !== 'AuditEvent' || scope.type === 'AuditEvent');
}

/** The action of the policy that a letter asks for. */
const ACTION_OF = { c: 'write', r: 'read', u: 'write', d: 'delete', s: 'search' } as const satisfies Record<Permission, Action>;

/** A right to some categories alone would need a predicate that says which documents those are; without one it is no right. */
function policyAllows(principal: Principal, type: string, letter: Permission): boolean {
  const { documents, record } = rightsOfPrincipal(principal);
  if (type === 'AuditEvent' || type === 'Provenance') return (letter === 'r' || letter === 's') && record[type].has(ACTION_OF[letter]);
  return coversAll(documents[ACTION_OF[letter]]);
}

/** What this server defines is nobody's data: whoever may read something that is held may read it. */
const DEFINITIONS = ['StructureDefinition', 'SearchParameter', 'CodeSystem', 'ValueSet', 'OperationDefinition'];
const HELD = ['DocumentReference', 'Media', 'List', 'Binary', 'AuditEvent', 'Provenance'];

function readsSomething(principal: Principal): boolean {
  return HELD.some((type) => decideLetter(principal, type, 'r').permit || decideLetter(principal, type, 's').permit);
}

function decideLetter(principal: Principal, type: string, letter: Permission): Decision {
  if ((letter === 'r' || letter === 's') && DEFINITIONS.includes(type) && readsSomething(principal)) return { permit: true, restriction: { kind: 'none' } };
  const granting = principal.scopes.filter((scope) => grants(scope, type, letter));
  const contexts = granting.filter((scope) => scope.context !== 'patient');
  if (contexts.length === 0) {
    const reason = granting.length > 0 ? 'patient/ scopes are not served here' : `No scope grants ${letter} on ${type}`;
    return { permit: false, code: 'insufficient_scope', reason };
  }
  // A system client is limited by its registration, that is by its scopes; roles, where its token has some, narrow them.
  if (principal.roles.length === 0 && contexts.some((scope) => systemSuffices(scope, type))) return { permit: true, restriction: { kind: 'none' } };
  if (!policyAllows(principal, type, letter)) {
    return { permit: false, code: 'forbidden', reason: principal.roles.length === 0 ? 'The token names no role' : `The role does not allow ${letter} on ${type}` };
  }
  return { permit: true, restriction: { kind: 'none' } };
}

/** Whoever administers has the role admin; no policy can take it away, so that none locks everybody out. */
function decideAdministration(principal: Principal, { letter, org }: NonNullable<AuthorizationRequest['administration']>): Decision {
  const granted = principal.scopes.some((scope) => scope.context !== 'patient' && grants(scope, 'Organization', letter));
  if (!granted) return { permit: false, code: 'insufficient_scope', reason: `No scope grants ${letter} on Organization` };
  if (!principal.roles.includes('admin')) return { permit: false, code: 'forbidden', reason: 'This is done by role admin' };
  if (org !== undefined && principal.org !== org) return { permit: false, code: 'forbidden', reason: 'This is done by an administrator of the operator' };
  return { permit: true, restriction: { kind: 'none' } };
}

/**
 * Scope ∩ policy (SMART App Launch 2.2; the letters of a conditional create add up). Deny is `insufficient_scope` where a
 * wider scope would help (RFC 6750 3.1), else `forbidden`. Whether a Binary's owner is readable is asked of the data.
 */
export function authorize(principal: Principal, request: AuthorizationRequest): Decision {
  if (request.refusal === true) return { permit: true, restriction: { kind: 'none' } };
  if (request.administration !== undefined) return decideAdministration(principal, request.administration);
  const letter = LETTERS[request.interaction];
  if (letter === null) return { permit: true, restriction: { kind: 'none' } };
  const decision = decideLetter(principal, request.type, letter);
  if (!decision.permit || request.conditional !== true) return decision;
  return decideLetter(principal, request.type, 's');
}
