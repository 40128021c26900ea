// Search parameters of List: all of R4 (list.html 2.40.6), and those that IHE MHD adds for ITI-66.
import { COMMON_PARAMETERS } from './every-type-parameters.ts';
import { containedName } from './contained-name.ts';
import { HL7, type SearchParameter } from './search-parameter.ts';

const MHD = 'https://profiles.ihe.net/ITI/MHD';

export const LIST_PARAMETERS: readonly SearchParameter[] = [
  ...COMMON_PARAMETERS,
  { name: 'code', type: 'token', number: 100, expression: 'List.code', definition: `${HL7}/clinical-code`, documentation: 'What the list is for' },
  { name: 'date', type: 'date', number: 101, single: true, column: 'date', expression: 'List.date', definition: `${HL7}/clinical-date`, documentation: 'When the list was prepared' },
  { name: 'empty-reason', type: 'token', number: 102, expression: 'List.emptyReason', definition: `${HL7}/List-empty-reason`, documentation: 'Why it is empty' },
  { name: 'encounter', type: 'reference', number: 103, expression: 'List.encounter', definition: `${HL7}/clinical-encounter`, targets: ['Encounter', 'EpisodeOfCare'], documentation: 'Context in which it was made' },
  { name: 'identifier', type: 'token', number: 104, identifier: true, expression: 'List.identifier', definition: `${HL7}/clinical-identifier`, documentation: 'Identifier' },
  { name: 'item', type: 'reference', number: 105, expression: 'List.entry.item', definition: `${HL7}/List-item`, documentation: 'What stands in it' },
  { name: 'notes', type: 'string', number: 106, expression: 'List.note.text', definition: `${HL7}/List-notes`, documentation: 'Comments about it' },
  { name: 'patient', type: 'reference', number: 107, column: 'patient', expression: 'List.subject.where(resolve() is Patient)', definition: `${HL7}/clinical-patient`, targets: ['Patient'], documentation: 'The patient whom it is about' },
  { name: 'source', type: 'reference', number: 108, expression: 'List.source', definition: `${HL7}/List-source`, targets: ['Practitioner', 'PractitionerRole', 'Patient', 'Device'], documentation: 'Who or what made it' },
  { name: 'status', type: 'token', number: 109, column: 'status', system: 'http://hl7.org/fhir/list-status', expression: 'List.status', definition: `${HL7}/List-status`, documentation: 'current, retired, entered-in-error' },
  { name: 'subject', type: 'reference', number: 110, expression: 'List.subject', definition: `${HL7}/List-subject`, targets: ['Patient', 'Group', 'Device', 'Location'], documentation: 'Whom or what it is about' },
  { name: 'title', type: 'string', number: 111, expression: 'List.title', definition: `${HL7}/List-title`, documentation: 'Its name' },
  { name: 'designationType', type: 'token', number: 112, expression: `List.extension('${MHD}/StructureDefinition/ihe-designationType').value.ofType(CodeableConcept)`, definition: `${MHD}/SearchParameter/List-DesignationType`, documentation: 'Clinical code of a submission set or folder (IHE MHD)' },
  { name: 'sourceId', type: 'token', number: 113, identifier: true, expression: `List.extension('${MHD}/StructureDefinition/ihe-sourceId').value.ofType(Identifier)`, definition: `${MHD}/SearchParameter/List-SourceId`, documentation: 'Publisher of a submission set (IHE MHD)' },
  { name: 'source.given', type: 'string', number: 114, expression: containedName('List.source', 'given'), definition: `${HL7}/individual-given`, documentation: 'Given name of a source that is contained in the list (IHE MHD), or of one that is reached' },
  { name: 'source.family', type: 'string', number: 115, expression: containedName('List.source', 'family'), definition: `${HL7}/individual-family`, documentation: 'Family name of a source that is contained in the list (IHE MHD), or of one that is reached' },
];
