// A StructureDefinition as a tree: elements below elements, slices beside them
// (http://hl7.org/fhir/R4/elementdefinition.html#id). A profile of a profile that is known has all that its base demands.
import { isJsonObject, type JsonObject } from '../../fhir/json.ts';
import { object, objects, text } from '../invariants/invariant.ts';
import type { ProfileRegistry } from '../profile-registry.ts';

export interface ProfileElement {
  /** The element's own name: content, value[x]; with its slice: extension:alternateHash. */
  name: string;
  /** ElementDefinition, without what the tree itself says. Empty for a step that only its children mention. */
  definition: JsonObject;
  children: Map<string, ProfileElement>;
  slices: Map<string, ProfileElement>;
}

export interface ProfileTree {
  url: string;
  /** How people call it. */
  title: string;
  /** The type that it constrains. */
  type: string;
  root: ProfileElement;
  /** Constraints in FHIRPath stand somewhere in it. */
  hasExpressions: boolean;
}

const BASES_MAX = 10;

/** Compiles the differential of a profile over those of its known bases; a snapshot where there is no differential. */
export function compileProfile(definition: JsonObject, registry: ProfileRegistry): ProfileTree {
  const type = text(definition, 'type') ?? '';
  const root: ProfileElement = emptyElement(type);
  const lineage = lineageOf(definition, registry);
  for (const profile of lineage) {
    for (const element of elementsOf(profile)) place(root, element);
  }
  const url = text(definition, 'url') ?? '';
  return { url, type, root, title: text(definition, 'title') ?? text(definition, 'name') ?? url, hasExpressions: hasExpressions(root) };
}

/** The profile and the profiles that it is based on, the most general first. */
function lineageOf(definition: JsonObject, registry: ProfileRegistry): JsonObject[] {
  const lineage = [definition];
  for (let base = text(definition, 'baseDefinition'); base !== undefined && lineage.length < BASES_MAX;) {
    const profile = registry.find('StructureDefinition', base);
    if (profile === undefined || lineage.includes(profile)) break;
    lineage.unshift(profile);
    base = text(profile, 'baseDefinition');
  }
  return lineage;
}

function elementsOf(profile: JsonObject): JsonObject[] {
  const differential = objects(object(profile, 'differential') ?? {}, 'element');
  return differential.length > 0 ? differential : objects(object(profile, 'snapshot') ?? {}, 'element');
}

function emptyElement(name: string): ProfileElement {
  return { name, definition: {}, children: new Map(), slices: new Map() };
}

function place(root: ProfileElement, definition: JsonObject): void {
  const [, ...steps] = (text(definition, 'id') ?? idOf(definition)).split('.');
  let element = root;
  for (const step of steps) {
    const [name = '', slice] = step.split(':');
    element = known(element.children, name, name);
    // A slice of a slice is named a/b.
    for (const part of slice?.split('/') ?? []) element = known(element.slices, part, `${name}:${part}`);
  }
  const constraints = [...objects(element.definition, 'constraint'), ...objects(definition, 'constraint')];
  element.definition = { ...element.definition, ...definition, ...(constraints.length === 0 ? {} : { constraint: constraints }) };
}

function known(elements: Map<string, ProfileElement>, key: string, name: string): ProfileElement {
  const element = elements.get(key) ?? emptyElement(name);
  elements.set(key, element);
  return element;
}

function idOf(definition: JsonObject): string {
  const slice = text(definition, 'sliceName');
  return `${text(definition, 'path') ?? ''}${slice === undefined ? '' : `:${slice}`}`;
}

function hasExpressions(element: ProfileElement): boolean {
  if (objects(element.definition, 'constraint').some((constraint) => isJsonObject(constraint) && constraint['expression'] !== undefined)) return true;
  return [...element.children.values(), ...element.slices.values()].some(hasExpressions);
}
