// FHIR JSON printed as FHIR XML (http://hl7.org/fhir/R4/xml.html): elements in the order of their structure, decimals digit by
// digit, narratives as they stand.
import { isJsonObject, JsonNumber, type JsonObject, type JsonValue } from './json.ts';
import { isResourceType } from './structure.ts';
import { withoutNamedCharacters } from './xhtml-characters.ts';
import { FHIR_NAMESPACE, xmlPlanOf, type PlannedElement, type XmlPlan } from './xml-plan.ts';

/** The resource holds what FHIR does not have, and so has no form in XML. */
export class XmlPrintError extends Error {
  constructor(fault: string) {
    super(`The resource has no form in XML: ${fault}`);
    this.name = 'XmlPrintError';
  }
}

/**
 * The XML text of a resource that is valid base R4. `pretty` puts each element but those of narratives on a line of its own.
 * Characters that XML does not have (U+FFFE, U+FFFF) are printed as U+FFFD. Throws XmlPrintError on what the structure does not know.
 */
export function printXml(resource: JsonObject, options: { pretty?: boolean } = {}): string {
  return printResource(resource, ` xmlns="${FHIR_NAMESPACE}"`, options.pretty === true ? '\n' : '').trimStart();
}

function printResource(resource: JsonObject, namespace: string, lineBreak: string): string {
  const type = resource['resourceType'];
  if (typeof type !== 'string' || !isResourceType(type)) throw new XmlPrintError('a resourceType is none of R4');
  const content = printMembers(resource, xmlPlanOf(type), deeper(lineBreak));
  return content === '' ? `${lineBreak}<${type}${namespace}/>` : `${lineBreak}<${type}${namespace}>${content}${lineBreak}</${type}>`;
}

function deeper(lineBreak: string): string {
  return lineBreak === '' ? '' : `${lineBreak}  `;
}

/** The elements of an object. As long as its properties come in the order of XML, which is the rule, they are printed as they come. */
function printMembers(object: JsonObject, plan: XmlPlan, lineBreak: string): string {
  let text = '';
  let order = 0;
  for (const key in object) {
    const element = plan.elements.get(key);
    if (element === undefined) {
      if (key !== 'resourceType' && !plan.attributes.includes(key)) throw new XmlPrintError(`${plan.name} has no element ${JSON.stringify(key.slice(0, 40))}`);
      continue;
    }
    // What stands beside a value is printed along with it.
    if (element.isCompanion && object[element.rule.name] !== undefined) continue;
    if (element.order < order) return printInOrder(object, plan, lineBreak);
    order = element.order;
    text += printMember(element, object, object[key] as JsonValue, lineBreak);
  }
  return text;
}

function printMember(element: PlannedElement, object: JsonObject, value: JsonValue, lineBreak: string): string {
  const { rule, open } = element;
  if (rule.primitive !== undefined) {
    const companion = object[rule.companion];
    if (companion === undefined && !rule.many && rule.type !== 'xhtml') return `${lineBreak}${open} value="${printValue(value)}"/>`;
    return element.isCompanion ? printPrimitives(element, undefined, value, lineBreak) : printPrimitives(element, value, companion, lineBreak);
  }
  if (!rule.many) return printComplex(element, value, lineBreak);
  if (!Array.isArray(value)) throw new XmlPrintError(`${rule.name} is no array`);
  let text = '';
  for (const item of value) text += printComplex(element, item, lineBreak);
  return text;
}

function printInOrder(object: JsonObject, plan: XmlPlan, lineBreak: string): string {
  const orderOf = (key: string): number => plan.elements.get(key)?.order ?? 0;
  const sorted = Object.entries(object).sort(([a], [b]) => orderOf(a) - orderOf(b));
  return printMembers(Object.fromEntries(sorted), plan, lineBreak);
}

function printComplex({ rule, open, close }: PlannedElement, value: JsonValue, lineBreak: string): string {
  if (!isJsonObject(value)) throw new XmlPrintError(`${rule.name} is no object`);
  if (rule.type === 'Resource') return `${lineBreak}${open}>${printResource(value, '', deeper(lineBreak))}${lineBreak}${close}`;
  const plan = xmlPlanOf(rule.type);
  const attributes = printAttributes(value, plan);
  const content = printMembers(value, plan, deeper(lineBreak));
  return content === '' ? `${lineBreak}${open}${attributes}/>` : `${lineBreak}${open}${attributes}>${content}${lineBreak}${close}`;
}

function printAttributes(value: JsonObject, plan: XmlPlan): string {
  let text = '';
  for (const name of plan.attributes) {
    const attribute = value[name];
    if (attribute !== undefined) text += ` ${name}="${printValue(attribute)}"`;
  }
  return text;
}

/** One primitive or all of an array, with what `_name` adds; null stands for what one of both does not have. */
function printPrimitives(element: PlannedElement, value: JsonValue | undefined, companion: JsonValue | undefined, lineBreak: string): string {
  if (!element.rule.many) return printPrimitive(element, value, companion, lineBreak);
  const values = Array.isArray(value) ? value : [];
  const companions = Array.isArray(companion) ? companion : [];
  let text = '';
  for (let at = 0; at < Math.max(values.length, companions.length); at++) text += printPrimitive(element, values[at], companions[at], lineBreak);
  return text;
}

function printPrimitive({ rule, open, close }: PlannedElement, value: JsonValue | undefined, companion: JsonValue | undefined, lineBreak: string): string {
  if (rule.type === 'xhtml') return value === undefined ? '' : `${lineBreak}${printXhtml(value)}`;
  let tag = lineBreak + open;
  let content = '';
  if (isJsonObject(companion)) {
    const plan = xmlPlanOf('Element');
    tag += printAttributes(companion, plan);
    content = printMembers(companion, plan, deeper(lineBreak));
  }
  if (value !== undefined && value !== null) tag += ` value="${printValue(value)}"`;
  return content === '' ? `${tag}/>` : `${tag}>${content}${lineBreak}${close}`;
}

function printXhtml(value: JsonValue): string {
  if (typeof value !== 'string') throw new XmlPrintError('a narrative is no string');
  return withoutNamedCharacters(value.trim()).replace(NOT_XML, '\ufffd');
}

/** Characters that an attribute cannot hold as they are: XML reads line ends and tabs in them as spaces. */
const SPECIAL = /[&<>"\u0000-\u001f\ufffe\uffff]/;
const SPECIALS = /[&<>"\u0000-\u001f\ufffe\uffff]/g;
/** Not in XML 1.0, not even as a character reference. */
const NOT_XML = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g;
const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', '\t': '&#9;', '\n': '&#10;', '\r': '&#13;' };

function printValue(value: JsonValue): string {
  if (typeof value === 'string') return SPECIAL.test(value) ? value.replace(SPECIALS, (character) => ESCAPES[character] ?? '\ufffd') : value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (value instanceof JsonNumber) return value.text;
  throw new XmlPrintError('a primitive value is an array, an object or null');
}
