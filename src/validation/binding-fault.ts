// Required bindings (http://hl7.org/fhir/R4/terminologies.html#required): against the codes that were expanded when the
// tables were generated, or against the grammar of a code system that cannot be listed.
import { isJsonObject, type JsonObject, type JsonValue } from '../fhir/json.ts';
import { shownValue } from '../fhir/primitives.ts';
import type { ElementRule } from '../fhir/structure.ts';

/** Names of more than these do not help. */
const SHOWN_CODES_MAX = 10;

/** RFC 6838 names with any parameters, which are kept as sent. */
const MEDIA_TYPE = /^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}\/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}(?:\s?;|$)/;
/** RFC 5646 2.1: language, script, region, variants, extensions, private use; or private use or a tag of IANA alone. */
const LANGUAGE = /^(?:[A-Za-z]{2,3}(?:-[A-Za-z]{3}){0,3}|[A-Za-z]{4,8})(?:-[A-Za-z]{4})?(?:-(?:[A-Za-z]{2}|[0-9]{3}))?(?:-(?:[A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3}))*(?:-[0-9A-WY-Za-wy-z](?:-[A-Za-z0-9]{2,8})+)*(?:-[xX](?:-[A-Za-z0-9]{1,8})+)?$|^[xXiI](?:-[A-Za-z0-9]{1,8})+$/;
const CURRENCY = /^[A-Z]{3}$/;
/** UCUM: printable ASCII; what stands in brackets or braces is closed. */
const UCUM = /^(?:[!-Z^-z|~]|\[[!-Z^-~]+\]|\{[!-z|~]*\})+$/;

const GRAMMARS: Readonly<Record<string, { pattern: RegExp; example: string; system?: string }>> = {
  'mimetypes': { pattern: MEDIA_TYPE, example: 'a media type such as application/pdf' },
  'all-languages': { pattern: LANGUAGE, example: 'a language tag such as de-CH' },
  'currencies': { pattern: CURRENCY, example: 'a currency such as CHF' },
  'ucum-units': { pattern: UCUM, example: 'a UCUM unit such as mg/dL', system: 'http://unitsofmeasure.org' },
};

/** Longer ones are no codes of these systems, and are not looked at. */
const CODE_CHARACTERS_MAX = 256;

function keepsGrammar(pattern: RegExp, code: string): boolean {
  return code.length <= CODE_CHARACTERS_MAX && pattern.test(code);
}

/** What is wrong with a code or a CodeableConcept, as the rest of a sentence that begins with its place; undefined when nothing is. */
export function bindingFault(rule: ElementRule, value: JsonValue): string | undefined {
  if (typeof value === 'string') return codeFault(rule, value);
  return isJsonObject(value) ? conceptFault(rule, value) : undefined;
}

function codeFault({ codes, valueSet }: ElementRule, code: string): string | undefined {
  if (codes !== undefined) {
    if (codes.has(code)) return undefined;
    const allowed = codes.size > SHOWN_CODES_MAX ? `a code of ${valueSet}` : `one of ${[...codes].join(', ')}`;
    return `must be ${allowed}; ${shownValue(code)} was found`;
  }
  const grammar = GRAMMARS[valueSet ?? ''];
  return grammar === undefined || keepsGrammar(grammar.pattern, code) ? undefined : `must be ${grammar.example}; ${shownValue(code)} was found`;
}

/** One coding has to be of the value set; codes of other systems may stand beside it. */
function conceptFault({ codes, valueSet }: ElementRule, concept: JsonObject): string | undefined {
  const grammar = GRAMMARS[valueSet ?? ''];
  if (codes === undefined && grammar === undefined) return undefined;
  const codings = Array.isArray(concept['coding']) ? concept['coding'].filter(isJsonObject) : [];
  const fits = codings.some(({ system, code }) => typeof code === 'string'
    && (codes === undefined ? system === grammar?.system && grammar !== undefined && keepsGrammar(grammar.pattern, code) : typeof system === 'string' && codes.has(`${system}|${code}`)));
  if (fits) return undefined;
  const shown = codes === undefined || codes.size > SHOWN_CODES_MAX ? `the value set ${valueSet}` : [...codes].join(', ');
  const found = codings.map(({ code }) => code).find((code) => typeof code === 'string');
  return `must have a coding of ${shown}; ${found === undefined ? 'no code' : shownValue(found)} was found`;
}
