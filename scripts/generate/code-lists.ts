// Expands the value sets of required bindings to lists of codes.
import type { Concept, Definitions } from './definitions.ts';

/** A value set of HL7 v3 that the definitions do not hold: the levels of confidentiality. */
const ELSEWHERE: Record<string, string> = { 'http://terminology.hl7.org/ValueSet/v3-ConfidentialityClassification': 'L M N R U V' };

/**
 * The codes of a value set (canonical, a version after | is ignored), sorted; undefined when they cannot be enumerated:
 * media types (BCP 13) and currencies (ISO 4217) are bound as whole code systems that R4 does not list.
 * Throws on anything that this expansion does not know: filters, exclusions, code systems that are not complete.
 */
export function expandCodes(definitions: Definitions, canonical: string): string[] | undefined {
  const url = withoutVersion(canonical);
  const elsewhere = ELSEWHERE[url];
  if (elsewhere !== undefined) return elsewhere.split(' ');
  const compose = definitions.valueSets.get(url)?.compose;
  if (compose === undefined) throw new Error(`No value set ${url}`);
  if (compose.exclude !== undefined) throw new Error(`${url} excludes codes`);
  const codes = new Set<string>();
  for (const include of compose.include) {
    if (include.filter !== undefined) throw new Error(`${url} filters codes`);
    for (const inner of include.valueSet ?? []) expandCodes(definitions, inner)?.forEach((code) => codes.add(code));
    if (include.system === undefined) continue;
    const listed = include.concept ?? conceptsOf(definitions, include.system);
    if (listed === undefined) return undefined;
    allCodes(listed).forEach((code) => codes.add(code));
  }
  return [...codes].sort();
}

export function withoutVersion(canonical: string): string {
  return canonical.split('|')[0] ?? canonical;
}

function conceptsOf(definitions: Definitions, system: string): Concept[] | undefined {
  const codeSystem = definitions.codeSystems.get(system);
  if (codeSystem === undefined) return undefined;
  if (codeSystem.content !== 'complete') throw new Error(`${system} is not complete`);
  return codeSystem.concept ?? [];
}

function allCodes(concepts: Concept[]): string[] {
  return concepts.flatMap((concept) => [concept.code, ...allCodes(concept.concept ?? [])]);
}
