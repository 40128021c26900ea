// What a search says of parameters that are still being filled for older resources: its matches may not be all.
import { isSearchable, SEARCH_PARAMETERS } from './search-parameters.ts';
import type { SearchNote } from './searchset.ts';

/** Numbers of a type's parameters that older resources may lack. */
export type Lacking = (type: string) => ReadonlySet<number>;

/** The parameters that took effect, by their names; also those of an order. */
function namesUsed(used: readonly (readonly [string, string])[]): Set<string> {
  return new Set(used.flatMap(([key, value]) => (key === '_sort' ? value.split(',').map((term) => term.replace(/^-/, '')) : [key.split(/[:.]/, 1)[0] ?? ''])));
}

export function lackingNotes(lacking: Lacking, types: readonly string[], used: readonly (readonly [string, string])[]): SearchNote[] {
  const names = namesUsed(used);
  return types.filter(isSearchable).flatMap((type) => {
    const numbers = lacking(type);
    if (numbers.size === 0) return [];
    const found = SEARCH_PARAMETERS[type].filter((parameter) => numbers.has(parameter.number) && names.has(parameter.name) && parameter.column !== 'id' && parameter.column !== 'last_updated');
    return found.map(({ name }): SearchNote => ({ severity: 'warning', code: 'incomplete', diagnostics: `${type}.${name} is being filled for resources that were stored before this release: matches may be missing` }));
  });
}
