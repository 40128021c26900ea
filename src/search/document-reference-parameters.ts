// Search parameters of DocumentReference: all of R4 (documentreference.html 10.7.7), and `creation` of IHE MHD (ITI-67).
import { COMMON_PARAMETERS } from './every-type-parameters.ts';
import { containedName } from './contained-name.ts';
import { HL7, type SearchParameter } from './search-parameter.ts';

const AUTHORS = ['Practitioner', 'PractitionerRole', 'Organization', 'Device', 'Patient', 'RelatedPerson'] as const;

export const DOCUMENT_REFERENCE_PARAMETERS: readonly SearchParameter[] = [
  ...COMMON_PARAMETERS,
  { name: 'identifier', type: 'token', number: 10, identifier: true, expression: 'DocumentReference.masterIdentifier | DocumentReference.identifier', definition: `${HL7}/clinical-identifier`, documentation: 'Master identifier or any other' },
  { name: 'patient', type: 'reference', number: 11, column: 'patient', expression: 'DocumentReference.subject.where(resolve() is Patient)', definition: `${HL7}/clinical-patient`, targets: ['Patient'], documentation: 'The patient whom it is about' },
  { name: 'subject', type: 'reference', number: 12, expression: 'DocumentReference.subject', definition: `${HL7}/DocumentReference-subject`, targets: ['Patient', 'Group', 'Device', 'Practitioner'], documentation: 'Whom or what it is about' },
  { name: 'category', type: 'token', number: 13, expression: 'DocumentReference.category', definition: `${HL7}/DocumentReference-category`, documentation: 'Class of document' },
  { name: 'type', type: 'token', number: 14, expression: 'DocumentReference.type', definition: `${HL7}/clinical-type`, documentation: 'Kind of document' },
  { name: 'status', type: 'token', number: 15, column: 'status', system: 'http://hl7.org/fhir/document-reference-status', expression: 'DocumentReference.status', definition: `${HL7}/DocumentReference-status`, documentation: 'current, superseded, entered-in-error' },
  { name: 'date', type: 'date', number: 16, single: true, column: 'date', expression: 'DocumentReference.date', definition: `${HL7}/DocumentReference-date`, documentation: 'When this reference was made' },
  { name: 'authenticator', type: 'reference', number: 17, expression: 'DocumentReference.authenticator', definition: `${HL7}/DocumentReference-authenticator`, targets: ['Practitioner', 'PractitionerRole', 'Organization'], documentation: 'Who vouches for it' },
  { name: 'author', type: 'reference', number: 18, expression: 'DocumentReference.author', definition: `${HL7}/DocumentReference-author`, targets: AUTHORS, documentation: 'Who or what wrote it' },
  { name: 'contenttype', type: 'token', number: 19, mime: true, system: 'urn:ietf:bcp:13', expression: 'DocumentReference.content.attachment.contentType', definition: `${HL7}/DocumentReference-contenttype`, documentation: 'Media type of the bytes, with its parameters' },
  { name: 'custodian', type: 'reference', number: 20, expression: 'DocumentReference.custodian', definition: `${HL7}/DocumentReference-custodian`, targets: ['Organization'], documentation: 'Who keeps the document' },
  { name: 'description', type: 'string', number: 21, expression: 'DocumentReference.description', definition: `${HL7}/DocumentReference-description`, documentation: 'Description for people' },
  { name: 'encounter', type: 'reference', number: 22, expression: 'DocumentReference.context.encounter', definition: `${HL7}/clinical-encounter`, targets: ['Encounter', 'EpisodeOfCare'], documentation: 'Context of the care that it tells of' },
  { name: 'event', type: 'token', number: 23, expression: 'DocumentReference.context.event', definition: `${HL7}/DocumentReference-event`, documentation: 'Main act that it documents' },
  { name: 'facility', type: 'token', number: 24, expression: 'DocumentReference.context.facilityType', definition: `${HL7}/DocumentReference-facility`, documentation: 'Kind of facility where the patient was seen' },
  { name: 'format', type: 'token', number: 25, expression: 'DocumentReference.content.format', definition: `${HL7}/DocumentReference-format`, documentation: 'Format of the content beyond its media type' },
  { name: 'language', type: 'token', number: 26, system: 'urn:ietf:bcp:47', expression: 'DocumentReference.content.attachment.language', definition: `${HL7}/DocumentReference-language`, documentation: 'Language of the bytes' },
  { name: 'location', type: 'uri', number: 27, expression: 'DocumentReference.content.attachment.url', definition: `${HL7}/DocumentReference-location`, documentation: 'Where the bytes are' },
  { name: 'period', type: 'date', number: 28, single: true, expression: 'DocumentReference.context.period', definition: `${HL7}/DocumentReference-period`, documentation: 'Time of the care that it tells of' },
  { name: 'related', type: 'reference', number: 29, expression: 'DocumentReference.context.related', definition: `${HL7}/DocumentReference-related`, documentation: 'Related resources' },
  { name: 'relatesto', type: 'reference', number: 30, expression: 'DocumentReference.relatesTo.target', definition: `${HL7}/DocumentReference-relatesto`, targets: ['DocumentReference'], documentation: 'Document that it replaces, appends, signs or transforms' },
  { name: 'relation', type: 'token', number: 31, system: 'http://hl7.org/fhir/document-relationship-type', expression: 'DocumentReference.relatesTo.code', definition: `${HL7}/DocumentReference-relation`, documentation: 'replaces, transforms, signs, appends' },
  {
    name: 'relationship', type: 'composite', number: 32, expression: 'DocumentReference.relatesTo', definition: `${HL7}/DocumentReference-relationship`,
    // R4 pairs these two the wrong way round; the expressions say what is meant.
    components: [
      { name: 'relation', type: 'token', definition: `${HL7}/DocumentReference-relation`, expression: 'code' },
      { name: 'relatesto', type: 'reference', definition: `${HL7}/DocumentReference-relatesto`, expression: 'target' },
    ],
    documentation: 'Code and target of one relation, code$target; target$code is taken as well',
  },
  { name: 'security-label', type: 'token', number: 33, expression: 'DocumentReference.securityLabel', definition: `${HL7}/DocumentReference-security-label`, documentation: 'Security label of the document' },
  { name: 'setting', type: 'token', number: 34, expression: 'DocumentReference.context.practiceSetting', definition: `${HL7}/DocumentReference-setting`, documentation: 'Specialty of the practice' },
  { name: 'creation', type: 'date', number: 35, expression: 'DocumentReference.content.attachment.creation', definition: 'https://profiles.ihe.net/ITI/MHD/SearchParameter/DocumentReference-Creation', documentation: 'When the document was made (IHE MHD)' },
  { name: 'author.given', type: 'string', number: 36, expression: containedName('DocumentReference.author', 'given'), definition: `${HL7}/individual-given`, documentation: 'Given name of an author that is contained in the document (IHE MHD), or of one that is reached' },
  { name: 'author.family', type: 'string', number: 37, expression: containedName('DocumentReference.author', 'family'), definition: `${HL7}/individual-family`, documentation: 'Family name of an author that is contained in the document (IHE MHD), or of one that is reached' },
];
