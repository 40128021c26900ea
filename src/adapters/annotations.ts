// /documents/[id]/annotations: what is written onto a document. Each is a document of its own that appends it, made, changed and
// deleted by the interactions of FHIR, with a Web Annotation as its bytes.
import { fhirError } from '../fhir/fhir-error.ts';
import { printInstant } from '../fhir/instant.ts';
import { isJsonObject, JsonSyntaxError, parseJson, type JsonObject, type JsonValue } from '../fhir/json.ts';
import { create } from '../interactions/create.ts';
import { deleteInteraction } from '../interactions/delete.ts';
import { defineInteraction, type FhirRequest, type Interaction, type InteractionContext, type Outcome } from '../interactions/interaction.ts';
import type { DocumentParts } from '../interactions/prepare-document.ts';
import type { SearchParts } from '../interactions/run-search.ts';
import { searchType } from '../interactions/search-type.ts';
import { read } from '../interactions/read.ts';
import { update } from '../interactions/update.ts';
import type { ContentReader } from '../content/read-content.ts';
import type { NewestLoader } from '../resources/load-newest.ts';
import { readResource } from '../resources/resource-text.ts';
import { annotationDocument, annotationFields, authorOf, originOf, type AnnotationFields, type AnnotationOrigin } from './annotation-document.ts';
import { annotationContent, loadAnnotation, loadDocument, openAnnotation } from './annotation-load.ts';
import { readAnnotation, webAnnotation, type Annotation } from './annotation.ts';
import { ANNOTATION_CATEGORY, CATEGORY_SYSTEM } from './document-fields.ts';
import { linkHeader } from './document-list.ts';
import { inFhirTerms, jsonAnswer, translated } from './translated.ts';

export interface AnnotationParts extends DocumentParts, SearchParts {
  reader: ContentReader;
  newest: NewestLoader;
  /** Absolute address of /documents. */
  documentsUrl: string;
}

const BODY_BYTES_MAX = 256 * 1024;
const JSON_BODY = /^application\/(?:merge-patch\+)?json\s*(?:;|$)/i;
const OPENED_AT_ONCE = 8;

const documentId = ({ request }: InteractionContext): string => request.parameters?.['id'] ?? '';
const annotationId = ({ request }: InteractionContext): string => request.parameters?.['annotation'] ?? '';

async function readBody({ body }: FhirRequest): Promise<JsonValue> {
  if (!JSON_BODY.test(body.contentType ?? '')) throw fhirError('media-type', 'An annotation is sent as application/json', { members: { allowedTypes: ['application/json', 'application/merge-patch+json'] } });
  try {
    return parseJson(await body.text(BODY_BYTES_MAX), { depthMax: 10, keysMax: 100 });
  } catch (error) {
    if (error instanceof JsonSyntaxError) throw fhirError('malformed-json', error.message);
    throw error;
  }
}

/** The document that a write stores, as the body of its FHIR request. */
function resourceOf(parts: AnnotationParts, document: JsonObject, annotation: Annotation, origin: AnnotationOrigin, id?: string): JsonObject {
  const [author] = origin.author;
  const reference = author?.['reference'];
  const web = webAnnotation(annotation, {
    source: `${parts.fhirBase}/DocumentReference/${document['id'] as string}`, creator: typeof reference === 'string' ? `${parts.fhirBase}/${reference}` : undefined, created: origin.date,
  });
  return annotationDocument(document, web, origin, id);
}

const asBody = ({ body }: FhirRequest, resource: JsonObject): FhirRequest['body'] => ({ ...body, contentType: 'application/fhir+json', contentEncoding: undefined, json: resource });

/** The answer of a write: what was stored, under its version. */
function writtenAnswer(parts: AnnotationParts, outcome: Outcome, context: InteractionContext, annotation: Annotation): Outcome {
  const fields = annotationFields(readResource(outcome.response.body ?? '{}'), annotation, documentId(context));
  const location = outcome.response.status === 201 ? { Location: `${parts.documentsUrl}/${fields.document_id}/annotations/${fields.id}` } : {};
  return { ...outcome, response: jsonAnswer(outcome.response, outcome.response.status, fields, location), keepsAnswer: true };
}

