// What a token is confined to, held against resources in memory; the same in SQL is asked over HTTP.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Restriction, RestrictionBranch } from '../../src/access/restriction.ts';
import { confiningPatient, patientAlone, restrictionOf } from '../../src/access/restriction.ts';
import { SCOPE_PARAMETERS, isScopeCriterion } from '../../src/access/scope-parameters.ts';
import type { JsonObject } from '../../src/fhir/json.ts';
import { typeNumber } from '../../src/fhir/resource-type.ts';
import { permitsRecord, recordPatient } from '../../src/search/judge-record.ts';
import { judgeResource } from '../../src/search/judge-resource.ts';
import { Values } from '../../src/search/query-values.ts';
import { restrictionPredicates } from '../../src/search/restrict-search.ts';
import { restrictionClauses } from '../../src/search/restriction-clauses.ts';
import { SEARCH_PARAMETERS, type SearchableType } from '../../src/search/search-parameters.ts';

const BASE = 'https://muniment.test/fhir';
const within = (...anyOf: RestrictionBranch[]): Restriction & { kind: 'within' } => ({ kind: 'within', anyOf });
const judge = (restriction: Restriction, resource: JsonObject, type = 'DocumentReference'): string => judgeResource(restriction, type, resource, BASE);
const filtered = (...filter: [string, string][]): Restriction => within({ filter });

const DOCUMENT: JsonObject = {
  resourceType: 'DocumentReference', id: 'd1', status: 'current', meta: { security: [{ system: 'urn:s', code: 'R' }] },
  identifier: [{ system: 'urn:i', value: '1' }], type: { coding: [{ system: 'http://loinc.org', code: '34133-9' }] },
  category: [{ coding: [{ system: 'urn:c', code: 'a' }, { code: 'b' }] }], subject: { reference: 'Patient/p1' }, author: [{ reference: `${BASE}/Practitioner/w` }],
  context: { encounter: [{ reference: 'Encounter/e1' }] },
};

describe('the parameters of scopes', () => {
  const all = Object.entries(SCOPE_PARAMETERS).flatMap(([type, names]) => names.map((name) => [type, name] as const));

  test.each(all)('%s.%s is declared, and compared for equality', (type, name) => {
    const parameter = (SEARCH_PARAMETERS[type as SearchableType]).find((one) => one.name === name);
    expect(parameter?.type).toMatch(/^(token|reference)$/);
    const value = parameter?.type === 'reference' ? 'Patient/p1' : 'urn:s|x';
    expect(isScopeCriterion(type, name, value)).toBe(true);
    expect(restrictionClauses(within({ filter: [[name, value]] }), type, BASE)).toHaveLength(1);
    if (parameter?.type === 'reference' && name !== 'patient') expect(isScopeCriterion(type, name, 'p1')).toBe(false);
  });

  test('that cannot be held against a type grant nothing of it', () => {
    for (const branch of [{ filter: [['date', '2024']] }, { filter: [['nosuch', 'x']] }, { filter: [['category', 'a'], ['description', 'x']] }] satisfies RestrictionBranch[]) {
      expect(restrictionClauses(within(branch), 'DocumentReference', BASE)).toEqual([]);
      expect(judge(within(branch), DOCUMENT)).toBe('hidden');
      expect(restrictionPredicates({ org: 1, type: typeNumber('DocumentReference'), restriction: within(branch), fhirBase: BASE }, new Values())).toEqual(['false']);
    }
  });
});

describe('a query', () => {
  test.each<[string, string]>([
    ['category', 'a'], ['category', 'urn:c|a'], ['category', 'urn:c|'], ['category', '|b'], ['category', 'x,a'], ['identifier', 'urn:i|1'], ['type', 'http://loinc.org|34133-9'], ['status', 'current'],
    ['patient', 'p1'], ['patient', 'Patient/p1'], ['patient', `${BASE}/Patient/p1`], ['subject', 'Patient/p1'], ['author', 'Practitioner/w'], ['encounter', 'Encounter/e1'], ['_id', 'd1'], ['_security', 'urn:s|R'],
  ])('%s=%s holds', (name, value) => { expect(judge(filtered([name, value]), DOCUMENT)).toBe('permitted'); });

  test.each<[string, string]>([
    ['category', 'A'], ['category', 'urn:x|a'], ['category', '|a'], ['category', 'urn:x|'], ['identifier', 'urn:i|2'], ['status', 'superseded'], ['status', 'urn:x|current'], ['patient', 'p2'], ['subject', 'Group/p1'],
    ['author', 'Practitioner/w2'], ['author', 'https://elsewhere.test/fhir/Practitioner/w'], ['_id', 'd2'], ['_tag', 'urn:s|R'],
  ])('%s=%s does not', (name, value) => { expect(judge(filtered([name, value]), DOCUMENT)).toBe('forbidden'); });

  test('needs all of its criteria, and of several queries one', () => {
    expect(judge(filtered(['category', 'a'], ['status', 'current']), DOCUMENT)).toBe('permitted');
    expect(judge(filtered(['category', 'a'], ['status', 'superseded']), DOCUMENT)).toBe('forbidden');
    expect(judge(within({ filter: [['category', 'x']] }, { filter: [['status', 'current']] }), DOCUMENT)).toBe('permitted');
  });
});

