// What is explained is what is done: verdicts against `authorize` and the rights that it asks, and the rules that are named.
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { authorize } from '../../src/access/authorize.ts';
import { explainPolicy, type PolicyQuestion } from '../../src/access/explain-policy.ts';
import { withPolicy } from '../../src/access/category-policy.ts';
import { ACTIONS, coversCategories, DOCUMENT_CATEGORIES, rightsOf, SHIPPED_POLICY, type Action, type Category, type PolicyRule } from '../../src/access/policy.ts';
import type { Principal } from '../../src/access/principal.ts';
import { parseScopes } from '../../src/access/smart-scope.ts';

const ask = (roles: string[], action: Action, more: Partial<PolicyQuestion> = {}) => explainPolicy(SHIPPED_POLICY, { roles, action, categories: [], ...more });

describe('the policy as shipped', () => {
  it.each([
    [['nurse'], 'write', 'yes', 'nurse is permitted write on documents of every category'],
    [['nurse'], 'delete', 'no', 'No rule permits nurse delete on any document; what no rule permits is denied'],
    [['billing'], 'read', 'in part', 'Documents of insurance alone'],
    [['billing', 'nurse'], 'grant', 'no', 'No rule permits billing and nurse grant on any document; what no rule permits is denied'],
    [['nobody-has-this'], 'read', 'no', 'No rule permits nobody-has-this read on any document; what no rule permits is denied'],
    [[], 'read', 'no', 'Nobody is asked for: without a role the policy permits nothing, and scopes alone decide'],
  ] as [string[], Action, string, string][])('%j may %s: %s', (roles, action, permitted, reason) => {
    expect(ask(roles, action)).toMatchObject({ permitted, reason, policyVersion: 0 });
  });

  it('says of the record that it has rules of its own', () => {
    expect(ask(['nurse'], 'read', { categories: ['AuditEvent'] })).toMatchObject({ permitted: 'no', reason: 'No rule permits nurse read on AuditEvent; what no rule permits is denied' });
    expect(ask(['auditor'], 'read', { categories: ['AuditEvent'] })).toMatchObject({ permitted: 'yes', reason: 'auditor is permitted read on AuditEvent' });
  });
});

describe('an own policy', () => {
  const rules: PolicyRule[] = [
    { role: 'clerk', category: '*', action: 'read', effect: 'permit' }, { role: 'clerk', category: 'photo', action: 'read', effect: 'deny' }, { role: 'nurse', category: 'photo', action: 'read', effect: 'permit' },
  ];
  const own = (roles: string[], categories: Category[]) => explainPolicy({ version: 7, rules }, { roles, action: 'read', categories });

  it('names the deny that wins, and not the permits beside it', () => {
    const answer = own(['clerk', 'nurse'], ['photo']);
    expect(answer).toMatchObject({ permitted: 'no', policyVersion: 7, reason: 'clerk is denied read on documents of photo; a deny wins over every permit' });
    expect(answer.categories[0]?.rules).toEqual([rules[1]]);
  });

  it('says that a document in several categories needs all of them', () => {
    expect(own(['clerk'], ['lab', 'photo'])).toMatchObject({ permitted: 'no', reason: 'clerk is denied read on documents of photo; a deny wins over every permit; a document in several categories needs all of them' });
    expect(own(['nurse'], ['lab', 'photo']).permitted).toBe('no');
    expect(own(['nurse'], ['photo']).permitted).toBe('yes');
  });
});

