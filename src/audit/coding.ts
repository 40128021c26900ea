// The codings that AuditEvent and Provenance are made of, with R4's displays. A change here changes what is rendered
// from rows that are sealed already: codes are added, never altered.
import { shownText } from './shown-text.ts';
import { notEmpty } from './without-undefined.ts';

export type Coding = { system: string; code: string; display?: string };
export type CodeableConcept = { coding: Coding[] } | { text: string };

const CODE_PATTERN = /^[^\s]+(?: [^\s]+)*$/;

/** A concept of one meaning, in the words of one code system or more. */
export function concept(...coding: Coding[]): CodeableConcept {
  return { coding };
}

/** A code that came from a token: coded when it can be a code, else as text; undefined when there is none. */
function foreignConcept(system: string, value: string): CodeableConcept | undefined {
  const text = shownText(value);
  if (text === undefined) return undefined;
  return CODE_PATTERN.test(text) ? concept({ system, code: text }) : { text };
}

export function foreignConcepts(system: string, values: readonly string[] = []): CodeableConcept[] | undefined {
  return notEmpty(values.flatMap((value) => foreignConcept(system, value) ?? []));
}

const DCM = 'http://dicom.nema.org/resources/ontology/DCM';
const PARTICIPATION = 'http://terminology.hl7.org/CodeSystem/v3-ParticipationType';
const PARTICIPANT = 'http://terminology.hl7.org/CodeSystem/provenance-participant-type';
const ENTITY_TYPE = 'http://terminology.hl7.org/CodeSystem/audit-entity-type';
const OBJECT_ROLE = 'http://terminology.hl7.org/CodeSystem/object-role';
const LIFECYCLE = 'http://terminology.hl7.org/CodeSystem/dicom-audit-lifecycle';

export const ACT_REASON = 'http://terminology.hl7.org/CodeSystem/v3-ActReason';
export const EMERGENCY_TREATMENT: Coding = { system: ACT_REASON, code: 'ETREAT', display: 'Emergency Treatment' };
export const DATA_OPERATION = 'http://terminology.hl7.org/CodeSystem/v3-DataOperation';
export const RESOURCE_TYPE = 'http://hl7.org/fhir/resource-types';
export const RESTFUL_INTERACTION = 'http://hl7.org/fhir/restful-interaction';
/** Roles as this server's tokens name them. */
export const ROLE = 'urn:muniment:role';
/** Stable error codes of this server. */
export const ERROR = 'urn:muniment:error';

export const REST: Coding = { system: 'http://terminology.hl7.org/CodeSystem/audit-event-type', code: 'rest', display: 'RESTful Operation' };
export const APPLICATION_SERVER: Coding = {
  system: 'http://terminology.hl7.org/CodeSystem/security-source-type', code: '4', display: 'Application Server',
};

export const APPLICATION: Coding = { system: DCM, code: '110150', display: 'Application' };
export const DESTINATION: Coding = { system: DCM, code: '110152', display: 'Destination Role ID' };
export const SOURCE: Coding = { system: DCM, code: '110153', display: 'Source Role ID' };
export const RECIPIENT: Coding = { system: PARTICIPATION, code: 'IRCP', display: 'information recipient' };
export const AUTHOR: Coding = { system: PARTICIPATION, code: 'AUT', display: 'author (originator)' };

export const PROVENANCE_AUTHOR: Coding = { system: PARTICIPANT, code: 'author', display: 'Author' };
export const CUSTODIAN: Coding = { system: PARTICIPANT, code: 'custodian', display: 'Custodian' };
export const ASSEMBLER: Coding = { system: PARTICIPANT, code: 'assembler', display: 'Assembler' };
/** US Core 3.1.1 to 8 fix the first coding, US Core 9 the second. */
export const TRANSMITTER: readonly Coding[] = [
  { system: 'http://hl7.org/fhir/us/core/CodeSystem/us-core-provenance-participant-type', code: 'transmitter', display: 'Transmitter' },
  { system: PARTICIPANT, code: 'transmitter', display: 'Transmitter' },
];

export const PERSON: Coding = { system: ENTITY_TYPE, code: '1', display: 'Person' };
export const SYSTEM_OBJECT: Coding = { system: ENTITY_TYPE, code: '2', display: 'System Object' };
export const OTHER_OBJECT: Coding = { system: ENTITY_TYPE, code: '4', display: 'Other' };
export const REQUEST_ID: Coding = { system: 'https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType', code: 'XrequestId' };
export const OPERATION_OUTCOME: Coding = { system: RESOURCE_TYPE, code: 'OperationOutcome', display: 'OperationOutcome' };

export const PATIENT_ROLE: Coding = { system: OBJECT_ROLE, code: '1', display: 'Patient' };
export const REPORT_ROLE: Coding = { system: OBJECT_ROLE, code: '3', display: 'Report' };
export const DOMAIN_RESOURCE_ROLE: Coding = { system: OBJECT_ROLE, code: '4', display: 'Domain Resource' };
export const SECURITY_RESOURCE_ROLE: Coding = { system: OBJECT_ROLE, code: '13', display: 'Security Resource' };
export const JOB_ROLE: Coding = { system: OBJECT_ROLE, code: '20', display: 'Job' };
export const QUERY_ROLE: Coding = { system: OBJECT_ROLE, code: '24', display: 'Query' };

export const ORIGINATION: Coding = { system: LIFECYCLE, code: '1', display: 'Origination / Creation' };
export const AMENDMENT: Coding = { system: LIFECYCLE, code: '3', display: 'Amendment' };
export const USE: Coding = { system: LIFECYCLE, code: '6', display: 'Access / Use' };
export const PERMANENT_ERASURE: Coding = { system: LIFECYCLE, code: '15', display: 'Permanent erasure / Physical destruction' };
export const LOGICAL_DELETION: Coding = { system: LIFECYCLE, code: '14', display: 'Logical deletion' };

export const READ_OPERATION: Coding = { system: DATA_OPERATION, code: 'READ', display: 'read' };
export const ACCESS: Coding = {
  system: 'http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle', code: 'access', display: 'Access/View Record Lifecycle Event',
};
