// Expands the value sets of required bindings to lists of codes.
import type { Concept, Definitions } from './definitions.ts';

/** A value set of HL7 v3 that the definitions do not hold: the levels of confidentiality. */
const ELSEWHERE: Record<string, Coding[]> = {
  'http://terminology.hl7.org/ValueSet/v3-ConfidentialityClassification':
    [...'LMNRUV'].map((code) => ({ system: 'http://terminology.hl7.org/CodeSystem/v3-Confidentiality', code })),
};

/** Value sets of other publishers that R4 binds to and does not hold: they cannot be enumerated. */
const FOREIGN = /^http:\/\/loinc\.org\/vs\//;

interface Coding {
  system: string;
  code: string;
}

/**
 * The codes of a value set (canonical, a version after | is ignored), sorted; undefined when they cannot be enumerated:
 * media types (BCP 13), languages (BCP 47), currencies (ISO 4217) and units (UCUM) are bound as whole code systems that R4 does not list.
 * Throws on anything that this expansion does not know: filters, exclusions, code systems that are not complete.
 */
export function expandCodes(definitions: Definitions, canonical: string): string[] | undefined {
  const codings = expand(definitions, canonical);
  return codings && [...new Set(codings.map(({ code }) => code))].sort();
}

/** The same, as `system|code`. */
export function expandCodings(definitions: Definitions, canonical: string): string[] | undefined {
  const codings = expand(definitions, canonical);
  return codings && [...new Set(codings.map(({ system, code }) => `${system}|${code}`))].sort();
}

export function withoutVersion(canonical: string): string {
  return canonical.split('|')[0] ?? canonical;
}

function expand(definitions: Definitions, canonical: string): Coding[] | undefined {
  const url = withoutVersion(canonical);
  const elsewhere = ELSEWHERE[url];
  if (elsewhere !== undefined) return elsewhere;
  const compose = definitions.valueSets.get(url)?.compose;
  if (compose === undefined && FOREIGN.test(url)) return undefined;
  if (compose === undefined) throw new Error(`No value set ${url}`);
  if (compose.exclude !== undefined) throw new Error(`${url} excludes codes`);
  const codings: Coding[] = [];
  for (const { filter, valueSet, system, concept } of compose.include) {
    if (filter !== undefined) throw new Error(`${url} filters codes`);
    for (const inner of valueSet ?? []) codings.push(...expand(definitions, inner) ?? []);
    if (system === undefined) continue;
    const listed = concept ?? conceptsOf(definitions, system);
    if (listed === undefined) return undefined;
    codings.push(...allCodes(listed).map((code) => ({ system, code })));
  }
  return codings;
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
