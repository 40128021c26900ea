// Policy as data: what rules make of roles, against a second reading of the same rules, document by document.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { authorize } from '../../src/access/authorize.ts';
import { mayCorrect, withPolicy } from '../../src/access/category-policy.ts';
import { ACTIONS, coversAll, coversCategories, DOCUMENT_CATEGORIES, rightsOf, SHIPPED_POLICY, type Action, type Category, type PolicyRule } from '../../src/access/policy.ts';
import type { Principal } from '../../src/access/principal.ts';
import { parseScopes } from '../../src/access/smart-scope.ts';

const rule = (role: string, category: Category, action: Action, effect: PolicyRule['effect'] = 'permit'): PolicyRule => ({ role, category, action, effect });
const reading = (roles: string[], ...rules: PolicyRule[]) => rightsOf({ version: 1, rules }, roles).documents.read;
const principal = (roles: string[], scope = 'user/*.cruds'): Principal => ({ issuer: 'https://issuer.example', subject: 'ann', clientId: 'app', org: 'demo', roles, scopes: parseScopes(scope), expiresAt: 0 });

describe('rules', () => {
  test.each([
    ['no rule permits nothing', ['clerk'], [], { permitted: [], denied: [] }],
    ['a rule of another role permits nothing', ['clerk'], [rule('nurse', '*', 'read')], { permitted: [], denied: [] }],
    ['a rule of another action permits nothing', ['clerk'], [rule('clerk', '*', 'search')], { permitted: [], denied: [] }],
    ['* is any document', ['clerk'], [rule('clerk', '*', 'read')], { permitted: 'any', denied: [] }],
    ['named categories are those alone', ['clerk'], [rule('clerk', 'lab', 'read'), rule('clerk', 'insurance', 'read')], { permitted: ['insurance', 'lab'], denied: [] }],
    ['a denied category is taken from any', ['clerk'], [rule('clerk', '*', 'read'), rule('clerk', 'photo', 'read', 'deny')], { permitted: 'any', denied: ['photo'] }],
    ['a deny wins over a permit of the same category', ['clerk'], [rule('clerk', 'photo', 'read'), rule('clerk', 'photo', 'read', 'deny')], { permitted: [], denied: ['photo'] }],
    ['a deny of one role wins over a permit of another', ['clerk', 'nurse'], [rule('nurse', '*', 'read'), rule('clerk', '*', 'read', 'deny')], { permitted: [], denied: ['*'] }],
    ['permits of several roles add up', ['clerk', 'nurse'], [rule('nurse', 'lab', 'read'), rule('clerk', 'photo', 'read')], { permitted: ['lab', 'photo'], denied: [] }],
    ['* does not mean the record', ['clerk'], [rule('clerk', 'AuditEvent', 'read')], { permitted: [], denied: [] }],
  ] as [string, string[], PolicyRule[], object][])('%s', (_title, roles, rules, expected) => {
    expect(reading(roles, ...rules)).toEqual(expected);
  });

  test('the record needs a rule of its own, and a deny wins there too', () => {
    expect(rightsOf({ version: 1, rules: [rule('clerk', '*', 'read')] }, ['clerk']).record.AuditEvent.size).toBe(0);
    expect([...rightsOf({ version: 1, rules: [rule('clerk', 'AuditEvent', 'read')] }, ['clerk']).record.AuditEvent]).toEqual(['read']);
    expect(rightsOf({ version: 1, rules: [rule('clerk', 'AuditEvent', 'read'), rule('clerk', 'AuditEvent', 'read', 'deny')] }, ['clerk']).record.AuditEvent.size).toBe(0);
  });
});

describe('documents in several categories', () => {
  test('need all of them', () => {
    const right = reading(['clerk'], rule('clerk', 'insurance', 'read'));
    expect(coversCategories(right, ['insurance'])).toBe(true);
    expect(coversCategories(right, ['insurance', 'photo'])).toBe(false);
    expect(coversCategories(reading(['clerk'], rule('clerk', '*', 'read'), rule('clerk', 'photo', 'read', 'deny')), ['lab', 'photo'])).toBe(false);
  });

  test('without a category are other', () => {
    expect(coversCategories(reading(['clerk'], rule('clerk', 'other', 'read')), [])).toBe(true);
    expect(coversCategories(reading(['clerk'], rule('clerk', 'lab', 'read')), [])).toBe(false);
  });
});

describe('a right to some categories alone', () => {
  const some = withPolicy(principal(['clerk']), { version: 1, rules: [rule('clerk', 'insurance', 'read'), rule('nurse', '*', 'read')] });
  const allButOne = withPolicy(principal(['clerk']), { version: 2, rules: [rule('clerk', '*', 'read'), rule('clerk', 'photo', 'read', 'deny')] });
  test('never permits what it does not cover', () => {
    for (const caller of [some, allButOne]) {
      const decision = authorize(caller, { interaction: 'read', type: 'DocumentReference' });
      expect(decision).not.toMatchObject({ permit: true, restriction: { kind: 'none' } });
    }
  });
});

