// Which slice of a list an element belongs to (http://hl7.org/fhir/R4/profiling.html#discriminator).
import { isJsonObject, type JsonObject, type JsonValue } from '../../fhir/json.ts';
import { object, objects, text, values } from '../invariants/invariant.ts';
import { literalTargetType } from '../reference-target.ts';
import { childrenOf, holdsPattern, isSame, type Located } from './located.ts';
import type { ProfileElement } from './profile-tree.ts';
import { codingsIn, isInValueSet } from './value-set-codes.ts';

/** What slicing has to ask of others. */
export interface SliceContext {
  /** Codes of a value set, `system|code`; undefined when it is not known. */
  codingsOf(valueSet: string): ReadonlySet<string> | undefined;
  /** Whether a resource is what a profile demands; undefined when the profile is not known. */
  conforms(resource: Located, profile: string): boolean | undefined;
  /** The resource that a local reference names. */
  contained(id: string): Located | undefined;
}

interface Discriminator {
  type: string;
  path: string;
}

export interface SlicedItems {
  bySlice: Map<ProfileElement, Located[]>;
  /** Items of no slice, with their position. */
  others: { item: Located; at: number }[];
  /** The name of the slice of each item, in the order of the items. */
  order: (string | undefined)[];
}

/** Each item goes to the first slice that it fits. */
export function assignSlices(element: ProfileElement, items: readonly Located[], context: SliceContext): SlicedItems {
  const result: SlicedItems = { bySlice: new Map([...element.slices.values()].map((slice) => [slice, []])), others: [], order: [] };
  const discriminators = discriminatorsOf(element);
  for (const [at, item] of items.entries()) {
    const slice = [...element.slices.values()].find((candidate) => discriminators.every((discriminator) => fits(candidate, item, discriminator, context)));
    if (slice === undefined) result.others.push({ item, at });
    else result.bySlice.get(slice)?.push(item);
    result.order.push(slice?.name);
  }
  return result;
}

/** As declared; extensions are told apart by their url, the variants of a choice by their type. */
function discriminatorsOf(element: ProfileElement): Discriminator[] {
  const declared = objects(object(element.definition, 'slicing') ?? {}, 'discriminator').map((one) => ({ type: text(one, 'type') ?? '', path: text(one, 'path') ?? '$this' }));
  if (declared.length > 0) return declared;
  if (element.name.endsWith('[x]')) return [{ type: 'type', path: '$this' }];
  return [/^(?:modifierE|e)xtension(?::|$)/.test(element.name) ? { type: 'value', path: 'url' } : { type: 'value', path: '$this' }];
}

function fits(slice: ProfileElement, item: Located, { type, path }: Discriminator, context: SliceContext): boolean {
  const target = elementAt(slice, path);
  const found = itemsAt(item, path, context);
  if (type === 'exists') return existsAsDemanded(target, found);
  if (type === 'type') return isOfType(target ?? slice, found);
  if (type === 'profile') return isOfProfile(target ?? slice, found, context);
  if (path === 'url' && isExtension(slice)) return found.some(({ value }) => extensionUrls(slice).some((url) => url === value));
  return target !== undefined && hasValues(target) && found.some((one) => holdsValues(target, one, context));
}

const isExtension = (slice: ProfileElement): boolean => /^(?:modifierE|e)xtension:/.test(slice.name);

/** The url that a slice of extensions demands: as a fixed url, or as its profile, which is its url. */
export function extensionUrls(slice: ProfileElement): JsonValue[] {
  const fixed = fixedOf(slice.children.get('url')?.definition ?? {});
  if (fixed !== undefined) return [fixed];
  return objects(slice.definition, 'type').flatMap((type) => values(type, 'profile')).map((url) => (typeof url === 'string' ? url.split('|')[0] ?? url : url));
}

/** fixed[x] or pattern[x]. */
export function fixedOf(definition: JsonObject): JsonValue | undefined {
  return choiceOf(definition, 'fixed') ?? choiceOf(definition, 'pattern');
}

export function choiceOf(definition: JsonObject, name: string): JsonValue | undefined {
  const key = Object.keys(definition).find((one) => one.startsWith(name) && /^[A-Z]/.test(one.slice(name.length)));
  return key === undefined ? undefined : definition[key];
}

