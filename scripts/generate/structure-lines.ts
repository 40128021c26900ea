// Compiles StructureDefinitions to one line of text per structure, in the notation that src/fhir/structure.ts reads:
// "Base; name min..max type|type flags; …", a type followed by >Target,Target (references) or by #value-set (required binding),
// the flags being those of R4's tables, ?! for a modifier and Σ for what a summary shows, and @ for an attribute in XML.
import { withoutVersion } from './code-lists.ts';
import type { Definitions, ElementDefinition, StructureDefinition } from './definitions.ts';

export interface StructureLines {
  /** By name: DocumentReference, Attachment; nested elements by path: DocumentReference.content. */
  lines: Map<string, string>;
  /** Canonical URLs of the value sets that the lines name by their last segment. */
  valueSets: Map<string, string>;
}

/** The lines of these types and of all that they are made of. */
export function compileStructures(definitions: Definitions, roots: readonly string[], resourceTypes: ReadonlySet<string>): StructureLines {
  const result: StructureLines = { lines: new Map(), valueSets: new Map() };
  const pending = [...roots];
  for (let name = pending.shift(); name !== undefined; name = pending.shift()) {
    const definition = definitions.structures.get(name);
    if (definition === undefined) throw new Error(`No StructureDefinition ${name}`);
    if (result.lines.has(name) || definition.kind === 'primitive-type') continue;
    compileStructure(definition, result, resourceTypes);
    const types = definition.snapshot.element.flatMap((element) => element.type ?? []).map((type) => type.code);
    pending.push(...types.filter((type) => !type.startsWith('http')), baseOf(definition) ?? name);
  }
  return result;
}

const BASES = ['Resource', 'DomainResource', 'Element', 'BackboneElement'];
/** The types of Extension.value[x]; written as * where an element has them all (http://hl7.org/fhir/R4/datatypes.html#open). */
const OPEN_TYPES = 50;
/** R4 binds these to media types, yet its own examples say `json` and `xml` there. */
const LOOSE_MEDIA_TYPES = ['CapabilityStatement.format', 'CapabilityStatement.patchFormat'];

function compileStructure(definition: StructureDefinition, result: StructureLines, resourceTypes: ReadonlySet<string>): void {
  const elements = definition.snapshot.element;
  const nested = elements.filter((element) => elements.some((child) => parentOf(child) === element.path));
  for (const structure of nested) {
    const children = elements.filter((child) => parentOf(child) === structure.path);
    const base = structure === elements[0] ? baseOf(definition) : structure.type?.[0]?.code;
    const inherited = base === undefined ? [] : INHERITED[base] ?? [];
    const own = children.filter((child) => !inherited.includes(leafOf(child)));
    const lines = own.map((child) => elementLine(child, nested.includes(child), result, resourceTypes));
    result.lines.set(structure.path, [base ?? '', ...lines].join('; '));
  }
}

const RESOURCE = ['id', 'meta', 'implicitRules', 'language'];
const INHERITED: Record<string, string[]> = {
  Element: ['id', 'extension'],
  BackboneElement: ['id', 'extension', 'modifierExtension'],
  Resource: RESOURCE,
  DomainResource: [...RESOURCE, 'text', 'contained', 'extension', 'modifierExtension'],
};

function baseOf(definition: StructureDefinition): string | undefined {
  const base = definition.baseDefinition?.split('/').at(-1);
  if (base === undefined || BASES.includes(base)) return base;
  // Age, Count, Distance and Duration specialise Quantity; their snapshots repeat its elements.
  return 'Element';
}

function elementLine(element: ElementDefinition, nested: boolean, result: StructureLines, resourceTypes: ReadonlySet<string>): string {
  const types = nested ? [element.path] : typesOf(element, resourceTypes);
  const binding = bindingOf(element, result);
  const flags = flagsOf(element);
  return `${leafOf(element)} ${element.min}..${element.max} ${types.join('|')}${binding}${flags === '' ? '' : ` ${flags}`}`;
}

function flagsOf({ isModifier, isSummary, representation }: ElementDefinition): string {
  return [isModifier === true ? '?!' : '', isSummary === true ? 'Σ' : '', representation?.includes('xmlAttr') === true ? '@' : ''].join('');
}

function typesOf(element: ElementDefinition, resourceTypes: ReadonlySet<string>): string[] {
  if (element.contentReference !== undefined) return [element.contentReference.replace('#', '')];
  const types = element.type ?? [];
  if (types.length === OPEN_TYPES) return ['*'];
  return types.map((type) => {
    if (type.code.startsWith('http')) return systemType(element, type.extension?.[0]?.valueUrl);
    const targets = (type.targetProfile ?? []).map((profile) => profile.split('/').at(-1) ?? '');
    if (type.code !== 'Reference' || targets.length === 0 || targets.includes('Resource')) return type.code;
    const unknown = targets.find((target) => !resourceTypes.has(target));
    if (unknown !== undefined) throw new Error(`${element.path} refers to ${unknown}, which is no R4 resource`);
    return `Reference>${targets.join(',')}`;
  });
}

/** Elements that are XML attributes have types of FHIRPath; the snapshots call Resource.id a string, the page of Resource an id. */
function systemType(element: ElementDefinition, fhirType: string | undefined): string {
  return element.path === 'Resource.id' ? 'id' : fhirType ?? 'string';
}

function bindingOf(element: ElementDefinition, result: StructureLines): string {
  const valueSet = requiredValueSet(element);
  if (valueSet === undefined || LOOSE_MEDIA_TYPES.includes(element.path)) return '';
  const [type, ...others] = (element.type ?? []).map(({ code }) => code);
  if (others.length > 0 || (type !== 'code' && type !== 'CodeableConcept')) throw new Error(`${element.path} has a required binding but is neither code nor CodeableConcept`);
  const url = withoutVersion(valueSet);
  const name = url.split('/').at(-1) ?? url;
  // A CodeableConcept is bound by system and code: its list has another name.
  result.valueSets.set(type === 'code' ? name : `${name}|`, url);
  return `#${name}`;
}

/** The value set that a code has to be of: of a required binding, or the widest one that a weaker binding allows (languages). */
function requiredValueSet({ binding, type }: ElementDefinition): string | undefined {
  if (binding?.strength === 'required') return binding.valueSet;
  if (type?.[0]?.code !== 'code') return undefined;
  const widest = binding?.extension?.find(({ url }) => url === 'http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet')?.valueCanonical;
  return widest?.startsWith('http://www.rfc-editor.org/bcp/bcp13') ? 'http://hl7.org/fhir/ValueSet/mimetypes' : widest;
}

function parentOf(element: ElementDefinition): string {
  return element.path.slice(0, Math.max(0, element.path.lastIndexOf('.')));
}

function leafOf(element: ElementDefinition): string {
  return element.path.slice(element.path.lastIndexOf('.') + 1);
}
