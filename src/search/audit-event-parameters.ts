// Search parameters of AuditEvent (R4 auditevent.html 6.4.7). Records are not extracted: their rows already are the
// index, and the expressions say what R4 says.
import { COMMON_PARAMETERS } from './every-type-parameters.ts';
import { CANONICAL_BASE, HL7, type SearchParameter } from './search-parameter.ts';

const AGENTS = ['Practitioner', 'PractitionerRole', 'Patient', 'Device', 'Organization', 'RelatedPerson'] as const;
const BOUNDED = 'within a date, an agent, an entity or a patient';

export const AUDIT_EVENT_PARAMETERS: readonly SearchParameter[] = [
  ...COMMON_PARAMETERS,
  { name: 'entity', type: 'reference', number: 60, expression: 'AuditEvent.entity.what', definition: `${HL7}/AuditEvent-entity`, documentation: 'What was accessed; entity.identifier is the X-Request-Id' },
  { name: 'agent', type: 'reference', number: 61, expression: 'AuditEvent.agent.who', definition: `${HL7}/AuditEvent-agent`, targets: AGENTS, documentation: 'Who accessed: a reference, a client_id or a subject; agent.identifier takes client_id, issuer|subject or the name of this server' },
  { name: 'date', type: 'date', number: 62, expression: 'AuditEvent.recorded', definition: `${HL7}/AuditEvent-date`, documentation: 'When it was recorded' },
  { name: 'action', type: 'token', number: 63, system: 'http://hl7.org/fhir/audit-event-action', expression: 'AuditEvent.action', definition: `${HL7}/AuditEvent-action`, documentation: 'C, R, U, D, E' },
  { name: 'outcome', type: 'token', number: 64, system: 'http://hl7.org/fhir/audit-event-outcome', expression: 'AuditEvent.outcome', definition: `${HL7}/AuditEvent-outcome`, documentation: '0, 4, 8, 12' },
  { name: 'request-id', type: 'token', number: 65, expression: "AuditEvent.entity.where(type.code = 'XrequestId').what.identifier.value", definition: `${CANONICAL_BASE}/SearchParameter/AuditEvent-request-id`, documentation: 'X-Request-Id of the request' },
  { name: 'patient', type: 'reference', number: 66, expression: 'AuditEvent.agent.who.where(resolve() is Patient) | AuditEvent.entity.what.where(resolve() is Patient)', definition: `${HL7}/AuditEvent-patient`, targets: ['Patient'], documentation: 'The patient whom the access was about, or who accessed' },
  { name: 'type', type: 'token', number: 67, expression: 'AuditEvent.type', definition: `${HL7}/AuditEvent-type`, documentation: 'rest: a RESTful operation, which all are' },
  { name: 'subtype', type: 'token', number: 68, expression: 'AuditEvent.subtype', definition: `${HL7}/AuditEvent-subtype`, documentation: 'The interaction: read, create, search-type' },
  { name: 'address', type: 'string', number: 69, expression: 'AuditEvent.agent.network.address', definition: `${HL7}/AuditEvent-address`, documentation: `Address of the client or name of the server, ${BOUNDED}` },
  { name: 'agent-name', type: 'string', number: 70, expression: 'AuditEvent.agent.name', definition: `${HL7}/AuditEvent-agent-name`, documentation: `Name of the user, ${BOUNDED}` },
  { name: 'agent-role', type: 'token', number: 71, expression: 'AuditEvent.agent.role', definition: `${HL7}/AuditEvent-agent-role`, documentation: `Role of the token, ${BOUNDED}` },
  { name: 'altid', type: 'token', number: 72, expression: 'AuditEvent.agent.altId', definition: `${HL7}/AuditEvent-altid`, documentation: 'Alternative user id; no event has one' },
  { name: 'entity-name', type: 'string', number: 73, expression: 'AuditEvent.entity.name', definition: `${HL7}/AuditEvent-entity-name`, documentation: 'Name of an entity; no event has one' },
  { name: 'entity-role', type: 'token', number: 74, expression: 'AuditEvent.entity.role', definition: `${HL7}/AuditEvent-entity-role`, documentation: `Role of an entity, ${BOUNDED}` },
  { name: 'entity-type', type: 'token', number: 75, expression: 'AuditEvent.entity.type', definition: `${HL7}/AuditEvent-entity-type`, documentation: `Type of an entity, ${BOUNDED}` },
  { name: 'policy', type: 'uri', number: 76, expression: 'AuditEvent.agent.policy', definition: `${HL7}/AuditEvent-policy`, documentation: `The token: urn:ietf:params:oauth:jti: and its jti, ${BOUNDED}` },
  { name: 'site', type: 'token', number: 77, expression: 'AuditEvent.source.site', definition: `${HL7}/AuditEvent-site`, documentation: 'The organisation' },
  { name: 'source', type: 'reference', number: 78, expression: 'AuditEvent.source.observer', definition: `${HL7}/AuditEvent-source`, targets: AGENTS, documentation: `The server that recorded: source.identifier, ${BOUNDED}` },
];
