// search-type (R4 http.html 3.1.0.11), by GET and by POST to _search.
import type { SearchableType } from '../search/search-parameters.ts';
import { defineInteraction, type Interaction } from './interaction.ts';
import { prepareSearch, runSearch, type SearchParts } from './run-search.ts';

export function searchType(parts: SearchParts): Interaction {
  return defineInteraction({
    code: 'search-type',
    kind: 'read',
    prepare: (context) => prepareSearch(context, parts, { types: [context.request.type as SearchableType], several: false }),
    run: (tx, context, prepared) => {
      const type = context.request.type as SearchableType;
      return runSearch(tx, context, parts, { types: [type], several: false, path: type }, prepared);
    },
  });
}
