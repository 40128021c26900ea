// May this principal do that? Pure: scope ∩ policy, less what patients withhold, answered as permit with a restriction or deny
// with a reason.
import { rightsOfPrincipal } from './category-policy.ts';
import { coversAll, type Action, type CategoryRight } from './policy.ts';
import type { Principal } from './principal.ts';
import { restrictionOf, withoutWithheld, type Restriction, type RestrictionBranch } from './restriction.ts';
import { understands, type Permission, type SmartScope } from './smart-scope.ts';

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
  'create': 'c', 'read': 'r', 'vread': 'r', 'history-instance': 'r', 'history-type': 's', 'update': 'u', 'patch': 'u', 'delete': 'd', 'search-type': 's',
  'search-system': null, 'history-system': null, 'batch': null, 'transaction': null, 'operation': null,
} as const satisfies Record<string, Permission | null>;

/** A Binary is read by the right to the document that owns it as well; which one that is, the data decides. */
const BINARY_READERS = ['Binary', 'DocumentReference', 'Media'];

/** Of which of the types the scope's query must be understood for it to grant the letter; none where it is not for the type. */
function typesAsked(scope: SmartScope, type: string, letter: Permission): readonly string[] {
  if (type !== 'Binary' || letter !== 'r') return scope.type === '*' || scope.type === type ? [type] : [];
  return scope.type === '*' ? BINARY_READERS : BINARY_READERS.filter((reader) => reader === scope.type);
}

function grants(scope: SmartScope, type: string, letter: Permission): boolean {
  const { filter } = scope;
  return scope.permissions.has(letter) && typesAsked(scope, type, letter).some((asked) => filter === undefined || understands(asked, filter));
}

/** The user is the patient or somebody of theirs, or nobody is named. */
function isForPatient({ fhirUser }: Principal): boolean {
  return fhirUser === undefined || /^(Patient|RelatedPerson)\//.test(fhirUser);
}

/**
 * A system client is limited by its registration, that is by its scopes, and a patient by theirs and the compartment; roles,
 * where the token has some, narrow them. Who saw what is shown without roles only when a scope names AuditEvent: `*` does
 * not mean the record.
 */
function sufficesWithoutRole(principal: Principal, scope: SmartScope, type: string): boolean {
  if (type === 'AuditEvent' && scope.type !== 'AuditEvent') return false;
  return scope.context === 'system' || (scope.context === 'patient' && isForPatient(principal));
}

/** What has categories, or bytes that belong to what has. */
const CATEGORISED = ['DocumentReference', 'Media', 'List', 'Binary'];

/** The action of the policy that a letter asks for. */
const ACTION_OF = { c: 'write', r: 'read', u: 'write', d: 'delete', s: 'search' } as const satisfies Record<Permission, Action>;
const EVERY_CATEGORY: CategoryRight = { permitted: 'any', denied: [] };

/** What the policy leaves of a type, by categories; undefined = nothing. What has no categories needs a right to all of them. */
function policyRight(principal: Principal, type: string, letter: Permission): CategoryRight | undefined {
  const { documents, record } = rightsOfPrincipal(principal);
  if (type === 'AuditEvent' || type === 'Provenance') return (letter === 'r' || letter === 's') && record[type].has(ACTION_OF[letter]) ? EVERY_CATEGORY : undefined;
  const right = documents[ACTION_OF[letter]];
  return right.permitted !== 'any' && right.permitted.length === 0 || (!coversAll(right) && !CATEGORISED.includes(type)) ? undefined : right;
}

/** What this server defines is nobody's data: whoever may read something that is held may read it. */
const DEFINITIONS = ['StructureDefinition', 'SearchParameter', 'CodeSystem', 'ValueSet', 'OperationDefinition'];
const HELD = ['DocumentReference', 'Media', 'List', 'Binary', 'AuditEvent', 'Provenance'];

function readsSomething(principal: Principal): boolean {
  return HELD.some((type) => decideLetter(principal, type, 'r').permit || decideLetter(principal, type, 's').permit);
}

/** Of one caller; requests name types as they like. */
const DECIDED_MAX = 500;
const decided = new WeakMap<Principal, Map<string, Decision>>();