/** Steps of the restricted FHIRPath of discriminators: names, extension('url'), resolve(), ofType(X), $this. */
function stepsOf(path: string): string[] {
  return [...path.matchAll(/[A-Za-z0-9_$]+(?:\('[^']*'\)|\([^)]*\))?(?:\[x\])?/g)].map(([step]) => step).filter((step) => step !== '$this');
}

function elementAt(slice: ProfileElement, path: string): ProfileElement | undefined {
  let element: ProfileElement | undefined = slice;
  for (const step of stepsOf(path)) {
    const url = /^extension\('(.*)'\)$/.exec(step)?.[1];
    if (url !== undefined) element = [...element?.children.get('extension')?.slices.values() ?? []].find((one) => extensionUrls(one).includes(url));
    else if (!step.includes('(')) element = element?.children.get(step) ?? element?.children.get(`${step}[x]`);
  }
  return element;
}

function itemsAt(item: Located, path: string, context: SliceContext): Located[] {
  return stepsOf(path).reduce<Located[]>((items, step) => items.flatMap((one) => itemsOfStep(one, step, context)), [item]);
}

function itemsOfStep(item: Located, step: string, context: SliceContext): Located[] {
  const [, name = step, argument] = /^(\w+)\('?([^')]*)'?\)$/.exec(step) ?? [];
  if (name === 'extension' && argument !== undefined) return childrenOf(item, 'extension').filter(({ value }) => isJsonObject(value) && value['url'] === argument);
  if (name === 'ofType' && argument !== undefined) return item.type === argument ? [item] : [];
  if (name === 'resolve' && argument !== undefined) return resolved(item, context);
  return [...childrenOf(item, name), ...(name.endsWith('[x]') ? [] : childrenOf(item, `${name}[x]`))].filter((one, at, all) => all.findIndex(({ place }) => place === one.place) === at);
}

/** A contained resource, or the type alone that a literal reference names. */
function resolved({ value, place }: Located, context: SliceContext): Located[] {
  const reference = isJsonObject(value) ? text(value, 'reference') : undefined;
  if (reference === undefined) return [];
  if (reference.startsWith('#')) return [context.contained(reference.slice(1))].filter((one) => one !== undefined);
  const type = literalTargetType(reference, {});
  return type === undefined ? [] : [{ value: undefined, companion: undefined, type, place, isPrimitive: false }];
}

function existsAsDemanded(target: ProfileElement | undefined, found: readonly Located[]): boolean {
  return target?.definition['max'] === '0' ? found.length === 0 : found.length > 0;
}

function isOfType(target: ProfileElement, found: readonly Located[]): boolean {
  const codes = objects(target.definition, 'type').flatMap((type) => [text(type, 'code') ?? '', ...values(type, 'targetProfile').map((profile) => String(profile as string).split('/').at(-1) ?? '')]);
  return found.some(({ type }) => codes.includes(type));
}

function isOfProfile(target: ProfileElement, found: readonly Located[], context: SliceContext): boolean {
  const profiles = objects(target.definition, 'type').flatMap((type) => [...values(type, 'profile'), ...values(type, 'targetProfile')]).filter((profile) => typeof profile === 'string');
  return found.some((one) => profiles.some((profile) => (one.value === undefined ? profile.split('/').at(-1) === one.type : context.conforms(one, profile) === true)));
}

function hasValues(element: ProfileElement): boolean {
  return fixedOf(element.definition) !== undefined || requiredValueSet(element) !== undefined || [...element.children.values()].some(hasValues);
}

export function requiredValueSet({ definition }: ProfileElement): string | undefined {
  const binding = object(definition, 'binding');
  return binding !== undefined && binding['strength'] === 'required' ? text(binding, 'valueSet') : undefined;
}

/** Whether an element has all the fixed values, patterns and codes that this part of a slice demands. */
function holdsValues(element: ProfileElement, item: Located, context: SliceContext): boolean {
  const [fixed, pattern, valueSet] = [choiceOf(element.definition, 'fixed'), choiceOf(element.definition, 'pattern'), requiredValueSet(element)];
  if (fixed !== undefined && !isSame(item.value, fixed)) return false;
  if (pattern !== undefined && !holdsPattern(item.value, pattern)) return false;
  const codes = valueSet === undefined ? undefined : context.codingsOf(valueSet);
  if (codes !== undefined && !isInValueSet(codingsIn(item), codes)) return false;
  return [...element.children].every(([name, child]) => !hasValues(child) || childrenOf(item, name).some((one) => holdsValues(child, one, context)));
}
