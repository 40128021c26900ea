// The part of FHIRPath that patches navigate with (R4 fhirpatch.html): names, indexes, where(), first(), last(),
// ofType() and extension(), over JSON as it is. A path finds places, not copies: what stands there can be replaced.
import { fhirError } from './fhir-error.ts';
import { isJsonObject, type JsonObject, type JsonValue } from './json.ts';
import { isSameJson } from './json-patch.ts';
import { parsePath, type PathExpression, type PathStep } from './element-path-syntax.ts';
import { isResourceType, structureOf, type ElementRule, type Structure } from './structure.ts';

/** One element of a resource, or the resource itself where it has no `holder`. */
export interface ElementPlace {
  value: JsonValue | undefined;
  /** Id and extensions of a primitive. */
  companion: JsonObject | undefined;
  at?: { holder: ElementPlace; rule: ElementRule; index: number };
  /** Name of its structure, as structureOf takes it. */
  type: string;
}

/** Value and companion of one element of a property; a property that does not repeat has one at most. */
export interface ElementEntry {
  value: JsonValue | undefined;
  companion: JsonObject | undefined;
}

/** How many elements the paths of one patch may still look at. */
export interface Effort {
  left: number;
}

type Item = ElementPlace | { literal: JsonValue };

export function rootPlace(resource: JsonObject): ElementPlace {
  return { value: resource, companion: undefined, type: typeof resource['resourceType'] === 'string' ? resource['resourceType'] : 'Resource' };
}

/** The object that holds what is below a place: of a primitive that of its id and extensions. */
export function membersOf(place: ElementPlace): JsonObject | undefined {
  return isJsonObject(place.value) ? place.value : place.companion;
}

/** The variants of an element by its name in FHIRPath or in JSON; value and value[x] are all variants. */
export function rulesOf(type: string, name: string): readonly ElementRule[] {
  const structure = structureOf(type);
  const exact = structure.elements.get(name);
  return exact !== undefined ? [exact] : variantsOf(structure).get(name.replace(/\[x\]$/, '')) ?? [];
}

const variants = new WeakMap<Structure, ReadonlyMap<string, readonly ElementRule[]>>();

/** The variants of each element, by its name in FHIRPath. */
function variantsOf(structure: Structure): ReadonlyMap<string, readonly ElementRule[]> {
  const known = variants.get(structure);
  if (known !== undefined) return known;
  const byPath = new Map<string, ElementRule[]>();
  for (const rule of structure.elements.values()) byPath.set(rule.path, [...byPath.get(rule.path) ?? [], rule]);
  variants.set(structure, byPath);
  return byPath;
}

/** The entries of a property, in order. */
export function readEntries(members: JsonObject | undefined, rule: ElementRule): ElementEntry[] {
  const value = members?.[rule.name];
  const companion = members?.[rule.companion];
  if (value === undefined && companion === undefined) return [];
  if (!rule.many) return [{ value, companion: isJsonObject(companion) ? companion : undefined }];
  const values = Array.isArray(value) ? value : [];
  const companions = Array.isArray(companion) ? companion : [];
  return Array.from({ length: Math.max(values.length, companions.length) }, (_, index) => {
    const own = companions[index];
    return { value: values[index] ?? undefined, companion: isJsonObject(own) ? own : undefined };
  });
}

/** Writes the entries of a property; without any it is gone. Nulls pad where one of the two has nothing (R4 json.html). */
export function writeEntries(members: JsonObject, rule: ElementRule, entries: readonly ElementEntry[]): void {
  const write = (name: string, list: readonly (JsonValue | undefined)[]): void => {
    if (list.every((item) => item === undefined)) delete members[name];
    else members[name] = rule.many ? list.map((item) => item ?? null) : list[0] as JsonValue;
  };
  write(rule.name, entries.map((entry) => entry.value));
  if (rule.primitive !== undefined) write(rule.companion, entries.map((entry) => entry.companion));
}

/** The structure of what stands at an element; a primitive has that of Element. */
function typeOf(rule: ElementRule, value: JsonValue | undefined): string {
  if (rule.primitive !== undefined) return 'Element';
  if (rule.type !== 'Resource') return rule.type;
  const type = isJsonObject(value) ? value['resourceType'] : undefined;
  return typeof type === 'string' && isResourceType(type) ? type : 'Resource';
}

function children(place: ElementPlace, name: string): ElementPlace[] {
  const members = membersOf(place);
  if (members === undefined) return [];
  return rulesOf(place.type, name).filter((rule) => rule.path === name).flatMap((rule) =>
    readEntries(members, rule).map((entry, index) => ({ ...entry, at: { holder: place, rule, index }, type: typeOf(rule, entry.value) })));
}

