// The GraphQL schema: uploads and the two kinds of document, with the names that FHIR gives their elements. Where FHIR has a
// list and a client sends one object, GraphQL's own rule makes a list of it.
import { buildSchema } from 'graphql';

const SHARED_ELEMENTS = {
  Coding: 'system: String version: String code: String display: String userSelected: Boolean',
  CodeableConcept: 'coding: [Coding!] text: String',
  Identifier: 'use: String type: CodeableConcept system: String value: String',
  Reference: 'reference: String type: String identifier: Identifier display: String',
  Period: 'start: String end: String',
  Annotation: 'authorReference: Reference authorString: String time: String text: String!',
  DocumentRelation: 'code: String! target: Reference!',
  DocumentContext: 'encounter: [Reference!] event: [CodeableConcept!] period: Period facilityType: CodeableConcept practiceSetting: CodeableConcept sourcePatientInfo: Reference related: [Reference!]',
} as const;

const ATTACHMENT = 'contentType: String language: String url: String title: String creation: String';
const GEOMETRY = 'height: Int width: Int frames: Int duration: Float';
const DOCUMENT = `masterIdentifier: Identifier identifier: [Identifier!] status: String! docStatus: String type: CodeableConcept category: [CodeableConcept!] subject: Reference date: String
  author: [Reference!] authenticator: Reference custodian: Reference relatesTo: [DocumentRelation!] description: String securityLabel: [CodeableConcept!] content: [DocumentContent!]! context: DocumentContext`;
const MEDIA = `identifier: [Identifier!] basedOn: [Reference!] partOf: [Reference!] status: String! type: CodeableConcept modality: CodeableConcept view: CodeableConcept subject: Reference encounter: Reference
  createdDateTime: String createdPeriod: Period issued: String operator: Reference reasonCode: [CodeableConcept!] bodySite: CodeableConcept deviceName: String device: Reference ${GEOMETRY} content: MediaContent! note: [Annotation!]`;

const NAMES = [...Object.keys(SHARED_ELEMENTS), 'DocumentContent', 'MediaContent', 'Attachment'];
/** The same element as an input: each type by its input. */
const asInput = (fields: string): string => fields.replaceAll(new RegExp(`(: \\[?)(${NAMES.join('|')})\\b`, 'g'), '$1$2Input');

const both = Object.entries(SHARED_ELEMENTS).map(([name, fields]) => `type ${name} { ${fields} } input ${name}Input { ${asInput(fields)} }`).join('\n');

export const SCHEMA_TEXT = `
"A file: base64 in the request, or a part of a multipart request."
scalar Upload

"How a file is encrypted where it rests."
enum Encryption { AES256 KMS ENVELOPE }

${both}
type Meta { versionId: String! lastUpdated: String! }

"A URL that shows the bytes without a token, for a while."
type SignedUrl { url: String! sasToken: String! expiresAt: String! }
type Attachment {
  ${ATTACHMENT} ${GEOMETRY} size: Float hash: String
  "SHA-256, hexadecimal."
  hashSha256: String
  signedUrl(minutes: Int = 60): SignedUrl
}
input AttachmentInput { ${ATTACHMENT} ${GEOMETRY} data: String size: Int hash: String }
type DocumentContent { attachment: Attachment! format: Coding }
input DocumentContentInput { attachment: AttachmentInput! format: CodingInput }
type DocumentReference { id: ID! meta: Meta! ${DOCUMENT} record(first: Int = 20): [AuditRecord!]! }
input DocumentReferenceInput { ${asInput(DOCUMENT)} }
type Media { id: ID! meta: Meta! ${MEDIA.replace('MediaContent!', 'Attachment!')} record(first: Int = 20): [AuditRecord!]! }
input MediaInput { ${asInput(MEDIA).replace('MediaContentInput!', 'AttachmentInput!')} }

"One access, from the record."
type AuditRecord { id: ID! recorded: String! action: String outcome: String agent: [String!]! }
type DocumentPage { total: Int items: [DocumentReference!]! next: String }

input SecurityInput {
  encryption: Encryption
  "1m to 60m."
  accessWindow: String
  "CIDR blocks."
  allowedIps: [String!]
}
type UploadedFile {
  id: ID!
  url: String!
  "A handle for this file in the url of an attachment."
  storagePath: String!
  sasToken: String!
  expiresAt: String!
  "SHA-256, hexadecimal."
  hashSha256: String!
  size: Float!
}

type Query {
  documentReference(id: ID!): DocumentReference
  documentReferences(patient: String, category: String, status: String, first: Int = 20, after: String): DocumentPage
  media(id: ID!): Media
  allowedTypes: [String!]!
}
"What is refused is null, and told among the errors: what others made stands beside it."
type Mutation {
  uploadFile(forEntity: String, data: Upload!, filename: String!, contentType: String!, security: SecurityInput, fileTypeOverride: String): UploadedFile
  createDocumentReference(resource: DocumentReferenceInput!): DocumentReference
  createMedia(resource: MediaInput!): Media
  refreshFileUrl(url: String, sasToken: String, minutes: Int): SignedUrl
}
`;

export const schema = buildSchema(SCHEMA_TEXT);
