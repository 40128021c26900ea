// References of AuditEvent and Provenance as rows show them: literal ones by the columns and index rows of the record,
// logical ones (an identifier alone, as ITI-81 asks for them) by what the token said.
import { OWN_SYSTEM } from '../audit/touched-references.ts';
import { agentType, OBSERVER_PREFIX } from '../audit/who.ts';
import type { SearchValue } from './parse-search.ts';
import { allOf, anyOf, dataReferences, HAS_USER, hasData, holds, inJson, isFullWrite, memberText, memberTexts, not, targetsText, touches, type Condition, type RecordSql } from './record-sql.ts';

type ReferenceValue = Extract<SearchValue, { kind: 'reference' }>;
type TokenValue = Extract<SearchValue, { kind: 'token' }>;

/** How a reference is found. */
export interface ReferenceLookup {
  /** Each condition alone names an index: they are asked one by one, not in one pass over all rows. */
  literal(sql: RecordSql, value: ReferenceValue): Condition[];
  /** A search for an Identifier; undefined where no reference has one. */
  logical?: LogicalLookup;
  /** Whether a row shows any. */
  present(sql: RecordSql): Condition;
}

export interface LogicalLookup {
  find(sql: RecordSql, value: TokenValue): Condition[];
  /** Whether an index leads to what is found. */
  indexed(value: TokenValue): boolean;
}

const VERSIONED = /\/_history\/[A-Za-z0-9\-.]{1,64}$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Keys without version, and the version that is wanted. */
interface Asked {
  keys: string[];
  /** As it ends in the row's text; undefined = any version. */
  versioned: string | undefined;
}

function asked(value: ReferenceValue): Asked {
  const version = VERSIONED.exec(value.text)?.[0];
  const keys = value.keys.map((key) => key.replace(VERSIONED, ''));
  const [key = ''] = keys;
  return { keys, versioned: version === undefined ? undefined : `${key.startsWith('//') ? '' : '"'}${inJson(key + version)}"` };
}

/** The versioned reference stands among what the row touched. */
function touchedVersion(sql: RecordSql, versioned: string): Condition {
  return anyOf([holds(sql, `${versioned},"role":"data"`), holds(sql, `${versioned},"role":"patient"`), holds(sql, versioned, targetsText(sql))]);
}

function touched(sql: RecordSql, value: ReferenceValue): Condition {
  const { keys, versioned } = asked(value);
  return allOf([touches(sql, keys, ['patient', 'data']), versioned === undefined ? true : touchedVersion(sql, versioned)]);
}

/** The user of the token; users have no versions. */
function isUser({ values }: RecordSql, value: ReferenceValue): Condition {
  const { keys, versioned } = asked(value);
  const users = keys.filter((key) => agentType(key) !== undefined);
  if (users.length === 0 || versioned !== undefined) return false;
  return users.length === 1 ? `(e.agent_user = ${values.add(users[0])})` : `(e.agent_user = any(${values.add(users, '::text[]')}))`;
}

const isClient = ({ values }: RecordSql, client: string): string => `(e.agent_client = ${values.add(client)})`;
const isSubject = ({ values }: RecordSql, subject: string): string => `(e.agent_subject = ${values.add(subject)} and ${HAS_USER})`;

/** A word that is no reference may be a client_id or a subject: whoever asks for them need not know how they are shown. */
function bareWord(value: ReferenceValue): string | undefined {
  return value.text.includes('/') ? undefined : value.text;
}

/** The user as an Identifier: issuer and subject of the token. */
function isSubjectOf(sql: RecordSql, { system, code }: TokenValue): Condition {
  const subject = code === '' ? `(e.agent_subject is not null and ${HAS_USER})` : isSubject(sql, code);
  if (system === undefined) return subject;
  return allOf([subject, system === '' ? not(holds(sql, '"issuer":')) : holds(sql, `"issuer":"${inJson(system)}"`)]);
}

const mayHaveNoSystem = ({ system }: TokenValue): boolean => system === undefined || system === '';
const mayBeObserver = (value: TokenValue): boolean => mayHaveNoSystem(value) && value.code.startsWith(OBSERVER_PREFIX);

function isObserver(sql: RecordSql, value: TokenValue): Condition {
  return mayHaveNoSystem(value) && holds(sql, `"observer":"${inJson(value.code)}"`);
}

const ALWAYS = (): Condition => true;

export const AUDIT_AGENT: ReferenceLookup = {
  literal(sql, value) {
    const word = bareWord(value);
    return [isUser(sql, value), ...(word === undefined ? [] : [isClient(sql, word), isSubject(sql, word)])];
  },
  logical: {
    find: (sql, value) => [
      isSubjectOf(sql, value),
      mayHaveNoSystem(value) && isClient(sql, value.code),
      mayBeObserver(value) && isObserver(sql, value),
    ],
    indexed: (value) => value.code !== '' && !mayBeObserver(value),
  },
  present: ALWAYS,
};

export const AUDIT_ENTITY: ReferenceLookup = {
  literal: (sql, value) => [touched(sql, value)],
  // Of all entities the request has an Identifier, and what is no FHIR resource: an organisation, a policy.
  logical: {
    find: (sql, value) => [
      mayHaveNoSystem(value) && `(e.request_id = ${sql.values.add(value.code)})`,
      value.code !== '' && value.system?.startsWith(OWN_SYSTEM) === true && touches(sql, [`${value.system}:${value.code}`], ['data']),
    ],
    indexed: () => true,
  },
  present: ALWAYS,
};

const PATIENT = /^Patient\/|\/Patient\//;

function patientsOf(value: ReferenceValue): ReferenceValue {
  return { ...value, keys: value.keys.filter((key) => PATIENT.test(key)) };
}

