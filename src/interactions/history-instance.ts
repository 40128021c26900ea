// history-instance (R4 http.html 3.1.0.12): all versions of one resource, newest first, deletions without a resource.
import type { VersionRow } from '../database/tables.ts';
import { versionTag } from '../fhir/etag.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { printInstant } from '../fhir/instant.ts';
import { typeNumber } from '../fhir/resource-type.ts';
import { readHistory } from '../resources/read-version.ts';
import { COUNT_DEFAULT, COUNT_MAX } from '../search/parse-search.ts';
import { defineInteraction, type Interaction } from './interaction.ts';
import { FHIR_JSON_TYPE } from './representation.ts';
import { patientEntity } from './write-outcome.ts';

interface HistoryPage {
  count: number;
  before: number | undefined;
}

function readPage(query: readonly [string, string][]): HistoryPage {
  const page: HistoryPage = { count: COUNT_DEFAULT, before: undefined };
  for (const [name, value] of query) {
    if (name === '_count') {
      if (!/^[1-9]\d{0,8}$/.test(value)) throw fhirError('invalid-parameter', '_count must be a whole number of 1 or more');
      page.count = Math.min(Number(value), COUNT_MAX);
    } else if (name === '_before') {
      if (!/^[1-9]\d{0,8}$/.test(value)) throw fhirError('invalid-parameter', '_before belongs to the links of this history');
      page.before = Number(value);
    }
  }
  return page;
}

/** A method and status of its own for each version: the first is a creation, and so is one that follows a deletion. */
function historyEntry(row: VersionRow, older: VersionRow | undefined, type: string, fhirBase: string): string {
  const created = row.method === 'POST' || row.version === 1 || older?.deleted === true;
  const url = row.method === 'POST' ? type : `${type}/${row.id}`;
  const status = row.deleted ? '204' : created ? '201' : '200';
  const head = JSON.stringify({
    fullUrl: `${fhirBase}/${type}/${row.id}`,
    request: { method: row.method, url },
    response: { status, etag: versionTag(row.version), lastModified: printInstant(row.last_updated.getTime()) },
  });
  return row.body === null ? head : `${head.slice(0, -1)},"resource":${row.body}}`;
}

export function historyInstance(fhirBase: string): Interaction {
  return defineInteraction({
    code: 'history-instance',
    kind: 'read',
    async run(tx, { request, org }) {
      const { type, id } = request;
      const page = readPage(request.query);
      // One row more than shown: it tells whether there is a next page, and how the last one shown came about.
      const rows = await readHistory(tx, org.id, typeNumber(type), id, page.count + 1, page.before);
      const newest = rows[0];
      if (newest === undefined) throw fhirError('not-found', `${type}/${id} is not known here`);
      const shown = rows.slice(0, page.count);
      const last = shown.at(-1) as VersionRow;
      const base = `${fhirBase}/${type}/${id}/_history`;
      const total = page.before === undefined ? newest.version : (await readHistory(tx, org.id, typeNumber(type), id, 1))[0]?.version ?? newest.version;
      const self = `${base}?_count=${page.count}${page.before === undefined ? '' : `&_before=${page.before}`}`;
      const link = [{ relation: 'self', url: self }, ...(rows.length > shown.length ? [{ relation: 'next', url: `${base}?_count=${page.count}&_before=${last.version}` }] : [])];
      const head = JSON.stringify({ resourceType: 'Bundle', type: 'history', total, link });
      const entries = shown.map((row, position) => historyEntry(row, rows[position + 1], type, fhirBase));
      return {
        response: { status: 200, headers: { 'Content-Type': FHIR_JSON_TYPE }, body: `${head.slice(0, -1)},"entry":[${entries.join(',')}]}` },
        // Each version that is shown is seen, and so is each patient whom one was about.
        entities: [
          ...[...new Set(shown.map((row) => row.patient))].flatMap(patientEntity),
          ...shown.map((row) => ({ reference: `${type}/${id}/_history/${row.version}`, role: 'data' as const })),
        ],
      };
    },
  });
}
