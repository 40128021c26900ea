// The codes that AuditEvent and Provenance are shown with, each with the rows that show it. They are few and known, so
// that a search chooses among them, and the rows are asked for what is left.
import { INTERACTION_ACTIONS, type InteractionCode } from '../audit/access-event.ts';
import { DATA_ROLES, QUERIES } from '../audit/audit-entities.ts';
import { BALP_PATTERNS, BALP_PROFILE } from '../audit/balp-profile.ts';
import {
  ASSEMBLER, CUSTODIAN, DOMAIN_RESOURCE_ROLE, OPERATION_OUTCOME, OTHER_OBJECT, PATIENT_ROLE, PERSON, PROVENANCE_AUTHOR, QUERY_ROLE, RECIPIENT,
  REQUEST_ID, RESOURCE_TYPE, REST, RESTFUL_INTERACTION, SYSTEM_OBJECT, TRANSMITTER, type Coding,
} from '../audit/coding.ts';
import { RESOURCE_TYPES } from '../fhir/resource-type.ts';
import { allOf, anyOf, dataReferences, entitiesJson, hasData, hasPatient, isFullWrite, not, type Condition, type RecordSql } from './record-sql.ts';

export interface Code {
  system?: string;
  code: string;
  display?: string;
}

export interface ShownCode extends Code {
  /** Which rows show it. */
  when: (sql: RecordSql) => Condition;
}

/** Codes of one column: rows have exactly one of them. */
export interface ColumnCodes {
  column: string;
  type: 'text' | 'smallint';
  codes: readonly Code[];
  /** What the column holds for a code; without it the code itself. */
  held?: (code: string) => readonly string[];
}

const INTERACTIONS = Object.keys(INTERACTION_ACTIONS) as InteractionCode[];

/** Each interaction has one action, so that one index finds both. */
export const ACTIONS: ColumnCodes = {
  column: 'e.subtype', type: 'text',
  codes: ['C', 'R', 'U', 'D', 'E'].map((code) => ({ system: 'http://hl7.org/fhir/audit-event-action', code })),
  held: (action) => INTERACTIONS.filter((interaction) => INTERACTION_ACTIONS[interaction] === action),
};
export const OUTCOMES: ColumnCodes = {
  column: 'e.outcome', type: 'smallint',
  codes: ['0', '4', '8', '12'].map((code) => ({ system: 'http://hl7.org/fhir/audit-event-outcome', code })),
};
export const SUBTYPES: ColumnCodes = {
  column: 'e.subtype', type: 'text',
  codes: INTERACTIONS.map((code) => ({ system: RESTFUL_INTERACTION, code, display: code })),
};

const shown = (coding: Coding, when: ShownCode['when']): ShownCode => ({ ...coding, when });
const always = (): Condition => true;
const failed = (): Condition => '(e.outcome <> 0)';

export const EVENT_TYPES: readonly ShownCode[] = [shown(REST, always)];

/** The request is shown as an entity of its own. */
function isAsked(sql: RecordSql): Condition {
  const queries = `(e.subtype = any(${sql.values.add([...QUERIES], '::text[]')}))`;
  return anyOf([queries, allOf([failed(), not(hasData(sql))])]);
}

type DataTest = (sql: RecordSql) => string;

const holdsData = (test: DataTest) => (sql: RecordSql): Condition => `exists (select 1 from ${dataReferences(sql)} d where ${test(sql)})`;

/** All data but the first, which is the System Object of BALP; that as well where the request takes its place. */
const holdsFurtherData = (test: DataTest) => (sql: RecordSql): Condition =>
  `exists (select 1 from ${dataReferences(sql)} d where (d.n > 1 or ${String(isAsked(sql))}) and ${test(sql)})`;

const ID = '/[A-Za-z0-9.-]{1,64}(/_history/[^/]*)?$';
const ofTypes = (types: readonly string[]): DataTest => ({ values }) => `(d.r ~ ${values.add(`(^|/)(${types.join('|')})${ID}`)})`;
const ofNoType: DataTest = ({ values }) => `(d.r !~ ${values.add(`(^|/)[A-Z][A-Za-z]{1,63}${ID}`)})`;
const ofOtherTypes = (types: readonly string[]): DataTest => (sql) => `(not ${ofTypes(types)(sql)})`;

export const ENTITY_TYPES: readonly ShownCode[] = [
  shown(PERSON, hasPatient),
  shown(SYSTEM_OBJECT, (sql) => anyOf([isAsked(sql), hasData(sql)])),
  shown(OTHER_OBJECT, holdsFurtherData(ofNoType)),
  shown(REQUEST_ID, always),
  shown(OPERATION_OUTCOME, failed),
  ...Object.keys(RESOURCE_TYPES).map((type) => shown({ system: RESOURCE_TYPE, code: type, display: type }, holdsFurtherData(ofTypes([type])))),
];

/** The types that each role of data stands for. */
const TYPES_BY_ROLE = new Map<Coding, string[]>();
for (const [type, role] of DATA_ROLES) TYPES_BY_ROLE.set(role, [...(TYPES_BY_ROLE.get(role) ?? []), type]);

export const ENTITY_ROLE_CODES: readonly ShownCode[] = [
  shown(PATIENT_ROLE, hasPatient),
  shown(QUERY_ROLE, isAsked),
  ...[...TYPES_BY_ROLE].map(([role, types]) => shown(role, holdsData(ofTypes(types)))),
  shown(DOMAIN_RESOURCE_ROLE, holdsData(ofOtherTypes([...DATA_ROLES.keys()]))),
];

/** Roles in which agents of a Provenance took part. */
export const PROVENANCE_AGENT_TYPES: readonly ShownCode[] = [
  shown(RECIPIENT, (sql) => not(isFullWrite(sql))),
  ...[PROVENANCE_AUTHOR, CUSTODIAN, ...TRANSMITTER, ASSEMBLER].map((coding) => shown(coding, isFullWrite)),
];

/** How many patients the row names: BALP has a profile for one. */
export function countPatients(sql: RecordSql): string {
  const [role, patient, reference] = ['role', 'patient', 'reference'].map((name) => sql.values.add(name, '::text'));
  return `(select count(distinct p.m ->> ${reference}) from json_array_elements(${entitiesJson(sql)}) p (m) where p.m ->> ${role} = ${patient})`;
}

function meetsPattern(pattern: string, interactions: readonly InteractionCode[], action: string) {
  return (sql: RecordSql): Condition => allOf([
    `(e.subtype = any(${sql.values.add([...interactions], '::text[]')}))`, `(e.action = ${sql.values.add(action)})`, '(e.outcome = 0)',
    `(strpos(e.body, ${sql.values.add('"address":"')}) > 0)`, pattern === 'Query' ? true : hasData(sql),
  ]);
}

/** The BALP profiles that an AuditEvent claims. */
export const CLAIMED_PROFILES: readonly ShownCode[] = [...new Set([...BALP_PATTERNS.values()].map(([pattern]) => pattern))].flatMap((pattern) => {
  const members = [...BALP_PATTERNS].filter(([, [one]]) => one === pattern);
  const met = meetsPattern(pattern, members.map(([interaction]) => interaction), members[0]?.[1][1] ?? '');
  return [
    { code: `${BALP_PROFILE}Patient${pattern}`, when: (sql: RecordSql) => allOf([met(sql), `(${countPatients(sql)} = 1)`]) },
    { code: `${BALP_PROFILE}${pattern}`, when: (sql: RecordSql) => allOf([met(sql), `(${countPatients(sql)} <> 1)`]) },
  ];
});
