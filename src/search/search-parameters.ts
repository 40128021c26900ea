// THE TABLE of search parameters: index extraction, SQL, CapabilityStatement and documentation come from it.
import type { ResourceType } from '../fhir/resource-type.ts';
import { AUDIT_EVENT_PARAMETERS } from './audit-event-parameters.ts';
import { DOCUMENT_REFERENCE_PARAMETERS } from './document-reference-parameters.ts';
import { LIST_PARAMETERS } from './list-parameters.ts';
import { MEDIA_PARAMETERS } from './media-parameters.ts';
import { PROVENANCE_PARAMETERS } from './provenance-parameters.ts';
import type { SearchParameter } from './search-parameter.ts';

export { CANONICAL_BASE, type SearchColumn, type SearchParameter } from './search-parameter.ts';

export const SEARCH_PARAMETERS = {
  DocumentReference: DOCUMENT_REFERENCE_PARAMETERS,
  Media: MEDIA_PARAMETERS,
  List: LIST_PARAMETERS,
  AuditEvent: AUDIT_EVENT_PARAMETERS,
  Provenance: PROVENANCE_PARAMETERS,
} as const satisfies Partial<Record<ResourceType, readonly SearchParameter[]>>;

export type SearchableType = keyof typeof SEARCH_PARAMETERS;

export function isSearchable(type: string): type is SearchableType {
  return Object.hasOwn(SEARCH_PARAMETERS, type);
}

/** Whether a name of a query, with its modifier or chain, is a search parameter of the type. */
export function isSearchParameter(type: string, name: string): boolean {
  const plain = name.split(/[:.]/, 1)[0];
  return isSearchable(type) && SEARCH_PARAMETERS[type].some((parameter) => parameter.name === plain);
}
