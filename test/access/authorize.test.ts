// The matrix of permission, interaction and role: SMART App Launch 2.2 scopes, narrowed by the roles as shipped.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { authorize, type AuthorizationRequest, type Decision } from '../../src/access/authorize.ts';
import type { Principal } from '../../src/access/principal.ts';
import type { RestrictionBranch } from '../../src/access/restriction.ts';
import { parseScopes } from '../../src/access/smart-scope.ts';

const LETTER_OF = {
  'create': 'c', 'read': 'r', 'vread': 'r', 'update': 'u', 'patch': 'u', 'delete': 'd', 'history-instance': 'r', 'history-type': 's', 'search-type': 's',
} as const;
const INTERACTIONS = Object.keys(LETTER_OF) as (keyof typeof LETTER_OF)[];
const TYPES = ['DocumentReference', 'Media', 'Binary', 'List', 'AuditEvent', 'Provenance'];

function principal(scope: string, roles: string[] = ['admin']): Principal {
  return { issuer: 'https://issuer.example', subject: 'ann', clientId: 'app', org: 'demo', roles, scopes: parseScopes(scope), expiresAt: 0 };
}

function decide(scope: string, roles: string[], interaction: AuthorizationRequest['interaction'], type = 'DocumentReference', conditional = false): Decision {
  return authorize(principal(scope, roles), { interaction, type, conditional });
}

const permits = (...given: Parameters<typeof decide>): boolean => decide(...given).permit;

/** The letters that a role may use on a type, found by asking for each. */
function lettersOf(role: string, type: string): string {
  return 'cruds'.split('').filter((letter) => INTERACTIONS.filter((interaction) => LETTER_OF[interaction] === letter).some((interaction) => permits('user/*.cruds', [role], interaction, type))).join('');
}