/** A repetition answers what the first one did, and names it as seen. */
function repeated(outcome: Outcome): Outcome {
  const { id, version } = JSON.parse(outcome.response.body ?? '{}') as Partial<AnnotationFields>;
  return {
    ...outcome, response: { ...jsonAnswer(outcome.response, outcome.response.status, {}), body: outcome.response.body ?? '' },
    entities: id === undefined ? [] : [{ reference: `DocumentReference/${id}/_history/${version}`, role: 'data' }],
  };
}

function createAnnotation(parts: AnnotationParts): Interaction {
  const inner = create(parts);
  return {
    code: inner.code,
    kind: inner.kind,
    async prepare(context) {
      const annotation = readAnnotation(await readBody(context.request));
      const { resource } = await context.read((tx) => loadDocument(tx, context, documentId(context), parts.fhirBase));
      if (isAnnotation(resource)) throw fhirError('business-rule', 'An annotation is written onto a document, not onto another annotation');
      const stored = resourceOf(parts, resource, annotation, { author: [authorOf(context.principal)], date: printInstant(context.now) });
      const prepared = await inner.prepare(inFhirTerms(context, { query: [], body: asBody(context.request, stored) }));
      return { ...prepared, run: async (tx) => writtenAnswer(parts, await prepared.run(tx), context, annotation) };
    },
    replay: async (context, replay) => repeated(await replay(inFhirTerms(context, {}))),
  };
}

const objects = (value: JsonValue | undefined): JsonObject[] => (Array.isArray(value) ? value.filter(isJsonObject) : []);
const isAnnotation = (resource: JsonObject): boolean => objects(resource['category']).some(({ coding }) => objects(coding).some(({ system, code }) => system === CATEGORY_SYSTEM && code === ANNOTATION_CATEGORY));

/** JSON Merge Patch (RFC 7396) on what is an object on both sides. */
function merged(target: JsonValue | undefined, patch: JsonValue): JsonValue {
  if (!isJsonObject(patch)) return patch;
  const members = new Map(isJsonObject(target) ? Object.entries(target) : []);
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) members.delete(name); else members.set(name, merged(members.get(name), value));
  }
  return Object.fromEntries(members);
}

function changeAnnotation(parts: AnnotationParts, how: 'PUT' | 'PATCH'): Interaction {
  const inner = update(parts);
  return {
    code: how === 'PUT' ? 'update' : 'patch',
    kind: 'write',
    async prepare(context) {
      const body = await readBody(context.request);
      const { document, annotation: current, content } = await context.read(async (tx) => {
        const loaded = await loadAnnotation(tx, context, parts.fhirBase);
        return { ...loaded, content: how === 'PUT' ? undefined : await annotationContent(tx, context, loaded.annotation.resource, parts.fhirBase) };
      });
      const before = how === 'PUT' ? undefined : await openAnnotation(parts.reader, content);
      const annotation = readAnnotation(how === 'PUT' ? body : merged(before as JsonValue | undefined, body));
      const stored = resourceOf(parts, document.resource, annotation, originOf(current.resource), annotationId(context));
      const prepared = await inner.prepare(inFhirTerms(context, { id: annotationId(context), query: [], body: asBody(context.request, stored) }));
      return {
        ...prepared,
        async run(tx) {
          const outcome = await prepared.run(tx);
          // What was changed is what was read, or another writer would be undone.
          if (outcome.version !== undefined && outcome.version.version > current.row.version + 1) throw fhirError('conflict', 'Another writer was faster', { headers: { 'Retry-After': '1' } });
          return writtenAnswer(parts, outcome, context, annotation);
        },
      };
    },
  };
}

