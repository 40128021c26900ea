// Value sets that this server holds, for `:in` and `:not-in` (R4 search.html 3.1.1.5.5): R4's own lists of codes.
import { CODE_LISTS } from '../fhir/structure-tables.ts';

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
