// What a search may begin with, and the choice that needs no look at the data.
import { hashesOf, type ClauseRange } from './clause-ranges.ts';
import type { SearchClause } from './parse-clause.ts';
import type { ParsedSearch } from './parse-search.ts';

export type Begin =
  /** The planner's choice, among indexes of `resource`. */
  | { kind: 'column' }
  /** One key's index rows, which have the order of time. */
  | { kind: 'index'; clause: SearchClause }
  /** All versions in the ranges of a clause, or of a list of which one must hold, few enough to be sorted. */
  | { kind: 'ranges'; ranges: readonly ClauseRange[]; clause?: SearchClause; list?: readonly SearchClause[] }
  /** The resources in the order of the result; each is compared, until the page is full. */
  | { kind: 'order' }
  /** A plan for these values. */
  | { kind: 'planner' };

/** No key finds it. */
export const isWide = ({ negated, values }: SearchClause): boolean => negated === true || values.some(({ kind }) => kind === 'words' || kind === 'missing');
/** One key, whose index rows have the order of time. */
export const isKeyed = (clause: SearchClause): boolean => clause.parameter.column === undefined && clause.negated !== true && clause.values.length > 0 && clause.values.flatMap(hashesOf).length === 1 && clause.values.length === 1;

/** The patient or the id: few resources, which an index of `resource` has together. */
export function isNarrow(clause: SearchClause): boolean {
  return (clause.parameter.column === 'patient' || clause.parameter.column === 'id') && !isWide(clause);
}

/** What bounds a search that no index follows: a patient, an identifier, an encounter, a date. */
export function bounds(clause: SearchClause): boolean {
  const { parameter } = clause;
  return !isWide(clause) && (isNarrow(clause) || parameter.identifier === true || parameter.type === 'date' || parameter.name === 'subject' || parameter.name === 'encounter');
}

/** The choice without a look at the data. */
export function chooseBegin(parsed: ParsedSearch): Begin {
  const { clauses, sort } = parsed;
  const hashed = clauses.filter(isKeyed);
  if (parsed.anyOf !== undefined) return { kind: 'planner' };
  if (clauses.some(isNarrow) || hashed.length === 0) return { kind: 'column' };
  const identifier = hashed.find(({ parameter }) => parameter.identifier === true);
  const [clause] = hashed;
  if (identifier !== undefined) return { kind: 'index', clause: identifier };
  return hashed.length === 1 && clause !== undefined && sort.column === 'last_updated' && sort.terms === undefined ? { kind: 'index', clause } : { kind: 'planner' };
}
