// Elements of a resource with their types and places, as a profile walks through them.
import { isJsonObject, JsonNumber, type JsonObject, type JsonValue } from '../../fhir/json.ts';
import { isResourceType, structureOf, type ElementRule } from '../../fhir/structure.ts';

export interface Located {
  /** Undefined for a primitive that has only id or extensions. */
  value: JsonValue | undefined;
  /** Id and extensions of a primitive. */
  companion: JsonObject | undefined;
  /** Data type, resource type, or path of a nested element. */
  type: string;
  /** FHIRPath. */
  place: string;
  isPrimitive: boolean;
}

/** A resource as the beginning of a walk; its place is its type unless told. */
export function locateResource(resource: JsonObject, place?: string): Located {
  const type = typeof resource['resourceType'] === 'string' ? resource['resourceType'] : '';
  return { value: resource, companion: undefined, type, place: place ?? type, isPrimitive: false };
}

/** The elements of that name: value[x] are all variants of a choice, valueQuantity is one of them. */
export function childrenOf(parent: Located, name: string): Located[] {
  if (parent.isPrimitive) return parent.companion === undefined ? [] : membersOf(parent.companion, 'Element', name, parent.place);
  if (!isJsonObject(parent.value) || !isStructure(parent.type)) return [];
  return membersOf(parent.value, parent.type, name, parent.place);
}

function isStructure(type: string): boolean {
  if (isResourceType(type)) return true;
  try {
    structureOf(type);
    return true;
  } catch {
    return false;
  }
}

function membersOf(element: JsonObject, type: string, name: string, place: string): Located[] {
  const path = name.endsWith('[x]') ? name.slice(0, -3) : name;
  const rules = [...structureOf(type).elements.values()].filter((rule) => rule.name === name || rule.path === path);
  return rules.flatMap((rule) => valuesOf(element, rule, `${place}.${rule.path}`));
}

function valuesOf(element: JsonObject, rule: ElementRule, place: string): Located[] {
  const value = element[rule.name];
  const companion = rule.primitive === undefined ? undefined : element[rule.companion];
  if (!rule.many) return value === undefined && companion === undefined ? [] : [located(value, companion, rule, place)];
  const [values, companions] = [value, companion].map((one) => (Array.isArray(one) ? one : [])) as [JsonValue[], JsonValue[]];
  return Array.from({ length: Math.max(values.length, companions.length) }, (_, index) => located(values[index], companions[index], rule, `${place}[${index}]`));
}

function located(value: JsonValue | undefined, companion: JsonValue | undefined, rule: ElementRule, place: string): Located {
  const isResource = rule.type === 'Resource' && isJsonObject(value) && typeof value['resourceType'] === 'string';
  return {
    value: value ?? undefined,
    companion: isJsonObject(companion) ? companion : undefined,
    type: isResource ? value['resourceType'] as string : rule.type,
    place,
    isPrimitive: rule.primitive !== undefined,
  };
}

/** Whether two values are the same, decimals by their number (fixed[x]). */
export function isSame(one: JsonValue | undefined, other: JsonValue | undefined): boolean {
  if (isJsonObject(one) && isJsonObject(other)) {
    const [names, others] = [Object.keys(one), Object.keys(other)];
    return names.length === others.length && names.every((name) => isSame(one[name], other[name]));
  }
  if (Array.isArray(one) && Array.isArray(other)) return one.length === other.length && one.every((item, index) => isSame(item, other[index]));
  return plainNumber(one) === plainNumber(other);
}

/** Whether a value has all that a pattern has; arrays hold each item of the pattern's in any place (pattern[x]). */
export function holdsPattern(value: JsonValue | undefined, pattern: JsonValue | undefined): boolean {
  if (isJsonObject(pattern)) return isJsonObject(value) && Object.keys(pattern).every((name) => holdsPattern(value[name], pattern[name]));
  if (Array.isArray(pattern)) return Array.isArray(value) && pattern.every((item) => value.some((one) => holdsPattern(one, item)));
  return isSame(value, pattern);
}

/** A copy for a library that knows no JsonNumber. */
export function toPlain(value: JsonValue): unknown {
  if (value instanceof JsonNumber) return value.toNumber();
  if (Array.isArray(value)) return value.map(toPlain);
  if (isJsonObject(value)) return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, toPlain(item)]));
  return value;
}

function plainNumber(value: JsonValue | undefined): JsonValue | undefined {
  return value instanceof JsonNumber ? value.toNumber() : value;
}
