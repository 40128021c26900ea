// Constraints of the conformance resources that this server serves, and of what they are made of
// (http://hl7.org/fhir/R4/structuredefinition.html#invs, http://hl7.org/fhir/R4/elementdefinition.html#invs).
import type { JsonObject } from '../../fhir/json.ts';
import { count, errors, has, hasChoice, isDistinct, number, object, objects, text, values, warnings, type Invariant } from './invariant.ts';

const REFERENCES = ['Reference', 'canonical'];
const BOUND_TYPES = ['code', 'Coding', 'CodeableConcept', 'Quantity', 'string', 'uri'];
const ELEMENT_PATH = /^[^\s.,:;'"/|?!@#$%&*()[\]{}]{1,64}(?:\.[^\s.,:;'"/|?!@#$%&*()[\]{}]{1,64}(?:\[x\])?(?::[^\s.]+)?)*$/;
const SIMPLE_PATH = /^[A-Za-z][A-Za-z0-9]*(?:\.[a-z][A-Za-z0-9]*(?:\[x\])?)*$/;
const COMPUTABLE_NAME = /^[A-Z][A-Za-z0-9_]{0,254}$/;

const ELEMENT_DEFINITION: readonly Invariant[] = [
  ...errors([
    ['eld-1', 'ElementDefinition.slicing', 'must have discriminators or a description', (e) => has(e, 'discriminator') || has(e, 'description')],
    ['eld-2', 'ElementDefinition', 'must have a min that is not over its max', (e) => !(Number(text(e, 'max') ?? Number.NaN) < (number(e, 'min') ?? 0))],
    ['eld-3', 'ElementDefinition', 'must have a number or * as its max', (e) => /^(?:\*|[0-9]+)$/.test(text(e, 'max') ?? '*')],
    ['eld-4', 'ElementDefinition.type', 'may have an aggregation only when it is a Reference or canonical', (e) => !has(e, 'aggregation') || REFERENCES.includes(text(e, 'code') ?? '')],
    ['eld-5', 'ElementDefinition', 'may have no type, value or binding of its own beside a contentReference',
      (e) => !has(e, 'contentReference') || (!['type', 'maxLength', 'binding', 'example'].some((name) => has(e, name)) && !['defaultValue', 'fixed', 'pattern', 'minValue', 'maxValue'].some((name) => hasChoice(e, name)))],
    ['eld-6', 'ElementDefinition', 'may have a fixed value only when it has one type', (e) => !hasChoice(e, 'fixed') || count(e, 'type') <= 1],
    ['eld-7', 'ElementDefinition', 'may have a pattern only when it has one type', (e) => !hasChoice(e, 'pattern') || count(e, 'type') <= 1],
    ['eld-8', 'ElementDefinition', 'may have a fixed value or a pattern, not both', (e) => !hasChoice(e, 'pattern') || !hasChoice(e, 'fixed')],
    ['eld-11', 'ElementDefinition', 'may have a binding only when it is coded, a string, a uri or a Quantity', (e) => !has(e, 'binding') || codesOf(e).length === 0 || codesOf(e).some((code) => BOUND_TYPES.includes(code))],
    ['eld-12', 'ElementDefinition.binding', 'must have a valueSet that begins with http:, https: or urn:', (e) => !has(e, 'valueSet') || /^(?:https?|urn):/.test(text(e, 'valueSet') ?? '')],
    ['eld-13', 'ElementDefinition', 'has a type twice', (e) => isDistinct(codesOf(e))],
    ['eld-14', 'ElementDefinition', 'has a constraint key twice', (e) => isDistinct(textsOf(objects(e, 'constraint'), 'key'))],
    ['eld-15', 'ElementDefinition', 'may have a default value or meaningWhenMissing, not both', (e) => !hasChoice(e, 'defaultValue') || !has(e, 'meaningWhenMissing')],
    ['eld-16', 'ElementDefinition', 'must have a sliceName of letters, digits and / - _ [ ] @', (e) => !has(e, 'sliceName') || /^[a-zA-Z0-9/\-_[\]@]+$/.test(text(e, 'sliceName') ?? '')],
    ['eld-17', 'ElementDefinition.type', 'may have a targetProfile only when it is a Reference or canonical', (e) => !has(e, 'targetProfile') || REFERENCES.includes(text(e, 'code') ?? '')],
    ['eld-18', 'ElementDefinition', 'must have isModifierReason when isModifier is true', (e) => e['isModifier'] !== true || has(e, 'isModifierReason')],
    ['eld-19', 'ElementDefinition', 'must have a path of names without special characters', (e) => ELEMENT_PATH.test(text(e, 'path') ?? 'a')],
    ['eld-22', 'ElementDefinition', 'may have sliceIsConstraining only beside a sliceName', (e) => !has(e, 'sliceIsConstraining') || has(e, 'sliceName')],
  ]),
  ...warnings([
    ['eld-20', 'ElementDefinition', 'should have a path of letters and digits', (e) => SIMPLE_PATH.test(text(e, 'path') ?? 'a')],
    ['eld-21', 'ElementDefinition.constraint', 'should have an expression, so that it can be checked', (e) => has(e, 'expression')],
  ]),
];

const STRUCTURE_DEFINITION: readonly Invariant[] = errors([
  ['sdf-1', 'StructureDefinition', 'has an element path twice', (e) => text(e, 'derivation') !== 'specialization' || isDistinct(textsOf(elementsOf(e, 'snapshot'), 'path'))],
  ['sdf-2', 'StructureDefinition.mapping', 'must have a name or a uri', (e) => has(e, 'name') || has(e, 'uri')],
  ['sdf-3', 'StructureDefinition.snapshot', 'must have definition, min and max in each element', (e) => objects(e, 'element').every((element) => ['definition', 'min', 'max'].every((name) => has(element, name)))],
  ['sdf-4', 'StructureDefinition', 'must have a baseDefinition when it is not abstract', (e) => e['abstract'] === true || has(e, 'baseDefinition')],
  ['sdf-5', 'StructureDefinition', 'must have a context when it defines an extension', (e) => text(e, 'type') !== 'Extension' || text(e, 'derivation') === 'specialization' || has(e, 'context')],
  ['sdf-6', 'StructureDefinition', 'must have a differential or a snapshot', (e) => has(e, 'snapshot') || has(e, 'differential')],
  ['sdf-8', 'StructureDefinition', 'must have a snapshot whose paths begin with its type', (e) => pathsBeginWith(e, 'snapshot')],
  ['sdf-8a', 'StructureDefinition', 'must have a differential whose paths begin with its type', (e) => pathsBeginWith(e, 'differential')],
  ['sdf-8b', 'StructureDefinition.snapshot', 'must have a base in each element', (e) => objects(e, 'element').every((element) => has(element, 'base'))],
  ['sdf-9', 'StructureDefinition', 'may have no label, code or requirements in the first element', (e) => allElements(e).every((element) => isNested(element) || !['label', 'code', 'requirements'].some((name) => has(element, name)))],
  ['sdf-10', 'StructureDefinition.snapshot', 'must have a valueSet or a description in each binding',
    (e) => objects(e, 'element').every((element) => { const binding = object(element, 'binding'); return binding === undefined || has(binding, 'valueSet') || has(binding, 'description'); })],
  ['sdf-11', 'StructureDefinition', 'must have its type as the path of the first element', (e) => isLogical(e) || firstPath(e, 'snapshot') === undefined || firstPath(e, 'snapshot') === text(e, 'type')],
  ['sdf-14', 'StructureDefinition', 'must have an id in each element', (e) => allElements(e).every((element) => has(element, 'id'))],
  ['sdf-15', 'StructureDefinition', 'may have no type in the first element of its snapshot', (e) => isLogical(e) || !has(elementsOf(e, 'snapshot')[0] ?? {}, 'type')],
  ['sdf-15a', 'StructureDefinition', 'may have no type in the first element of its differential', (e) => isLogical(e) || isNested(elementsOf(e, 'differential')[0] ?? {}) || !has(elementsOf(e, 'differential')[0] ?? {}, 'type')],
  ['sdf-16', 'StructureDefinition', 'has an element id twice in its snapshot', (e) => isDistinct(textsOf(elementsOf(e, 'snapshot'), 'id'))],
  ['sdf-17', 'StructureDefinition', 'has an element id twice in its differential', (e) => isDistinct(textsOf(elementsOf(e, 'differential'), 'id'))],
  ['sdf-18', 'StructureDefinition', 'may have a contextInvariant only when it defines an extension', (e) => !has(e, 'contextInvariant') || text(e, 'type') === 'Extension'],
  ['sdf-20', 'StructureDefinition.differential', 'may have no slicing in the first element', (e) => objects(e, 'element').every((element) => isNested(element) || !has(element, 'slicing'))],
  ['sdf-21', 'StructureDefinition', 'may have default values only when it is a specialization', (e) => text(e, 'derivation') !== 'constraint' || !elementsOf(e, 'differential').some((element) => hasChoice(element, 'defaultValue'))],
  ['sdf-23', 'StructureDefinition', 'may have no sliceName in the first element', (e) => allElements(e).every((element) => isNested(element) || !has(element, 'sliceName'))],
]);

const OTHERS: readonly Invariant[] = errors([
  ['spd-1', 'SearchParameter', 'must have an xpathUsage when it has an xpath', (e) => !has(e, 'xpath') || has(e, 'xpathUsage')],
  ['spd-2', 'SearchParameter', 'may have chains only when it is of type reference', (e) => !has(e, 'chain') || text(e, 'type') === 'reference'],
  ['csd-1', 'CodeSystem', 'has a code twice', (e) => isDistinct(conceptCodes(e))],
  ['vsd-1', 'ValueSet.compose.include', 'must have a value set or a system', (e) => has(e, 'valueSet') || has(e, 'system')],
  ['vsd-2', 'ValueSet.compose.include', 'must have a system when it has concepts or filters', (e) => (!has(e, 'concept') && !has(e, 'filter')) || has(e, 'system')],
  ['vsd-3', 'ValueSet.compose.include', 'may have concepts or filters, not both', (e) => !has(e, 'concept') || !has(e, 'filter')],
  ['vsd-6', 'ValueSet.expansion.contains', 'must have a code or a display', (e) => has(e, 'code') || has(e, 'display')],
  ['vsd-9', 'ValueSet.expansion.contains', 'must have a code when it is not abstract', (e) => has(e, 'code') || e['abstract'] === true],
  ['vsd-10', 'ValueSet.expansion.contains', 'must have a system when it has a code', (e) => !has(e, 'code') || has(e, 'system')],
  ['opd-1', 'OperationDefinition.parameter', 'must have a type or parts', (e) => has(e, 'type') || has(e, 'part')],
  ['opd-2', 'OperationDefinition.parameter', 'may have a searchType only when it is a string', (e) => !has(e, 'searchType') || (text(e, 'type') ?? 'string') === 'string'],
  ['opd-3', 'OperationDefinition.parameter', 'may have a targetProfile only when it is a Reference or canonical', (e) => !has(e, 'targetProfile') || REFERENCES.includes(text(e, 'type') ?? 'Reference')],
  ['cpb-1', 'CapabilityStatement', 'must have rest, messaging or document', (e) => ['rest', 'messaging', 'document'].some((name) => has(e, name))],
  ['cpb-2', 'CapabilityStatement', 'must have a description, software or implementation', (e) => ['description', 'software', 'implementation'].some((name) => has(e, name))],
  ['cpb-3', 'CapabilityStatement', 'may have messaging endpoints only when it is of an instance', (e) => text(e, 'kind') === 'instance' || !objects(e, 'messaging').some((one) => has(one, 'endpoint'))],
  ['cpb-7', 'CapabilityStatement', 'has a document twice', (e) => isDistinct(objects(e, 'document').map((one) => `${text(one, 'profile') ?? ''} ${text(one, 'mode') ?? ''}`))],
  ['cpb-9', 'CapabilityStatement.rest', 'describes a resource twice', (e) => isDistinct(textsOf(objects(e, 'resource'), 'type'))],
  ['cpb-12', 'CapabilityStatement.rest.resource', 'has a search parameter twice', (e) => isDistinct(textsOf(objects(e, 'searchParam'), 'name'))],
  ['cpb-14', 'CapabilityStatement', 'must have an implementation when it is of an instance', (e) => text(e, 'kind') !== 'instance' || has(e, 'implementation')],
  ['cpb-15', 'CapabilityStatement', 'must have software and no implementation when it is of a capability', (e) => text(e, 'kind') !== 'capability' || (!has(e, 'implementation') && has(e, 'software'))],
  ['cpb-16', 'CapabilityStatement', 'may have neither software nor implementation when it is of requirements', (e) => text(e, 'kind') !== 'requirements' || (!has(e, 'implementation') && !has(e, 'software'))],
]);

/** The same rule stands under another key in each of these types. */
const NAMED: readonly [key: string, context: string][] = [
  ['sdf-0', 'StructureDefinition'], ['spd-0', 'SearchParameter'], ['csd-0', 'CodeSystem'], ['vsd-0', 'ValueSet'], ['opd-0', 'OperationDefinition'], ['cpb-0', 'CapabilityStatement'],
];

export const DEFINITION_INVARIANTS: readonly Invariant[] = [
  ...ELEMENT_DEFINITION,
  ...STRUCTURE_DEFINITION,
  ...OTHERS,
  ...warnings(NAMED.map(([key, context]) => [key, context, 'should have a name that programs can use: a capital, then letters, digits and _', (e) => COMPUTABLE_NAME.test(text(e, 'name') ?? 'A')])),
];

function textsOf(items: readonly JsonObject[], name: string): string[] {
  return items.flatMap((item) => text(item, name) ?? []);
}

function codesOf(element: JsonObject): string[] {
  return textsOf(objects(element, 'type'), 'code');
}

function elementsOf(definition: JsonObject, form: 'snapshot' | 'differential'): JsonObject[] {
  return objects(object(definition, form) ?? {}, 'element');
}

function allElements(definition: JsonObject): JsonObject[] {
  return [...elementsOf(definition, 'snapshot'), ...elementsOf(definition, 'differential')];
}

function isNested(element: JsonObject): boolean {
  return (text(element, 'path') ?? '.').includes('.');
}

function isLogical(definition: JsonObject): boolean {
  return text(definition, 'kind') === 'logical';
}

function firstPath(definition: JsonObject, form: 'snapshot' | 'differential'): string | undefined {
  return textsOf(elementsOf(definition, form), 'path')[0];
}

/** The first path is the type, or begins with it in a differential; all others stand below it. */
function pathsBeginWith(definition: JsonObject, form: 'snapshot' | 'differential'): boolean {
  const [first, ...others] = textsOf(elementsOf(definition, form), 'path');
  if (first === undefined) return true;
  const root = first.split('.')[0] ?? '';
  return (isLogical(definition) || root === text(definition, 'type')) && others.every((path) => path.startsWith(`${root}.`));
}

function conceptCodes(holder: JsonObject): string[] {
  return objects(holder, 'concept').flatMap((concept) => [...values(concept, 'code').map(String), ...conceptCodes(concept)]);
}
