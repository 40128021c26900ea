// FHIRPath Patch (R4 fhirpatch.html): Parameters whose operations add, insert, delete, replace and move elements.
import { findLists, findPlaces, membersOf, readEntries, rulesOf, writeEntries, type Effort, type ElementEntry, type ElementPlace } from './element-path.ts';
import { fhirError } from './fhir-error.ts';
import { isJsonObject, type JsonObject, type JsonValue } from './json.ts';
import type { ElementRule } from './structure.ts';
import { structureOf } from './structure.ts';

const TYPES = ['add', 'insert', 'delete', 'replace', 'move'] as const;

/** The parameter `value`: a typed value, a resource, or the parts of an element that has no data type. */
type PatchValue = JsonObject;

export interface FhirPathOperation {
  type: (typeof TYPES)[number];
  path: string;
  name?: string;
  value?: PatchValue;
  index?: number;
  source?: number;
  destination?: number;
}

const OPERATIONS_MAX = 1_000;
/** Elements that the paths of one patch may look at together. */
const EFFORT_MAX = 200_000;

const unreadable = (at: number, text: string): Error => fhirError('structure', `Operation ${at} ${text}`, { expression: `Parameters.parameter[${at}]` });
const failed = (at: number, text: string): Error => fhirError('patch-failed', `Operation ${at} ${text}`, { expression: `Parameters.parameter[${at}]` });

const objects = (value: JsonValue | undefined): JsonObject[] => (Array.isArray(value) ? value.filter(isJsonObject) : []);

const nameOf = (part: JsonObject): string => (typeof part['name'] === 'string' ? part['name'] : '');

/** The operations of a patch. Raises 400 `structure` for what is none: operations count from 0. */
export function readFhirPathPatch(parameters: JsonObject): FhirPathOperation[] {
  const list = objects(parameters['parameter']);
  if (list.length > OPERATIONS_MAX) throw fhirError('structure', `A patch may have ${OPERATIONS_MAX} operations`);
  return list.map(readOperation);
}

function readOperation(parameter: JsonObject, at: number): FhirPathOperation {
  if (parameter['name'] !== 'operation') throw unreadable(at, 'must be a parameter with the name operation');
  const parts = new Map<string, JsonObject>();
  for (const part of objects(parameter['part'])) {
    const name = nameOf(part);
    if (parts.has(name)) throw unreadable(at, `has the part ${name.slice(0, 40)} twice`);
    parts.set(name, part);
  }
  const type = TYPES.find((known) => known === textOf(parts.get('type')));
  if (type === undefined) throw unreadable(at, `must have a type of ${TYPES.join(', ')}`);
  const path = textOf(parts.get('path'));
  if (path === undefined) throw unreadable(at, 'must have a path');
  return { type, path, ...needed(type, parts, at) };
}

/** What an operation needs besides its path. */
function needed(type: FhirPathOperation['type'], parts: ReadonlyMap<string, JsonObject>, at: number): Partial<FhirPathOperation> {
  const value = (): PatchValue => {
    const part = parts.get('value');
    if (part === undefined) throw unreadable(at, 'must have a value');
    return part;
  };
  const whole = (name: string): number => {
    const part = parts.get(name) ?? {};
    const number = part['valueInteger'] ?? part['valueUnsignedInt'] ?? part['valuePositiveInt'];
    if (typeof number !== 'number' || number < 0) throw unreadable(at, `must have ${name} as an integer of 0 or more`);
    return number;
  };
  switch (type) {
    case 'add': {
      const name = textOf(parts.get('name'));
      if (name === undefined) throw unreadable(at, 'must have a name');
      return { name, value: value() };
    }
    case 'insert': return { value: value(), index: whole('index') };
    case 'replace': return { value: value() };
    case 'move': return { source: whole('source'), destination: whole('destination') };
    case 'delete': return {};
  }
}

function textOf(part: JsonObject | undefined): string | undefined {
  const text = part?.['valueString'] ?? part?.['valueCode'];
  return typeof text === 'string' && text !== '' ? text : undefined;
}

/** Applies the operations in their order, in place. Raises 422 `patch-failed` where one does not apply. */
export function applyFhirPathPatch(resource: JsonObject, operations: readonly FhirPathOperation[]): void {
  const effort: Effort = { left: EFFORT_MAX };
  operations.forEach((operation, at) => {
    switch (operation.type) {
      case 'add': add(resource, operation, at, effort); break;
      case 'insert': insert(resource, operation, at, effort); break;
      case 'delete': remove(resource, operation, at, effort); break;
      case 'replace': replace(resource, operation, at, effort); break;
      case 'move': move(resource, operation, at, effort); break;
    }
  });
}

function onePlace(resource: JsonObject, path: string, at: number, effort: Effort): ElementPlace {
  const places = findPlaces(resource, path, effort);
  const [place] = places;
  if (place === undefined || places.length > 1) throw failed(at, `must name one element; ${path.slice(0, 100)} names ${places.length}`);
  return place;
}

/** The members below a place; a primitive gets an object for its id and extensions. */
function openMembers(place: ElementPlace): JsonObject {
  const known = membersOf(place);
  if (known !== undefined) return known;
  const made: JsonObject = {};
  const { holder, rule, index } = place.at as NonNullable<ElementPlace['at']>;
  const members = openMembers(holder);
  const entries = readEntries(members, rule);
  entries[index] = { value: place.value, companion: made };
  writeEntries(members, rule, entries);
  return made;
}

function add(resource: JsonObject, { path, name = '', value = {} }: FhirPathOperation, at: number, effort: Effort): void {
  const place = onePlace(resource, path, at, effort);
  const { rule, entry } = elementFor(place.type, name, value, at);
  const members = openMembers(place);
  const isThere = rulesOf(place.type, rule.path).some((variant) => readEntries(members, variant).length > 0);
  if (isThere && !rule.many) throw failed(at, `adds ${rule.path}, which is there and does not repeat; replace it`);
  writeEntries(members, rule, [...readEntries(members, rule), entry]);
}

