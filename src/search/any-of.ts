// Conditions of which one is enough, such as those of a compartment.
import { clausePredicate } from './clause-predicate.ts';
import { clauseRanges, isLongPrefix, rangeQuery, type ClauseRange } from './clause-ranges.ts';
import type { SearchClause } from './parse-search.ts';
import type { Values } from './query-values.ts';

interface AnyOfScope {
  org: number;
  type: number;
  fhirBase: string;
}

/** Ranges that together hold every match; undefined where no index bounds one of the clauses. */
export function rangesOfAny(clauses: readonly SearchClause[], fhirBase: string): ClauseRange[] | undefined {
  const ranges = clauses.map((clause) => clauseRanges(clause, fhirBase)[0]);
  return ranges.every((list) => list !== undefined) ? ranges.flat() : undefined;
}

/** Ranges that hold nothing but matches. */
function exactRanges(clauses: readonly SearchClause[], fhirBase: string): ClauseRange[] | undefined {
  const isLong = clauses.some(({ values }) => values.some((value) => value.kind === 'text' && value.prefixes.some(isLongPrefix)));
  return isLong ? undefined : rangesOfAny(clauses, fhirBase);
}

/**
 * Holds for the resource `r` when one of `clauses` does: looked up for each resource, or, where all of them are wanted
 * (`together`), as the set of all that lie in the ranges. `position` tells the aliases of several lists apart.
 */
export function anyOfPredicate(clauses: readonly SearchClause[], position: number, scope: AnyOfScope, values: Values, together: boolean): string {
  const ranges = together ? exactRanges(clauses, scope.fhirBase) : undefined;
  if (clauses.length === 0 || ranges?.length === 0) return 'false';
  if (ranges !== undefined) return `(r.id, r.last_updated) in (${ranges.map((range) => rangeQuery(range, scope, values, true)).join(' union all ')})`;
  return `(${clauses.map((clause, at) => clausePredicate(clause, 1_000 * (position + 1) + at, scope, values)).join(' or ')})`;
}
