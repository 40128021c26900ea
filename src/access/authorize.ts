// May this principal do that? Pure: scope ∩ role, answered as permit with a restriction or deny with a reason.
import { roleRights } from './category-policy.ts';
import type { Principal } from './principal.ts';
import type { Restriction } from './restriction.ts';
import type { Permission, SmartScope } from './smart-scope.ts';

export interface AuthorizationRequest {
  interaction: keyof typeof LETTERS;
  type: string;
  /** A conditional create also tells whether something exists: it needs s as well. */
  conditional?: boolean;
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

function roleAllows(roles: readonly string[], type: string, letter: Permission): boolean {
  return roles.some((role) => {
    const held = roleRights(role);
    if (held === undefined) return false;
    if (type === 'AuditEvent') return held.auditEvents && (letter === 'r' || letter === 's');
    if (type === 'Provenance') return held.provenance && (letter === 'r' || letter === 's');
    return held.documents.has(letter);
  });
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
  if (!roleAllows(principal.roles, type, letter)) {
    return { permit: false, code: 'forbidden', reason: principal.roles.length === 0 ? 'The token names no role' : `The role does not allow ${letter} on ${type}` };
  }
  return { permit: true, restriction: { kind: 'none' } };
}

/**
 * Scope ∩ role (SMART App Launch 2.2; the letters of a conditional create add up). Deny is `insufficient_scope` where a
 * wider scope would help (RFC 6750 3.1), else `forbidden`. Whether a Binary's owner is readable is asked of the data.
 */
export function authorize(principal: Principal, request: AuthorizationRequest): Decision {
  if (request.refusal === true) return { permit: true, restriction: { kind: 'none' } };
  const letter = LETTERS[request.interaction];
  if (letter === null) return { permit: true, restriction: { kind: 'none' } };
  const decision = decideLetter(principal, request.type, letter);
  if (!decision.permit || request.conditional !== true) return decision;
  return decideLetter(principal, request.type, 's');
}
