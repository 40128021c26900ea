// What an R4 Consent withholds from whom: each element that is honoured, what is not understood, and what holds of all of them.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { authorize } from '../../src/access/authorize.ts';
import { inEmergency } from '../../src/access/break-glass.ts';
import { readConsent, type Consent } from '../../src/access/consent.ts';
import { consentsFor, type ConsentCaller, type ConsentState } from '../../src/access/consent-denials.ts';
import { testHolds } from '../../src/access/document-test.ts';
import type { Principal } from '../../src/access/principal.ts';
import { parseScopes } from '../../src/access/smart-scope.ts';
import type { JsonObject } from '../../src/fhir/json.ts';
import { judgeResource } from '../../src/search/judge-resource.ts';

const BASE = 'https://hapi.test/fhir';
const NOW = Date.parse('2026-06-15T12:00:00Z');
const CONFIDENTIALITY = 'http://terminology.hl7.org/CodeSystem/v3-Confidentiality';
const PARTICIPATION = 'http://terminology.hl7.org/CodeSystem/v3-ParticipationType';
const CALLER: ConsentCaller = { user: 'Practitioner/w', org: 'demo', purposes: [], now: NOW };

const consent = (provision: object | undefined, more: object = {}): JsonObject => ({
  resourceType: 'Consent', id: 'c1', status: 'active', scope: { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/consentscope', code: 'patient-privacy' }] },
  category: [{ coding: [{ system: 'http://loinc.org', code: '59284-0' }] }], patient: { reference: 'Patient/p' }, policyRule: { coding: [{ code: 'OPTIN' }] },
  ...(provision === undefined ? {} : { provision }), ...more,
}) as JsonObject;
const read = (resource: JsonObject): Consent[] => [readConsent(resource, BASE)].filter((one) => one !== undefined);

const document = (more: object = {}): JsonObject => ({ resourceType: 'DocumentReference', id: 'd', status: 'current', subject: { reference: 'Patient/p' }, type: { coding: [{ system: 'http://loinc.org', code: '34133-9' }] }, ...more });
const labelled = (code: string): JsonObject => document({ meta: { security: [{ system: CONFIDENTIALITY, code }] } });
const alsoLabelled = (code: string): JsonObject => document({ securityLabel: [{ coding: [{ system: CONFIDENTIALITY, code }] }] });

interface Question { caller?: Partial<ConsentCaller>; letter?: 'c' | 'r' | 'u' | 'd' | 's'; type?: string; resource?: JsonObject }

function withheldIn(state: ConsentState, { caller = {}, letter = 'r', type = 'DocumentReference', resource = document() }: Question = {}): boolean {
  const denials = consentsFor(state, { ...CALLER, ...caller })?.denials(letter, type) ?? [];
  return denials.some(({ patients, when }) => (patients === 'any' || patients.has('p')) && testHolds(when, resource));
}
const withheld = (provision: object | undefined, question: Question = {}, more: object = {}): boolean => withheldIn({ kind: 'known', consents: read(consent(provision, more)) }, question);

const actor = (reference: string, role = 'IRCP'): object => ({ role: { coding: [{ system: PARTICIPATION, code: role }] }, reference: { reference } });
const deny = (more: object = {}): object => ({ type: 'deny', ...more });
const permit = (more: object = {}): object => ({ type: 'permit', ...more });

describe('a consent', () => {
  test('without a denial withholds nothing', () => {
    for (const provision of [undefined, {}, permit(), permit({ actor: [actor('Practitioner/other')] }), permit({ provision: [permit()] })]) expect(withheld(provision)).toBe(false);
  });

  test.each(['draft', 'proposed', 'rejected', 'inactive', 'entered-in-error'])('that is %s is not honoured', (status) => {
    expect(withheld(deny(), {}, { status })).toBe(false);
  });

  test('about research, of nobody whom we know, or no consent at all is not honoured', () => {
    expect(withheld(deny(), {}, { scope: { coding: [{ code: 'research' }] } })).toBe(false);
    for (const patient of [undefined, {}, { display: 'P' }, { reference: 'Group/p' }, { reference: 'https://elsewhere.test/fhir/Patient/p' }]) expect(read(consent(deny(), { patient }))).toEqual([]);
    expect(read(consent(deny(), { patient: { reference: `${BASE}/Patient/p` } }))).toHaveLength(1);
    expect(read({ ...consent(deny()), resourceType: 'Contract' })).toEqual([]);
  });

  test('withholds from reading, searching and writing what it denies, of its patient alone', () => {
    for (const letter of ['c', 'r', 'u', 'd', 's'] as const) expect([letter, withheld(deny(), { letter })]).toEqual([letter, true]);
    expect(consentsFor({ kind: 'known', consents: read(consent(deny())) }, CALLER)?.denials('r', 'DocumentReference')).toEqual([{ patients: new Set(['p']), when: { kind: 'always' } }]);
    for (const type of ['Patient', 'Binary', 'AuditEvent', 'StructureDefinition']) expect([type, withheld(deny(), { type })]).toEqual([type, false]);
    for (const type of ['Media', 'List', 'Provenance']) expect([type, withheld(deny(), { type })]).toEqual([type, true]);
  });

  test('keeps its patient from nothing unless it names them', () => {
    expect(withheld(deny(), { caller: { user: 'Patient/p' } })).toBe(false);
    expect(withheld(deny({ actor: [actor('Patient/p')] }), { caller: { user: 'Patient/p' } })).toBe(true);
    expect(withheld(deny(), { caller: { user: 'Patient/other' } })).toBe(true);
    expect(withheld(deny(), { caller: { user: 'RelatedPerson/mother' } })).toBe(true);
  });

  test('that opts out withholds from reading, but for whom it lets in; documents are written all the same', () => {
    const optOut = { policyRule: { coding: [{ code: 'OPTOUT' }] } };
    expect(withheld(undefined, {}, optOut)).toBe(true);
    expect(withheld(undefined, { letter: 's' }, optOut)).toBe(true);
    for (const letter of ['c', 'u', 'd'] as const) expect(withheld(undefined, { letter }, optOut)).toBe(false);
    expect(withheld({ provision: [permit({ actor: [actor('Practitioner/w')] })] }, {}, optOut)).toBe(false);
    expect(withheld(permit({ actor: [actor('Practitioner/w')] }), {}, optOut)).toBe(false);
    expect(withheld(permit({ actor: [actor('Practitioner/other')] }), {}, optOut)).toBe(true);
    expect(withheld({ period: { end: '2026-06-01' } }, {}, optOut)).toBe(false);
  });
});

describe('an exception', () => {
  test('is the other way than what it is nested in, and a denial among several wins', () => {
    const mine = { actor: [actor('Practitioner/w')] };
    expect(withheld(permit({ provision: [deny(mine)] }))).toBe(true);
    expect(withheld(permit({ provision: [deny({ actor: [actor('Practitioner/other')] })] }))).toBe(false);
    expect(withheld(deny({ provision: [permit(mine)] }))).toBe(false);
    expect(withheld(deny({ provision: [permit({ ...mine, provision: [deny({ securityLabel: [{ system: CONFIDENTIALITY, code: 'R' }] })] })] }), { resource: labelled('R') })).toBe(true);
    expect(withheld(deny({ provision: [permit({ ...mine, provision: [deny({ securityLabel: [{ system: CONFIDENTIALITY, code: 'R' }] })] })] }))).toBe(false);
    expect(withheld(deny({ provision: [permit(mine), deny()] }))).toBe(true);
    expect(withheld({ provision: [{ actor: [actor('Practitioner/w')] }] })).toBe(true);
  });
});

describe('a denial and a permission within one', () => {
  const only = (criteria: object, question: Question = {}): [boolean, boolean] => [withheld(deny(criteria), question), !withheld(deny({ provision: [permit(criteria)] }), question)];
  const APPLIES = [true, true];
  const NOT = [false, false];
  /** The denial holds, the permission lifts nothing. */
  const DOUBT = [true, false];

  test.each<[string, object, Question, boolean[]]>([
    ['a period that is running', { period: { start: '2026-01-01', end: '2026-12-31' } }, {}, APPLIES],
    ['the last day of a period', { period: { end: '2026-06-15' } }, {}, APPLIES],
    ['a period that is over', { period: { end: '2026-06-14' } }, {}, NOT],
    ['a period to come', { period: { start: '2026-06-15T12:00:01Z' } }, {}, NOT],
    ['a period that cannot be read', { period: { start: 'soon' } }, {}, DOUBT],
    ['the caller', { actor: [actor('Practitioner/w')] }, {}, APPLIES],
    ['the caller among others', { actor: [actor('Practitioner/x'), actor('Practitioner/w', 'PRCP')] }, {}, APPLIES],
    ['the caller as custodian', { actor: [actor('Practitioner/w', 'CST')] }, {}, DOUBT],
    ['somebody else', { actor: [actor('Practitioner/x')] }, {}, NOT],
    ['a device, where a person asks', { actor: [actor('Device/x')] }, {}, NOT],
    ['the organisation of the caller', { actor: [actor('Organization/demo')] }, {}, APPLIES],
    ['an organisation', { actor: [actor('Organization/x')] }, {}, DOUBT],
    ['a team', { actor: [actor('CareTeam/x')] }, {}, DOUBT],
    ['somebody, where it is not known who asks', { actor: [actor('Practitioner/x')] }, { caller: { user: undefined } }, DOUBT],
    ['somebody, where a role asks', { actor: [actor('Practitioner/x')] }, { caller: { user: 'PractitionerRole/w' } }, DOUBT],
    ['an actor that is no reference', { actor: [{ role: {}, reference: { display: 'Dr. W' } }] }, {}, DOUBT],
    ['access, for a reader', { action: [{ coding: [{ code: 'access' }] }] }, {}, APPLIES],
    ['use, for a reader', { action: [{ coding: [{ code: 'use' }] }] }, {}, DOUBT],
    ['collect, for a reader', { action: [{ coding: [{ code: 'collect' }] }] }, {}, NOT],
    ['access, for a writer', { action: [{ coding: [{ code: 'access' }] }] }, { letter: 'c' }, NOT],
    ['collect, for who creates', { action: [{ coding: [{ code: 'collect' }] }] }, { letter: 'c' }, APPLIES],
    ['correct, for who changes', { action: [{ coding: [{ code: 'correct' }] }] }, { letter: 'u' }, APPLIES],
    ['an action in words', { action: [{ text: 'look' }] }, {}, DOUBT],
    ['a purpose that is stated', { purpose: [{ code: 'TREAT' }] }, { caller: { purposes: ['TREAT'] } }, APPLIES],
    ['another purpose than is stated', { purpose: [{ code: 'HMARKT' }] }, { caller: { purposes: ['TREAT'] } }, NOT],
    ['one of the purposes that are stated', { purpose: [{ code: 'TREAT' }] }, { caller: { purposes: ['TREAT', 'HMARKT'] } }, DOUBT],
    ['a purpose, where none is stated', { purpose: [{ code: 'TREAT' }] }, {}, DOUBT],
    ['the level of the document', { securityLabel: [{ system: CONFIDENTIALITY, code: 'R' }] }, { resource: labelled('R') }, APPLIES],
    ['the level in securityLabel', { securityLabel: [{ system: CONFIDENTIALITY, code: 'R' }] }, { resource: alsoLabelled('R') }, APPLIES],
    ['a level without a system', { securityLabel: [{ code: 'R' }] }, { resource: labelled('R') }, APPLIES],
    ['a lower level than the document has', { securityLabel: [{ system: CONFIDENTIALITY, code: 'R' }] }, { resource: labelled('V') }, DOUBT],
    ['a higher level than the document has', { securityLabel: [{ system: CONFIDENTIALITY, code: 'R' }] }, { resource: labelled('N') }, [false, true]],
    ['a level, where the document has none', { securityLabel: [{ system: CONFIDENTIALITY, code: 'R' }] }, {}, NOT],
    ['another label', { securityLabel: [{ system: 'urn:s', code: 'HIV' }] }, { resource: document({ meta: { security: [{ system: 'urn:s', code: 'HIV' }] } }) }, APPLIES],
    ['another label of another system', { securityLabel: [{ system: 'urn:s', code: 'HIV' }] }, { resource: document({ meta: { security: [{ system: 'urn:t', code: 'HIV' }] } }) }, NOT],
    ['two labels of which the document has one', { securityLabel: [{ code: 'HIV' }, { code: 'ETH' }] }, { resource: document({ meta: { security: [{ code: 'HIV' }] } }) }, DOUBT],
    ['the type', { class: [{ system: 'http://hl7.org/fhir/resource-types', code: 'DocumentReference' }] }, {}, APPLIES],
    ['another type', { class: [{ system: 'http://hl7.org/fhir/resource-types', code: 'Observation' }] }, {}, NOT],
    ['the bytes', { class: [{ system: 'http://hl7.org/fhir/resource-types', code: 'Binary' }] }, {}, DOUBT],
    ['a media type', { class: [{ system: 'urn:ietf:bcp:13', code: 'application/pdf' }] }, {}, DOUBT],
    ['the class of the document', { class: [{ system: 'http://loinc.org', code: '34133-9' }] }, {}, APPLIES],
    ['a code of the document', { code: [{ coding: [{ system: 'http://loinc.org', code: '34133-9' }] }] }, {}, APPLIES],
    ['a code deep in the document', { code: [{ coding: [{ code: 'x' }] }] }, { resource: document({ context: { event: [{ coding: [{ system: 'urn:e', code: 'x' }] }] } }) }, APPLIES],
    ['a code that is not there', { code: [{ coding: [{ system: 'http://loinc.org', code: '11488-4' }] }] }, {}, NOT],
    ['a code in words', { code: [{ text: 'summary' }] }, {}, DOUBT],
    ['the document', { data: [{ meaning: 'instance', reference: { reference: 'DocumentReference/d' } }] }, {}, APPLIES],
    ['another document', { data: [{ meaning: 'instance', reference: { reference: 'DocumentReference/e' } }] }, {}, NOT],
    ['an encounter', { data: [{ meaning: 'instance', reference: { reference: 'Encounter/e' } }] }, {}, NOT],
    ['what belongs to something', { data: [{ meaning: 'related', reference: { reference: 'Encounter/e' } }] }, {}, DOUBT],
    ['a modifier', { modifierExtension: [{ url: 'urn:x', valueBoolean: true }] }, {}, DOUBT],
    ['a time of the data', { dataPeriod: { start: '2020' } }, {}, DOUBT],
  ])('%s', (_what, criteria, question, expected) => { expect(only(criteria, question)).toEqual(expected); });

  test('a modifier of the whole consent lifts nothing', () => {
    const optOut = { policyRule: { coding: [{ code: 'OPTOUT' }] }, modifierExtension: [{ url: 'urn:x', valueBoolean: true }] };
    expect(withheld(permit(), {}, optOut)).toBe(true);
  });
});

describe('while consents cannot be asked for', () => {
  const unknown: ConsentState = { kind: 'unknown' };
  test('what is labelled restricted or very restricted is withheld, in either place, and nothing else', () => {
    for (const code of ['R', 'V']) expect([withheldIn(unknown, { resource: labelled(code) }), withheldIn(unknown, { resource: alsoLabelled(code) })]).toEqual([true, true]);
    for (const resource of [document(), labelled('N'), alsoLabelled('L'), document({ meta: { security: [{ system: 'urn:s', code: 'R' }] } })]) expect(withheldIn(unknown, { resource })).toBe(false);
    expect(withheldIn(unknown, { resource: labelled('R'), letter: 's', type: 'List' })).toBe(true);
  });
});

const coding = fc.record({ system: fc.constantFrom('urn:a', CONFIDENTIALITY, 'http://loinc.org', 'http://hl7.org/fhir/resource-types'), code: fc.constantFrom('R', 'N', 'V', 'x', 'DocumentReference', '34133-9', 'Media') }, { requiredKeys: ['code'] });
const criteria = {
  period: fc.constantFrom({ start: '2026-01-01' }, { end: '2026-01-01' }, { start: '2027' }, { start: 'x' }), actor: fc.array(fc.constantFrom(actor('Practitioner/w'), actor('Practitioner/x', 'CST'), actor('Organization/o'), actor('Patient/p'), {}), { maxLength: 3 }),
  action: fc.array(fc.constantFrom('access', 'collect', 'correct', 'use', 'zzz').map((code) => ({ coding: [{ code }] })), { maxLength: 2 }), securityLabel: fc.array(coding, { maxLength: 2 }), purpose: fc.array(fc.constantFrom({ code: 'TREAT' }, { code: 'HMARKT' }, {}), { maxLength: 2 }),
  class: fc.array(coding, { maxLength: 2 }), code: fc.array(coding.map((one) => ({ coding: [one] })), { maxLength: 2 }),
  data: fc.array(fc.constantFrom({ meaning: 'instance', reference: { reference: 'DocumentReference/d' } }, { meaning: 'related', reference: { reference: 'DocumentReference/d' } }), { maxLength: 2 }), modifierExtension: fc.constant([{}]),
};
const { provision } = fc.letrec<{ provision: object }>((tie) => ({
  provision: fc.record({ type: fc.constantFrom('permit', 'deny', undefined, 'else'), ...criteria, provision: fc.array(tie('provision'), { maxLength: 3 }) }, { requiredKeys: [] }),
}));
const anyConsent = fc.record({ provision, policyRule: fc.constantFrom({ coding: [{ code: 'OPTIN' }] }, { coding: [{ code: 'OPTOUT' }] }, undefined), patient: fc.constantFrom('p', 'q').map((id) => ({ reference: `Patient/${id}` })) }).map((more) => consent(undefined, more));
const anyDocument = fc.record({ meta: fc.record({ security: fc.array(coding, { maxLength: 2 }) }), category: fc.array(coding.map((one) => ({ coding: [one] })), { maxLength: 2 }), subject: fc.constantFrom('Patient/p', 'Patient/q', 'Group/g').map((reference) => ({ reference })) }).map((more) => document(more));
const anyScopes = fc.constantFrom('user/*.cruds', 'user/*.cruds', 'system/DocumentReference.rs', 'patient/*.rs', 'user/DocumentReference.rs?category=http://loinc.org|34133-9', 'user/Media.r', '');
const anyCaller = fc.record({ fhirUser: fc.constantFrom('Practitioner/w', 'Patient/p', undefined), roles: fc.constantFrom(['admin'], ['practitioner'], ['billing'], []), scope: anyScopes, purposeOfUse: fc.constantFrom(undefined, ['TREAT'], ['TREAT', 'HMARKT']) })
  .map(({ scope, fhirUser, roles, purposeOfUse }): Principal => ({ issuer: 'i', subject: 's', clientId: 'c', org: 'demo', patient: 'p', roles: [...roles], scopes: parseScopes(scope), expiresAt: 0, ...(fhirUser === undefined ? {} : { fhirUser }), ...(purposeOfUse === undefined ? {} : { purposeOfUse: [...purposeOfUse] }) }));
const interactions = fc.constantFrom('read' as const, 'search-type' as const, 'create' as const, 'update' as const, 'delete' as const);

describe('whatever the consents are', () => {
  const under = (principal: Principal, resources: readonly JsonObject[]): Principal => {
    const consents = consentsFor({ kind: 'known', consents: resources.flatMap(read) }, { user: principal.fhirUser, org: principal.org, purposes: principal.purposeOfUse ?? [], now: NOW });
    return consents === undefined ? principal : { ...principal, consents };
  };
  const may = (principal: Principal, interaction: 'read' | 'search-type' | 'create' | 'update' | 'delete', resource: JsonObject): boolean => {
    const decision = authorize(principal, { interaction, type: 'DocumentReference' });
    return decision.permit && judgeResource(decision.restriction, 'DocumentReference', resource, BASE) === 'permitted';
  };

  test('they permit nothing that scope and policy don\'t, and one more permits nothing that fewer didn\'t', () => {
    let [narrowed, open] = [0, 0];
    fc.assert(fc.property(anyCaller, fc.array(anyConsent, { maxLength: 4 }), anyConsent, interactions, anyDocument, (principal, some, more, interaction, resource) => {
      const [without, fewer, all] = [principal, under(principal, some), under(principal, [...some, more])].map((one) => may(one, interaction, resource));
      if (fewer === true) expect(without).toBe(true);
      if (all === true) expect(fewer).toBe(true);
      if (without !== all) narrowed += 1;
      if (all === true) open += 1;
      // One in fifty narrows: of so many runs, more than twice the fifty do.
    }), { numRuns: 8_000 });
    expect([narrowed > 50, open > 100]).toEqual([true, true]);
  });

  test('an emergency sets them aside', () => {
    fc.assert(fc.property(anyCaller, fc.array(anyConsent, { maxLength: 3 }), anyDocument, (principal, some, resource) => {
      const emergency = { id: 'e', patient: 'p' };
      expect(may(inEmergency(under(principal, some), emergency), 'read', resource)).toBe(may(inEmergency(principal, emergency), 'read', resource));
    }), { numRuns: 500 });
  });

  test('thousands of different ones withhold more rather than less', () => {
    const many = Array.from({ length: 300 }, (_, number) => consent(deny({ code: [{ coding: [{ code: `c${number}` }] }] }), { id: `c${number}`, patient: { reference: `Patient/p${number}` } }));
    const denials = consentsFor({ kind: 'known', consents: many.flatMap(read) }, CALLER)?.denials('s', 'DocumentReference') ?? [];
    expect(denials.length).toBeLessThanOrEqual(50);
    for (let number = 0; number < 300; number += 1) {
      const resource = document({ subject: { reference: `Patient/p${number}` }, type: { coding: [{ code: `c${number}` }] } });
      expect(denials.some(({ patients, when }) => patients !== 'any' && patients.has(`p${number}`) && testHolds(when, resource))).toBe(true);
    }
  });
});
