// The branches of a restriction as clauses of a search on one type: the compartment of a patient (R4
// compartmentdefinition.html) and the query of a SMART scope. What cannot be said so grants nothing.
import type { Restriction, RestrictionBranch } from '../access/restriction.ts';
import { FhirError } from '../fhir/fhir-error.ts';
import { compartmentClauses } from './compartment.ts';
import { parseClause, type SearchClause } from './parse-clause.ts';
import { isSearchable, SEARCH_PARAMETERS, type SearchableType, type SearchParameter } from './search-parameters.ts';

/** All clauses must hold, and one of the compartment where the branch has one. */
export interface BranchClauses {
  clauses: SearchClause[];
  compartment?: SearchClause[];
}

/** Kinds of values that rows of the index and resources in memory are compared with alike. */
const EQUAL: ReadonlySet<string> = new Set(['token', 'reference', 'key']);

function filterClause(name: string, text: string, parameters: readonly SearchParameter[], fhirBase: string): SearchClause | undefined {
  const parameter = parameters.find((candidate) => candidate.name === name);
  if (parameter === undefined) return undefined;
  try {
    const clause = parseClause(parameter, undefined, text, { fhirBase, parameters });
    return clause.values.length > 0 && clause.values.every(({ kind }) => EQUAL.has(kind)) ? clause : undefined;
  } catch (error) {
    if (error instanceof FhirError) return undefined;
    throw error;
  }
}

function branchClauses({ patient, filter = [] }: RestrictionBranch, type: SearchableType, fhirBase: string): BranchClauses | undefined {
  const parameters: readonly SearchParameter[] = SEARCH_PARAMETERS[type];
  const found = filter.map(([name, value]) => filterClause(name, value, parameters, fhirBase));
  const clauses = found.filter((clause) => clause !== undefined);
  if (clauses.length !== found.length) return undefined;
  if (patient === undefined) return { clauses };
  const compartment = compartmentClauses(type, { type: 'Patient', id: patient });
  return compartment.length === 0 ? undefined : { clauses, compartment };
}

/** Those that can be held against a type; none = nothing of it is granted. */
export function restrictionClauses(restriction: Restriction & { kind: 'within' }, type: string, fhirBase: string): BranchClauses[] {
  if (!isSearchable(type)) return [];
  return restriction.anyOf.map((branch) => branchClauses(branch, type, fhirBase)).filter((branch) => branch !== undefined);
}
