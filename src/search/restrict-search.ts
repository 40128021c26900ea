// A restriction in a search: its clauses join those of the client, so that the search may begin there as well; what is no
// clause is a predicate on each resource.
import { coversCategories, DOCUMENT_CATEGORIES, type CategoryRight } from '../access/policy.ts';
import type { Restriction } from '../access/restriction.ts';
import { typeName } from '../fhir/resource-type.ts';
import { anyOfPredicate, rangesOfAny } from './any-of.ts';
import { clausePredicate } from './clause-predicate.ts';
import { withheldPredicates } from './withheld-predicate.ts';
import type { ParsedSearch, SearchClause } from './parse-search.ts';
import type { Values } from './query-values.ts';
import { restrictionClauses, type BranchClauses } from './restriction-clauses.ts';

interface RestrictedScope {
  org: number;
  type: number;
  restriction: Restriction;
  fhirBase: string;
}

/** Where aliases of the predicate begin, apart from those of the client's clauses. */
const POSITION = 1_000;

function branchPredicate({ clauses, compartment }: BranchClauses, position: number, scope: RestrictedScope, values: Values): string {
  const parts = clauses.map((clause, at) => clausePredicate(clause, 1_000 * position + at, scope, values));
  if (compartment !== undefined) parts.push(anyOfPredicate(compartment, position + POSITION, scope, values, false));
  return parts.length === 0 ? 'true' : `(${parts.join(' and ')})`;
}

/** One of the codes of the document's categories is among these. Each is looked at: no index says that there is no other. */
function namesCategory(codes: readonly string[], values: Values): string {
  const [category, coding, code] = ['category', 'coding', 'code'].map((text) => values.add(text, '::text'));
  return `exists (select 1 from json_array_elements(r.body::json -> ${category}) k cross join lateral json_array_elements(k -> ${coding}) c where c ->> ${code} = any(${values.add([...codes], '::text[]')}))`;
}

/** A document that names no category of the policy is of `other`, and so is what is no document. */
function categoriesPredicate(right: CategoryRight, type: string, values: Values): string[] {
  if (type !== 'DocumentReference') return coversCategories(right, []) ? [] : ['false'];
  const refused = DOCUMENT_CATEGORIES.filter((category) => !coversCategories(right, [category]));
  return [
    ...(coversCategories(right, []) ? [] : [namesCategory(DOCUMENT_CATEGORIES, values)]),
    ...(refused.length === 0 ? [] : [`not ${namesCategory(refused, values)}`]),
  ];
}

/** What must hold for the resource `r`. */
export function restrictionPredicates(scope: RestrictedScope, values: Values): string[] {
  const { restriction } = scope;
  if (restriction.kind === 'none') return [];
  if (restriction.kind === 'nothing') return ['false'];
  const type = typeName(scope.type);
  const branches = restrictionClauses(restriction, type, scope.fhirBase).map((branch, position) => branchPredicate(branch, POSITION + position, scope, values));
  const categories = restriction.categories === undefined ? [] : categoriesPredicate(restriction.categories, type, values);
  if (branches.length === 0) return ['false'];
  return [...(branches.includes('true') ? [] : [`(${branches.join(' or ')})`]), ...categories, ...withheldPredicates(restriction.withheld ?? [], values)];
}

/** The category that every match has, where some must be had: an index leads there. */
function categoryClause(right: CategoryRight, type: string, fhirBase: string): SearchClause[] {
  if (type !== 'DocumentReference' || right.permitted === 'any' || coversCategories(right, [])) return [];
  const filter = right.permitted.join(',');
  return restrictionClauses({ kind: 'within', anyOf: [{ filter: [['category', filter]] }] }, type, fhirBase).flatMap(({ clauses }) => clauses);
}

/** Of which one holds wherever one of several branches does, each bounded by an index; undefined where one of them is not. */
function boundingList(branches: readonly BranchClauses[], fhirBase: string): SearchClause[] | undefined {
  const lists = branches.map(({ clauses, compartment }) => compartment ?? clauses.filter((clause) => rangesOfAny([clause], fhirBase) !== undefined).slice(0, 1));
  return lists.every(({ length }) => length > 0) ? lists.flat() : undefined;
}

/** The search with the clauses of its restriction, and what is left of that. Where there are several branches it is all left, beside what the search may begin with. */
export function restrictSearch<Scope extends RestrictedScope>(parsed: ParsedSearch, scope: Scope): { parsed: ParsedSearch; scope: Scope } {
  const { restriction, fhirBase } = scope;
  if (restriction.kind !== 'within') return { parsed, scope };
  const type = typeName(scope.type);
  const branches = restrictionClauses(restriction, type, fhirBase);
  const [only] = branches;
  const categories = restriction.categories === undefined ? [] : categoryClause(restriction.categories, type, fhirBase);
  if (only === undefined || branches.length > 1) {
    const bounding = boundingList(branches, fhirBase);
    return { parsed: { ...parsed, clauses: [...parsed.clauses, ...categories], ...(only === undefined || bounding === undefined ? {} : { anyOf: [...(parsed.anyOf ?? []), bounding] }) }, scope };
  }
  const { clauses, compartment = [] } = only;
  const [single, ...others] = compartment;
  const lists = others.length === 0 ? [] : [compartment];
  const { anyOf: _branches, ...beside } = restriction;
  const rest = restriction.categories === undefined && restriction.withheld === undefined ? undefined : { ...beside, anyOf: [{}] };
  const added = [...clauses, ...(single !== undefined && others.length === 0 ? [single] : []), ...categories];
  return {
    parsed: { ...parsed, clauses: [...parsed.clauses, ...added], ...(lists.length === 0 ? {} : { anyOf: [...(parsed.anyOf ?? []), ...lists] }) },
    scope: { ...scope, restriction: rest === undefined ? { kind: 'none' } : rest },
  };
}
