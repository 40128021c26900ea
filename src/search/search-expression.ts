// The subset of FHIRPath in which R4 and IHE MHD state the parameters of this server: unions of paths, with
// `.where(resolve() is Type)`, `.extension('url')`, `.ofType(Type)` or `.as(Type)`, and `.resolve()` where it leads to a
// contained resource. Pure.
import { isJsonObject, type JsonObject, type JsonValue } from '../fhir/json.ts';
import { structureOf } from '../fhir/structure.ts';

export interface SearchPath {
  steps: readonly Step[];
  /** From `.where(resolve() is Type)`. */
  onlyType?: string;
}

/** Properties of which one holds the element (a choice has several), an extension's url, or the type of a contained resource. */
type Step = { names: readonly string[] } | { extension: string } | { contained: string };

const compiled = new Map<string, readonly SearchPath[]>();
const EVERY_TYPE = 'Resource';

/** Parts between the characters `separator` that stand outside brackets. */
function splitOutside(text: string, separator: string): string[] {
  const parts: string[] = [''];
  let depth = 0;
  for (const character of text) {
    depth += character === '(' ? 1 : character === ')' ? -1 : 0;
    if (character === separator && depth === 0) parts.push('');
    else parts.push(`${parts.pop() ?? ''}${character}`);
  }
  return parts.map((part) => part.trim());
}

/** The element of a type by its FHIRPath name: its properties, and the type that it has, where that is one. */
function element(type: string, name: string): { names: string[]; type: string | undefined } {
  const rules = [...structureOf(type === EVERY_TYPE ? 'DomainResource' : type).elements.values()].filter((rule) => rule.path === name);
  if (rules.length === 0) throw new Error(`${type} has no element ${name}`);
  return { names: rules.map((rule) => rule.name), type: rules.length === 1 ? rules[0]?.type : undefined };
}

function compilePath(text: string): SearchPath {
  const [root = '', ...parts] = splitOutside(text, '.');
  const steps: Step[] = [];
  let type: string | undefined = root;
  let onlyType: string | undefined;
  for (const part of parts) {
    const [, call, argument = ''] = /^([a-zA-Z]+)\((.*)\)$/.exec(part) ?? [];
    if (call === undefined) {
      if (type === undefined) throw new Error(`The type before ${part} is open`);
      const found = element(type, part);
      steps.push({ names: found.names });
      type = found.type;
    } else if (call === 'extension') {
      steps.push({ extension: argument.slice(1, -1) });
      type = 'Extension';
    } else if (call === 'resolve') {
      steps.push({ contained: EVERY_TYPE });
      type = undefined;
    } else if (call === 'ofType' || call === 'as') {
      const last = steps.pop();
      if (last !== undefined && 'contained' in last) {
        steps.push({ contained: argument });
        type = argument;
        continue;
      }
      const name = last !== undefined && 'names' in last ? last.names.find((candidate) => candidate.endsWith(argument)) : undefined;
      if (name === undefined) throw new Error(`No variant ${argument}`);
      steps.push({ names: [name] });
      type = argument;
    } else if (call === 'where' && /^resolve\(\) is [A-Za-z]+$/.test(argument)) {
      onlyType = argument.split(' ').at(-1);
    } else throw new Error(`${part} is outside the supported subset`);
  }
  if (steps.length === 0) throw new Error('There is no path');
  return onlyType === undefined ? { steps } : { steps, onlyType };
}

/** Throws where the expression is outside the subset, or names an element that R4 does not have. */
export function compileExpression(expression: string): readonly SearchPath[] {
  const known = compiled.get(expression);
  if (known !== undefined) return known;
  try {
    const paths = splitOutside(expression, '|').map(compilePath);
    compiled.set(expression, paths);
    return paths;
  } catch (error) {
    throw new Error(`Search expression ${expression}: ${(error as Error).message}`, { cause: error });
  }
}

/** The contained resource of that type that a reference points to. */
function resolveContained(reference: JsonObject, type: string, resource: JsonObject): JsonValue[] {
  const { contained } = resource;
  if (!Array.isArray(contained)) return [];
  return contained.filter((one) => isJsonObject(one) && typeof one['id'] === 'string' && `#${one['id']}` === reference['reference'] && (type === EVERY_TYPE || one['resourceType'] === type));
}

function follow(node: JsonValue, step: Step, resource: JsonObject): JsonValue[] {
  if (!isJsonObject(node)) return [];
  if ('contained' in step) return resolveContained(node, step.contained, resource);
  if ('extension' in step) {
    const extensions = node['extension'];
    return Array.isArray(extensions) ? extensions.filter((one) => isJsonObject(one) && one['url'] === step.extension) : [];
  }
  for (const name of step.names) {
    const value = node[name];
    if (value !== undefined) return Array.isArray(value) ? value : [value];
  }
  return [];
}

/** The values at the path, in the order of the resource. */
export function valuesAt(resource: JsonObject, path: SearchPath): JsonValue[] {
  let nodes: JsonValue[] = [resource];
  for (const step of path.steps) {
    if (nodes.length === 0) return nodes;
    nodes = nodes.length === 1 ? follow(nodes[0] as JsonValue, step, resource) : nodes.flatMap((node) => follow(node, step, resource));
  }
  return nodes;
}
