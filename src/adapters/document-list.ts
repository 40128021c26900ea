// GET /documents: a search of DocumentReference with the customer's filters, newest first, metadata alone. Annotations are
// documents for FHIR and none here.
import { fhirError } from '../fhir/fhir-error.ts';
import { isJsonObject, type JsonObject } from '../fhir/json.ts';
import type { Transaction } from '../database/database.ts';
import type { Interaction, InteractionContext, Outcome } from '../interactions/interaction.ts';
import type { SearchParts } from '../interactions/run-search.ts';
import { searchType } from '../interactions/search-type.ts';
import { readResource } from '../resources/resource-text.ts';
import { ANNOTATION_CATEGORY, CATEGORY_SYSTEM, categoryCodes } from './document-fields.ts';
import { withThumbnails, type ShownDocuments } from './document-thumbnails.ts';
import { jsonAnswer, translated } from './translated.ts';

type Pair = [string, string];

/** Parameters of this way in, and how FHIR says the same. */
const FILTERS: Readonly<Record<string, (value: string) => Pair>> = {
  patient_id: (value) => ['patient', value],
  encounter_id: (value) => ['encounter', value],
  category: (value) => ['category', value.split(',').map((code) => `${CATEGORY_SYSTEM}|${code}`).join(',')],
  date: (value) => ['date', value],
  _count: (value) => ['_count', value],
  _cursor: (value) => ['_cursor', value],
  _before: (value) => ['_before', value],
};

/** The search that the filters mean. Raises 400 `invalid-parameter` for a filter that is not offered: leaving it out would answer another question. */
export function documentQuery(query: readonly (readonly [string, string])[]): Pair[] {
  const asked = query.filter(([, value]) => value !== '').map(([name, value]): Pair => {
    const filter = Object.hasOwn(FILTERS, name) ? FILTERS[name] : undefined;
    if (filter === undefined) throw fhirError('invalid-parameter', `The filters are ${Object.keys(FILTERS).filter((one) => !/^_(?:cursor|before)$/.test(one)).join(', ')}`);
    return filter(value);
  });
  // What excludes needs a bound; where there is none, annotations are left out of the page.
  const isBounded = asked.some(([name]) => name === 'patient');
  return isBounded ? [...asked, ['category:not', `${CATEGORY_SYSTEM}|${ANNOTATION_CATEGORY}`]] : asked;
}

const objects = (value: unknown): JsonObject[] => (Array.isArray(value) ? value.filter(isJsonObject) : []);

/** Links of a searchset as those of this way in (RFC 8288): the same filters, and the place of the page. */
export function linkHeader(links: readonly JsonObject[], asked: readonly (readonly [string, string])[], documentsUrl: string): string | undefined {
  const kept = asked.filter(([name]) => name !== '_cursor' && name !== '_before');
  const shown = links.flatMap(({ relation, url }) => {
    if (typeof url !== 'string' || typeof relation !== 'string' || relation === 'self') return [];
    const place = [...new URL(url).searchParams].filter(([name]) => name === '_cursor' || name === '_before');
    return [`<${documentsUrl}?${new URLSearchParams([...kept.map(([name, value]): Pair => [name, value]), ...place]).toString()}>; rel="${relation}"`];
  });
  return shown.length === 0 ? undefined : shown.join(', ');
}

async function listAnswer(outcome: Outcome, context: InteractionContext, shown: ShownDocuments, tx: Transaction): Promise<Outcome> {
  const { documentsUrl } = shown;
  const set = readResource(outcome.response.body ?? '{}');
  const found = objects(set['entry']).flatMap(({ resource }) => (isJsonObject(resource) && resource['resourceType'] === 'DocumentReference' ? [resource] : []));
  const documents = found.filter((document) => !categoryCodes(document).includes(ANNOTATION_CATEGORY));
  const link = linkHeader(objects(set['link']), context.request.query, documentsUrl);
  return withThumbnails(shown, tx, context, documents, (fields) => ({ ...outcome, response: jsonAnswer(outcome.response, 200, fields, link === undefined ? {} : { Link: link }) }));
}

export function listDocuments(parts: SearchParts, shown: ShownDocuments): Interaction {
  return translated(searchType(parts), {
    ask: ({ request }) => ({ method: 'GET', type: 'DocumentReference', query: documentQuery(request.query) }),
    answer: (outcome, context, tx) => (tx === undefined ? outcome : listAnswer(outcome, context, shown, tx)),
  });
}
