// What a form with many files says of each of them. Pure.
import { fhirError } from '../fhir/fhir-error.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../fhir/json.ts';
import { fieldsByName, jsonField } from './document-upload.ts';

function objectsIn(texts: readonly string[]): JsonObject[] {
  const values = texts.map((text) => jsonField('metadata', text));
  const [only] = values;
  const all: readonly JsonValue[] = values.length === 1 && Array.isArray(only) ? only : values;
  return all.map((value) => {
    if (!isJsonObject(value)) throw fhirError('malformed-form', 'metadata must be a JSON object for each file, or one array of them', { expression: 'metadata' });
    return value;
  });
}

/**
 * For each of `count` files what its metadata says, before it is looked at: `metadata` repeated or one array, in the order of the
 * files; one object is for all of them. Other fields hold for every file that does not say otherwise. Raises 400
 * `malformed-form` where their number is another.
 */
export function bulkMetadata(fields: readonly (readonly [string, string])[], count: number): Record<string, JsonValue>[] {
  const shared = fieldsByName(fields.filter(([name]) => name !== 'metadata'));
  const given = objectsIn(fields.flatMap(([name, value]) => (name === 'metadata' ? [value] : [])));
  const [only = {}] = given;
  if (given.length > 1 && given.length !== count) throw fhirError('malformed-form', `There are ${count} files and metadata for ${given.length}`, { expression: 'metadata' });
  return Array.from({ length: count }, (_, at) => ({ ...shared, ...(given.length > 1 ? given[at] : only) }));
}
