// Whether a resource is what a profile demands (http://hl7.org/fhir/R4/profiling.html): cardinality, types, fixed values and
// patterns, required bindings, slices, constraints. What base R4 demands is checked elsewhere, and before.
import { issueOf, type ErrorDetail, type Issue } from '../../fhir/fhir-error.ts';
import { isJsonObject, type JsonObject } from '../../fhir/json.ts';
import { shownValue } from '../../fhir/primitives.ts';
import { isResourceType } from '../../fhir/structure.ts';
import { number, object, objects, text, values } from '../invariants/invariant.ts';
import { invariantsOf } from '../invariants/invariants.ts';
import type { ProfileRegistry } from '../profile-registry.ts';
import { literalTargetType } from '../reference-target.ts';
import { loadEvaluate, type Evaluate } from './expressions.ts';
import { childrenOf, holdsPattern, isSame, locateResource, type Located } from './located.ts';
import { compileProfile, type ProfileElement, type ProfileTree } from './profile-tree.ts';
import { assignSlices, choiceOf, extensionUrls, requiredValueSet, type SliceContext } from './slicing.ts';
import { codingsIn, codingsOf, isInValueSet } from './value-set-codes.ts';

const ISSUES_MAX = 100;
/** Profiles of elements may name each other. */
const NESTING_MAX = 8;
const CORE = 'http://hl7.org/fhir/StructureDefinition/';
const UNTYPED = ['BackboneElement', 'Element', 'Resource', 'DomainResource'];

/** Compiled profiles by definition: they live as long as the registry holds them. */
const trees = new WeakMap<JsonObject, ProfileTree>();

/**
 * The issues of a resource against one profile, errors and warnings, 100 at most. Issues of 422: required, cardinality,
 * code-invalid, reference-target, invariant, and `profile` for values, types and slices.
 */
export async function checkProfile(resource: JsonObject, definition: JsonObject, registry: ProfileRegistry): Promise<Issue[]> {
  const tree = treeOf(definition, registry);
  const root = locateResource(resource);
  if (root.type !== tree.type) return [issueOf('profile', `${root.type} declares ${tree.url}, which is a profile of ${tree.type}`, `${root.type}.meta.profile`)];
  const check = new ProfileCheck(root, registry, await loadEvaluate());
  check.element(tree, tree.root, [root], root.place);
  return check.issues;
}

function treeOf(definition: JsonObject, registry: ProfileRegistry): ProfileTree {
  const known = trees.get(definition);
  if (known !== undefined) return known;
  const tree = compileProfile(definition, registry);
  trees.set(definition, tree);
  return tree;
}

class ProfileCheck implements SliceContext {
  readonly issues: Issue[] = [];
  private nesting = 0;
  private readonly resource: Located;
  private readonly registry: ProfileRegistry;
  private readonly evaluate: Evaluate;

  constructor(resource: Located, registry: ProfileRegistry, evaluate: Evaluate) {
    this.resource = resource;
    this.registry = registry;
    this.evaluate = evaluate;
  }

  /** All values of one element under one parent, whose place is `place`. */
  element(profile: ProfileTree, element: ProfileElement, items: readonly Located[], place: string): void {
    if (element !== profile.root) this.cardinality(profile, element, items, place);
    for (const item of items) this.item(profile, element, item);
    if (element.slices.size > 0) this.slices(profile, element, items, place);
  }

  private item(profile: ProfileTree, element: ProfileElement, item: Located): void {
    this.types(profile, element, item);
    this.values(profile, element, item);
    this.binding(profile, element, item);
    this.constraints(profile, element, item);
    for (const [name, child] of element.children) this.element(profile, child, childrenOf(item, name), item.place);
  }

