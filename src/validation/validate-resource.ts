// Base R4 structure of a resource: JSON types, names, cardinality, values, required bindings, reference targets
// (http://hl7.org/fhir/R4/json.html, http://hl7.org/fhir/R4/conformance-rules.html).
import { issueOf, type Issue } from '../fhir/fhir-error.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../fhir/json.ts';
import { IssueList } from './issue-list.ts';
import { jsonTypeOf, shownValue } from '../fhir/primitives.ts';
import { literalTargetType, statedTargetType } from './reference-target.ts';
import { isResourceType, structureOf, type ElementRule, type Structure } from '../fhir/structure.ts';

/**
 * Every fault of the resource in document order, what is missing after what is there, 100 at most; empty = valid base R4.
 * `type` is the type that the URL asks for. Issues of 400: structure, invalid-value, wrong-resource-type; of 422: required, cardinality,
 * code-invalid, reference-target. Expressions are FHIRPath: DocumentReference.content[0].attachment.hash.
 * Modifier extensions are accepted; invariants other than ext-1 and dom-2 are not looked at.
 */
export function validateResource(resource: JsonObject, type: string): Issue[] {
  const found = resource['resourceType'];
  if (typeof found !== 'string') return [issueOf('structure', `resourceType is missing; ${type} was expected`, type)];
  if (found !== type) return [issueOf('wrong-resource-type', `resourceType is ${shownValue(found)}; ${type} was expected`, type)];
  if (!isResourceType(type)) return [issueOf('structure', `${shownValue(type)} is no resource type of R4`)];
  const walk = new Walk(resource, type);
  walk.resource(resource, type);
  return walk.list.issues;
}

class Walk {
  readonly list: IssueList;
  /** The resource in whose `contained` local references are looked up. */
  private container: JsonObject;
  private isInContained = false;

  constructor(resource: JsonObject, type: string) {
    this.container = resource;
    this.list = new IssueList(type);
  }

  resource(resource: JsonObject, type: string): void {
    this.members(resource, structureOf(type), true);
  }

  /** The properties of an object, then what it lacks. */
  private members(object: JsonObject, structure: Structure, isResource: boolean): void {
    let isEmpty = true;
    let choices: Map<string, string> | undefined;
    for (const key in object) {
      isEmpty = false;
      const value = object[key] as JsonValue;
      const element = structure.elements.get(key);
      const rule = element ?? structure.companions.get(key);
      if (rule === undefined) {
        if (!isResource || key !== 'resourceType') this.unknown(key, structure);
        continue;
      }
      if (rule.choice !== undefined) this.choice(rule.choice, rule, (choices ??= new Map<string, string>()));
      if (element !== undefined) this.element(element, value, object);
      else this.companion(rule, value, object);
    }
    if (isEmpty) this.list.add('structure', 'may not be an empty object');
    else this.missing(object, structure);
  }

  private missing(object: JsonObject, structure: Structure): void {
    for (const { path, shown, properties } of structure.required) {
      if (properties.some((property) => object[property] !== undefined)) continue;
      this.list.addBelow(path, 'required', `is required${shown === path ? '' : `, as one variant of ${shown}`}`);
    }
  }

  private unknown(key: string, structure: Structure): void {
    const variants = [...structure.elements.values()].filter((rule) => rule.choice !== undefined && key.startsWith(rule.path));
    const names = variants.slice(0, 10).map((rule) => rule.name).join(', ');
    const hint = variants.length === 0 ? '' : `; ${variants[0]?.choice} may be ${names}${variants.length > 10 ? ', …' : ''}`;
    this.list.addBelow(key, 'structure', `is unknown: ${structure.name} has no element ${shownValue(key)}${hint}`);
  }

  /** Two variants of one choice are two repetitions of an element that may occur once. */
  private choice(choice: string, rule: ElementRule, choices: Map<string, string>): void {
    const earlier = choices.get(choice);
    choices.set(choice, rule.name);
    if (earlier === undefined || earlier === rule.name) return;
    this.list.addBelow(rule.path, 'cardinality', `may occur once; ${earlier} and ${rule.name} were found`);
  }

  private element(rule: ElementRule, value: JsonValue, parent: JsonObject): void {
    this.list.enter(rule.path);
    if (rule.many !== Array.isArray(value)) this.wrongMultiplicity(rule, value);
    else if (Array.isArray(value)) this.items(rule, value, parent);
    else this.item(rule, value);
    this.list.leave();
  }

  private wrongMultiplicity(rule: ElementRule, value: JsonValue): void {
    this.list.add('structure', rule.many ? `must be an array; ${jsonTypeOf(value)} was found` : 'may occur once; an array was found');
  }

  private items(rule: ElementRule, values: JsonValue[], parent: JsonObject): void {
    if (values.length === 0) this.list.add('structure', 'may not be an empty array');
    const companions = rule.primitive === undefined ? undefined : parent[rule.companion];
    for (const [index, value] of values.entries()) {
      if (value === null && Array.isArray(companions) && isJsonObject(companions[index])) continue;
      this.list.enter(index);
      this.item(rule, value);
      this.list.leave();
    }
  }