describe('a patient', () => {
  test('has what is in their compartment; the rest is hidden', () => {
    expect(judge(within({ patient: 'p1' }), DOCUMENT)).toBe('permitted');
    expect(judge(within({ patient: 'p2' }), DOCUMENT)).toBe('hidden');
    expect(judge(within({ patient: 'w' }), DOCUMENT)).toBe('hidden');
    expect(judge(within({ patient: 'p2' }), { ...DOCUMENT, author: [{ reference: 'Patient/p2' }] })).toBe('permitted');
    expect(judge(within({ patient: 'p1' }), { ...DOCUMENT, subject: { reference: 'https://elsewhere.test/fhir/Patient/p1' } })).toBe('hidden');
    expect(judge(within({ patient: 'p1', filter: [['category', 'x']] }), DOCUMENT)).toBe('forbidden');
    expect(judge(within({ patient: 'p2', filter: [['category', 'a']] }), DOCUMENT)).toBe('hidden');
    expect(judge(within({ patient: 'p2' }, { filter: [['category', 'x']] }), DOCUMENT)).toBe('forbidden');
  });

  test('has the records that name them and nobody else', () => {
    const event = (...patients: string[]) => ({ entities: patients.map((id) => ({ reference: `Patient/${id}`, role: 'patient' })) }) as unknown as Parameters<typeof permitsRecord>[1];
    expect([['p1'], ['p2'], ['p1', 'p2'], []].map((patients) => permitsRecord(within({ patient: 'p1' }), event(...patients)))).toEqual([true, false, false, false]);
    expect(recordPatient(filtered(['category', 'a']))).toBeNull();
    expect(recordPatient(within({ patient: 'p1', filter: [['_id', '1']] }))).toBeNull();
    expect(recordPatient({ kind: 'none' })).toBeUndefined();
  });
});

describe('categories', () => {
  const clause = (permitted: 'any' | string[], denied: string[] = []): Restriction => ({ kind: 'within', anyOf: [{}], categories: { permitted, denied } });
  test('must all be permitted, and none denied; what has none is of `other`', () => {
    const of = (...codes: string[]): JsonObject => ({ ...DOCUMENT, category: codes.map((code) => ({ coding: [{ system: 'urn:x', code }] })) });
    expect([clause(['lab', 'photo']), clause(['lab']), clause('any', ['photo']), clause('any', ['consent'])].map((one) => judge(one, of('lab', 'photo')))).toEqual(['permitted', 'forbidden', 'forbidden', 'permitted']);
    const { category: _category, ...bare } = DOCUMENT;
    for (const none of [bare, of('urn-of-others')]) expect([judge(clause(['lab']), none), judge(clause(['other']), none), judge(clause('any', ['other']), none)]).toEqual(['forbidden', 'permitted', 'forbidden']);
    expect(judge(clause(['lab']), of('lab', 'urn-of-others'))).toBe('permitted');
    expect(judge(clause(['insurance']), { resourceType: 'Media', id: 'm' }, 'Media')).toBe('forbidden');
  });
});

describe('a union of branches', () => {
  const branch: fc.Arbitrary<RestrictionBranch> = fc.record({ patient: fc.constantFrom('p1', 'p2'), filter: fc.array(fc.constantFrom<[string, string]>(['category', 'a'], ['category', 'x'], ['status', 'current']), { minLength: 1, maxLength: 2 }) }, { requiredKeys: [] });

  test('permits what one of them permits, in its least form', () => {
    fc.assert(fc.property(fc.array(branch, { minLength: 1, maxLength: 4 }), (branches) => {
      const one = (only: RestrictionBranch): boolean => judge(restrictionOf([only]), DOCUMENT) === 'permitted';
      expect(judge(restrictionOf(branches), DOCUMENT) === 'permitted').toBe(branches.some(one));
    }));
  });

  test('names the patient to whom everything is confined, if there is one', () => {
    fc.assert(fc.property(fc.array(branch, { minLength: 1, maxLength: 4 }), (branches) => {
      const patient = confiningPatient(restrictionOf(branches));
      if (patient !== undefined) expect(branches.every((one) => one.patient === patient)).toBe(true);
      if (patientAlone(restrictionOf(branches)) !== undefined) expect(patient).toBeDefined();
    }));
  });
});