  private cardinality(profile: ProfileTree, element: ProfileElement, items: readonly Located[], place: string): void {
    const [min, max] = [number(element.definition, 'min') ?? 0, text(element.definition, 'max') ?? '*'];
    const [name = '', slice] = element.name.replace('[x]', '').split(':');
    const shown = slice === undefined ? '' : ` (slice ${slice}${extensionUrls(element).map((url) => `, ${String(url as string)}`).join('')})`;
    if (items.length < min) this.add(profile, 'required', `${place}.${name}`, min === 1 ? `is required${shown}` : `must occur ${min} times at least${shown}; ${items.length} were found`);
    if (max !== '*' && items.length > Number(max)) {
      this.add(profile, 'cardinality', items[Number(max)]?.place ?? `${place}.${name}`, max === '0' ? `may not occur${shown}` : `may occur ${max === '1' ? 'once' : `${max} times`}${shown}; ${items.length} were found`);
    }
  }

  private types(profile: ProfileTree, element: ProfileElement, item: Located): void {
    const types = objects(element.definition, 'type');
    const codes = types.map((type) => text(type, 'code') ?? '');
    const isOpen = types.length === 0 || codes.some((code) => UNTYPED.includes(code) || code.startsWith('http://hl7.org/fhirpath/')) || item.type.includes('.');
    if (isOpen) return;
    if (!codes.includes(item.type)) return this.add(profile, 'profile', item.place, `must be ${codes.join(' or ')}; ${item.type} was found`);
    const type = types.find((one) => one['code'] === item.type) ?? {};
    this.target(profile, type, item);
    this.typeProfiles(profile, values(type, 'profile').filter((url) => typeof url === 'string'), item);
  }

  /** One of the profiles of a type has to be kept; those that are not known here are passed over. */
  private typeProfiles(profile: ProfileTree, urls: readonly string[], item: Located): void {
    const answers = urls.map((url) => this.conforms(item, url));
    if (urls.length === 0 || answers.some((answer) => answer !== false)) return;
    this.add(profile, 'profile', item.place, `must be what ${urls.join(' or ')} demands`);
  }

  private target(profile: ProfileTree, type: JsonObject, { value, place }: Located): void {
    const targets = values(type, 'targetProfile').filter((url) => typeof url === 'string');
    const reference = isJsonObject(value) ? text(value, 'reference') : undefined;
    if (type['code'] !== 'Reference' || targets.length === 0 || reference === undefined) return;
    const contained = reference.startsWith('#') ? this.contained(reference.slice(1)) : undefined;
    const found = literalTargetType(reference, isJsonObject(this.resource.value) ? this.resource.value : {});
    if (found === undefined || targets.some((url) => this.mayTarget(url, found, contained))) return;
    this.add(profile, 'reference-target', place, `must refer to ${targets.map((url) => url.replace(CORE, '')).join(' or ')}; ${shownValue(found)} was found`);
  }

  private mayTarget(url: string, type: string, contained: Located | undefined): boolean {
    if (url.startsWith(CORE) && isResourceType(url.slice(CORE.length))) return url === `${CORE}${type}`;
    const definition = this.registry.find('StructureDefinition', url);
    if (definition !== undefined && definition['type'] !== type) return false;
    return contained === undefined || this.conforms(contained, url) !== false;
  }

  private values(profile: ProfileTree, { definition }: ProfileElement, { value, place }: Located): void {
    const [fixed, pattern, longest] = [choiceOf(definition, 'fixed'), choiceOf(definition, 'pattern'), number(definition, 'maxLength')];
    if (fixed !== undefined && !isSame(value, fixed)) this.add(profile, 'profile', place, `must be ${shownValue(shown(fixed))}`);
    if (pattern !== undefined && !holdsPattern(value, pattern)) this.add(profile, 'profile', place, `must have ${shownValue(shown(pattern))}`);
    if (longest !== undefined && typeof value === 'string' && value.length > longest) this.add(profile, 'profile', place, `may have ${longest} characters; ${value.length} were found`);
  }

