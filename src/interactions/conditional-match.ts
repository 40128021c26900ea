// The search behind a conditional interaction (R4 http.html 3.1.0.4.3, 3.1.0.7.1, 3.1.0.8.1): no match, one, or 412. Two
// requests with the same criteria wait for each other, so that one of them finds what the other made.
import { authorize } from '../access/authorize.ts';
import type { Restriction } from '../access/restriction.ts';
import type { Transaction } from '../database/database.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { typeNumber, type ResourceType } from '../fhir/resource-type.ts';
import { indexHash } from '../search/index-hash.ts';
import { parseSearch, type ParsedSearch } from '../search/parse-search.ts';
import { restrictSearch } from '../search/restrict-search.ts';
import { findBegin } from '../search/search-plan.ts';
import { pageQuery, type SearchQuery, type SearchScope } from '../search/search-query.ts';
import { runSearchQuery } from '../search/run-search-query.ts';
import type { InteractionContext } from './interaction.ts';

export interface ExistingMatch {
  id: string;
  version: number;
  lastUpdated: number;
  text: string;
  patient: string | null;
}

/** Parameters that say how an answer looks, not what is asked for. */
const FORM = /^_(format|pretty|count|sort|total|summary|elements)$/;

/** identifier=s|v, ?identifier=s|v, DocumentReference?identifier=s|v and the same below a base all ask the same. Raises 400 for another type. */
function criteriaOf(type: ResourceType, header: string): [string, string][] {
  const mark = header.indexOf('?');
  const before = mark < 0 ? '' : header.slice(0, mark);
  if (before !== '' && before.split('/').at(-1) !== type) throw fhirError('invalid-parameter', `The criteria are not for ${type}`);
  return [...new URLSearchParams(header.slice(mark + 1))];
}

/** Raises 400 where the criteria, or one of them, would match everything. */
function parseCriteria(type: ResourceType, pairs: readonly [string, string][], fhirBase: string): ParsedSearch {
  const criteria = pairs.filter(([name]) => !FORM.test(name));
  const empty = criteria.find(([, value]) => value.replaceAll(',', '').trim() === '');
  if (empty !== undefined) throw fhirError('invalid-parameter', `The criterion ${empty[0].slice(0, 60)} has no value`);
  const parsed = parseSearch(type, criteria, fhirBase, true);
  if (parsed.clauses.length === 0) throw fhirError('invalid-parameter', 'A conditional interaction needs search parameters that say which resource is meant');
  parsed.clauses.sort((a, b) => (a.parameter.name < b.parameter.name ? -1 : 1));
  return parsed;
}

/** So many at most: beyond that it only counts that there are several. A page reads one row more than it shows. */
async function matches(tx: Transaction, parsed: ParsedSearch, scope: SearchScope, countMax: number): Promise<SearchQuery> {
  const wanted: ParsedSearch = { ...parsed, count: countMax - 1, sort: { column: 'last_updated', descending: true } };
  const { parsed: asked, scope: within } = restrictSearch(wanted, scope);
  return pageQuery(asked, within, undefined, await findBegin(tx, asked, within));
}

/** Criteria tell what there is, so that they need the right to search. Raises 403. */
function searchRestriction({ principal }: InteractionContext, type: ResourceType): Restriction {
  const decision = authorize(principal, { interaction: 'search-type', type });
  if (!decision.permit) throw fhirError('forbidden', decision.reason);
  return decision.restriction;
}

/**
 * The one resource that the criteria name, as far as the caller may search: what is hidden is not there. With `wait`,
 * requests with the same criteria follow one another. Raises 400 for criteria that are empty or not understood, 412
 * `multiple-matches` for several.
 */
export async function findMatch(tx: Transaction, context: InteractionContext, pairs: readonly [string, string][], fhirBase: string, wait: boolean): Promise<ExistingMatch | undefined> {
  const { request, org } = context;
  const parsed = parseCriteria(request.type, pairs, fhirBase);
  if (wait) {
    const lock = indexHash(JSON.stringify([org.id, request.type, parsed.used.filter(([name]) => !FORM.test(name)).sort()]));
    await tx.query('select pg_advisory_xact_lock($1)', [lock.toString()]);
  }
  const query = await matches(tx, parsed, { org: org.id, type: typeNumber(request.type), restriction: searchRestriction(context, request.type), fhirBase }, 2);
  const rows = await runSearchQuery<{ id: string; version: number; last_updated: Date; body: string; patient: string | null }>(tx, query);
  if (rows.length > 1) throw fhirError('multiple-matches', 'The criteria match more than one resource');
  const row = rows[0];
  return row === undefined ? undefined : { id: row.id, version: row.version, lastUpdated: row.last_updated.getTime(), text: row.body, patient: row.patient };
}

/** The match of If-None-Exist. */
export async function findExisting(tx: Transaction, context: InteractionContext, header: string, fhirBase: string): Promise<ExistingMatch | undefined> {
  return findMatch(tx, context, criteriaOf(context.request.type, header), fhirBase, true);
}

/**
 * Ids of what the criteria of an entry or of a conditional reference match, two and `more` at most, outside any transaction. Raises
 * 403 without the right to search the type, 400 for criteria that are empty or not understood.
 */
export async function findMatches(context: InteractionContext, type: ResourceType, criteria: string, fhirBase: string, more = 0): Promise<string[]> {
  const restriction = searchRestriction(context, type);
  const parsed = parseSearch(type, new URLSearchParams(criteria.replace(/^[^?]*\?/, '')), fhirBase, true);
  if (parsed.clauses.length === 0) throw fhirError('invalid-parameter', 'A condition must hold search parameters');
  const scope: SearchScope = { org: context.org.id, type: typeNumber(type), restriction, fhirBase };
  const rows = await context.read(async (tx) => runSearchQuery<{ id: string }>(tx, await matches(tx, parsed, scope, 2 + more)));
  return rows.map((row) => row.id);
}
