// Search parameters of AuditEvent (R4 auditevent.html 6.4.7). Records are not extracted: their rows already are the
// index, and the expressions say what R4 says.
import { RECORD_COMMON_PARAMETERS } from './every-type-parameters.ts';
import { CANONICAL_BASE, HL7, type SearchParameter } from './search-parameter.ts';

const AGENTS = ['Practitioner', 'PractitionerRole', 'Patient', 'Device', 'Organization', 'RelatedPerson'] as const;

export const AUDIT_EVENT_PARAMETERS: readonly SearchParameter[] = [
  ...RECORD_COMMON_PARAMETERS,
  { name: 'entity', type: 'reference', number: 60, expression: 'AuditEvent.entity.what', definition: `${HL7}/AuditEvent-entity`, documentation: 'What was accessed' },
  { name: 'agent', type: 'reference', number: 61, expression: 'AuditEvent.agent.who', definition: `${HL7}/AuditEvent-agent`, targets: AGENTS, documentation: 'Who accessed: a reference, a client_id or a subject' },
  { name: 'date', type: 'date', number: 62, expression: 'AuditEvent.recorded', definition: `${HL7}/AuditEvent-date`, documentation: 'When it was recorded' },
  { name: 'action', type: 'token', number: 63, system: 'http://hl7.org/fhir/audit-event-action', expression: 'AuditEvent.action', definition: `${HL7}/AuditEvent-action`, documentation: 'C, R, U, D, E' },
  { name: 'outcome', type: 'token', number: 64, system: 'http://hl7.org/fhir/audit-event-outcome', expression: 'AuditEvent.outcome', definition: `${HL7}/AuditEvent-outcome`, documentation: '0, 4, 8, 12' },
  { name: 'request-id', type: 'token', number: 65, expression: "AuditEvent.entity.where(type.code = 'XrequestId').what.identifier.value", definition: `${CANONICAL_BASE}/SearchParameter/AuditEvent-request-id`, documentation: 'X-Request-Id of the request' },
];
