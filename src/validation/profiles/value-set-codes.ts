// Membership in the value sets that profiles bind to: those of profiles/, and those of R4 whose codes the tables hold.
import { isJsonObject, type JsonObject } from '../../fhir/json.ts';
import { objects, text, values } from '../invariants/invariant.ts';
import type { ProfileRegistry } from '../profile-registry.ts';
import type { Located } from './located.ts';

/** `system|code`; undefined when the value set is not here or cannot be enumerated. */
export function codingsOf(valueSet: string, registry: ProfileRegistry): ReadonlySet<string> | undefined {
  const found = registry.find('ValueSet', valueSet);
  return found === undefined ? undefined : expand(found, registry);
}

/** The codings of an element: of a Coding, a CodeableConcept or a Quantity; a code without its system is `|code`. */
export function codingsIn({ value, type }: Located): string[] {
  if (typeof value === 'string') return [`|${value}`];
  if (!isJsonObject(value)) return [];
  const codings = type === 'CodeableConcept' ? objects(value, 'coding') : [value];
  return codings.flatMap((coding) => (typeof coding['code'] === 'string' ? [`${text(coding, 'system') ?? ''}|${coding['code']}`] : []));
}

/** Whether one of the codings is in the value set; a bare code is when any system of it has the code. */
export function isInValueSet(codings: readonly string[], allowed: ReadonlySet<string>): boolean {
  return codings.some((coding) => (coding.startsWith('|') ? [...allowed].some((one) => one.endsWith(coding)) : allowed.has(coding)));
}

function expand(valueSet: JsonObject, registry: ProfileRegistry): ReadonlySet<string> | undefined {
  const compose = valueSet['compose'];
  if (!isJsonObject(compose) || compose['exclude'] !== undefined) return undefined;
  const codings = new Set<string>();
  for (const include of objects(compose, 'include')) {
    if (include['filter'] !== undefined) return undefined;
    for (const inner of values(include, 'valueSet')) {
      const found = typeof inner === 'string' ? codingsOf(inner, registry) : undefined;
      if (found === undefined) return undefined;
      found.forEach((coding) => codings.add(coding));
    }
    const system = text(include, 'system');
    if (system === undefined) continue;
    const concepts = include['concept'] === undefined ? conceptsOf(system, registry) : objects(include, 'concept');
    if (concepts === undefined) return undefined;
    for (const concept of concepts) addConcept(concept, system, codings);
  }
  return codings;
}

function conceptsOf(system: string, registry: ProfileRegistry): JsonObject[] | undefined {
  const codeSystem = registry.find('CodeSystem', system);
  return codeSystem === undefined || codeSystem['content'] !== 'complete' ? undefined : objects(codeSystem, 'concept');
}

function addConcept(concept: JsonObject, system: string, codings: Set<string>): void {
  codings.add(`${system}|${text(concept, 'code') ?? ''}`);
  for (const child of objects(concept, 'concept')) addConcept(child, system, codings);
}
