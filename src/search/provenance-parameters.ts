// Search parameters of Provenance (R4 provenance.html 6.3.7). Records are not extracted: their rows already are the index.
import { RECORD_COMMON_PARAMETERS } from './every-type-parameters.ts';
import { HL7, type SearchParameter } from './search-parameter.ts';

const AGENTS = ['Practitioner', 'PractitionerRole', 'Patient', 'Device', 'Organization', 'RelatedPerson'] as const;

export const PROVENANCE_PARAMETERS: readonly SearchParameter[] = [
  ...RECORD_COMMON_PARAMETERS,
  { name: 'target', type: 'reference', number: 80, expression: 'Provenance.target', definition: `${HL7}/Provenance-target`, documentation: 'What was touched' },
  { name: 'agent', type: 'reference', number: 81, expression: 'Provenance.agent.who', definition: `${HL7}/Provenance-agent`, targets: AGENTS, documentation: 'Who touched it' },
  { name: 'recorded', type: 'date', number: 82, expression: 'Provenance.recorded', definition: `${HL7}/Provenance-recorded`, documentation: 'When it was recorded' },
];
