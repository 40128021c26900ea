// Which documents the consents of patients withhold from a caller. A consent narrows what scope and policy permit and never
// widens it; of several the one that denies wins. Pure.
import type { Consent, ConsentActor, Provision } from './consent.ts';
import { ALWAYS, allOf, anyOf, NEVER, notOf, weightOf, type ConsentDenial, type DocumentTest, type TestedCode } from './document-test.ts';
import type { Permission } from './smart-scope.ts';

/** What is known of the consents of an organisation's patients at a moment. */
export type ConsentState =
  | { kind: 'known'; consents: readonly Consent[] }
  /** The server that keeps them could not be asked. */
  | { kind: 'unknown' };

export interface ConsentCaller {
  /** Practitioner/1 and the like. */
  user: string | undefined;
  /** Name of the organisation. */
  org: string;
  /** v3-ActReason codes that the token states. */
  purposes: readonly string[];
  /** Milliseconds. */
  now: number;
}

/** What the caller's consents come to, worked out where it is asked for. */
export interface CallerConsents {
  denials(letter: Permission, type: string): readonly ConsentDenial[];
  /** Ids of the consents that withhold something of the patient's from reading. */
  withholding(patient: string): string[];
}

/** What holds a patient's content; the bytes of a Binary follow the document that has them. */
export const CONSENTED_TYPES = ['DocumentReference', 'Media', 'List'] as const;

const CONFIDENTIALITY = 'http://terminology.hl7.org/CodeSystem/v3-Confidentiality';
const LEVELS = ['U', 'L', 'M', 'N', 'R', 'V'];
const RESOURCE_TYPES = 'http://hl7.org/fhir/resource-types';
/** Systems of classes that are profiles and media types: what a document is, is not compared with them. */
const UNCOMPARED = ['urn:ietf:bcp:13', 'urn:ietf:rfc:3986'];
const ACTIONS = {
  r: { denied: ['access', 'use', 'disclose'], permitted: ['access'] },
  s: { denied: ['access', 'use', 'disclose'], permitted: ['access'] },
  c: { denied: ['collect', 'correct'], permitted: ['collect'] },
  u: { denied: ['collect', 'correct'], permitted: ['correct'] },
  d: { denied: ['collect', 'correct'], permitted: ['correct'] },
} as const satisfies Record<Permission, { denied: readonly string[]; permitted: readonly string[] }>;
const KNOWN_ACTIONS = ['collect', 'access', 'use', 'disclose', 'correct'];

const asLevel = (name: string): TestedCode[] => [{ system: CONFIDENTIALITY, code: name }];
const isLevel = ({ system, code }: TestedCode): boolean => (system === undefined || system === CONFIDENTIALITY) && LEVELS.includes(code);
const has = (kind: 'label' | 'code', codes: readonly TestedCode[]): DocumentTest => (codes.length === 0 ? NEVER : { kind, codes });
/** Those of the levels, R and V among them, from `from` up to `to`. */
const levels = (from: number, to: number): DocumentTest => has('label', LEVELS.slice(from, to).flatMap(asLevel));

/** What is withheld while nobody can be asked: whatever is labelled restricted or very restricted. */
const RESTRICTED: readonly ConsentDenial[] = [{ patients: 'any', when: levels(LEVELS.indexOf('R'), LEVELS.length), unknown: true }];

interface Asked {
  caller: ConsentCaller;
  letter: Permission;
  type: string;
}

/** A criterion as a denial takes it, where doubt reaches further, and as a permission does, where it lifts nothing. */
interface Reach {
  over: DocumentTest;
  under: DocumentTest;
}

const said = (over: boolean, under: boolean): Reach => ({ over: over ? ALWAYS : NEVER, under: under ? ALWAYS : NEVER });
const DOUBT = said(true, false);
const oneOf = (reaches: readonly Reach[]): Reach => ({ over: anyOf(reaches.map(({ over }) => over)), under: anyOf(reaches.map(({ under }) => under)) });

const typeOf = (reference: string): string => reference.slice(0, reference.indexOf('/'));
/** Who they stand for is told by no reference: a member of a team, somebody in a role. */
const COLLECTIVE = ['Organization', 'CareTeam', 'Group', 'PractitionerRole', 'HealthcareService', 'Location'];

function actorReach({ reference, receives }: ConsentActor, { caller: { user, org } }: Asked): Reach {
  if (reference === undefined) return DOUBT;
  if (reference === user || reference === `Organization/${org}`) return said(true, receives);
  const told = user !== undefined && !COLLECTIVE.includes(typeOf(reference)) && typeOf(user) !== 'PractitionerRole';
  return told ? said(false, false) : DOUBT;
}

