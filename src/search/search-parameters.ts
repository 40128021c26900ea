// THE TABLE of search parameters: index extraction, SQL, CapabilityStatement and documentation come from it.
// Expressions are R4's (SearchParameter.expression). A number is the parameter's name in the index tables and is
// never reused.
import type { ResourceType } from '../fhir/resource-type.ts';

export type SearchParameterType = 'token' | 'reference' | 'date' | 'string' | 'uri' | 'composite';

/** Where the values stand: a column of `resource`, or rows of the index table of the parameter's type. */
export type SearchColumn = 'id' | 'last_updated' | 'status' | 'patient' | 'date';

export interface SearchParameter {
  name: string;
  type: SearchParameterType;
  number: number;
  expression: string;
  /** Canonical of the SearchParameter resource. */
  definition: string;
  column?: SearchColumn;
  /** For references: the types a bare id may mean. */
  targets?: readonly string[];
  /** For codes without a system of their own: the system that R4 implies. */
  system?: string;
  documentation: string;
}

const HL7 = 'http://hl7.org/fhir/SearchParameter';
export const CANONICAL_BASE = 'https://muniment.example/fhir';

const COMMON: readonly SearchParameter[] = [
  { name: '_id', type: 'token', number: 1, column: 'id', expression: 'Resource.id', definition: `${HL7}/Resource-id`, documentation: 'Logical id' },
  { name: '_lastUpdated', type: 'date', number: 2, column: 'last_updated', expression: 'Resource.meta.lastUpdated', definition: `${HL7}/Resource-lastUpdated`, documentation: 'When the version was made' },
];

const SUBJECTS = ['Patient', 'Group', 'Device', 'Practitioner'] as const;

const DOCUMENT_REFERENCE: readonly SearchParameter[] = [
  ...COMMON,
  { name: 'identifier', type: 'token', number: 10, expression: 'DocumentReference.masterIdentifier | DocumentReference.identifier', definition: `${HL7}/clinical-identifier`, documentation: 'Master identifier or any other' },
  { name: 'patient', type: 'reference', number: 11, column: 'patient', expression: 'DocumentReference.subject.where(resolve() is Patient)', definition: `${HL7}/clinical-patient`, targets: ['Patient'], documentation: 'The patient whom it is about' },
  { name: 'subject', type: 'reference', number: 12, expression: 'DocumentReference.subject', definition: `${HL7}/DocumentReference-subject`, targets: SUBJECTS, documentation: 'Whom or what it is about' },
  { name: 'category', type: 'token', number: 13, expression: 'DocumentReference.category', definition: `${HL7}/DocumentReference-category`, documentation: 'Class of document' },
  { name: 'type', type: 'token', number: 14, expression: 'DocumentReference.type', definition: `${HL7}/clinical-type`, documentation: 'Kind of document' },
  { name: 'status', type: 'token', number: 15, column: 'status', system: 'http://hl7.org/fhir/document-reference-status', expression: 'DocumentReference.status', definition: `${HL7}/DocumentReference-status`, documentation: 'current, superseded, entered-in-error' },
  { name: 'date', type: 'date', number: 16, column: 'date', expression: 'DocumentReference.date', definition: `${HL7}/DocumentReference-date`, documentation: 'When this reference was made' },
];

const MEDIA: readonly SearchParameter[] = [
  ...COMMON,
  { name: 'identifier', type: 'token', number: 40, expression: 'Media.identifier', definition: `${HL7}/Media-identifier`, documentation: 'Identifier' },
  { name: 'patient', type: 'reference', number: 41, column: 'patient', expression: 'Media.subject.where(resolve() is Patient)', definition: `${HL7}/Media-patient`, targets: ['Patient'], documentation: 'The patient whom it is of' },
  { name: 'subject', type: 'reference', number: 42, expression: 'Media.subject', definition: `${HL7}/Media-subject`, targets: [...SUBJECTS, 'PractitionerRole', 'Specimen', 'Location'], documentation: 'Whom or what it is of' },
  { name: 'created', type: 'date', number: 43, column: 'date', expression: 'Media.created', definition: `${HL7}/Media-created`, documentation: 'When it was collected' },
  { name: 'type', type: 'token', number: 44, expression: 'Media.type', definition: `${HL7}/Media-type`, documentation: 'image, video, audio' },
  { name: 'status', type: 'token', number: 45, column: 'status', system: 'http://hl7.org/fhir/event-status', expression: 'Media.status', definition: `${HL7}/Media-status`, documentation: 'Status' },
];

// Records are not extracted: their rows already are the index. The expressions say what R4 says.
const AGENTS = ['Practitioner', 'PractitionerRole', 'Patient', 'Device', 'Organization', 'RelatedPerson'] as const;

const AUDIT_EVENT: readonly SearchParameter[] = [
  ...COMMON,
  { name: 'entity', type: 'reference', number: 60, expression: 'AuditEvent.entity.what', definition: `${HL7}/AuditEvent-entity`, documentation: 'What was accessed' },
  { name: 'agent', type: 'reference', number: 61, expression: 'AuditEvent.agent.who', definition: `${HL7}/AuditEvent-agent`, targets: AGENTS, documentation: 'Who accessed: a reference, a client_id or a subject' },
  { name: 'date', type: 'date', number: 62, expression: 'AuditEvent.recorded', definition: `${HL7}/AuditEvent-date`, documentation: 'When it was recorded' },
  { name: 'action', type: 'token', number: 63, system: 'http://hl7.org/fhir/audit-event-action', expression: 'AuditEvent.action', definition: `${HL7}/AuditEvent-action`, documentation: 'C, R, U, D, E' },
  { name: 'outcome', type: 'token', number: 64, system: 'http://hl7.org/fhir/audit-event-outcome', expression: 'AuditEvent.outcome', definition: `${HL7}/AuditEvent-outcome`, documentation: '0, 4, 8, 12' },
  { name: 'request-id', type: 'token', number: 65, expression: "AuditEvent.entity.where(type.code = 'XrequestId').what.identifier.value", definition: `${CANONICAL_BASE}/SearchParameter/AuditEvent-request-id`, documentation: 'X-Request-Id of the request' },
];

const PROVENANCE: readonly SearchParameter[] = [
  ...COMMON,
  { name: 'target', type: 'reference', number: 80, expression: 'Provenance.target', definition: `${HL7}/Provenance-target`, documentation: 'What was touched' },
  { name: 'agent', type: 'reference', number: 81, expression: 'Provenance.agent.who', definition: `${HL7}/Provenance-agent`, targets: AGENTS, documentation: 'Who touched it' },
  { name: 'recorded', type: 'date', number: 82, expression: 'Provenance.recorded', definition: `${HL7}/Provenance-recorded`, documentation: 'When it was recorded' },
];

export const SEARCH_PARAMETERS = {
  DocumentReference: DOCUMENT_REFERENCE,
  Media: MEDIA,
  AuditEvent: AUDIT_EVENT,
  Provenance: PROVENANCE,
} as const satisfies Partial<Record<ResourceType, readonly SearchParameter[]>>;

export type SearchableType = keyof typeof SEARCH_PARAMETERS;

export function isSearchable(type: string): type is SearchableType {
  return Object.hasOwn(SEARCH_PARAMETERS, type);
}
