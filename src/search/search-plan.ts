// Where a search begins. One plan serves all values of a statement, so it cannot know that this category is rare and
// that one has a million documents: what the plan must know is counted first, up to a bound, on the indexes alone.
import type { Transaction } from '../database/database.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { rangesOfAny } from './any-of.ts';
import { clauseRanges, dateRangesTogether, rangeQuery, type ClauseRange } from './clause-ranges.ts';
import type { SearchClause } from './parse-clause.ts';
import type { ParsedSearch } from './parse-search.ts';
import { Values } from './query-values.ts';
import { runSearchQuery } from './run-search-query.ts';
import { bounds, isKeyed, isNarrow, isWide, type Begin } from './search-begin.ts';
import type { SearchScope } from './search-query.ts';

/** So many versions are sorted for a page without being noticed. */
const FEW = 1_000;
/** So many are looked through, where no index has the order or no key has the value. */
export const LOOKED_THROUGH_MAX = 10_000;

function tooCostly(wide: SearchClause | undefined): Error {
  const what = wide === undefined ? 'This order' : `${wide.parameter.name}${wide.modifier === undefined ? '' : `:${wide.modifier}`}`;
  return fhirError('too-costly', `${what} is compared resource by resource: bound the search by a patient, an identifier or a date range that leaves at most ${LOOKED_THROUGH_MAX}`);
}

/** How many versions lie in the ranges of each clause, up to `limit`. */
async function countRanges(tx: Transaction, ranged: readonly (readonly ClauseRange[])[], scope: SearchScope, limit: number): Promise<number[]> {
  const values = new Values();
  const columns = ranged.map((ranges, position) => {
    const rows = ranges.map((range) => `(${rangeQuery(range, scope, values, false)} limit ${limit})`).join(' union all ');
    return `(select count(*) from (${rows === '' ? 'select 1 where false' : rows}) as rows)::int as c${position}`;
  });
  const [row = {}] = await runSearchQuery<Record<string, number>>(tx, { text: `select ${columns.join(', ')}`, values: values.list, plannedOnce: true });
  return ranged.map((_ranges, position) => row[`c${position}`] ?? 0);
}

/** Every resource of the type. */
const WHOLE_TYPE: ClauseRange = { table: 'resource', bounds: () => 'true' };

interface RangedPart {
  ranges: ClauseRange[];
  /** Of which these are exactly the matches; without it, all clauses are compared. */
  clause?: SearchClause;
  list?: readonly SearchClause[];
}

/** Two dates of one element, such as ge and lt: each may leave half of everything, and both together a day. */
function datesTogether(clauses: readonly SearchClause[]): RangedPart[] {
  const dates = clauses.filter(({ parameter, values, negated }) => parameter.type === 'date' && parameter.single === true && negated !== true && values.length === 1 && values[0]?.kind === 'date' && values[0].prefix !== 'ne');
  const byName = new Map<string, SearchClause[]>();
  for (const clause of dates) byName.set(clause.parameter.name, [...(byName.get(clause.parameter.name) ?? []), clause]);
  return [...byName.values()].filter((group) => group.length > 1).map((group) => ({ ranges: dateRangesTogether(group) }));
}

/** What ranges bound: clauses, and lists of them of which one must hold. */
function rangedParts({ clauses, anyOf = [] }: ParsedSearch, fhirBase: string): RangedPart[] {
  const single = clauses.flatMap((clause) => clauseRanges(clause, fhirBase).map((ranges): RangedPart => ({ clause, ranges })));
  const lists = anyOf.flatMap((list): RangedPart[] => {
    const ranges = rangesOfAny(list, fhirBase);
    return ranges === undefined ? [] : [{ list, ranges }];
  });
  return [...datesTogether(clauses), ...single, ...lists];
}

/** Chooses, after a look at the indexes where that decides. Raises 400 `too-costly` for what nothing bounds. */
export async function findBegin(tx: Transaction, parsed: ParsedSearch, scope: SearchScope): Promise<Begin> {
  const { clauses, sort, anyOf = [] } = parsed;
  const wide = clauses.find(isWide);
  if (wide !== undefined && anyOf.length === 0 && !clauses.some(bounds)) throw tooCostly(wide);
  if (clauses.some(isNarrow)) return { kind: 'column' };
  const byTime = sort.column === 'last_updated' && sort.terms === undefined;
  const hashed = clauses.filter(isKeyed);
  if (clauses.length === 1 && anyOf.length === 0 && hashed[0] !== undefined && byTime) return { kind: 'index', clause: hashed[0] };
  // Where the first key has an index order, the further ones sort within its equals.
  const ordered = sort.terms === undefined || ['id', 'last_updated', 'date'].includes(sort.terms[0]?.parameter.column ?? '');
  const looksThrough = wide !== undefined || !ordered;
  const ranged = rangedParts(parsed, scope.fhirBase);
  if (ranged.length === 0 && !looksThrough) return { kind: 'order' };
  const limit = looksThrough ? LOOKED_THROUGH_MAX : FEW;
  const asked: RangedPart[] = ranged.length === 0 ? [{ ranges: [WHOLE_TYPE] }] : ranged;
  const counts = await countRanges(tx, asked.map(({ ranges }) => ranges), scope, limit + 1);
  const least = Math.min(...counts);
  const fewest = asked[counts.indexOf(least)];
  // The rows of one key have the order already: the page ends the reading, however many there are.
  if (byTime && fewest?.clause !== undefined && isKeyed(fewest.clause) && least <= limit) return { kind: 'index', clause: fewest.clause };
  if (least <= limit && fewest !== undefined) return { kind: 'ranges', ...fewest };
  if (looksThrough) throw tooCostly(wide);
  const [first] = hashed;
  if (byTime && first !== undefined) return hashed.length === 1 ? { kind: 'index', clause: first } : { kind: 'planner' };
  return { kind: 'order' };
}