describe('scopes beside the policy', () => {
  it.each([
    [['nurse'], 'write', 'user/DocumentReference.rs', 'no', 'No scope grants c on DocumentReference; No scope grants u on DocumentReference'],
    [['nurse'], 'write', 'user/DocumentReference.crs', 'in part', 'No scope grants u on DocumentReference'],
    [['nurse'], 'read', 'patient/*.rs', 'no', 'The token names no patient, so that its patient/ scopes grant nothing'],
    [['nurse'], 'delete', 'user/*.cruds', 'no', 'No rule permits nurse delete on any document; what no rule permits is denied'],
    [['nurse'], 'read', 'user/*.cruds', 'yes', 'nurse is permitted read on documents of every category'],
    [['nurse'], 'read', 'user/DocumentReference.rs?category=urn:c|x', 'in part', 'Within a patient or the query of a scope alone'],
    [[], 'read', 'system/*.rs', 'yes', 'A token without roles has what its scopes grant'],
    [[], 'read', 'user/*.rs', 'no', 'The token names no role'],
  ] as [string[], Action, string, string, string][])('%j may %s with %s: %s', (roles, action, scope, permitted, reason) => {
    const answer = ask(roles, action, { scope });
    expect([answer.permitted, answer.reason]).toEqual([permitted, expect.stringContaining(reason)]);
  });

  it('each is judged by itself', () => {
    expect(ask(['nurse'], 'read', { scope: 'openid user/*.sr patient/*.rs user/Media.rs user/*.r', patient: 'p' }).scopes?.map(({ granted }) => granted)).toEqual([false, false, true, false, true]);
  });
});

describe('properties', () => {
  const anyRule = fc.record({ role: fc.constantFrom('a', 'b', 'c'), category: fc.constantFrom<Category>('*', 'lab', 'photo', 'other', 'AuditEvent'), action: fc.constantFrom<Action>('read', 'write', 'delete'), effect: fc.constantFrom<PolicyRule['effect']>('permit', 'permit', 'deny') });
  const anyRules = fc.array(anyRule, { maxLength: 8 });
  const anyRoles = fc.subarray(['a', 'b', 'c'], { minLength: 1 });

  it('a verdict on categories is that of the rights, and the rules that are named suffice for it', () => {
    fc.assert(fc.property(anyRules, anyRoles, fc.constantFrom(...ACTIONS), fc.subarray([...DOCUMENT_CATEGORIES], { minLength: 1 }), (rules, roles, action, categories) => {
      const policy = { version: 1, rules };
      const answer = explainPolicy(policy, { roles, action, categories });
      expect(answer.permitted === 'yes').toBe(coversCategories(rightsOf(policy, roles).documents[action], categories));
      const named = answer.categories.flatMap((verdict) => verdict.rules);
      expect(coversCategories(rightsOf({ version: 1, rules: named }, roles).documents[action], categories)).toBe(answer.permitted === 'yes');
    }), { numRuns: 2_000 });
  });

  it('"no" is exactly what the doorway refuses, whatever scopes and rules there are', () => {
    const anyScope = fc.constantFrom('user/*.cruds', 'user/DocumentReference.rs', 'user/DocumentReference.r?category=urn:c|x', 'patient/*.rs', 'system/*.d', 'user/*.sr', 'user/Media.cruds', 'openid');
    const interactions = { read: 'read', search: 'search-type', delete: 'delete' } as const;
    fc.assert(fc.property(anyRules, fc.subarray(['a', 'b', 'c']), fc.constantFrom('read' as const, 'search' as const, 'delete' as const), fc.array(anyScope, { maxLength: 3 }), fc.option(fc.constant('p'), { nil: undefined }), (rules, roles, action, scopes, patient) => {
      const scope = scopes.join(' ');
      const caller: Principal = { issuer: 'i', subject: 's', clientId: 'c', org: 'o', roles, scopes: parseScopes(scope), expiresAt: 0, ...(patient === undefined ? {} : { patient }) };
      const done = authorize(withPolicy(caller, { version: 1, rules }), { interaction: interactions[action], type: 'DocumentReference' });
      const told = explainPolicy({ version: 1, rules }, { roles, action, categories: [], scope, ...(patient === undefined ? {} : { patient }) });
      expect(told.permitted === 'no').toBe(!done.permit);
      if (done.permit) expect(told.permitted === 'yes').toBe(done.restriction.kind === 'none');
    }), { numRuns: 3_000 });
  });
});
