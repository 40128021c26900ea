// Search parameters of Media: all of R4 (media.html 10.5.6).
import { COMMON_PARAMETERS } from './every-type-parameters.ts';
import { HL7, type SearchParameter } from './search-parameter.ts';

export const MEDIA_PARAMETERS: readonly SearchParameter[] = [
  ...COMMON_PARAMETERS,
  { name: 'identifier', type: 'token', number: 40, identifier: true, expression: 'Media.identifier', definition: `${HL7}/Media-identifier`, documentation: 'Identifier' },
  { name: 'patient', type: 'reference', number: 41, column: 'patient', expression: 'Media.subject.where(resolve() is Patient)', definition: `${HL7}/Media-patient`, targets: ['Patient'], documentation: 'The patient whom it is of' },
  { name: 'subject', type: 'reference', number: 42, expression: 'Media.subject', definition: `${HL7}/Media-subject`, targets: ['Patient', 'Group', 'Device', 'Practitioner', 'PractitionerRole', 'Specimen', 'Location'], documentation: 'Whom or what it is of' },
  { name: 'created', type: 'date', number: 43, single: true, column: 'date', expression: 'Media.created', definition: `${HL7}/Media-created`, documentation: 'When it was collected' },
  { name: 'type', type: 'token', number: 44, expression: 'Media.type', definition: `${HL7}/Media-type`, documentation: 'image, video, audio' },
  { name: 'status', type: 'token', number: 45, column: 'status', system: 'http://hl7.org/fhir/event-status', expression: 'Media.status', definition: `${HL7}/Media-status`, documentation: 'Status' },
  { name: 'based-on', type: 'reference', number: 46, expression: 'Media.basedOn', definition: `${HL7}/Media-based-on`, targets: ['CarePlan', 'ServiceRequest'], documentation: 'Procedure that caused it' },
  { name: 'device', type: 'reference', number: 47, expression: 'Media.device', definition: `${HL7}/Media-device`, targets: ['Device', 'DeviceMetric'], documentation: 'Device that made it' },
  { name: 'encounter', type: 'reference', number: 48, expression: 'Media.encounter', definition: `${HL7}/Media-encounter`, targets: ['Encounter'], documentation: 'Encounter that it belongs to' },
  { name: 'modality', type: 'token', number: 49, expression: 'Media.modality', definition: `${HL7}/Media-modality`, documentation: 'Kind of acquisition equipment or process' },
  { name: 'operator', type: 'reference', number: 50, expression: 'Media.operator', definition: `${HL7}/Media-operator`, targets: ['Practitioner', 'PractitionerRole', 'Organization', 'CareTeam', 'Patient', 'Device', 'RelatedPerson'], documentation: 'Who made it' },
  { name: 'site', type: 'token', number: 51, expression: 'Media.bodySite', definition: `${HL7}/Media-site`, documentation: 'Body part that it shows' },
  { name: 'view', type: 'token', number: 52, expression: 'Media.view', definition: `${HL7}/Media-view`, documentation: 'Imaging view' },
];