  private binding(profile: ProfileTree, element: ProfileElement, item: Located): void {
    const valueSet = requiredValueSet(element);
    const allowed = valueSet === undefined ? undefined : this.codingsOf(valueSet);
    if (allowed === undefined || item.value === undefined || isInValueSet(codingsIn(item), allowed)) return;
    this.add(profile, 'code-invalid', item.place, `must be of the value set ${valueSet}`);
  }

  private constraints(profile: ProfileTree, element: ProfileElement, item: Located): void {
    for (const constraint of objects(element.definition, 'constraint')) {
      const [key, expression] = [text(constraint, 'key') ?? '', text(constraint, 'expression')];
      // A snapshot repeats the constraints of R4, which are checked in code.
      if (expression === undefined || text(constraint, 'source')?.startsWith(CORE) || isOfBase(key, item.type)) continue;
      const kept = this.evaluate(expression, item, this.resource);
      if (kept === true) continue;
      const told = kept === undefined ? 'could not be checked' : `does not keep "${text(constraint, 'human') ?? key}"`;
      this.add(profile, 'invariant', item.place, `${told} (${key})`, kept === undefined || constraint['severity'] === 'warning');
    }
  }

  private slices(profile: ProfileTree, element: ProfileElement, items: readonly Located[], place: string): void {
    const { bySlice, others, order } = assignSlices(element, items, this);
    for (const [slice, members] of bySlice) this.element(profile, slice, members, place);
    const slicing = object(element.definition, 'slicing') ?? {};
    const lastSliced = order.findLastIndex((name) => name !== undefined);
    for (const { item, at } of others) {
      if (slicing['rules'] === 'closed') this.add(profile, 'profile', item.place, `is of none of the slices ${[...element.slices.keys()].join(', ')}, and no other is allowed`);
      else if (slicing['rules'] === 'openAtEnd' && at < lastSliced) this.add(profile, 'profile', item.place, 'must stand after the elements that have a slice');
    }
    const names = [...element.slices.values()].map(({ name }) => name);
    const positions = order.flatMap((name) => (name === undefined ? [] : names.indexOf(name)));
    if (slicing['ordered'] === true && positions.some((position, at) => position < (positions[at - 1] ?? 0))) this.add(profile, 'profile', `${place}.${element.name}`, `must stand in the order ${names.join(', ')}`);
  }

  codingsOf(valueSet: string): ReadonlySet<string> | undefined {
    return codingsOf(valueSet, this.registry);
  }

  conforms(item: Located, url: string): boolean | undefined {
    if (url === `${CORE}${item.type}`) return true;
    const definition = this.registry.find('StructureDefinition', url);
    if (definition === undefined || this.nesting >= NESTING_MAX) return undefined;
    const tree = treeOf(definition, this.registry);
    if (tree.type !== item.type) return false;
    const inner = new ProfileCheck(isResourceType(item.type) ? item : this.resource, this.registry, this.evaluate);
    inner.nesting = this.nesting + 1;
    inner.element(tree, tree.root, [item], item.place);
    return !inner.issues.some(({ severity }) => severity === 'error');
  }

  contained(id: string): Located | undefined {
    const contained = isJsonObject(this.resource.value) ? objects(this.resource.value, 'contained') : [];
    const index = contained.findIndex((resource) => resource['id'] === id);
    const found = contained[index];
    return found === undefined ? undefined : locateResource(found, `${this.resource.place}.contained[${index}]`);
  }

  private add(profile: ProfileTree, detail: ErrorDetail, place: string, told: string, isWarning = false): void {
    if (this.issues.length >= ISSUES_MAX) return;
    const issue = issueOf(detail, `${place} ${told}, says the profile ${profile.title} (${profile.url})`, place);
    this.issues.push(isWarning ? { ...issue, severity: 'warning' } : issue);
  }
}

function isOfBase(key: string, type: string): boolean {
  return /^(?:ele|ext|dom)-\d$/.test(key) || (invariantsOf(type) ?? []).some((invariant) => invariant.key === key);
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
