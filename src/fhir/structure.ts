// The element rules of R4 types, compiled on first use from the generated tables.
import { PRIMITIVES, type PrimitiveCheck } from './primitives.ts';
import { CODE_LISTS, OPEN_TYPES, RESOURCE_TYPE_NAMES, STRUCTURES } from './structure-tables.ts';

export interface ElementRule {
  /** The property in JSON: valueString. */
  name: string;
  /** The element in FHIRPath, where a choice has no type: value. */
  path: string;
  /** The property that holds id and extensions of a primitive: _valueString. */
  companion: string;
  /** value[x] when the element is one variant of a choice. */
  choice: string | undefined;
  many: boolean;
  type: string;
  /** Undefined for complex types. */
  primitive: PrimitiveCheck | undefined;
  /** Name and codes of a required binding; codes are undefined when the value set cannot be enumerated, and `system|code` for a CodeableConcept. */
  valueSet: string | undefined;
  codes: ReadonlySet<string> | undefined;
  /** Resource types that a reference may point to; undefined = any. */
  targets: ReadonlySet<string> | undefined;
  /** Whether it may name a contained resource (#id) outside a Reference: canonical, uri and url. */
  mayBeLocal: boolean;
  /** Whether `_summary=true` shows it (isSummary). */
  summary: boolean;
  /** Whether it changes the meaning of what it is in (isModifier). */
  modifier: boolean;
  /** Whether XML has it as an attribute: the id of elements, the url of extensions. */
  attribute: boolean;
}

export interface Structure {
  name: string;
  /** By JSON name, both value and _value; the latter reads its rule from `companions`. */
  elements: ReadonlyMap<string, ElementRule>;
  companions: ReadonlyMap<string, ElementRule>;
  /** Elements with a minimum of one, with the properties of which one has to be there. */
  required: readonly { path: string; shown: string; properties: readonly string[] }[];
}

const RESOURCE_TYPES: ReadonlySet<string> = new Set(RESOURCE_TYPE_NAMES.split(' '));

/** Whether R4 has a concrete resource of that name. */
export function isResourceType(name: string): boolean {
  return RESOURCE_TYPES.has(name);
}

/** The structure of a data type, of a resource type or of a nested element by its path (DocumentReference.content). Throws on any other name. */
export function structureOf(name: string): Structure {
  const known = compiled.get(name);
  if (known !== undefined) return known;
  const structure = compile(name);
  compiled.set(name, structure);
  return structure;
}

const compiled = new Map<string, Structure>();
const codeSets = new Map<string, ReadonlySet<string>>();

function compile(name: string): Structure {
  const line = lineOf(name);
  if (line === undefined) throw new Error(`No structure is known for ${name}`);
  const [base = '', ...parts] = line.split('; ');
  const inherited = base === '' ? undefined : structureOf(base);
  const rules = parts.map(elementRules);
  const own = rules.flatMap((rule) => rule.variants);
  return {
    name,
    elements: new Map([...(inherited?.elements ?? []), ...own.map((rule) => [rule.name, rule] as const)]),
    companions: new Map([...(inherited?.companions ?? []), ...own.filter(isPrimitive).map((rule) => [rule.companion, rule] as const)]),
    required: [...(inherited?.required ?? []), ...rules.filter((rule) => rule.required).map(requirement)],
  };
}

function lineOf(name: string): string | undefined {
  return Object.hasOwn(STRUCTURES, name) ? STRUCTURES[name] : undefined;
}

const LOCAL_TYPES: ReadonlySet<string> = new Set(['canonical', 'uri', 'url']);

interface ElementVariants {
  shown: string;
  required: boolean;
  variants: ElementRule[];
}

type Shared = Pick<ElementRule, 'path' | 'choice' | 'many' | 'summary' | 'modifier' | 'attribute'>;

/** One part of a line: "value[x] 0..1 string|Reference>Patient,Group", "status 1..1 code#list-status ?!Σ". */
function elementRules(part: string): ElementVariants {
  const [shown = '', cardinality = '', types = '', flags = ''] = part.split(' ');
  const isChoice = shown.endsWith('[x]');
  const shared = {
    path: isChoice ? shown.slice(0, -3) : shown,
    choice: isChoice ? shown : undefined,
    many: cardinality.endsWith('*'),
    summary: flags.includes('Σ'), modifier: flags.includes('?!'), attribute: flags.includes('@'),
  };
  const variants = (types === '*' ? OPEN_TYPES : types).split('|').map((type) => elementRule(shared, type));
  return { shown, required: cardinality.startsWith('1'), variants };
}

function elementRule(shared: Shared, notation: string): ElementRule {
  const [type = '', targets, valueSet] = splitType(notation);
  const name = shared.choice === undefined ? shared.path : shared.path + type.charAt(0).toUpperCase() + type.slice(1);
  return {
    ...shared, name, companion: `_${name}`, type, valueSet,
    primitive: PRIMITIVES.get(type),
    codes: valueSet === undefined ? undefined : codesOf(type === 'code' ? valueSet : `${valueSet}|`),
    mayBeLocal: LOCAL_TYPES.has(type),
    targets: targets === undefined ? undefined : new Set(targets.split(',')),
  };
}

function splitType(notation: string): [type: string | undefined, targets: string | undefined, valueSet: string | undefined] {
  const [type, targets] = notation.split('>');
  const [bare, valueSet] = (type ?? '').split('#');
  return [bare, targets, valueSet];
}

function codesOf(valueSet: string): ReadonlySet<string> | undefined {
  const known = codeSets.get(valueSet);
  const list = CODE_LISTS[valueSet];
  if (known !== undefined || list === undefined) return known;
  const codes = new Set(list.split(' '));
  codeSets.set(valueSet, codes);
  return codes;
}

function isPrimitive(rule: ElementRule): boolean {
  return rule.primitive !== undefined;
}

function requirement({ shown, variants }: ElementVariants): Structure['required'][number] {
  const properties = variants.flatMap((rule) => (isPrimitive(rule) ? [rule.name, rule.companion] : [rule.name]));
  return { path: variants[0]?.path ?? shown, shown, properties };
}
