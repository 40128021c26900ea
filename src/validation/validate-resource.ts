// Base R4 of a resource: JSON types, names, cardinality, values, required bindings, reference targets, constraints
// (http://hl7.org/fhir/R4/json.html, http://hl7.org/fhir/R4/conformance-rules.html).
import { issueOf, type Issue } from '../fhir/fhir-error.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../fhir/json.ts';
import { jsonTypeOf, shownValue } from '../fhir/primitives.ts';
import { isResourceType, structureOf, type ElementRule, type Structure } from '../fhir/structure.ts';
import { bindingFault } from './binding-fault.ts';
import { containedFaults, ContainerScope } from './container-scope.ts';
import { hasChoice } from './invariants/invariant.ts';
import { invariantNamed, invariantsOf } from './invariants/invariants.ts';
import { IssueList } from './issue-list.ts';
import { isKnownModifierExtension } from './modifier-extensions.ts';
import { literalTargetType, statedTargetType } from './reference-target.ts';

/**
 * Every fault of the resource in document order, what is missing after what is there, 100 at most; empty = valid base R4.
 * `type` is the type that the URL asks for. Issues of 400: structure, invalid-value, wrong-resource-type; of 422: required, cardinality,
 * code-invalid, reference-target, invariant, modifier-extension. Expressions are FHIRPath: DocumentReference.content[0].attachment.hash.
 */
export function validateResource(resource: JsonObject, type: string): Issue[] {
  return inspectResource(resource, type).filter((issue) => issue.severity === 'error');
}

/** As validateResource, then what refuses nothing: at most 100 issues of severity warning. */
export function inspectResource(resource: JsonObject, type: string): Issue[] {
  const found = resource['resourceType'];
  if (typeof found !== 'string') return [issueOf('structure', `resourceType is missing; ${type} was expected`, type)];
  if (found !== type) return [issueOf('wrong-resource-type', `resourceType is ${shownValue(found)}; ${type} was expected`, type)];
  if (!isResourceType(type)) return [issueOf('structure', `${shownValue(type)} is no resource type of R4`)];
  const walk = new Walk(resource, type);
  walk.resource(resource, type);
  return walk.list.all();
}

class Walk {
  readonly list: IssueList;
  /** The resource in whose `contained` local references are looked up. */
  private scope: ContainerScope;

  constructor(resource: JsonObject, type: string) {
    this.scope = new ContainerScope(resource);
    this.list = new IssueList(type);
  }

  /** A resource that is no other's content, or is one of a Bundle's or of Parameters. */
  resource(resource: JsonObject, type: string): void {
    const structure = structureOf(type);
    this.members(resource, structure, true);
    containedFaults(this.scope, this.list);
    const narrative = invariantNamed('dom-6');
    if (structure.elements.has('text') && narrative.check?.(resource) === false) this.list.warn('invariant', `${narrative.text} (dom-6)`);
  }

