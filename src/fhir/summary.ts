// Parts of a resource: `_summary` and `_elements` (http://hl7.org/fhir/R4/search.html#summary, #elements). What is left
// carries the tag SUBSETTED, so that nobody takes it for the whole; mandatory and modifier elements stay.
import { fhirError } from './fhir-error.ts';
import { isJsonObject, type JsonObject, type JsonValue } from './json.ts';
import { isResourceType, structureOf, type ElementRule, type Structure } from './structure.ts';

export type SummaryForm =
  | { kind: 'true' | 'text' | 'data' }
  /** `count` is an answer of searches without resources: a resource by itself has no such form. */
  | { kind: 'count' }
  /** Names of elements of the resource itself: identifier, value for value[x]. */
  | { kind: 'elements'; names: ReadonlySet<string> };

const SUBSETTED = { system: 'http://terminology.hl7.org/CodeSystem/v3-ObservationValue', code: 'SUBSETTED' };
/** A name, perhaps after the type that it belongs to. */
const ELEMENT = /^(?:[A-Z][A-Za-z]*\.)?[a-z][A-Za-z0-9]*$/;

/**
 * The form that the query asks for; undefined = the whole resource. Raises 400 `invalid-parameter` for an unknown `_summary`, for
 * `_elements` that are no names, and for both at once.
 */
export function parseSummaryForm(query: Iterable<readonly [string, string]>): SummaryForm | undefined {
  const summaries = new Set<string>();
  const names = new Set<string>();
  for (const [name, value] of query) {
    if (name === '_summary') summaries.add(value);
    else if (name === '_elements') value.split(',').map((part) => part.trim()).forEach((part) => names.add(part));
  }
  if (summaries.size > 1) throw fhirError('invalid-parameter', '_summary may have one value');
  const [summary = 'false'] = summaries;
  if (!isSummary(summary)) throw fhirError('invalid-parameter', '_summary may be true, text, data, count or false');
  for (const name of names) {
    if (!ELEMENT.test(name)) throw fhirError('invalid-parameter', '_elements takes names of elements, separated by commas');
  }
  if (summary !== 'false' && names.size > 0) throw fhirError('invalid-parameter', '_summary and _elements cannot be combined');
  if (summary !== 'false') return { kind: summary };
  return names.size > 0 ? { kind: 'elements', names } : undefined;
}

function isSummary(value: string): value is 'true' | 'text' | 'data' | 'count' | 'false' {
  return ['true', 'text', 'data', 'count', 'false'].includes(value);
}

/**
 * A copy of the resource with the elements of the form, in their order, tagged SUBSETTED. What is kept is shared with the original, but for
 * `meta`. Contained resources stay as far as something that is kept refers to them. A resource of no R4 type comes back as it is.
 */
export function summarise(resource: JsonObject, form: SummaryForm): JsonObject {
  const type = resource['resourceType'];
  if (typeof type !== 'string' || !isResourceType(type)) return resource;
  const structure = structureOf(type);
  const required = requiredOf(structure);
  const subset: JsonObject = { resourceType: type };
  if (resource['id'] !== undefined) subset['id'] = resource['id'];
  subset['meta'] = subsettedMeta(resource['meta']);
  for (const [name, value] of Object.entries(resource)) {
    const rule = structure.elements.get(name) ?? structure.companions.get(name);
    if (rule === undefined || name === 'meta' || name === 'id' || !isKept(rule, form, type, required)) continue;
    subset[name] = form.kind === 'true' ? summaryOf(value, rule) : value;
  }
  return keepContained(subset, resource);
}

/** Whether somebody took a part for the whole: such a resource may not be stored. */
export function isSubsetted(resource: JsonObject): boolean {
  const { meta } = resource;
  const tags = isJsonObject(meta) ? meta['tag'] : undefined;
  return Array.isArray(tags) && tags.some((tag) => isJsonObject(tag) && tag['code'] === SUBSETTED.code && tag['system'] === SUBSETTED.system);
}

/** A copy that says of itself that something is left out. */
export function markSubsetted(resource: JsonObject): JsonObject {
  return { ...resource, meta: subsettedMeta(resource['meta']) };
}

function isKept(rule: ElementRule, form: SummaryForm, type: string, required: ReadonlySet<string>): boolean {
  if (rule.modifier || required.has(rule.name)) return true;
  switch (form.kind) {
    case 'true': return rule.summary;
    case 'text': return rule.name === 'text';
    case 'data': return rule.name !== 'text';
    case 'count': return false;
    case 'elements': return [rule.path, rule.name].some((name) => form.names.has(name) || form.names.has(`${type}.${name}`));
  }
}

function requiredOf(structure: Structure): Set<string> {
  return new Set(structure.required.flatMap((one) => one.properties));
}

function subsettedMeta(meta: JsonValue | undefined): JsonObject {
  const copy = isJsonObject(meta) ? { ...meta } : {};
  const tags = Array.isArray(copy['tag']) ? copy['tag'] : [];
  return isSubsetted({ meta: copy }) ? copy : { ...copy, tag: [...tags, SUBSETTED] };
}

/** What summaries show of an element; all of it where they would show nothing, for an element may not be empty. */
function summaryOf(value: JsonValue, rule: ElementRule): JsonValue {
  if (rule.primitive !== undefined) return value;
  if (Array.isArray(value)) return value.map((item) => summaryOf(item, rule));
  if (!isJsonObject(value) || rule.type === 'Resource' || rule.type === 'Extension') return value;
  const structure = structureOf(rule.type);
  const required = requiredOf(structure);
  const kept = Object.entries(value).flatMap(([name, item]): [string, JsonValue][] => {
    const inner = structure.elements.get(name) ?? structure.companions.get(name);
    const isShown = inner === undefined || inner.summary || inner.modifier || inner.name === 'id' || required.has(inner.name);
    return isShown ? [[name, inner === undefined ? item : summaryOf(item, inner)]] : [];
  });
  return kept.some(([name]) => name !== 'id') ? Object.fromEntries(kept) : value;
}

/** Follows `#id` from what is kept, also from one contained resource to another. */
function keepContained(subset: JsonObject, resource: JsonObject): JsonObject {
  const { contained } = resource;
  if (!Array.isArray(contained) || subset['contained'] !== undefined) return subset;
  const kept = new Set<JsonValue>();
  for (const pending: JsonValue[] = [subset]; pending.length > 0;) {
    const local = localReferences(pending.pop() ?? null);
    const found = contained.filter((one) => !kept.has(one) && isJsonObject(one) && typeof one['id'] === 'string' && local.has(`#${one['id']}`));
    found.forEach((one) => kept.add(one));
    pending.push(...found);
  }
  return kept.size === 0 ? subset : { ...subset, contained: contained.filter((one) => kept.has(one)) };
}

function localReferences(value: JsonValue, found = new Set<string>()): Set<string> {
  if (Array.isArray(value)) value.forEach((item) => localReferences(item, found));
  else if (isJsonObject(value)) Object.values(value).forEach((item) => localReferences(item, found));
  else if (typeof value === 'string' && value.startsWith('#')) found.add(value);
  return found;
}
