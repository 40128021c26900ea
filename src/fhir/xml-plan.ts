// What XML needs to know of a structure beyond JSON: the order of its elements and which of them are attributes
// (http://hl7.org/fhir/R4/xml.html).
import { structureOf, type ElementRule } from './structure.ts';

export const FHIR_NAMESPACE = 'http://hl7.org/fhir';
export const XHTML_NAMESPACE = 'http://www.w3.org/1999/xhtml';

export interface PlannedElement {
  rule: ElementRule;
  /** The place in the sequence; the variants of a choice share theirs. */
  order: number;
  /** `<status` */
  open: string;
  /** `</status>` */
  close: string;
  /** Whether this is `_status`, what JSON has beside a primitive value. */
  isCompanion: boolean;
}

export interface XmlPlan {
  name: string;
  /** Elements by their name, which JSON and XML share, and by that of their companion; attributes are not among them. */
  elements: ReadonlyMap<string, PlannedElement>;
  /** id of an element, url of an extension. */
  attributes: readonly string[];
}

const plans = new Map<string, XmlPlan>();

/** The plan of a structure, by its name as in structureOf. Throws on a name that is none. */
export function xmlPlanOf(name: string): XmlPlan {
  const known = plans.get(name);
  if (known !== undefined) return known;
  const plan = planOf(name);
  plans.set(name, plan);
  return plan;
}

function planOf(name: string): XmlPlan {
  const rules = [...structureOf(name).elements.values()];
  const elements = new Map<string, PlannedElement>();
  let order = 0;
  let choice: string | undefined;
  for (const rule of rules) {
    if (rule.attribute) continue;
    if (rule.choice === undefined || rule.choice !== choice) order += 1;
    choice = rule.choice;
    const planned = { rule, order, open: `<${rule.name}`, close: `</${rule.name}>`, isCompanion: false };
    elements.set(rule.name, planned);
    if (rule.primitive !== undefined) elements.set(rule.companion, { ...planned, isCompanion: true });
  }
  return { name, elements, attributes: rules.filter((rule) => rule.attribute).map((rule) => rule.name) };
}
