// What the histories of a resource, a type and the system have in common (R4 http.html 3.1.0.12): parameters, pages in
// both directions, the Bundle, and what the record names of it.
import type { Restriction } from '../access/restriction.ts';
import type { Transaction } from '../database/database.ts';
import { versionTag } from '../fhir/etag.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { parseDateRange, printInstant, type DateRange } from '../fhir/instant.ts';
import { PRIMITIVES } from '../fhir/primitives.ts';
import { typeName } from '../fhir/resource-type.ts';
import { permittedVersions } from '../resources/permitted-version.ts';
import { countHistory, readHistoryPage, readPermittedPage, type HistoryPage, type HistoryPlace, type HistoryRow, type HistoryScope } from '../resources/read-history.ts';
import { parseCursor, printCursor, searchFingerprint } from '../search/page-cursor.ts';
import { COUNT_DEFAULT, COUNT_MAX } from '../search/parse-search.ts';
import { searchUrl } from '../search/searchset.ts';
import type { FhirRequest, InteractionContext, Outcome } from './interaction.ts';
import { FHIR_JSON_TYPE } from './representation.ts';
import { patientEntity } from './write-outcome.ts';

export interface HistoryParts {
  fhirBase: string;
  cursorKey: Buffer;
}

interface HistoryParameters {
  count: number;
  since?: number;
  at?: DateRange;
  cursor?: { side: 'after' | 'before'; text: string };
  /** Whether the total was asked for where it costs. */
  total: boolean;
  /** Name and value of what links repeat; `form` says how the answer looks. */
  used: [string, string][];
  form: [string, string][];
}

const invalid = (diagnostics: string): Error => fhirError('invalid-parameter', diagnostics);

/** An unescaped + of a zone arrives as a space. */
const zoned = (text: string): string => text.replace(/ (\d{2}:\d{2})$/, '+$1');

function readParameters(request: FhirRequest): HistoryParameters {
  const parameters: HistoryParameters = { count: COUNT_DEFAULT, total: false, used: [], form: [] };
  const seen = new Set<string>();
  const unknown: string[] = [];
  for (const [name, value] of request.query) {
    if (seen.has(name) && name.startsWith('_')) throw invalid(`${name} may not be repeated`);
    seen.add(name);
    if (!readParameter(parameters, name, value)) unknown.push(name.slice(0, 60));
  }
  if (unknown.length > 0 && /handling=strict/.test(request.header('prefer') ?? '')) throw invalid(`A history has no parameter ${unknown.join(', ')}`);
  parameters.used.push(['_count', String(parameters.count)]);
  return parameters;
}

/** False for a parameter that a history does not have. */
function readParameter(parameters: HistoryParameters, name: string, value: string): boolean {
  switch (name) {
    case '_count':
      if (!/^[1-9]\d{0,8}$/.test(value)) throw invalid('_count must be a whole number of 1 or more');
      parameters.count = Math.min(Number(value), COUNT_MAX);
      return true;
    case '_since': {
      const text = zoned(value);
      const range = parseDateRange(text);
      if (range === undefined || PRIMITIVES.get('instant')?.(text) !== undefined) throw invalid('_since must be an instant, with seconds and zone, such as 2024-05-06T07:08:09Z');
      parameters.since = range.lo;
      break;
    }
    case '_at': {
      const range = parseDateRange(zoned(value));
      if (range === undefined) throw invalid('_at must be a date or a time, such as 2024-05');
      parameters.at = range;
      break;
    }
    case '_cursor': parameters.cursor = { side: 'after', text: value }; return true;
    case '_before': parameters.cursor = { side: 'before', text: value }; return true;
    case '_total': parameters.total = value === 'accurate'; break;
    case '_format': case '_pretty': parameters.form.push([name, value]); return true;
    default: return false;
  }
  parameters.used.push([name, value]);
  return true;
}

/** `further`: type and version of the place, and the newest moment that the first page saw. */
function readPage(parts: HistoryParts, fingerprint: string, parameters: HistoryParameters): HistoryPage {
  const limit = parameters.count + 1;
  if (parameters.cursor === undefined) return { limit };
  const { value, id, further = [] } = parseCursor(parts.cursorKey, fingerprint, parameters.cursor.text);
  const [type, version, newest] = further.map(Number);
  if (value === null || type === undefined || version === undefined || newest === undefined) throw invalid('_cursor does not belong to this history');
  return { limit, newest, from: { side: parameters.cursor.side, place: { lastUpdated: value, type, id, version } } };
}

const placeOf = (row: HistoryRow): HistoryPlace => ({ lastUpdated: row.last_updated.getTime(), type: row.type, id: row.id, version: row.version });

