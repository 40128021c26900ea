// Constraints of profiles, evaluated by fhirpath.js (http://hl7.org/fhir/R4/fhirpath.html). The library and its model are
// loaded by the first profile that has one, and each expression is compiled once.
import { literalTargetType } from '../reference-target.ts';
import { toPlain, type Located } from './located.ts';

/** True when the element keeps the constraint; undefined when the library cannot tell. */
export type Evaluate = (expression: string, element: Located, resource: Located) => boolean | undefined;

type Compiled = (element: unknown, environment: Record<string, unknown>) => unknown[];

const compiled = new Map<string, Compiled>();

/** Loads the library at first use. */
export async function loadEvaluate(): Promise<Evaluate> {
  const [{ default: fhirpath }, { default: model }] = await Promise.all([import('fhirpath'), import('fhirpath/fhir-context/r4/index.js')]);
  const options = {
    // Left alone, trace() prints what is in the resource.
    traceFn: () => undefined,
    userInvocationTable: { htmlChecks: { fn: () => [true], arity: { 0: [] } }, resolve: { fn: resolveLocally, arity: { 0: [] }, internalStructures: true } },
  };
  return (expression, element, resource) => {
    const key = `${element.type} ${expression}`;
    try {
      const evaluate = compiled.get(key) ?? fhirpath.compile(
        element.type === resource.type ? readable(expression) : { base: element.type, expression: readable(expression) }, model as Parameters<typeof fhirpath.compile>[1], options,
      ) as Compiled;
      compiled.set(key, evaluate);
      const whole = plainResource(resource);
      const [answer] = evaluate(toPlain(element.value ?? element.companion ?? null), { resource: whole, rootResource: whole, ucum: 'http://unitsofmeasure.org', context: whole });
      // Nothing found is no violation.
      return answer !== false;
    } catch {
      return undefined;
    }
  };
}

const plain = new WeakMap<Located, unknown>();

/** One copy for all constraints of a resource. */
function plainResource(resource: Located): unknown {
  const known = plain.get(resource);
  if (known !== undefined) return known;
  const copy = toPlain(resource.value ?? null);
  plain.set(resource, copy);
  return copy;
}

/** Expressions as they are published use `as()` on collections, which only ofType() takes, and `div`, which is also an operator. */
function readable(expression: string): string {
  return expression.replaceAll(/\.as\(/g, '.ofType(').replaceAll(/\.div\b/g, '.`div`');
}

/** A node of the library: what it holds, and how another one is made. */
interface ResourceNode {
  ctx: unknown;
  data: unknown;
  constructor: new (ctx: unknown, data: object, parent: null, path: null, companion: null, type: null) => ResourceNode;
}

/** resolve() of literal references: the type that the text names is all that `is` and ofType() ask for. */
function resolveLocally(nodes: ResourceNode[]): ResourceNode[] {
  return nodes.flatMap((node) => {
    const reference = typeof node.data === 'string' ? node.data : (node.data as { reference?: unknown } | null)?.reference;
    if (typeof reference !== 'string') return [];
    const type = literalTargetType(reference, {});
    return type === undefined ? [] : [new node.constructor(node.ctx, { resourceType: type, id: reference.split('/').at(-1) }, null, null, null, null)];
  });
}