function actionsReach(actions: readonly (string | undefined)[], { letter }: Asked): Reach {
  const { denied, permitted } = ACTIONS[letter];
  const isDoubt = actions.some((action) => action === undefined || !KNOWN_ACTIONS.includes(action));
  return said(isDoubt || actions.some((action) => (denied as readonly (string | undefined)[]).includes(action)), actions.some((action) => (permitted as readonly (string | undefined)[]).includes(action)));
}

/** Whoever states no purpose may have any. */
function purposesReach(purposes: readonly (string | undefined)[], { caller }: Asked): Reach {
  const stated = caller.purposes;
  return said(stated.length === 0 || purposes.includes(undefined) || stated.some((one) => purposes.includes(one)), stated.length > 0 && stated.every((one) => purposes.includes(one)));
}

/** A denial of a level reaches that and what is above, a permission that and what is below, as long as nothing higher is there. */
function labelReach(label: TestedCode | undefined): Reach {
  if (label === undefined) return DOUBT;
  if (!isLevel(label)) return { over: has('label', [label]), under: has('label', [label]) };
  const at = LEVELS.indexOf(label.code);
  return { over: levels(at, LEVELS.length), under: allOf([levels(0, at + 1), notOf(levels(at + 1, LEVELS.length))]) };
}

function labelsReach(labels: readonly (TestedCode | undefined)[]): Reach {
  const reaches = labels.map(labelReach);
  return { over: oneOf(reaches).over, under: allOf(reaches.map(({ under }) => under)) };
}

function classReach(one: TestedCode | undefined, { type }: Asked): Reach {
  if (one === undefined || UNCOMPARED.includes(one.system ?? '')) return DOUBT;
  // The bytes of a document are a Binary's.
  if (one.system === RESOURCE_TYPES) return one.code === 'Binary' ? DOUBT : said(one.code === type, one.code === type);
  return one.system === undefined && one.code === type ? said(true, true) : codeReach(one);
}

function codeReach(one: TestedCode | undefined): Reach {
  return one === undefined ? DOUBT : { over: has('code', [one]), under: has('code', [one]) };
}

function dataReach(reference: string | undefined, { type }: Asked): Reach {
  if (reference === undefined || typeOf(reference) === 'Binary') return DOUBT;
  if (typeOf(reference) !== type) return said(false, false);
  const test: DocumentTest = { kind: 'id', ids: [reference.slice(type.length + 1)] };
  return { over: test, under: test };
}

/** The documents that the provision is about, without what is nested in it. */
function reachOf(provision: Provision, asked: Asked): Reach {
  const { period, actors, actions, purposes, labels, classes, codes, data } = provision;
  const { now } = asked.caller;
  const inForce = period === undefined || (period !== null && period.lo <= now && now < period.hi);
  const reaches: Reach[] = [
    period === null ? DOUBT : said(inForce, inForce),
    ...(actors === undefined ? [] : [oneOf(actors.map((actor) => actorReach(actor, asked)))]),
    ...(actions === undefined ? [] : [actionsReach(actions, asked)]),
    ...(purposes === undefined ? [] : [purposesReach(purposes, asked)]),
    ...(labels === undefined ? [] : [labelsReach(labels)]),
    ...(classes === undefined ? [] : [oneOf(classes.map((one) => classReach(one, asked)))]),
    ...(codes === undefined ? [] : [oneOf(codes.map(codeReach))]),
    ...(data === undefined ? [] : [oneOf(data.map((one) => dataReach(one, asked)))]),
  ];
  return { over: allOf(reaches.map(({ over }) => over)), under: provision.strange ? NEVER : allOf(reaches.map(({ under }) => under)) };
}

/** What is nested is an exception to what it is nested in (R4 consent.html 6.2.4): a denial among several wins. */
function exceptionsOf({ nested }: Provision, asked: Asked): { denied: DocumentTest; lifted: DocumentTest } {
  const [denying, permitting] = [nested.filter(({ type }) => type === 'deny'), nested.filter(({ type }) => type !== 'deny')];
  return {
    denied: anyOf([...denying.map((one) => deniedBy(one, 'deny', asked)), ...permitting.map((one) => deniedBy(one, 'permit', asked))]),
    lifted: anyOf(permitting.map((one) => allOf([reachOf(one, asked).under, notOf(exceptionsOf(one, asked).denied)]))),
  };
}