const isPlace = (item: Item): item is ElementPlace => !('literal' in item);
const valueOf = (item: Item): JsonValue | undefined => (isPlace(item) ? item.value : item.literal);
const bool = (value: boolean): Item[] => [{ literal: value }];

function holds(items: readonly Item[]): boolean {
  return items.length === 1 && valueOf(items[0] as Item) !== false;
}

function step(items: readonly Item[], { kind, name, argument }: Exclude<PathStep, { kind: 'index' }>, effort: Effort): Item[] {
  effort.left -= items.length + 1;
  if (effort.left < 0) throw fhirError('patch-failed', 'The paths of the patch look at too many elements');
  const places = items.filter(isPlace);
  if (kind === 'name') return name === '$this' ? [...items] : places.flatMap((place) => children(place, name));
  switch (name) {
    case 'where': return places.filter((place) => argument !== undefined && holds(evaluate(argument, [place], effort)));
    case 'first': return items.slice(0, 1);
    case 'last': return items.slice(-1);
    case 'ofType': case 'as': {
      const type = argument?.kind === 'path' ? argument.steps.map((part) => (part.kind === 'name' ? part.name : '')).at(-1) : undefined;
      return places.filter((place) => place.at?.rule.type === type);
    }
    case 'extension': {
      const url = argument?.kind === 'literal' ? argument.value : undefined;
      return places.flatMap((place) => children(place, 'extension')).filter((place) => isJsonObject(place.value) && place.value['url'] === url);
    }
    case 'exists': return bool((argument === undefined ? items : places.filter((place) => holds(evaluate(argument, [place], effort)))).length > 0);
    case 'empty': return bool(items.length === 0);
    case 'not': return bool(!holds(items));
    default: throw fhirError('structure', `The function ${name.slice(0, 40)}() is not supported in the path of a patch`);
  }
}

function evaluate(expression: PathExpression, focus: readonly Item[], effort: Effort): Item[] {
  switch (expression.kind) {
    case 'literal': return [{ literal: expression.value }];
    case 'path': return evaluateSteps(expression.steps, focus, effort);
    case 'operator': return evaluateOperator(expression, focus, effort);
  }
}

function evaluateOperator({ operator, left, right }: Extract<PathExpression, { kind: 'operator' }>, focus: readonly Item[], effort: Effort): Item[] {
  const a = evaluate(left, focus, effort);
  const b = evaluate(right, focus, effort);
  if (operator === 'and') return bool(holds(a) && holds(b));
  if (operator === 'or') return bool(holds(a) || holds(b));
  if (a.length === 0 || b.length === 0) return [];
  const same = a.length === b.length && a.every((item, index) => isSameJson(valueOf(item) ?? null, valueOf(b[index] as Item) ?? null));
  return bool(same === (operator === '='));
}

function evaluateSteps(steps: readonly PathStep[], focus: readonly Item[], effort: Effort): Item[] {
  let items: Item[] = [...focus];
  for (const part of steps) {
    items = part.kind === 'index' ? items.slice(part.index, part.index + 1) : step(items, part, effort);
  }
  return items;
}

/** The steps below the resource: its type may stand first. Raises 400 `structure` for what is no path of a patch. */
function pathSteps(text: string, resourceType: string): readonly PathStep[] {
  const expression = parsePath(text);
  if (expression.kind !== 'path') throw fhirError('structure', 'The path of a patch must name an element');
  const [first, ...rest] = expression.steps;
  return first?.kind === 'name' && (first.name === resourceType || first.name === 'Resource' || first.name === 'DomainResource') ? rest : expression.steps;
}

/** The places that `path` finds in the resource. */
export function findPlaces(resource: JsonObject, path: string, effort: Effort): ElementPlace[] {
  const root = rootPlace(resource);
  return evaluateSteps(pathSteps(path, root.type), [root], effort).filter(isPlace);
}

/** The list that a path names by its last step, there or not: what holds it, and its rule. undefined when no such list can be. */
export function findLists(resource: JsonObject, path: string, effort: Effort): { holder: ElementPlace; rule: ElementRule }[] | undefined {
  const root = rootPlace(resource);
  const steps = pathSteps(path, root.type);
  const last = steps.at(-1);
  if (last?.kind !== 'name') return undefined;
  const holders = evaluateSteps(steps.slice(0, -1), [root], effort).filter(isPlace);
  return holders.flatMap((holder) => rulesOf(holder.type, last.name).filter((rule) => rule.many && rule.path === last.name).map((rule) => ({ holder, rule })));
}