function insert(resource: JsonObject, { path, value = {}, index = 0 }: FhirPathOperation, at: number, effort: Effort): void {
  const { holder, rule } = oneList(resource, path, at, effort);
  const { entry } = elementFor(holder.type, rule.name, value, at);
  const members = openMembers(holder);
  const entries = readEntries(members, rule);
  if (index > entries.length) throw failed(at, `inserts at ${index} into a list of ${entries.length}`);
  writeEntries(members, rule, entries.toSpliced(index, 0, entry));
}

function oneList(resource: JsonObject, path: string, at: number, effort: Effort): { holder: ElementPlace; rule: ElementRule } {
  const lists = findLists(resource, path, effort);
  const [list] = lists ?? [];
  if (lists === undefined || list === undefined || lists.length > 1) throw failed(at, `must name one list; ${path.slice(0, 100)} does not`);
  return list;
}

function move(resource: JsonObject, { path, source = 0, destination = 0 }: FhirPathOperation, at: number, effort: Effort): void {
  const { holder, rule } = oneList(resource, path, at, effort);
  const members = openMembers(holder);
  const entries = readEntries(members, rule);
  const moved = entries[source];
  if (moved === undefined || destination >= entries.length) throw failed(at, `moves ${source} to ${destination} in a list of ${entries.length}`);
  writeEntries(members, rule, entries.toSpliced(source, 1).toSpliced(destination, 0, moved));
}

function remove(resource: JsonObject, { path }: FhirPathOperation, at: number, effort: Effort): void {
  const places = findPlaces(resource, path, effort);
  if (places.length === 0) return;
  const { holder, rule, index } = placeInHolder(onePlace(resource, path, at, effort), at);
  const members = openMembers(holder);
  writeEntries(members, rule, readEntries(members, rule).toSpliced(index, 1));
}

function placeInHolder(place: ElementPlace, at: number): NonNullable<ElementPlace['at']> {
  if (place.at === undefined) throw failed(at, 'cannot be about the resource as a whole');
  return place.at;
}

function replace(resource: JsonObject, { path, value = {} }: FhirPathOperation, at: number, effort: Effort): void {
  const { holder, rule, index } = placeInHolder(onePlace(resource, path, at, effort), at);
  const next = elementFor(holder.type, rule.path, value, at);
  const members = openMembers(holder);
  if (next.rule.name === rule.name) {
    writeEntries(members, rule, readEntries(members, rule).with(index, next.entry));
    return;
  }
  writeEntries(members, rule, []);
  writeEntries(members, next.rule, [next.entry]);
}

/** Primitive types by what they are derived from: a code is a string. */
const BASES: Record<string, string> = { code: 'string', id: 'string', markdown: 'string', url: 'uri', canonical: 'uri', oid: 'uri', uuid: 'uri', unsignedInt: 'integer', positiveInt: 'integer' };

const sameKind = (a: string, b: string): boolean => (BASES[a] ?? a) === (BASES[b] ?? b);

/** The rule and the entry for a value below an element of `type`. Raises 422 `patch-failed` for an unknown name and for a wrong type. */
function elementFor(type: string, name: string, value: PatchValue, at: number): { rule: ElementRule; entry: ElementEntry } {
  const rules = rulesOf(type, name);
  const [first] = rules;
  if (first === undefined) throw failed(at, `names ${name.slice(0, 60)}, which ${type} does not have`);
  const typed = typedValue(value);
  if (typed === undefined) return { rule: onlyRule(rules, name, at), entry: { value: partsValue(onlyRule(rules, name, at), value, at), companion: undefined } };
  const rule = rules.find((candidate) => candidate.type === typed.type) ?? (rules.length === 1 && sameKind(first.type, typed.type) ? first : undefined);
  if (rule === undefined) throw failed(at, `brings a ${typed.type} for ${name.slice(0, 60)}, which is ${rules.length > 5 ? 'of other types' : rules.map((candidate) => candidate.type).join(' or ')}`);
  return { rule, entry: typed.entry };
}

function onlyRule(rules: readonly ElementRule[], name: string, at: number): ElementRule {
  const [rule] = rules;
  if (rule === undefined || rules.length > 1) throw failed(at, `must bring a typed value for ${name.slice(0, 60)}`);
  return rule;
}

interface TypedValue {
  type: string;
  entry: ElementEntry;
}

/** value[x] with its type, or a resource; undefined when the value comes in parts. */
function typedValue(part: PatchValue): TypedValue | undefined {
  if (isJsonObject(part['resource'])) return { type: 'Resource', entry: { value: part['resource'], companion: undefined } };
  for (const rule of rulesOf('Parameters.parameter', 'value')) {
    const [entry] = readEntries(part, rule);
    if (entry !== undefined) return { type: rule.type, entry };
  }
  return undefined;
}

/** An element that is no data type, such as DocumentReference.content, from a parameter for each of its own elements. */
function partsValue(rule: ElementRule, value: PatchValue, at: number): JsonObject {
  const parts = objects(value['part']);
  if (rule.primitive !== undefined || parts.length === 0) throw failed(at, `brings no value for ${rule.path}`);
  const made: JsonObject = {};
  for (const part of parts) {
    const { rule: inner, entry } = elementFor(structureOf(rule.type).name, nameOf(part), part, at);
    const before = readEntries(made, inner);
    if (before.length > 0 && !inner.many) throw failed(at, `brings ${inner.path} twice`);
    writeEntries(made, inner, [...before, entry]);
  }
  return made;
}