export interface HistorySubject extends HistoryScope {
  /** By the number of each type; what is confined is looked through version by version. */
  restrictions: ReadonlyMap<number, Restriction>;
  /** Below the base: DocumentReference/1/_history */
  path: string;
  /** Its total costs nothing: it is told on every page. */
  counted: boolean;
}

/** The texts and the outcome of one page. `text` makes the resource of a version; a deletion has none. */
export async function answerHistory(tx: Transaction, context: InteractionContext, parts: HistoryParts, subject: HistorySubject, text: (row: HistoryRow) => string | null = (row) => row.body): Promise<Outcome> {
  const parameters = readParameters(context.request);
  const fingerprint = searchFingerprint(subject.org, subject.path, parameters.used);
  const page = readPage(parts, fingerprint, parameters);
  const scope: HistoryScope = { ...subject, ...(parameters.since === undefined ? {} : { since: parameters.since }), ...(parameters.at === undefined ? {} : { at: parameters.at }) };
  const isConfined = [...subject.restrictions.values()].some(({ kind }) => kind !== 'none');
  const permitted = isConfined ? (rows: readonly HistoryRow[]) => permittedVersions(tx, subject.org, subject.restrictions, rows, parts.fhirBase) : undefined;
  const rows = subject.types.length === 0 ? [] : permitted === undefined ? await readHistoryPage(tx, scope, page) : await readPermittedPage(tx, scope, page, permitted);
  const backwards = page.from?.side === 'before';
  const more = rows.length > parameters.count;
  const shown = backwards ? rows.slice(-parameters.count) : rows.slice(0, parameters.count);
  const complete = page.from === undefined && !more;
  const total = complete ? shown.length : subject.counted || parameters.total ? await countHistory(tx, scope, permitted) : undefined;
  const cursor = (row: HistoryRow): string => {
    const { lastUpdated, id, type, version } = placeOf(row);
    return printCursor(parts.cursorKey, fingerprint, { value: lastUpdated, id, further: [type, version, page.newest ?? shown[0]?.last_updated.getTime() ?? 0] });
  };
  const links = linksOf(`${parts.fhirBase}/${subject.path}`, parameters, { shown, older: backwards || more, newer: backwards ? more : page.from !== undefined, cursor });
  const head = JSON.stringify({ resourceType: 'Bundle', type: 'history', ...(total === undefined ? {} : { total }), link: links });
  const entries = shown.map((row) => printEntry(row, text(row), parts.fhirBase));
  return {
    response: { status: 200, headers: { 'Content-Type': FHIR_JSON_TYPE }, body: entries.length === 0 ? head : `${head.slice(0, -1)},"entry":[${entries.join(',')}]}` },
    // Each version that is shown is seen, and so is each patient whom one was about.
    entities: [
      ...[...new Set(shown.map((row) => row.patient))].flatMap(patientEntity),
      ...shown.map((row) => ({ reference: `${typeName(row.type)}/${row.id}/_history/${row.version}`, role: 'data' as const })),
    ],
  };
}

interface Neighbours {
  shown: readonly HistoryRow[];
  older: boolean;
  newer: boolean;
  cursor: (row: HistoryRow) => string;
}

function linksOf(base: string, { used, form, cursor: asked }: HistoryParameters, { shown, older, newer, cursor }: Neighbours): object[] {
  const url = (more: [string, string][]): string => searchUrl(base, [...used, ...more, ...form]);
  const [first, last] = [shown[0], shown.at(-1)];
  return [
    { relation: 'self', url: url(asked === undefined ? [] : [[asked.side === 'after' ? '_cursor' : '_before', asked.text]]) },
    ...(newer && first !== undefined ? [{ relation: 'previous', url: url([['_before', cursor(first)]]) }] : []),
    ...(older && last !== undefined ? [{ relation: 'next', url: url([['_cursor', cursor(last)]]) }] : []),
  ];
}

/** A method and status of its own for each version: the first is a creation, and so is one that follows a deletion. */
function printEntry(row: HistoryRow, text: string | null, fhirBase: string): string {
  const type = typeName(row.type);
  const created = row.method === 'POST' || row.version === 1 || row.after_deletion === true;
  const head = JSON.stringify({
    fullUrl: `${fhirBase}/${type}/${row.id}`,
    request: { method: row.method, url: row.method === 'POST' ? type : `${type}/${row.id}` },
    response: { status: row.deleted ? '204' : created ? '201' : '200', etag: versionTag(row.version), lastModified: printInstant(row.last_updated.getTime()) },
  });
  return text === null ? head : `${head.slice(0, -1)},"resource":${text}}`;
}
