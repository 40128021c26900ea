// The references that a resource has where a search parameter looks (R4 search.html 3.1.1.5.10). Pure.
import { isJsonObject, type JsonObject } from '../fhir/json.ts';
import { parseLocalReference, type LocalReference } from '../fhir/reference.ts';
import { compileExpression, valuesAt } from './search-expression.ts';
import type { SearchParameter } from './search-parameters.ts';

/** References to this server, each once; those into the resource itself and to other servers are left out. */
export function followReferences(resource: JsonObject, parameter: SearchParameter, fhirBase: string): LocalReference[] {
  const found = new Map<string, LocalReference>();
  for (const path of compileExpression(parameter.expression)) {
    for (const value of valuesAt(resource, path)) {
      const reference = isJsonObject(value) ? value['reference'] : undefined;
      const local = typeof reference === 'string' ? parseLocalReference(reference, fhirBase) : undefined;
      if (local === undefined || (path.onlyType !== undefined && local.type !== path.onlyType)) continue;
      found.set(`${local.type}/${local.id}`, local);
    }
  }
  return [...found.values()];
}
