// Value sets that this server holds, for `:in` and `:not-in` (R4 search.html 3.1.1.5.5): R4's own lists of codes, and the
// value sets of `profiles/` that can be enumerated.
import { CODE_LISTS } from '../fhir/structure-tables.ts';
import { shippedProfiles } from '../validation/profile-registry.ts';
import { codingsOf } from '../validation/profiles/value-set-codes.ts';

const R4_VALUE_SET = /^(?:http:\/\/hl7\.org\/fhir\/)?ValueSet\/([A-Za-z0-9-]+)(?:\|4\.0\.1)?$/;

/**
 * The codes of a value set by its canonical; undefined when it is not held. R4's lists name codes of one system, which
 * is the one that the element implies; they say nothing of elements that carry a system of their own.
 */
export function valueSetCodes(url: string, impliedSystem: string | undefined): string[] | undefined {
  const name = R4_VALUE_SET.exec(url)?.[1];
  const list = name === undefined || !Object.hasOwn(CODE_LISTS, name) ? undefined : CODE_LISTS[name];
  if (list === undefined || impliedSystem === undefined) return undefined;
  return list.split(' ');
}

/** The tokens of a value set, for an element that carries a system or implies one; undefined when it is not held. */
export function valueSetTokens(url: string, impliedSystem: string | undefined): { kind: 'token'; system: string | undefined; code: string }[] | undefined {
  const codes = valueSetCodes(url, impliedSystem);
  if (codes !== undefined) return codes.map((code) => ({ kind: 'token', system: undefined, code }));
  const codings = codingsOf(url, shippedProfiles);
  if (codings === undefined) return undefined;
  const tokens = [...codings].map((coding) => ({ system: coding.slice(0, coding.indexOf('|')), code: coding.slice(coding.indexOf('|') + 1) }));
  if (impliedSystem === undefined) return tokens.map((token) => ({ kind: 'token', ...token }));
  return tokens.filter(({ system }) => system === impliedSystem).map(({ code }) => ({ kind: 'token', system: undefined, code }));
}