/** The same caller asks the same again and again. What patients withhold changes from minute to minute, and is asked each time. */
function decideLetter(principal: Principal, type: string, letter: Permission): Decision {
  if (principal.consents !== undefined || !Object.isFrozen(principal)) return decideAnew(principal, type, letter);
  const known = decided.get(principal) ?? new Map<string, Decision>();
  decided.set(principal, known);
  const key = `${letter} ${type}`;
  const found = known.get(key);
  if (found !== undefined) return found;
  if (known.size >= DECIDED_MAX) known.clear();
  const decision = decideAnew(principal, type, letter);
  known.set(key, decision);
  return decision;
}

function decideAnew(principal: Principal, type: string, letter: Permission): Decision {
  if ((letter === 'r' || letter === 's') && DEFINITIONS.includes(type) && readsSomething(principal)) return { permit: true, restriction: { kind: 'none' } };
  const granting = principal.scopes.filter((scope) => grants(scope, type, letter));
  if (granting.length === 0) return { permit: false, code: 'insufficient_scope', reason: `No scope grants ${letter} on ${type}` };
  const placed = granting.filter(({ context }) => context !== 'patient' || principal.patient !== undefined);
  if (placed.length === 0) return { permit: false, code: 'insufficient_scope', reason: 'The token names no patient, so that its patient/ scopes grant nothing' };
  if (principal.roles.length === 0) {
    const sufficient = placed.filter((scope) => sufficesWithoutRole(principal, scope, type));
    return sufficient.length === 0 ? { permit: false, code: 'forbidden', reason: 'The token names no role' } : permitted(restrictionOf(sufficient.map((scope) => branchOf(scope, principal))), principal, type, letter);
  }
  const right = policyRight(principal, type, letter);
  if (right === undefined) return { permit: false, code: 'forbidden', reason: `The role does not allow ${letter} on ${type}` };
  return permitted(restrictionOf(placed.map((scope) => branchOf(scope, principal)), right), principal, type, letter);
}

/** What patients withhold from the caller is taken off last: consents narrow a permit, and never make one. */
function permitted(restriction: Restriction, { consents }: Principal, type: string, letter: Permission): Decision {
  return { permit: true, restriction: consents === undefined ? restriction : withoutWithheld(restriction, consents.denials(letter, type)) };
}

function branchOf({ context, filter }: SmartScope, { patient }: Principal): RestrictionBranch {
  return { ...(context === 'patient' && patient !== undefined ? { patient } : {}), ...(filter === undefined ? {} : { filter }) };
}

/** Whoever administers has the role admin; no policy can take it away, so that none locks everybody out. */
function decideAdministration(principal: Principal, { letter, org }: NonNullable<AuthorizationRequest['administration']>): Decision {
  const granted = principal.scopes.some((scope) => scope.context !== 'patient' && scope.filter === undefined && grants(scope, 'Organization', letter));
  if (!granted) return { permit: false, code: 'insufficient_scope', reason: `No scope grants ${letter} on Organization` };
  if (!principal.roles.includes('admin')) return { permit: false, code: 'forbidden', reason: 'This is done by role admin' };
  if (org !== undefined && principal.org !== org) return { permit: false, code: 'forbidden', reason: 'This is done by an administrator of the operator' };
  return { permit: true, restriction: { kind: 'none' } };
}

/**
 * Scope ∩ policy (SMART App Launch 2.2; the letters of a conditional create add up). Deny is `insufficient_scope` where a
 * wider scope would help (RFC 6750 3.1), else `forbidden`. The restriction is that of the interaction's own letter. Whether a
 * Binary's owner is readable is asked of the data.
 */
export function authorize(principal: Principal, request: AuthorizationRequest): Decision {
  if (request.refusal === true) return { permit: true, restriction: { kind: 'none' } };
  if (request.administration !== undefined) return decideAdministration(principal, request.administration);
  const letter = LETTERS[request.interaction];
  if (letter === null) return { permit: true, restriction: { kind: 'none' } };
  const decision = decideLetter(principal, request.type, letter);
  if (!decision.permit || request.conditional !== true) return decision;
  const search = decideLetter(principal, request.type, 's');
  return search.permit ? decision : search;
}