  private item(rule: ElementRule, value: JsonValue): void {
    if (value === null) return this.list.add('structure', 'may not be null, save as padding beside an extension in an array of primitive values');
    if (rule.primitive === undefined) return this.complex(rule, value);
    const fault = rule.primitive(value);
    if (fault !== undefined) this.list.add(fault.detail, fault.text);
    else if (rule.valueSet !== undefined) this.binding(rule, value as string);
  }

  private binding(rule: ElementRule, code: string): void {
    if (rule.codes === undefined) {
      if (rule.valueSet === 'mimetypes' && !MEDIA_TYPE.test(code)) this.list.add('code-invalid', `must be a media type such as application/pdf; ${shownValue(code)} was found`);
      return;
    }
    if (rule.codes.has(code)) return;
    const allowed = rule.codes.size > 10 ? `a code of ${rule.valueSet}` : `one of ${[...rule.codes].join(', ')}`;
    this.list.add('code-invalid', `must be ${allowed}; ${shownValue(code)} was found`);
  }

  private complex(rule: ElementRule, value: JsonValue): void {
    if (!isJsonObject(value)) return this.list.add('structure', `must be an object (${rule.type}); ${jsonTypeOf(value)} was found`);
    if (rule.type === 'Resource') return this.inner(value, rule.name === 'contained');
    this.members(value, structureOf(rule.type), false);
    if (rule.type === 'Extension') this.extension(value);
    else if (rule.targets !== undefined) this.reference(value, rule.targets);
  }

  /** A contained resource, or one that a Bundle or Parameters carries, which has a container of its own. */
  private inner(resource: JsonObject, isContained: boolean): void {
    const type = resource['resourceType'];
    if (typeof type !== 'string') return this.list.add('structure', 'has no resourceType');
    if (!isResourceType(type)) return this.list.add('structure', `is ${shownValue(type)}, which is no resource type of R4`);
    if (isContained && this.isInContained) return this.list.add('cardinality', 'may not occur: a contained resource contains no other (dom-2)');
    const [container, isInContained] = [this.container, this.isInContained];
    if (!isContained) this.container = resource;
    this.isInContained = isContained;
    this.resource(resource, type);
    this.container = container;
    this.isInContained = isInContained;
  }

  /** ext-1: extensions or a value, not both, and one of them. */
  private extension(extension: JsonObject): void {
    let value = false;
    for (const key in extension) value ||= key.startsWith('value') || key.startsWith('_value');
    const isNested = extension['extension'] !== undefined;
    if (value && isNested) this.list.add('cardinality', 'has both a value and extensions; only one is allowed (ext-1)');
    if (!value && !isNested) this.list.add('required', 'has neither a value nor extensions (ext-1)');
  }

  private reference(reference: JsonObject, targets: ReadonlySet<string>): void {
    const { reference: literal, type: stated } = reference;
    const literalType = typeof literal === 'string' ? literalTargetType(literal, this.container) : undefined;
    const statedType = typeof stated === 'string' ? statedTargetType(stated) : undefined;
    for (const found of literalType === statedType ? [literalType] : [literalType, statedType]) {
      if (found === undefined || targets.has(found)) continue;
      this.list.add('reference-target', `may refer to ${[...targets].join(', ')}; ${shownValue(found)} was found`);
    }
  }

  /** `_name`: id and extensions of a primitive, or an array of them that lines up with the values. */
  private companion(rule: ElementRule, value: JsonValue, parent: JsonObject): void {
    this.list.enter(rule.path);
    if (rule.many !== Array.isArray(value)) this.wrongMultiplicity(rule, value);
    else if (Array.isArray(value)) this.companionItems(rule, value, parent[rule.name]);
    else this.companionItem(rule, value);
    this.list.leave();
  }

  private companionItems(rule: ElementRule, items: JsonValue[], values: JsonValue | undefined): void {
    if (items.length === 0) this.list.add('structure', `has an empty array ${rule.companion}`);
    if (Array.isArray(values) && values.length !== items.length) {
      this.list.add('structure', `has ${values.length} values but ${items.length} entries in ${rule.companion}; null pads the shorter one`);
    }
    for (const [index, item] of items.entries()) {
      if (item === null && Array.isArray(values)) continue;
      this.list.enter(index);
      this.companionItem(rule, item);
      this.list.leave();
    }
  }

  private companionItem(rule: ElementRule, value: JsonValue): void {
    if (isJsonObject(value)) this.members(value, structureOf('Element'), false);
    else this.list.add('structure', `has a property ${rule.companion} that is ${jsonTypeOf(value)}; an object with id or extension was expected`);
  }
}

/** RFC 6838 names with any parameters, which are kept as sent. */
const MEDIA_TYPE = /^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}\/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}(?:\s?;|$)/;
