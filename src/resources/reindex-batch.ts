// One step of a reindex: some resources are read, locked, extracted anew, and what their index lacks is added. Rows that
// are there already stay; a writer that is faster has made the rows of its own version.
import type { Transaction } from '../database/database.ts';
import { typeName } from '../fhir/resource-type.ts';
import { extractIndexValues, type IndexValues } from '../search/extract-index-values.ts';
import { readResource } from './resource-text.ts';

export interface ReindexPlace {
  org: number;
  id: string;
}

interface ReindexedRow {
  org: number;
  id: string;
  last_updated: Date;
  body: string;
}

const instant = (ms: number): string => (Number.isFinite(ms) ? new Date(ms).toISOString() : ms > 0 ? 'infinity' : '-infinity');

interface IndexTable {
  name: string;
  /** Columns between the parameter and the version, with the type of each. */
  columns: readonly [string, string][];
  rows(index: IndexValues): { param: number; values: string[] }[];
}

const hashTable = (name: string, of: 'tokens' | 'references' | 'composites'): IndexTable => (
  { name, columns: [['hash', 'bigint']], rows: (index) => index[of].map(({ param, hash }) => ({ param, values: [hash.toString()] })) });

const TABLES: readonly IndexTable[] = [
  hashTable('search_token', 'tokens'), hashTable('search_reference', 'references'), hashTable('search_composite', 'composites'),
  { name: 'search_string', columns: [['norm', 'text']], rows: (index) => index.strings.map(({ param, text }) => ({ param, values: [text] })) },
  { name: 'search_uri', columns: [['value', 'text']], rows: (index) => index.uris.map(({ param, text }) => ({ param, values: [text] })) },
  { name: 'search_date', columns: [['lo', 'timestamptz'], ['hi', 'timestamptz']], rows: (index) => index.dates.map(({ param, range }) => ({ param, values: [instant(range.lo), instant(range.hi)] })) },
];

type Extracted = ReindexedRow & { index: IndexValues };

async function addRows(tx: Transaction, table: IndexTable, type: number, resources: readonly Extracted[]): Promise<void> {
  const rows = resources.flatMap((resource) => table.rows(resource.index).map((row) => ({ resource, ...row })));
  if (rows.length === 0) return;
  const names = table.columns.map(([name]) => name);
  const casts = table.columns.map(([, cast], position) => `$${6 + position}::${cast}[]`);
  await tx.query(
    `insert into ${table.name} (org, type, param, last_updated, id, ${names.join(', ')})
      select n.org, $1, n.param, n.last_updated, n.id, ${names.map((name) => `n.${name}`).join(', ')}
      from unnest($2::int[], $3::smallint[], $4::timestamptz[], $5::text[], ${casts.join(', ')}) as n (org, param, last_updated, id, ${names.join(', ')})
      on conflict do nothing`,
    [type, rows.map(({ resource }) => resource.org), rows.map(({ param }) => param), rows.map(({ resource }) => resource.last_updated.toISOString()), rows.map(({ resource }) => resource.id),
      ...table.columns.map((_column, position) => rows.map(({ values }) => values[position]))],
  );
}

async function setColumns(tx: Transaction, type: number, resources: readonly Extracted[]): Promise<void> {
  await tx.query(
    `update resource r set status = n.status, patient = n.patient, date_lo = n.date_lo, date_hi = n.date_hi, present = n.present, words = n.words
      from unnest($2::int[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[], $8::bigint[], $9::text[]) as n (org, id, status, patient, date_lo, date_hi, present, words)
      where r.org = n.org and r.type = $1 and r.id = n.id`,
    [type, resources.map(({ org }) => org), resources.map(({ id }) => id), resources.map(({ index }) => index.status), resources.map(({ index }) => index.patient),
      resources.map(({ index }) => instant(index.date?.lo ?? -Infinity)), resources.map(({ index }) => (index.date === null ? null : instant(index.date.hi))),
      resources.map(({ index }) => index.present?.toString() ?? null), resources.map(({ index }) => index.words)],
  );
}

/** The next resources after `place`, over all organisations, by organisation and id. Answers how many there were, and the last. */
export async function reindexBatch(tx: Transaction, type: number, place: ReindexPlace, count: number, fhirBase: string): Promise<{ done: number; last: ReindexPlace | undefined }> {
  const { rows } = await tx.query<ReindexedRow>({
    name: 'reindex-batch',
    text: `select r.org, r.id, r.last_updated, r.body from organisation g cross join lateral (
        select org, id, last_updated, body from resource
        where org = g.id and type = $1 and id > case when g.id = $2 then $3 else '' end and not deleted order by id limit $4 for update) r
      where g.id >= $2 order by r.org, r.id limit $4`,
    values: [type, place.org, place.id, count],
  });
  const resources = rows.map((row) => ({ ...row, index: extractIndexValues(readResource(row.body), typeName(type), fhirBase) }));
  if (resources.length === 0) return { done: 0, last: undefined };
  for (const table of TABLES) await addRows(tx, table, type, resources);
  await setColumns(tx, type, resources);
  return { done: resources.length, last: resources.at(-1) };
}
