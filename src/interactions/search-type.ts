// search-type (R4 http.html 3.1.0.11): one query for a page; the record names the matches, one event for each patient.
import { fhirError } from '../fhir/fhir-error.ts';
import type { AccessEntity } from '../audit/access-event.ts';
import type { Transaction } from '../database/database.ts';
import { typeNumber } from '../fhir/resource-type.ts';
import { parseCursor, printCursor, searchFingerprint, type Keyset } from '../search/page-cursor.ts';
import { parseSearch, type ParsedSearch } from '../search/parse-search.ts';
import { countQuery, ESTIMATE_MAX, pageQuery, type SearchScope } from '../search/search-query.ts';
import { runSearchQuery } from '../search/run-search-query.ts';
import { printSearchset, selfUrl } from '../search/searchset.ts';
import { defineInteraction, type Interaction, type InteractionContext, type Outcome } from './interaction.ts';
import { FHIR_JSON_TYPE } from './representation.ts';
import { patientEntity } from './write-outcome.ts';

interface MatchRow {
  id: string;
  version: number;
  last_updated: Date;
  /** Infinite for a resource without a date. */
  date_lo: Date | number;
  patient: string | null;
  body: string;
}

export function searchType(fhirBase: string, cursorKey: Buffer): Interaction {
  return defineInteraction({
    code: 'search-type',
    kind: 'read',
    run: (tx, context) => runSearch(tx, context, fhirBase, cursorKey),
  });
}

async function runSearch(tx: Transaction, context: InteractionContext, fhirBase: string, cursorKey: Buffer): Promise<Outcome> {
  const { request, org } = context;
  const strict = /handling=strict/.test(request.header('prefer') ?? '');
  const parsed = parseSearch(request.type, request.query, fhirBase, strict);
  const scope: SearchScope = { org: org.id, type: typeNumber(request.type), restriction: context.restriction, fhirBase };
  const fingerprint = searchFingerprint(org.id, request.type, parsed.used);
  const after = parsed.cursor === undefined ? undefined : parseCursor(cursorKey, fingerprint, parsed.cursor);
  const rows = parsed.count === 0 ? [] : await readPage(tx, parsed, scope, after);
  const shown = rows.slice(0, parsed.count);
  const last = shown.at(-1);
  const base = `${fhirBase}/${request.type}`;
  const complete = after === undefined && rows.length <= parsed.count && parsed.count > 0;
  const total = complete ? shown.length : await readTotal(tx, parsed, scope);
  const text = printSearchset({
    self: selfUrl(base, parsed.cursor === undefined ? parsed.used : [...parsed.used, ['_cursor', parsed.cursor]]),
    ...(rows.length > shown.length && last !== undefined ? { next: selfUrl(base, [...parsed.used, ['_cursor', printCursor(cursorKey, fingerprint, keysetOf(parsed, last))]]) } : {}),
    ...(total === undefined ? {} : { total }),
    entries: shown.map((row) => ({ fullUrl: `${base}/${row.id}`, text: row.body })),
    ignored: parsed.ignored,
  });
  return {
    response: { status: 200, headers: { 'Content-Type': FHIR_JSON_TYPE }, body: text },
    ...matchedEntities(request.type, shown),
  };
}

/** Matches by patient; those about nobody here stand alone. */
function matchedEntities(type: string, shown: readonly MatchRow[]): Pick<Outcome, 'entities' | 'byPatient'> {
  const entities: AccessEntity[] = [];
  const byPatient = new Map<string, AccessEntity[]>();
  for (const row of shown) {
    const entity: AccessEntity = { reference: `${type}/${row.id}/_history/${row.version}`, role: 'data' };
    const [patient] = patientEntity(row.patient);
    if (patient === undefined) { entities.push(entity); continue; }
    const matches = byPatient.get(patient.reference);
    if (matches === undefined) byPatient.set(patient.reference, [entity]);
    else matches.push(entity);
  }
  return { entities, byPatient };
}

async function readPage(tx: Transaction, parsed: ParsedSearch, scope: SearchScope, after: Keyset | undefined): Promise<MatchRow[]> {
  const query = pageQuery(parsed, scope, after);
  return runSearchQuery<MatchRow>(tx, query);
}

/** Exact when asked for, capped for an estimate, for `_count=0` exact as well, else not given. */
async function readTotal(tx: Transaction, parsed: ParsedSearch, scope: SearchScope): Promise<number | undefined> {
  const exact = parsed.total === 'accurate' || (parsed.count === 0 && parsed.total === 'none');
  if (!exact && parsed.total === 'none') return undefined;
  const query = countQuery(parsed, scope, exact);
  try {
    const rows = await runSearchQuery<{ total: number }>(tx, query);
    return exact ? rows[0]?.total : Math.min(rows[0]?.total ?? 0, ESTIMATE_MAX);
  } catch (error) {
    if ((error as { code?: string }).code === '57014') throw fhirError('too-costly', 'Counting took too long; narrow the search or leave _total out', { cause: error });
    throw error;
  }
}

function keysetOf(parsed: ParsedSearch, row: MatchRow): Keyset {
  if (parsed.sort.column === 'id') return { value: null, id: row.id };
  const value = parsed.sort.column === 'date' ? row.date_lo : row.last_updated;
  return { value: value instanceof Date ? value.getTime() : Number(value), id: row.id };
}