function deniedBy(provision: Provision, as: 'permit' | 'deny', asked: Asked): DocumentTest {
  const { over } = reachOf(provision, asked);
  const { denied, lifted } = exceptionsOf(provision, asked);
  return allOf([over, as === 'deny' ? anyOf([notOf(lifted), denied]) : denied]);
}

/** Whoever opts out says who shall not see it; that it is written and kept is another thing. */
function withheldBy({ optsOut, root }: Consent, asked: Asked): DocumentTest {
  const { now } = asked.caller;
  if (root.period && (now < root.period.lo || now >= root.period.hi)) return NEVER;
  const closed = optsOut && (asked.letter === 'r' || asked.letter === 's');
  if (!closed) return deniedBy(root, root.type ?? 'permit', asked);
  const { denied, lifted } = exceptionsOf(root, asked);
  const opened = root.type === 'permit' ? reachOf(root, asked).under : lifted;
  return anyOf([notOf(opened), denied]);
}

const names = ({ actors = [], nested }: Provision, user: string): boolean => actors.some(({ reference }) => reference === user) || nested.some((one) => names(one, user));

/** A patient is kept from nothing of their own by what does not name them. */
const concerns = ({ patient, root }: Consent, { user }: ConsentCaller): boolean => user !== `Patient/${patient}` || names(root, user);

/** Different tests of one question, and codes and ids in all of them. Past that a patient's documents are withheld altogether. */
const TESTS_MAX = 50;
const WEIGHT_MAX = 2_000;

/** Patients with one test together. */
function gathered(found: readonly { patient: string; test: DocumentTest }[]): ConsentDenial[] {
  const groups = new Map<string, { patients: Set<string>; when: DocumentTest }>();
  let weight = 0;
  const groupOf = (test: DocumentTest): { patients: Set<string>; when: DocumentTest } => {
    // Documents that are named by their ids are those of these patients: one list serves all.
    const key = test.kind === 'id' ? 'id' : JSON.stringify(test);
    const known = groups.get(key);
    const more = known === undefined || test.kind === 'id' ? weightOf(test) : 0;
    if ((known === undefined && groups.size >= TESTS_MAX) || weight + more > WEIGHT_MAX) return groupOf(ALWAYS);
    weight += more;
    const group = known ?? { patients: new Set<string>(), when: test };
    if (test.kind === 'id' && group.when.kind === 'id') group.when = { kind: 'id', ids: [...new Set([...group.when.ids, ...test.ids])] };
    groups.set(key, group);
    return group;
  };
  groups.set(JSON.stringify(ALWAYS), { patients: new Set(), when: ALWAYS });
  for (const { patient, test } of found) groupOf(test).patients.add(patient);
  return [...groups.values()].filter(({ patients }) => patients.size > 0);
}

function denialsOf(consents: readonly Consent[], asked: Asked): ConsentDenial[] {
  return gathered(consents.map((consent) => ({ patient: consent.patient, test: withheldBy(consent, asked) })).filter(({ test }) => test.kind !== 'never'));
}

const isConsented = (type: string): boolean => (CONSENTED_TYPES as readonly string[]).includes(type);

/** Provenance tells that a document is there: nothing of it is shown of patients who withhold something. */
function recordDenials(consents: readonly Consent[], caller: ConsentCaller, letter: Permission): ConsentDenial[] {
  const patients = new Set(CONSENTED_TYPES.flatMap((type) => denialsOf(consents, { caller, letter, type })).flatMap((denial) => (denial.patients === 'any' ? [] : [...denial.patients])));
  return patients.size === 0 ? [] : [{ patients, when: ALWAYS }];
}

/** undefined = no consent keeps the caller from anything. */
export function consentsFor(state: ConsentState, caller: ConsentCaller): CallerConsents | undefined {
  if (state.kind === 'unknown') return { denials: (_letter, type) => (isConsented(type) ? RESTRICTED : []), withholding: () => [] };
  const consents = state.consents.filter((consent) => concerns(consent, caller));
  if (consents.length === 0) return undefined;
  const known = new Map<string, readonly ConsentDenial[]>();
  const workedOut = (letter: Permission, type: string): readonly ConsentDenial[] => (isConsented(type) ? denialsOf(consents, { caller, letter, type }) : type === 'Provenance' ? recordDenials(consents, caller, letter) : []);
  return {
    denials(letter, type) {
      const key = `${letter} ${type}`;
      const denials = known.get(key) ?? workedOut(letter, type);
      known.set(key, denials);
      return denials;
    },
    withholding: (patient) => consents.filter((consent) => consent.patient === patient && CONSENTED_TYPES.some((type) => withheldBy(consent, { caller, letter: 'r', type }).kind !== 'never')).map(({ id }) => id),
  };
}