describe('the policy at the doorway', () => {
  test('decides instead of the shipped one, and a newer version instead of an older', () => {
    const caller = principal(['practitioner']);
    const asked = { interaction: 'create', type: 'DocumentReference' } as const;
    expect(authorize(caller, asked).permit).toBe(true);
    expect(authorize(withPolicy(caller, { version: 1, rules: [] }), asked)).toMatchObject({ permit: false, code: 'forbidden' });
    expect(authorize(withPolicy(caller, { version: 2, rules: [rule('practitioner', '*', 'write')] }), asked).permit).toBe(true);
  });

  test('is joined once for one principal', () => {
    const caller = principal(['nurse']);
    expect(withPolicy(caller, SHIPPED_POLICY)).toBe(withPolicy(caller, SHIPPED_POLICY));
  });

  test('says who may correct labels and subjects', () => {
    expect(['admin', 'practitioner', 'nurse'].filter((role) => mayCorrect(principal([role])))).toEqual(['admin']);
    expect(mayCorrect(withPolicy(principal(['nurse']), { version: 1, rules: [rule('nurse', '*', 'override')] }))).toBe(true);
    expect(mayCorrect(principal([]))).toBe(false);
  });
});

describe('as shipped', () => {
  test.each([
    ['admin', [...ACTIONS]], ['practitioner', ['read', 'search', 'write', 'grant']], ['nurse', ['read', 'search', 'write']], ['integration', ['read', 'search', 'write']],
    ['read-only', ['read', 'search']], ['integrity', ['read', 'search']], ['billing', []], ['auditor', []],
  ] as [string, Action[]][])('%s may %j on every document', (role, expected) => {
    const { documents } = rightsOf(SHIPPED_POLICY, [role]);
    expect(ACTIONS.filter((action) => coversAll(documents[action]))).toEqual(expected);
  });

  test('billing reads and searches category insurance alone', () => {
    const { documents } = rightsOf(SHIPPED_POLICY, ['billing']);
    expect(ACTIONS.filter((action) => coversCategories(documents[action], ['insurance']))).toEqual(['read', 'search']);
    for (const category of DOCUMENT_CATEGORIES.filter((one) => one !== 'insurance')) expect(coversCategories(documents.read, [category])).toBe(false);
  });
});

describe('administration', () => {
  const decide = (caller: Principal, letter: 'r' | 'u' = 'u', org?: string) => authorize(caller, { interaction: 'operation', type: 'Organization', administration: { letter, ...(org === undefined ? {} : { org }) } });
  test('is for role admin with a scope on Organization, and at the operator for its own', () => {
    expect(decide(principal(['admin'])).permit).toBe(true);
    expect(decide(principal(['admin'], 'user/Organization.r'), 'r').permit).toBe(true);
    expect(decide(principal(['admin'], 'user/Organization.r'))).toMatchObject({ permit: false, code: 'insufficient_scope' });
    expect(decide(principal(['admin'], 'patient/*.cruds user/DocumentReference.cruds'))).toMatchObject({ permit: false, code: 'insufficient_scope' });
    expect(decide(principal(['practitioner', 'auditor']))).toMatchObject({ permit: false, code: 'forbidden' });
    expect(decide(principal([], 'system/*.cruds'))).toMatchObject({ permit: false, code: 'forbidden' });
    expect(decide(principal(['admin']), 'u', 'operations')).toMatchObject({ permit: false, code: 'forbidden' });
    expect(decide(principal(['admin']), 'u', 'demo').permit).toBe(true);
  });

  test('no policy takes it away', () => {
    expect(decide(withPolicy(principal(['admin']), { version: 1, rules: [] })).permit).toBe(true);
  });
});

describe('properties', () => {
  const anyRule = fc.record({ role: fc.constantFrom('a', 'b', 'c'), category: fc.constantFrom<Category>('*', 'lab', 'photo', 'other'), action: fc.constantFrom<Action>('read', 'write'), effect: fc.constantFrom<PolicyRule['effect']>('permit', 'permit', 'deny') });
  const rules = fc.array(anyRule, { maxLength: 8 });
  const roles = fc.subarray(['a', 'b', 'c']);
  const categories = fc.subarray(['lab', 'photo', 'other', 'imaging'], { minLength: 1 });

  test('a document is covered when each of its categories has a permit and none a deny', () => {
    fc.assert(fc.property(rules, roles, categories, (held, named, wanted) => {
      const about = (category: string) => held.filter((one) => named.includes(one.role) && one.action === 'read' && (one.category === '*' || one.category === category));
      const expected = wanted.every((category) => about(category).some((one) => one.effect === 'permit') && about(category).every((one) => one.effect === 'permit'));
      expect(coversCategories(reading(named, ...held), wanted)).toBe(expected);
    }), { numRuns: 2_000 });
  });

  test('a further deny never gives a right, and a further permit never takes one', () => {
    fc.assert(fc.property(rules, anyRule, roles, categories, (held, further, named, wanted) => {
      const before = coversCategories(reading(named, ...held), wanted);
      const after = coversCategories(reading(named, ...held, further), wanted);
      expect(further.effect === 'deny' ? !before && after : before && !after).toBe(false);
    }), { numRuns: 2_000 });
  });
});
