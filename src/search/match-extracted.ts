// Whether a resource that is not stored yet is what a condition asks for: an entry of a transaction may be referred to
// by its identifier. Pure.
import type { IndexValues } from './extract-index-values.ts';
import { indexHash, tokenSearchKey } from './index-hash.ts';
import { parseSearch } from './parse-search.ts';

/** True when every criterion is a token that the values hold. Anything but tokens is left to what is stored. */
export function matchesExtracted(type: string, criteria: string, values: IndexValues, fhirBase: string): boolean {
  const { clauses } = parseSearch(type, new URLSearchParams(criteria), fhirBase, true);
  const held = new Set(values.tokens.map(({ param, hash }) => `${param}:${hash}`));
  return clauses.length > 0 && clauses.every((clause) => clause.values.some((value) => value.kind === 'token' && held.has(`${clause.parameter.number}:${indexHash(tokenSearchKey(value))}`)));
}