/** Raises 404 for what is no annotation of the document before it is deleted. */
function deleteAnnotation(parts: AnnotationParts): Interaction {
  return translated(deleteInteraction(parts.fhirBase), {
    ask: async (context) => {
      await context.read((tx) => loadAnnotation(tx, context, parts.fhirBase));
      return { id: annotationId(context), query: [] };
    },
    answer: (outcome) => ({ ...outcome, response: jsonAnswer({ headers: {} }, 200, { success: true }) }),
  });
}

function readOneAnnotation(parts: AnnotationParts): Interaction {
  const inner = read(parts.newest, parts.fhirBase);
  return defineInteraction({
    code: 'read',
    kind: 'read',
    async run(tx, context) {
      const { annotation } = await loadAnnotation(tx, context, parts.fhirBase);
      const content = await annotationContent(tx, context, annotation.resource, parts.fhirBase);
      const outcome = await (await inner.prepare(inFhirTerms(context, { id: annotationId(context), query: [] }))).run(tx);
      if (outcome.response.body === undefined) return outcome;
      return { ...outcome, complete: async () => {
        const found = await openAnnotation(parts.reader, content);
        if (found === undefined) throw fhirError('not-found', 'These bytes are no annotation that is shown here');
        return { ...outcome, response: jsonAnswer(outcome.response, 200, annotationFields(annotation.resource, found, documentId(context))) };
      } };
    },
  });
}

/** The query of FHIR that finds the annotations of a document. */
function annotationQuery(context: InteractionContext): [string, string][] {
  const asked = context.request.query.filter(([, value]) => value !== '');
  if (asked.some(([name]) => name !== '_count' && name !== '_cursor' && name !== '_before')) throw fhirError('invalid-parameter', 'Annotations are listed with _count alone');
  return [['relationship', `appends$DocumentReference/${documentId(context)}`], ['category', `${CATEGORY_SYSTEM}|${ANNOTATION_CATEGORY}`], ...asked.map(([name, value]): [string, string] => [name, value])];
}

function listAnnotations(parts: AnnotationParts): Interaction {
  const inner = searchType(parts);
  return {
    code: inner.code,
    kind: inner.kind,
    async prepare(context) {
      const { fhirBase } = parts;
      const prepared = await inner.prepare(inFhirTerms(context, { method: 'GET', query: annotationQuery(context) }));
      return { ...prepared, async run(tx) {
        await loadDocument(tx, context, documentId(context), fhirBase);
        const outcome = await prepared.run(tx);
        const set = readResource(outcome.response.body ?? '{}');
        const resources = objects(set['entry']).flatMap(({ resource }) => (isJsonObject(resource) && isAnnotation(resource) ? [resource] : []));
        const found: { resource: JsonObject; content: Awaited<ReturnType<typeof annotationContent>> }[] = [];
        for (const resource of resources) found.push({ resource, content: await annotationContent(tx, context, resource, fhirBase) });
        const link = linkHeader(objects(set['link']), context.request.query, `${parts.documentsUrl}/${documentId(context)}/annotations`);
        return { ...outcome, complete: async () => {
          const shown: AnnotationFields[] = [];
          const waiting = found.entries();
          const work = async (): Promise<void> => {
            for (const [at, { resource, content }] of waiting) {
              const annotation = await openAnnotation(parts.reader, content);
              if (annotation !== undefined) shown[at] = annotationFields(resource, annotation, documentId(context));
            }
          };
          await Promise.all(Array.from({ length: OPENED_AT_ONCE }, work));
          return { ...outcome, response: jsonAnswer(outcome.response, 200, shown.filter((one) => one !== undefined), link === undefined ? {} : { Link: link }) };
        } };
      } };
    },
  };
}

export interface AnnotationInteractions {
  create: Interaction;
  list: Interaction;
  read: Interaction;
  put: Interaction;
  patch: Interaction;
  delete: Interaction;
}

export function annotationInteractions(parts: AnnotationParts): AnnotationInteractions {
  return {
    create: createAnnotation(parts), list: listAnnotations(parts), read: readOneAnnotation(parts),
    put: changeAnnotation(parts, 'PUT'), patch: changeAnnotation(parts, 'PATCH'), delete: deleteAnnotation(parts),
  };
}
