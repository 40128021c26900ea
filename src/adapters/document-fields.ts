// A DocumentReference as the customer's documents API has it, and back: flat fields, one file, one category of eight. Pure.
import { DOCUMENT_CATEGORIES } from '../access/policy.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { printInstant } from '../fhir/instant.ts';
import { isJsonObject, JsonNumber, type JsonObject, type JsonValue } from '../fhir/json.ts';
import { ID_PATTERN, parseLocalReference } from '../fhir/reference.ts';
import { CANONICAL_BASE } from '../search/search-parameter.ts';

export const CATEGORY_SYSTEM = `${CANONICAL_BASE}/CodeSystem/document-category`;
/** Of what is written onto a document; such documents are shown with that one alone. */
export const ANNOTATION_CATEGORY = 'annotation';
/** The name of the file as it was sent, where the title is another. */
export const FILE_NAME = `${CANONICAL_BASE}/StructureDefinition/file-name`;

/** What comes with a file. */
export interface DocumentMetadata {
  patient_id: string;
  encounter_id?: string;
  title?: string;
  category: string;
  description?: string;
}

/** A document as it is shown. */
export interface DocumentFields {
  id: string;
  patient_id: string | null;
  encounter_id: string | null;
  title: string | null;
  category: string;
  content_type: string | null;
  /** Of its bytes, for whoever has a token; never where they are stored. */
  url: string | null;
  file_size: number | null;
  thumbnail_url: string | null;
  filename: string | null;
  size: number | null;
  upload_date: string | null;
}

const NAMES = ['patient_id', 'encounter_id', 'title', 'category', 'description'] as const;
const TEXT_MAX = 1_000;
const CONTROLS = /[\u0000-\u001f\u007f-\u009f]/u;

const wrong = (name: string, diagnostics: string): Error => fhirError('malformed-form', diagnostics, { expression: name });

function textOf(name: string, value: JsonValue): string | undefined {
  if (value === null || value === '') return undefined;
  if (typeof value !== 'string') throw wrong(name, `${name} must be a text`);
  if (value.length > TEXT_MAX || CONTROLS.test(value)) throw wrong(name, `${name} may have ${TEXT_MAX} characters, and no control characters`);
  return value;
}

function idOf(name: string, value: string | undefined): string | undefined {
  const id = value?.replace(/^(?:Patient|Encounter)\//, '');
  if (id !== undefined && !ID_PATTERN.test(id)) throw wrong(name, `${name} must be an id: 1 to 64 letters, digits, hyphens and dots`);
  return id;
}

/** Raises 400 `malformed-form` for what is missing or wrong, 422 `code-invalid` for another category. Other names are left out. */
export function readMetadata(given: Readonly<Record<string, JsonValue>>): DocumentMetadata {
  const texts = Object.fromEntries(NAMES.flatMap((name) => {
    const text = Object.hasOwn(given, name) ? textOf(name, given[name] as JsonValue) : undefined;
    return text === undefined ? [] : [[name, text]];
  })) as Partial<Record<(typeof NAMES)[number], string>>;
  const { title, description, category = 'other' } = texts;
  const patient = idOf('patient_id', texts.patient_id);
  const encounter = idOf('encounter_id', texts.encounter_id);
  if (patient === undefined) throw wrong('patient_id', 'patient_id is missing: a document is about a patient');
  if (!(DOCUMENT_CATEGORIES as readonly string[]).includes(category)) throw fhirError('code-invalid', `category must be one of ${DOCUMENT_CATEGORIES.join(', ')}`, { expression: 'category' });
  return { patient_id: patient, category, ...(encounter === undefined ? {} : { encounter_id: encounter }), ...(title === undefined ? {} : { title }), ...(description === undefined ? {} : { description }) };
}

export interface UploadedFile {
  name: string | undefined;
  contentType: string;
}

/** The attachment of an uploaded file, before its bytes are described. */
function attachmentOf({ name, contentType }: UploadedFile, title: string | undefined): JsonObject {
  const shown = title ?? name;
  return {
    ...(title === undefined || name === undefined || name === title ? {} : { extension: [{ url: FILE_NAME, valueString: name }] }),
    contentType,
    ...(shown === undefined ? {} : { title: shown }),
  };
}

/** Whether R4 lets it stand as the author of a document. */
export const mayAuthor = (reference: string | undefined): reference is string => /^(?:Practitioner|PractitionerRole|Organization|Device|Patient|RelatedPerson)\//.test(reference ?? '');

/** The DocumentReference of an upload. `author` is the user of the token; `now` in milliseconds. */
export function documentOf(metadata: DocumentMetadata, file: UploadedFile, by: { author: string | undefined; now: number }): JsonObject {
  const { author } = by;
  return {
    resourceType: 'DocumentReference',
    status: 'current',
    category: [{ coding: [{ system: CATEGORY_SYSTEM, code: metadata.category }] }],
    subject: { reference: `Patient/${metadata.patient_id}` },
    date: printInstant(by.now),
    ...(mayAuthor(author) ? { author: [{ reference: author }] } : {}),
    ...(metadata.description === undefined ? {} : { description: metadata.description }),
    content: [{ attachment: attachmentOf(file, metadata.title) }],
    ...(metadata.encounter_id === undefined ? {} : { context: { encounter: [{ reference: `Encounter/${metadata.encounter_id}` }] } }),
  };
}

const list = (value: JsonValue | undefined): JsonObject[] => (Array.isArray(value) ? value.filter(isJsonObject) : []);
const text = (value: JsonValue | undefined): string | null => (typeof value === 'string' ? value : null);

/** Codes of all categories. */
export function categoryCodes(document: JsonObject): string[] {
  return list(document['category']).flatMap(({ coding }) => list(coding).flatMap(({ code }) => (typeof code === 'string' ? [code] : [])));
}

function idIn(reference: JsonValue | undefined, type: string, fhirBase: string): string | null {
  const local = typeof reference === 'string' ? parseLocalReference(reference, fhirBase) : undefined;
  return local?.type === type ? local.id : null;
}

/** The first attachment: what the document is in one file. */
export function firstAttachment(document: JsonObject): JsonObject {
  const [content] = list(document['content']);
  return content !== undefined && isJsonObject(content['attachment']) ? content['attachment'] : {};
}

/** As it is shown; a document that others put in through FHIR has what it has. */
export function fieldsOf(document: JsonObject, fhirBase: string): DocumentFields {
  const attachment = firstAttachment(document);
  const { subject, context, meta } = document;
  const [encounter] = isJsonObject(context) ? list(context['encounter']) : [];
  const title = text(attachment['title']) ?? text(document['description']);
  const named = list(attachment['extension']).find(({ url }) => url === FILE_NAME)?.['valueString'];
  const size = attachment['size'] instanceof JsonNumber ? attachment['size'].toNumber() : attachment['size'];
  const bytes = typeof size === 'number' ? size : null;
  return {
    id: text(document['id']) ?? '',
    patient_id: isJsonObject(subject) ? idIn(subject['reference'], 'Patient', fhirBase) : null,
    encounter_id: encounter === undefined ? null : idIn(encounter['reference'], 'Encounter', fhirBase),
    title,
    category: categoryCodes(document).find((code) => (DOCUMENT_CATEGORIES as readonly string[]).includes(code)) ?? 'other',
    content_type: text(attachment['contentType']),
    url: text(attachment['url']),
    file_size: bytes,
    thumbnail_url: null,
    filename: text(named) ?? title,
    size: bytes,
    upload_date: text(document['date']) ?? (isJsonObject(meta) ? text(meta['lastUpdated']) : null),
  };
}
