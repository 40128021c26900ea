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

/** Ranges that hold exactly the matches; undefined where no index bounds one of the clauses. */
function exactRanges(clauses: readonly SearchClause[], fhirBase: string): ClauseRange[] | undefined {
  const isLong = clauses.some(({ values }) => values.some((value) => value.kind === 'text' && value.prefixes.some(isLongPrefix)));
  const ranges = clauses.map((clause) => clauseRanges(clause, fhirBase)[0]);
  return isLong || !ranges.every((list) => list !== undefined) ? undefined : ranges.flat();
}

/** Holds for the resource `r` when one of `clauses` does. `position` tells the aliases of several lists apart. */
export function anyOfPredicate(clauses: readonly SearchClause[], position: number, scope: AnyOfScope, values: Values): string {
  const ranges = exactRanges(clauses, scope.fhirBase);
  const parts = ranges === undefined
    ? clauses.map((clause, at) => clausePredicate(clause, 1_000 * (position + 1) + at, scope, values))
    : ranges.length === 0 ? [] : [`(r.id, r.last_updated) in (${ranges.map((range) => rangeQuery(range, scope, values, true)).join(' union all ')})`];
  return parts.length === 0 ? 'false' : `(${parts.join(' or ')})`;
}
