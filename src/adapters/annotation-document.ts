// The DocumentReference that an annotation is (R4 documentreference.html, relatesTo appends): it is about whom its document is
// about, in the same categories, encounters and security labels, so that whoever may read the one may read the other. Pure.
import { DOCUMENT_CATEGORIES } from '../access/policy.ts';
import { isJsonObject, printJson, type JsonObject, type JsonValue } from '../fhir/json.ts';
import { parseLocalReference } from '../fhir/reference.ts';
import type { Annotation } from './annotation.ts';
import { ANNOTATION_CATEGORY, CATEGORY_SYSTEM, categoryCodes, mayAuthor } from './document-fields.ts';

/** W3C Web Annotation Protocol, 4.1. */
export const WEB_ANNOTATION_TYPE = 'application/ld+json; profile="http://www.w3.org/ns/anno.jsonld"';

const list = (value: JsonValue | undefined): JsonObject[] => (Array.isArray(value) ? value.filter(isJsonObject) : []);

const categoryOf = (code: string): JsonObject => ({ coding: [{ system: CATEGORY_SYSTEM, code }] });

/** Who made it, as a version that is there says; undefined for one that is new. */
export interface AnnotationOrigin {
  author: JsonObject[];
  date: string;
}

export function originOf(existing: JsonObject): AnnotationOrigin {
  return { author: list(existing['author']), date: typeof existing['date'] === 'string' ? existing['date'] : '' };
}

/** The author that a token names: its user, or without one its subject. */
export function authorOf({ fhirUser, issuer, subject }: { fhirUser?: string | undefined; issuer: string; subject: string }): JsonObject {
  return mayAuthor(fhirUser) ? { reference: fhirUser } : { identifier: { system: issuer, value: subject } };
}

/** `document` is what it is written onto, with its id; `web` the Web Annotation, which becomes the bytes. */
export function annotationDocument(document: JsonObject, web: JsonObject, origin: AnnotationOrigin, id?: string): JsonObject {
  const { meta, subject, context, securityLabel } = document;
  const labels = isJsonObject(meta) ? list(meta['security']) : [];
  const encounters = isJsonObject(context) ? list(context['encounter']) : [];
  const categories = categoryCodes(document).filter((code) => (DOCUMENT_CATEGORIES as readonly string[]).includes(code));
  return {
    resourceType: 'DocumentReference',
    ...(id === undefined ? {} : { id }),
    ...(labels.length === 0 ? {} : { meta: { security: labels } }),
    status: 'current',
    category: [categoryOf(ANNOTATION_CATEGORY), ...[...new Set(categories)].map(categoryOf)],
    ...(isJsonObject(subject) ? { subject } : {}),
    date: origin.date,
    ...(origin.author.length === 0 ? {} : { author: origin.author }),
    relatesTo: [{ code: 'appends', target: { reference: `DocumentReference/${document['id'] as string}` } }],
    ...(securityLabel === undefined ? {} : { securityLabel }),
    content: [{ attachment: { contentType: WEB_ANNOTATION_TYPE, data: Buffer.from(printJson(web), 'utf8').toString('base64') } }],
    ...(encounters.length === 0 ? {} : { context: { encounter: encounters } }),
  };
}

/** Id of the document that an annotation is written onto; undefined for what is no annotation. */
export function annotatedDocument(resource: JsonObject, fhirBase: string): string | undefined {
  if (!categoryCodes(resource).includes(ANNOTATION_CATEGORY)) return undefined;
  const appended = list(resource['relatesTo']).find(({ code }) => code === 'appends')?.['target'];
  const reference = isJsonObject(appended) ? appended['reference'] : undefined;
  const local = typeof reference === 'string' ? parseLocalReference(reference, fhirBase) : undefined;
  return local?.type === 'DocumentReference' ? local.id : undefined;
}

/** An annotation as it is shown. */
export interface AnnotationFields extends Annotation {
  id: string;
  document_id: string;
  created_by: string | null;
  created_at: string | null;
  updated_at: string | null;
  version: number;
}

export function annotationFields(resource: JsonObject, annotation: Annotation, document: string): AnnotationFields {
  const { id, meta, date } = resource;
  const [author] = list(resource['author']);
  const reference = author?.['reference'];
  const identifier = author?.['identifier'];
  const by = typeof reference === 'string' ? reference : isJsonObject(identifier) && typeof identifier['value'] === 'string' ? identifier['value'] : null;
  const { lastUpdated, versionId } = isJsonObject(meta) ? meta : {};
  return {
    id: typeof id === 'string' ? id : '', document_id: document, ...annotation, created_by: by, created_at: typeof date === 'string' ? date : null,
    updated_at: typeof lastUpdated === 'string' ? lastUpdated : null, version: Number(versionId),
  };
}
