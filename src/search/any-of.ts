// Conditions of which one is enough, such as those of a compartment: the index rows of each, taken together.
import { indexHash } from './index-hash.ts';
import type { SearchClause } from './parse-search.ts';

/** The index rows of a clause on references, as (last_updated, id). */
function indexRows(clause: SearchClause, org: number, type: number, add: (value: unknown, cast?: string) => string): string {
  const hashes = clause.values.flatMap((value) => (value.kind === 'reference' ? value.keys.map((key) => String(indexHash(key))) : []));
  return `select last_updated, id from search_reference where org = ${add(org)} and type = ${add(type)} and param = ${add(clause.parameter.number)} and hash = any(${add(hashes, '::bigint[]')})`;
}

/** Holds for the resource `r` when one of `clauses` does; each is a clause on a reference that has index rows. */
export function anyOfPredicate(clauses: readonly SearchClause[], org: number, type: number, add: (value: unknown, cast?: string) => string): string {
  if (clauses.length === 0) return 'false';
  return `(r.last_updated, r.id) in (${clauses.map((clause) => indexRows(clause, org, type, add)).join(' union all ')})`;
}
