// What the index rows of a type depend on: its parameters. Another fingerprint means that older rows lack something.
// A parameter that is extracted in another way takes another number, so that its old rows answer nothing.
import { createHash } from 'node:crypto';
import { SEARCH_PARAMETERS, type SearchableType } from './search-parameters.ts';

/** Counted up when all rows must be made anew although no parameter changed. */
const EXTRACTION = 1;

/** The types whose resources are stored and extracted. */
export const INDEXED_TYPES = ['DocumentReference', 'Media', 'List'] as const satisfies readonly SearchableType[];

export type IndexedType = (typeof INDEXED_TYPES)[number];

export function indexFingerprint(type: IndexedType): string {
  const parameters = SEARCH_PARAMETERS[type].map(({ number, type: valueType, expression, column, targets, system }) => [number, valueType, expression, column, targets, system]);
  return createHash('sha256').update(JSON.stringify([EXTRACTION, parameters])).digest('base64url').slice(0, 16);
}

export function parameterNumbers(type: IndexedType): number[] {
  return SEARCH_PARAMETERS[type].map(({ number }) => number);
}
