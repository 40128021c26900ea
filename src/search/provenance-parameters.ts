// Search parameters of Provenance (R4 provenance.html 6.3.7). Records are not extracted: their rows already are the index.
import { COMMON_PARAMETERS } from './every-type-parameters.ts';
import { HL7, type SearchParameter } from './search-parameter.ts';

const AGENTS = ['Practitioner', 'PractitionerRole', 'Patient', 'Device', 'Organization', 'RelatedPerson'] as const;

export const PROVENANCE_PARAMETERS: readonly SearchParameter[] = [
  ...COMMON_PARAMETERS,
  { name: 'target', type: 'reference', number: 80, expression: 'Provenance.target', definition: `${HL7}/Provenance-target`, documentation: 'What was touched' },
  { name: 'agent', type: 'reference', number: 81, expression: 'Provenance.agent.who', definition: `${HL7}/Provenance-agent`, targets: AGENTS, documentation: 'Who touched it, or wrote or keeps the document, also as clients assert' },
  { name: 'recorded', type: 'date', number: 82, expression: 'Provenance.recorded', definition: `${HL7}/Provenance-recorded`, documentation: 'When it was recorded' },
  { name: 'patient', type: 'reference', number: 83, expression: 'Provenance.target.where(resolve() is Patient)', definition: `${HL7}/Provenance-patient`, targets: ['Patient'], documentation: 'The patient whom a target is about: beyond R4 also by the documents that are targets' },
  { name: 'entity', type: 'reference', number: 84, expression: 'Provenance.entity.what', definition: `${HL7}/Provenance-entity`, documentation: 'What the target was made of: the version before it, the bytes that it uses, and what clients assert' },
  { name: 'when', type: 'date', number: 85, expression: '(Provenance.occurred as dateTime)', definition: `${HL7}/Provenance-when`, documentation: 'When it happened' },
  { name: 'agent-type', type: 'token', number: 86, expression: 'Provenance.agent.type', definition: `${HL7}/Provenance-agent-type`, documentation: 'How an agent took part, within a date, an agent, an entity or a patient' },
  { name: 'agent-role', type: 'token', number: 87, expression: 'Provenance.agent.role', definition: `${HL7}/Provenance-agent-role`, documentation: 'Role of an agent: what clients assert of it is shown and not searched' },
  { name: 'location', type: 'reference', number: 88, expression: 'Provenance.location', definition: `${HL7}/Provenance-location`, targets: ['Location'], documentation: 'Where it happened: what clients assert of it is shown and not searched' },
  { name: 'signature-type', type: 'token', number: 89, expression: 'Provenance.signature.type', definition: `${HL7}/Provenance-signature-type`, documentation: 'Kind of signature: what clients assert of it is shown and not searched' },
];