describe('scopes', () => {
  const single = 'cruds'.split('').flatMap((letter) => INTERACTIONS.map((interaction) => [letter, interaction] as const));
  test.each(single)('letter %s decides %s', (letter, interaction) => {
    const decision = decide(`user/DocumentReference.${letter}`, ['admin'], interaction);
    expect(decision).toEqual(LETTER_OF[interaction] === letter
      ? { permit: true, restriction: { kind: 'none' } }
      : { permit: false, code: 'insufficient_scope', reason: expect.stringContaining('No scope grants') });
  });

  test.each([['read', ['read', 'vread', 'history-instance', 'history-type', 'search-type']], ['write', ['create', 'update', 'patch', 'delete']], ['*', INTERACTIONS]] as const)('version 1 .%s permits its interactions alone', (permission, expected) => {
    expect(INTERACTIONS.filter((interaction) => permits(`user/DocumentReference.${permission}`, ['admin'], interaction))).toEqual(INTERACTIONS.filter((one) => (expected as readonly string[]).includes(one)));
  });

  test('a scope is good for its own type', () => {
    expect(permits('user/Media.cruds', ['admin'], 'read')).toBe(false);
    expect(permits('user/DocumentReferences.cruds', ['admin'], 'read')).toBe(false);
  });

  test('several scopes add up', () => {
    expect(permits('user/Media.r user/DocumentReference.c user/DocumentReference.s', ['admin'], 'create', 'DocumentReference', true)).toBe(true);
  });

  test('a conditional create needs s as well', () => {
    expect(permits('user/DocumentReference.c', ['admin'], 'create')).toBe(true);
    expect(decide('user/DocumentReference.c', ['admin'], 'create', 'DocumentReference', true)).toMatchObject({ permit: false, code: 'insufficient_scope' });
  });

  test('patient scopes grant nothing to a token that names no patient', () => {
    for (const interaction of INTERACTIONS) expect(decide('patient/*.cruds', ['admin'], interaction)).toMatchObject({ permit: false, code: 'insufficient_scope', reason: expect.stringContaining('names no patient') });
  });

  const ofP1 = (scope: string, roles: string[] = [], more: Partial<Principal> = {}) => (interaction: AuthorizationRequest['interaction'], type = 'DocumentReference'): Decision =>
    authorize({ ...principal(scope, roles), patient: 'p1', ...more }, { interaction, type });
  const within = (...anyOf: RestrictionBranch[]): Decision => ({ permit: true, restriction: { kind: 'within', anyOf } });

  test('a patient scope is confined to the patient of the token', () => {
    expect(ofP1('patient/*.rs', ['practitioner'])('read')).toEqual(within({ patient: 'p1' }));
    expect(ofP1('patient/*.rs', ['practitioner'])('create')).toMatchObject({ permit: false, code: 'insufficient_scope' });
    expect(ofP1('patient/*.cruds', ['read-only'])('create')).toMatchObject({ permit: false, code: 'forbidden' });
  });

  test('a patient needs no role, a member of the staff does', () => {
    expect(ofP1('patient/*.rs', [], { fhirUser: 'Patient/p1' })('read')).toEqual(within({ patient: 'p1' }));
    expect(ofP1('patient/*.rs', [], { fhirUser: 'RelatedPerson/r1' })('read')).toEqual(within({ patient: 'p1' }));
    expect(ofP1('patient/*.rs', [], { fhirUser: 'Practitioner/ann' })('read')).toMatchObject({ permit: false, code: 'forbidden' });
    expect(ofP1('patient/*.rs', [], { fhirUser: 'Patient/p1' })('read', 'AuditEvent')).toMatchObject({ permit: false, code: 'forbidden' });
    expect(ofP1('patient/AuditEvent.rs', [], { fhirUser: 'Patient/p1' })('read', 'AuditEvent')).toEqual(within({ patient: 'p1' }));
  });

  test('scopes are a union of branches, of which the wider one is enough', () => {
    expect(ofP1('user/DocumentReference.rs?category=a&type=b user/DocumentReference.r?type=c', ['admin'])('read')).toEqual(within({ filter: [['category', 'a'], ['type', 'b']] }, { filter: [['type', 'c']] }));
    expect(ofP1('user/DocumentReference.rs?category=a user/DocumentReference.r?type=c', ['admin'])('search-type')).toEqual(within({ filter: [['category', 'a']] }));
    expect(ofP1('patient/DocumentReference.rs patient/DocumentReference.rs?category=a', ['admin'])('read')).toEqual(within({ patient: 'p1' }));
    expect(ofP1('patient/DocumentReference.rs user/DocumentReference.rs?category=a', ['admin'])('read')).toEqual(within({ patient: 'p1' }, { filter: [['category', 'a']] }));
    expect(ofP1('patient/DocumentReference.rs user/*.rs', ['admin'])('read')).toEqual({ permit: true, restriction: { kind: 'none' } });
  });

  test('a query grants nothing on a type that has not its parameters', () => {
    expect(ofP1('user/*.rs?category=a', ['admin'])('read', 'Media')).toMatchObject({ permit: false, code: 'insufficient_scope' });
    expect(ofP1('user/*.rs?category=a', ['admin'])('read')).toEqual(within({ filter: [['category', 'a']] }));
    expect(ofP1('user/*.rs?category=a', ['admin'])('read', 'AuditEvent')).toMatchObject({ permit: false, code: 'insufficient_scope' });
  });

  test('a patient scope beside a user scope takes nothing away', () => {
    expect(permits('patient/*.rs user/*.rs', ['admin'], 'read')).toBe(true);
  });
});

describe('Binary', () => {
  test.each(['Binary', 'DocumentReference', 'Media', '*'])('is read by user/%s.r', (type) => {
    expect(permits(`user/${type}.r`, ['practitioner'], 'read', 'Binary')).toBe(true);
  });

  test.each(['user/List.r', 'patient/DocumentReference.r', 'user/DocumentReference.s', 'user/DocumentReference.cuds'])('is not read by %s', (scope) => {
    expect(permits(scope, ['practitioner'], 'read', 'Binary')).toBe(false);
  });

  test('is created by its own letter alone', () => {
    expect(permits('user/Binary.c', ['practitioner'], 'create', 'Binary')).toBe(true);
    expect(permits('user/DocumentReference.c user/Media.cruds', ['practitioner'], 'create', 'Binary')).toBe(false);
  });
});

