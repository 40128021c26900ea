// The search behind If-None-Exist: no match, one, or 412. Two requests with the same criteria wait for each other, so
// that one of them finds what the other made.
import type { Transaction } from '../database/database.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { typeNumber } from '../fhir/resource-type.ts';
import { indexHash } from '../search/index-hash.ts';
import { parseSearch } from '../search/parse-search.ts';
import { pageQuery } from '../search/search-query.ts';
import { runSearchQuery } from '../search/run-search-query.ts';
import type { InteractionContext } from './interaction.ts';

export interface ExistingMatch {
  id: string;
  version: number;
  lastUpdated: number;
  text: string;
  patient: string | null;
}

/** Raises 400 for criteria that are empty or not understood, 412 `multiple-matches` for several. */
export async function findExisting(tx: Transaction, context: InteractionContext, criteria: string, fhirBase: string): Promise<ExistingMatch | undefined> {
  const { request, org } = context;
  const parsed = parseSearch(request.type, new URLSearchParams(criteria.replace(/^[^?]*\?/, '')), fhirBase, true);
  if (parsed.clauses.length === 0) throw fhirError('invalid-parameter', 'If-None-Exist must hold search parameters');
  parsed.clauses.sort((a, b) => (a.parameter.name < b.parameter.name ? -1 : 1));
  const lock = indexHash(JSON.stringify([org.id, request.type, parsed.used.filter(([name]) => !name.startsWith('_count')).sort()]));
  await tx.query('select pg_advisory_xact_lock($1)', [lock.toString()]);
  const query = pageQuery({ ...parsed, count: 2, sort: { column: 'id', descending: false } }, { org: org.id, type: typeNumber(request.type), restriction: context.restriction, fhirBase }, undefined);
  const rows = await runSearchQuery<{ id: string; version: number; last_updated: Date; body: string; patient: string | null }>(tx, query);
  if (rows.length > 1) throw fhirError('multiple-matches', 'If-None-Exist matches more than one resource');
  const row = rows[0];
  return row === undefined ? undefined : { id: row.id, version: row.version, lastUpdated: row.last_updated.getTime(), text: row.body, patient: row.patient };
}
