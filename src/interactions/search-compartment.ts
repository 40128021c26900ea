// Search within a compartment (R4 http.html 3.1.0.11.3): Patient/1/DocumentReference, Patient/1/*. An unknown patient has
// an empty one. The restful-interaction codes know no compartments: it is recorded as the search that it is.
import { compartmentMembers, type CompartmentType } from '../search/compartment.ts';
import type { SearchableType } from '../search/search-parameters.ts';
import { defineInteraction, type Interaction } from './interaction.ts';
import type { SearchedTypes } from './plan-search.ts';
import { prepareSearch, runSearch, type SearchParts } from './run-search.ts';

/** Of one type, or of all that can be in the compartment; `types` are those that this server serves. */
export function searchCompartment(parts: SearchParts, type: CompartmentType, member: SearchableType | '*', types: readonly SearchableType[]): Interaction {
  const members = member === '*' ? compartmentMembers(type).filter((one) => types.includes(one)) : [member];
  return defineInteraction({
    code: member === '*' ? 'search-system' : 'search-type',
    kind: 'read',
    prepare: (context) => prepareSearch(context, parts, { types: members, several: member === '*' }),
    run: (tx, context, prepared) => {
      const id = context.request.compartment?.id ?? '';
      const searched: SearchedTypes = { types: members, several: member === '*', path: `${type}/${id}/${member}`, compartment: { type, id } };
      return runSearch(tx, context, parts, searched, prepared);
    },
  });
}