describe('roles as shipped', () => {
  const documents: [string, string][] = [['admin', 'cruds'], ['practitioner', 'crus'], ['nurse', 'crus'], ['integration', 'crus'], ['read-only', 'rs'], ['billing', 'rs'], ['auditor', '']];
  test.each(documents)('%s may %j on documents', (role, letters) => {
    for (const type of ['DocumentReference', 'Media', 'Binary', 'List']) expect(lettersOf(role, type)).toBe(letters);
  });

  test('AuditEvent is read by admin and auditor, and written by nobody', () => {
    expect(Object.fromEntries(documents.map(([role]) => [role, lettersOf(role, 'AuditEvent')]))).toEqual({ 'admin': 'rs', 'auditor': 'rs', 'practitioner': '', 'nurse': '', 'integration': '', 'read-only': '', 'billing': '' });
  });

  test('Provenance is read by the clinical roles too', () => {
    expect(Object.fromEntries(documents.map(([role]) => [role, lettersOf(role, 'Provenance')]))).toEqual({ 'admin': 'rs', 'auditor': 'rs', 'practitioner': 'rs', 'nurse': 'rs', 'integration': 'rs', 'read-only': 'rs', 'billing': '' });
  });

  test('billing has the category insurance alone, unless another role has more', () => {
    const clause = { permitted: ['insurance'], denied: [] };
    expect(decide('user/*.rs', ['billing'], 'read')).toEqual({ permit: true, restriction: { kind: 'within', anyOf: [{}], categories: clause } });
    expect(decide('user/*.rs?_tag=x', ['billing'], 'read')).toEqual({ permit: true, restriction: { kind: 'within', anyOf: [{ filter: [['_tag', 'x']] }], categories: clause } });
    expect(decide('user/*.rs', ['billing', 'read-only'], 'read')).toEqual({ permit: true, restriction: { kind: 'none' } });
    expect(decide('user/*.rs', ['billing'], 'read', 'Patient')).toMatchObject({ permit: false, code: 'forbidden' });
  });

  test('several roles add up', () => {
    expect(permits('user/*.cruds', ['auditor', 'read-only'], 'read')).toBe(true);
    expect(permits('user/*.cruds', ['auditor', 'read-only'], 'search-type', 'AuditEvent')).toBe(true);
    expect(permits('user/*.cruds', ['auditor', 'read-only'], 'create')).toBe(false);
  });

  test.each([[[]], [['surgeon']], [['Admin']], [['constructor']], [['__proto__']]])('a user with the roles %j may nothing', (roles) => {
    for (const type of TYPES) for (const interaction of INTERACTIONS) expect(decide('user/*.cruds', roles, interaction, type)).toMatchObject({ permit: false, code: 'forbidden' });
  });
});

describe('system scopes', () => {
  test('decide alone where the token has no role', () => {
    for (const interaction of INTERACTIONS) expect(permits('system/*.cruds', [], interaction)).toBe(true);
    expect(permits('system/DocumentReference.rs', [], 'delete')).toBe(false);
  });

  test('are narrowed by the roles of the token, unknown ones included', () => {
    expect(decide('system/*.cruds', ['practitioner'], 'delete')).toMatchObject({ permit: false, code: 'forbidden' });
    expect(permits('system/*.cruds', ['robot'], 'read')).toBe(false);
  });

  test('reach AuditEvent without a role only by name', () => {
    expect(decide('system/*.cruds', [], 'search-type', 'AuditEvent')).toMatchObject({ permit: false, code: 'forbidden' });
    expect(permits('system/AuditEvent.rs', [], 'search-type', 'AuditEvent')).toBe(true);
    expect(permits('system/*.rs', ['auditor'], 'read', 'AuditEvent')).toBe(true);
    expect(permits('system/AuditEvent.rs', ['practitioner'], 'read', 'AuditEvent')).toBe(false);
  });
});

describe('properties', () => {
  const scope = fc.tuple(fc.constantFrom('patient', 'user', 'system'), fc.constantFrom('*', ...TYPES), fc.subarray(['c', 'r', 'u', 'd', 's'], { minLength: 1 })).map(([context, type, letters]) => `${context}/${type}.${letters.join('')}`);
  const scopes = fc.array(scope, { maxLength: 4 });
  const roles = fc.subarray(['admin', 'practitioner', 'read-only', 'auditor', 'billing', 'robot']);
  const request = fc.record({ interaction: fc.constantFrom(...INTERACTIONS), type: fc.constantFrom(...TYPES), conditional: fc.boolean() });

  test('a further scope never takes a right away', () => {
    fc.assert(fc.property(scopes, scope, roles, request, (held, further, named, wanted) => {
      if (authorize(principal(held.join(' '), named), wanted).permit) expect(authorize(principal([...held, further].join(' '), named), wanted).permit).toBe(true);
    }));
  });

  test('a further role never takes a right away from a user', () => {
    fc.assert(fc.property(scopes, roles, request, (held, named, wanted) => {
      fc.pre(named.length > 0);
      if (authorize(principal(held.join(' '), named), wanted).permit) expect(authorize(principal(held.join(' '), [...named, 'nurse']), wanted).permit).toBe(true);
    }));
  });

  test('without scopes nothing is permitted', () => {
    fc.assert(fc.property(roles, request, (named, wanted) => {
      expect(authorize(principal('openid', named), wanted).permit).toBe(false);
    }));
  });
});
