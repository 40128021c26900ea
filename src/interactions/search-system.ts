// search-system (R4 http.html 3.1.0.11): all types at once, or those that _type names. Each needs its own right.
import type { SearchableType } from '../search/search-parameters.ts';
import { defineInteraction, type Interaction } from './interaction.ts';
import { prepareSearch, runSearch, type SearchParts } from './run-search.ts';

export function searchSystem(parts: SearchParts, types: readonly SearchableType[]): Interaction {
  return defineInteraction({
    code: 'search-system',
    kind: 'read',
    prepare: (context) => prepareSearch(context, parts, { types, several: true }),
    run: (tx, context, prepared) => runSearch(tx, context, parts, { types, several: true, path: '' }, prepared),
  });
}
