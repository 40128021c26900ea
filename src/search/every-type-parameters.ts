// Search parameters of every resource type (R4 search.html 3.1.1.3).
import { HL7, type SearchParameter } from './search-parameter.ts';

/** What the rows of the record have as well. */
export const RECORD_COMMON_PARAMETERS: readonly SearchParameter[] = [
  { name: '_id', type: 'token', number: 1, column: 'id', expression: 'Resource.id', definition: `${HL7}/Resource-id`, documentation: 'Logical id' },
  { name: '_lastUpdated', type: 'date', number: 2, single: true, column: 'last_updated', expression: 'Resource.meta.lastUpdated', definition: `${HL7}/Resource-lastUpdated`, documentation: 'When the version was made' },
];

export const COMMON_PARAMETERS: readonly SearchParameter[] = [
  ...RECORD_COMMON_PARAMETERS,
  { name: '_tag', type: 'token', number: 3, expression: 'Resource.meta.tag', definition: `${HL7}/Resource-tag`, documentation: 'Tag of the resource' },
  { name: '_profile', type: 'uri', number: 4, expression: 'Resource.meta.profile', definition: `${HL7}/Resource-profile`, documentation: 'Profile that the resource claims; without |version any version of it' },
  { name: '_security', type: 'token', number: 5, expression: 'Resource.meta.security', definition: `${HL7}/Resource-security`, documentation: 'Security label of the resource' },
  { name: '_source', type: 'uri', number: 6, expression: 'Resource.meta.source', definition: `${HL7}/Resource-source`, documentation: 'Where the resource comes from' },
];