function showsPatient(sql: RecordSql): Condition {
  const data = `exists (select 1 from ${dataReferences(sql)} d where d.r ~ ${sql.values.add('(^|/)Patient/')})`;
  return anyOf([holds(sql, '"role":"patient"'), data]);
}

function isPatientUser({ values }: RecordSql): string {
  return `(coalesce(e.agent_user, ${values.add('')}) like ${values.add('Patient/%')})`;
}

export const AUDIT_PATIENT: ReferenceLookup = {
  literal(sql, value) {
    const patients = patientsOf(value);
    return [touched(sql, patients), isUser(sql, patients)];
  },
  // A patient who asks is known by the token as well.
  logical: { find: (sql, value) => [allOf([isSubjectOf(sql, value), isPatientUser(sql)])], indexed: ({ code }) => code !== '' },
  present: (sql) => anyOf([showsPatient(sql), isPatientUser(sql)]),
};

export const AUDIT_SOURCE: ReferenceLookup = {
  literal: () => [false],
  logical: { find: (sql, value) => [isObserver(sql, value)], indexed: () => false },
  present: ALWAYS,
};

/** What a Provenance names: of a write what was written, of a use what was touched, else its own AuditEvent. */
export const PROVENANCE_TARGET: ReferenceLookup = {
  literal(sql, value) {
    const { keys, versioned } = asked(value);
    if (keys.length === 0) return [false];
    const own = versioned === undefined ? keys.flatMap((key) => (key.startsWith('AuditEvent/') && UUID.test(key.slice(11)) ? [key.slice(11)] : [])) : [];
    const targets = targetsText(sql);
    const [quote, slash] = ['"', '/'].map((one) => sql.values.add(one));
    const isTarget = ` and (not ${isFullWrite(sql)} or strpos(${targets}, ${quote} || x.reference || ${slash}) > 0 or strpos(${targets}, ${quote} || x.reference || ${quote}) > 0)`;
    const version = versioned === undefined ? true : anyOf([allOf([not(isFullWrite(sql)), touchedVersion(sql, versioned)]), holds(sql, versioned, targets)]);
    return [
      allOf([touches(sql, keys, ['data'], isTarget), version]),
      own.length === 0 ? false : allOf([`(e.id = any(${sql.values.add(own, '::uuid[]')}))`, not(hasData(sql))]),
    ];
  },
  present: ALWAYS,
};

/** Beyond R4: the patients of the documents that are targets, since no target here is a Patient. */
export const PROVENANCE_PATIENT: ReferenceLookup = {
  literal: (sql, value) => [touched(sql, patientsOf(value))],
  present: showsPatient,
};

/** What a client asserted stands in the row as a text inside a text. */
const isAsserted = (sql: RecordSql, json: string): Condition => holds(sql, inJson(json), `coalesce(${memberText(sql, 'asserted')}, ${sql.values.add('')})`);

export const PROVENANCE_ENTITY: ReferenceLookup = {
  literal(sql, value) {
    const { keys, versioned } = asked(value);
    const roles = ['source', 'revision', 'removal', 'derivation'];
    return [allOf([touches(sql, keys, ['source']), versioned === undefined ? true : anyOf([...roles.map((role) => holds(sql, `${versioned},"role":"${role}"`)), isAsserted(sql, versioned)])])];
  },
  present: (sql) => allOf([isFullWrite(sql), anyOf([holds(sql, '"sources":[{'), isAsserted(sql, '"entity":[{')])]),
};

/** The organisation is custodian where the document names none, and transmitter where no client is known. */
function isOrganisation(sql: RecordSql, value: TokenValue): Condition {
  if (!mayHaveNoSystem(value)) return false;
  const custodian = sql.values.add('"custodian":"([^"]*/)?(Practitioner|PractitionerRole|Organization|Device|Patient|RelatedPerson)/[A-Za-z0-9.-]{1,64}(/_history/[A-Za-z0-9.-]{1,64})?"');
  return allOf([holds(sql, `"org":"${inJson(value.code)}"`), `(e.agent_client is null or e.body !~ ${custodian})`]);
}

/** The client: transmitter of a write, and the agent itself where nobody stands behind it. */
function clientInProvenance(sql: RecordSql, client: string): Condition {
  return allOf([isClient(sql, client), anyOf([isFullWrite(sql), not(HAS_USER)])]);
}

function isNamedAgent(sql: RecordSql, value: ReferenceValue): Condition {
  const { keys, versioned } = asked(value);
  // Documents name their authors as they like, by the address of this server as well.
  const base = sql.fhirBase.replace(/^https?:/, '');
  const named = keys.flatMap((key) => (key.includes('//') ? [key] : [key, `${base}/${key}`]));
  const version = versioned === undefined ? true : anyOf([holds(sql, versioned, `coalesce(${memberTexts(sql, 'authors')}, ${sql.values.add('')})`), holds(sql, `"custodian":${versioned}`), isAsserted(sql, versioned)]);
  return allOf([touches(sql, named, ['agent']), version]);
}

export const PROVENANCE_AGENT: ReferenceLookup = {
  literal(sql, value) {
    const word = bareWord(value);
    return [isUser(sql, value), isNamedAgent(sql, value), ...(word === undefined ? [] : [clientInProvenance(sql, word), isSubject(sql, word)])];
  },
  logical: {
    find: (sql, value) => [
      isSubjectOf(sql, value),
      mayHaveNoSystem(value) && clientInProvenance(sql, value.code),
      allOf([isFullWrite(sql), anyOf([isObserver(sql, value), isOrganisation(sql, value)])]),
    ],
    indexed: () => false,
  },
  present: ALWAYS,
};