  /** The properties of an object, then what it lacks. */
  private members(object: JsonObject, structure: Structure, isResource: boolean): void {
    let isEmpty = true;
    let choices: Map<string, string> | undefined;
    for (const key in object) {
      isEmpty = false;
      // Nothing more would be told: what is hostile ends here.
      if (this.list.isFull) break;
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
    if (isEmpty) return this.list.add('structure', 'may not be an empty object');
    this.missing(object, structure);
    this.constraints(object, structure);
  }

  private constraints(object: JsonObject, structure: Structure): void {
    const invariants = invariantsOf(structure.name);
    if (invariants === undefined) return;
    for (const { key, severity, text, check } of invariants) {
      if (check === undefined || check(object)) continue;
      if (severity === 'error') this.list.add('invariant', `${text} (${key})`);
      else this.list.warn('invariant', `${text} (${key})`);
    }
  }

  /** A constraint that the walk checks itself. */
  private breaks(key: string, found = ''): void {
    this.list.add('invariant', `${invariantNamed(key).text}${found} (${key})`);
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
    else if (rule.valueSet !== undefined) this.binding(rule, value);
    if (rule.mayBeLocal && typeof value === 'string') this.scope.refer(value);
  }

  private binding(rule: ElementRule, value: JsonValue): void {
    const fault = bindingFault(rule, value);
    if (fault !== undefined) this.list.add('code-invalid', fault);
  }

  private complex(rule: ElementRule, value: JsonValue): void {
    if (!isJsonObject(value)) return this.list.add('structure', `must be an object (${rule.type}); ${jsonTypeOf(value)} was found`);
    if (rule.type === 'Resource') return rule.name === 'contained' ? this.contained(value) : this.carried(value);
    this.members(value, structureOf(rule.type), false);
    if (hasOnlyId(value)) this.breaks('ele-1');
    else if (rule.type === 'Extension') this.extension(value, rule.modifier);
    else if (rule.type === 'Reference') this.reference(value, rule.targets);
    else if (rule.valueSet !== undefined) this.binding(rule, value);
  }

  private typeOf(resource: JsonObject): string | undefined {
    const type = resource['resourceType'];
    if (typeof type === 'string' && isResourceType(type)) return type;
    this.list.add('structure', typeof type === 'string' ? `is ${shownValue(type)}, which is no resource type of R4` : 'has no resourceType');
    return undefined;
  }

  /** What a Bundle or Parameters carries has a container of its own. */
  private carried(resource: JsonObject): void {
    const type = this.typeOf(resource);
    if (type === undefined) return;
    const outer = this.scope;
    this.scope = new ContainerScope(resource);
    this.resource(resource, type);
    this.scope = outer;
  }

  private contained(resource: JsonObject): void {
    const type = this.typeOf(resource);
    if (type === undefined) return;
    if (this.scope.inside !== undefined) return this.breaks('dom-2');
    this.scope.inside = resource;
    this.members(resource, structureOf(type), true);
    this.scope.inside = undefined;
    const meta = resource['meta'];
    if (!isJsonObject(meta)) return;
    this.list.enter('meta');
    for (const [name, key] of MUST_NOT_BE_CONTAINED) {
      if (meta[name] === undefined) continue;
      this.list.enter(name);
      this.breaks(key);
      this.list.leave();
    }
    this.list.leave();
  }

  /** ext-1: extensions or a value, not both, and one of them. */
  private extension(extension: JsonObject, isModifier: boolean): void {
    if (hasChoice(extension, 'value') === (extension['extension'] !== undefined)) this.breaks('ext-1');
    const { url } = extension;
    if (!isModifier || typeof url !== 'string' || isKnownModifierExtension(url)) return;
    this.list.add('modifier-extension', `is ${shownValue(url)}, a modifier that this server does not know: the resource could be misunderstood`);
  }

  private reference(reference: JsonObject, targets: ReadonlySet<string> | undefined): void {
    const { reference: literal, type: stated } = reference;
    if (typeof literal === 'string' && literal.startsWith('#')) {
      this.scope.refer(literal);
      if (!this.scope.resolves(literal)) this.breaks('ref-1', `: ${shownValue(literal)}`);
    }
    if (targets === undefined) return;
    const literalType = typeof literal !== 'string' ? undefined : literal.startsWith('#') ? this.scope.targetType(literal) : literalTargetType(literal, {});
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
    else this.companionItem(rule, value, parent[rule.name]);
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
      this.companionItem(rule, item, Array.isArray(values) ? values[index] : undefined);
      this.list.leave();
    }
  }

  private companionItem(rule: ElementRule, value: JsonValue, primitive: JsonValue | undefined): void {
    if (!isJsonObject(value)) return this.list.add('structure', `has a property ${rule.companion} that is ${jsonTypeOf(value)}; an object with id or extension was expected`);
    this.members(value, structureOf('Element'), false);
    if (primitive === undefined && hasOnlyId(value)) this.breaks('ele-1');
  }
}

/** What a contained resource cannot have of its own, and the constraint that says so. */
const MUST_NOT_BE_CONTAINED = [['versionId', 'dom-4'], ['lastUpdated', 'dom-4'], ['security', 'dom-5']] as const;

function hasOnlyId(element: JsonObject): boolean {
  let isId = false;
  for (const key in element) {
    if (key !== 'id') return false;
    isId = true;
  }
  return isId;
}
