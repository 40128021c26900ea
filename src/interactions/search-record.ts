// search-type of AuditEvent and Provenance: two views of one row, newest first.
import { uuidV7Time } from '../fhir/uuid-v7.ts';
import { renderRecord, type RecordType } from '../resources/read-record.ts';
import { parseCursor, printCursor, searchFingerprint } from '../search/page-cursor.ts';
import { parseSearch, type ParsedSearch } from '../search/parse-search.ts';
import { recordCountQuery, recordPageQuery } from '../search/record-query.ts';
import { ESTIMATE_MAX } from '../search/search-query.ts';
import { runSearchQuery } from '../search/run-search-query.ts';
import { printSearchset, selfUrl } from '../search/searchset.ts';
import type { Transaction } from '../database/database.ts';
import { defineInteraction, type Interaction, type InteractionContext, type Outcome } from './interaction.ts';
import { FHIR_JSON_TYPE } from './representation.ts';

interface RecordRow {
  id: string;
  body: string;
}

export function searchRecord(fhirBase: string, cursorKey: Buffer): Interaction {
  return defineInteraction({
    code: 'search-type',
    kind: 'read',
    run: (tx, context) => runSearch(tx, context, fhirBase, cursorKey),
  });
}

async function runSearch(tx: Transaction, context: InteractionContext, fhirBase: string, cursorKey: Buffer): Promise<Outcome> {
  const { request, org } = context;
  const type = request.type as RecordType;
  const parsed = parseSearch(type, request.query, fhirBase, /handling=strict/.test(request.header('prefer') ?? ''));
  const fingerprint = searchFingerprint(org.id, type, parsed.used);
  const after = parsed.cursor === undefined ? undefined : parseCursor(cursorKey, fingerprint, parsed.cursor);
  const query = recordPageQuery(parsed, org.id, after);
  const rows = context.restriction.kind === 'nothing' || parsed.count === 0 ? [] : await runSearchQuery<RecordRow>(tx, query);
  const shown = rows.slice(0, parsed.count);
  const last = shown.at(-1);
  const base = `${fhirBase}/${type}`;
  const complete = after === undefined && rows.length <= parsed.count && parsed.count > 0;
  const total = complete ? shown.length : await readTotal(tx, parsed, org.id);
  const more = rows.length > shown.length && last !== undefined;
  const text = printSearchset({
    self: selfUrl(base, parsed.cursor === undefined ? parsed.used : [...parsed.used, ['_cursor', parsed.cursor]]),
    ...(more ? { next: selfUrl(base, [...parsed.used, ['_cursor', printCursor(cursorKey, fingerprint, { value: uuidV7Time(last.id), id: last.id })]]) } : {}),
    ...(total === undefined ? {} : { total }),
    entries: shown.map((row) => ({ fullUrl: `${base}/${row.id}`, text: renderRecord(type, row.body) })),
    ignored: parsed.ignored,
  });
  // The matches are not named: a look into the record would otherwise grow with each look before it.
  return { response: { status: 200, headers: { 'Content-Type': FHIR_JSON_TYPE }, body: text }, entities: [] };
}

async function readTotal(tx: Transaction, parsed: ParsedSearch, org: number): Promise<number | undefined> {
  const exact = parsed.total === 'accurate' || (parsed.count === 0 && parsed.total === 'none');
  if (!exact && parsed.total === 'none') return undefined;
  const query = recordCountQuery(parsed, org, exact ? undefined : ESTIMATE_MAX);
  return (await runSearchQuery<{ total: number }>(tx, query))[0]?.total;
}
