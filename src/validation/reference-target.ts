// To which type a reference points, as far as its text tells (http://hl7.org/fhir/R4/references.html#literal).
import { isJsonObject, type JsonObject, type JsonValue } from '../fhir/json.ts';
import { isResourceType } from '../fhir/structure.ts';

/** A type, an id, perhaps a version, at the end of a relative or an absolute URL. */
const LITERAL = /(^|\/)([A-Z][A-Za-z]*)\/[A-Za-z0-9.-]{1,64}(?:\/_history\/[A-Za-z0-9.-]{1,64})?$/;
/** A conditional reference of a transaction: Patient?identifier=… */
const CONDITIONAL = /^([A-Z][A-Za-z]*)\?/;
const DEFINITIONS = 'http://hl7.org/fhir/StructureDefinition/';

/**
 * The resource type that `Reference.reference` names; undefined when it does not tell: logical references, urn:uuid:, foreign URLs.
 * `#id` is looked up in `container`, the resource that holds the contained ones; `#` is the container itself.
 */
export function literalTargetType(reference: string, container: JsonObject): string | undefined {
  if (reference.startsWith('#')) return localTargetType(reference.slice(1), container);
  const literal = LITERAL.exec(reference);
  if (literal === null) return CONDITIONAL.exec(reference)?.[1];
  const type = literal[2] ?? '';
  // Another server's URL may end in words that only look like a type and an id.
  return literal[1] === '' || literal.index === 0 || isResourceType(type) ? type : undefined;
}

/** The resource type that `Reference.type` names; undefined for types of logical models. */
export function statedTargetType(type: string): string | undefined {
  if (type.startsWith(DEFINITIONS)) return type.slice(DEFINITIONS.length);
  return /^[A-Za-z]+$/.test(type) ? type : undefined;
}

function localTargetType(id: string, container: JsonObject): string | undefined {
  if (id === '') return typeName(container['resourceType']);
  const contained = container['contained'];
  if (!Array.isArray(contained)) return undefined;
  const target = contained.find((resource) => isJsonObject(resource) && resource['id'] === id);
  return isJsonObject(target) ? typeName(target['resourceType']) : undefined;
}

function typeName(value: JsonValue | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
