// FHIR XML read as FHIR JSON (http://hl7.org/fhir/R4/xml.html), strictly: namespaces, order, names and attributes are those of the
// structures; nothing outside the document is looked at. Values keep their text, decimals their digits, narratives their markup.
import type { SaxesAttributeNS, SaxesTagNS } from 'saxes';
import type { JsonObject, JsonValue } from './json.ts';
import { isResourceType } from './structure.ts';
import { XhtmlReader } from './xml-narrative.ts';
import { LongValues } from './xml-long-values.ts';
import { FHIR_NAMESPACE, XHTML_NAMESPACE, xmlPlanOf, type PlannedElement } from './xml-plan.ts';
import { beginsWithDoctype, NO_DOCTYPE, strictParser, XmlSyntaxError } from './xml-syntax.ts';
import { valueOfText } from './xml-value.ts';

export interface XmlLimits {
  /** Levels of arrays and objects that the JSON would have inside each other; 64 unless told. */
  depthMax?: number;
  /** Elements outside narratives; 50,000 unless told. Elements of narratives and comments may be twice as many, and so may references such as &#160;. */
  elementsMax?: number;
}

/**
 * The resource of an XML document. A byte order mark at the start is skipped, comments are dropped.
 * Throws XmlSyntaxError: what is not well-formed, document types, processing instructions, any entity but the five of XML, an encoding other than
 * UTF-8, elements and attributes of other namespaces, out of order or unknown, text between elements, empty values and elements, numbers and
 * booleans that are none, and whatever is over the limits. Whether values are valid and the mandatory is there is not looked at.
 */
export function readXml(text: string, limits: XmlLimits = {}): JsonObject {
  return new XmlReader(text.charCodeAt(0) === 0xfeff ? text.slice(1) : text, { depthMax: 64, elementsMax: 50_000, ...limits }).document();
}

/** An element that is open. */
interface Frame {
  /** `resource` holds a resource; `wrapper` is an element that holds a resource as its only child; `primitive` may have a value. */
  kind: 'resource' | 'wrapper' | 'complex' | 'primitive';
  /** The step in FHIRPath, with its index: name[0]. */
  step: string;
  /** Structure of the children. */
  type: string;
  object: JsonObject;
  /** Of the last child. */
  order: number;
  lastName: string;
  /** How many children have the name of the last one. */
  count: number;
  depth: number;
  /** What the element is for its parent; undefined for resources. */
  element: PlannedElement | undefined;
  /** Of a primitive, as text. */
  value: string | undefined;
  isEmpty: boolean;
}

const SCHEMA_INSTANCE = 'http://www.w3.org/2001/XMLSchema-instance';
const XMLNS = 'http://www.w3.org/2000/xmlns/';

class XmlReader {
  private readonly parser = strictParser((fault) => this.fault(fault));
  private readonly frames: Frame[] = [];
  private readonly text: string;
  private readonly long: LongValues;
  private readonly limits: Required<XmlLimits>;
  private elements = 0;
  /** Elements of narratives, and comments. */
  private asides = 0;
  private narrative: XhtmlReader | undefined;
  private result: JsonObject | undefined;

  constructor(text: string, limits: Required<XmlLimits>) {
    this.long = new LongValues(text);
    this.text = this.long.text;
    this.limits = limits;
    const { parser } = this;
    parser.on('processinginstruction', () => { throw this.fault('A processing instruction is not allowed'); });
    parser.on('comment', () => this.aside());
    parser.on('opentag', (tag) => this.open(tag));
    parser.on('closetag', (tag) => this.close(tag));
    parser.on('text', (found) => this.characters(found, false));
    parser.on('cdata', (found) => this.characters(found, true));
  }

  document(): JsonObject {
    // The parser tells of a document type at its end only, and it may be as long as the body.
    if (beginsWithDoctype(this.text)) throw this.fault(NO_DOCTYPE);
    let references = 0;
    for (let at = this.text.indexOf('&'); at >= 0; at = this.text.indexOf('&', at + 1)) references += 1;
    if (references > 2 * this.limits.elementsMax) throw this.fault(`More than ${2 * this.limits.elementsMax} references`);
    this.parser.write(this.text).close();
    if (this.result === undefined) throw this.fault('The XML text ends too early');
    return this.result;
  }

  private fault(fault: string, below?: string): XmlSyntaxError {
    const steps = this.frames.filter((frame) => frame.kind !== 'resource' || frame === this.frames[0]).map((frame) => frame.step);
    const expression = [...steps, ...(below === undefined ? [] : [below])].join('.');
    const { line, column, columnIndex, position } = this.parser;
    const left = this.long.lengthBetween(position - columnIndex, position);
    return new XmlSyntaxError(fault, { line, column: Math.max(1, column + left) }, expression === '' ? undefined : expression);
  }

  private open(tag: SaxesTagNS): void {
    if (this.narrative !== undefined) { this.openXhtml(this.narrative, tag); return; }
    if (++this.elements > this.limits.elementsMax) throw this.fault(`More than ${this.limits.elementsMax} elements`);
    const parent = this.frames.at(-1);
    if (parent === undefined || parent.kind === 'wrapper') this.openResource(tag, parent);
    else this.openElement(tag, parent);
  }

  private openResource(tag: SaxesTagNS, parent: Frame | undefined): void {
    this.requireNamespace(tag);
    if (!isResourceType(tag.local)) throw this.fault(`${shown(tag.local)} is no resource type of R4`);
    if (parent !== undefined && !parent.isEmpty) throw this.fault(`${parent.element?.rule.name ?? ''} holds one resource`);
    if (parent !== undefined) parent.isEmpty = false;
    this.push({ kind: 'resource', step: tag.local, type: tag.local, object: { resourceType: tag.local }, depth: (parent?.depth ?? 0) + 1, element: undefined });
    for (const attribute of Object.values(tag.attributes)) {
      const isHint = parent === undefined && attribute.uri === SCHEMA_INSTANCE && attribute.local === 'schemaLocation';
      if (attribute.uri !== XMLNS && !isHint) throw this.fault(`A resource has no attribute ${shown(attribute.name)}`);
    }
  }

  private openElement(tag: SaxesTagNS, parent: Frame): void {
    const element = xmlPlanOf(parent.type).elements.get(tag.local);
    if (element === undefined || element.isCompanion) {
      this.requireNamespace(tag);
      throw this.fault(`${parent.type} has no element ${shown(tag.local)}`);
    }
    const { rule } = element;
    this.requireNamespace(tag, rule.type === 'xhtml' ? XHTML_NAMESPACE : FHIR_NAMESPACE);
    this.follow(element, parent);
    parent.isEmpty = false;
    if (rule.type === 'xhtml') { this.openNarrative(tag); return; }
    const kind = rule.type === 'Resource' ? 'wrapper' : rule.primitive === undefined ? 'complex' : 'primitive';
    const inner = parent.depth + (rule.many ? 1 : 0);
    this.push({
      kind, step: rule.many ? `${rule.path}[${parent.count - 1}]` : rule.path, type: kind === 'primitive' ? 'Element' : rule.type, object: {},
      depth: kind === 'complex' ? inner + 1 : inner, element,
    });
    this.attributes(tag, this.frames.at(-1) as Frame);
  }

  /** The sequence of XML: after what comes before, and once unless it repeats. */
  private follow(element: PlannedElement, parent: Frame): void {
    const { rule, order } = element;
    if (order < parent.order) throw this.fault(`${rule.name} must come before ${parent.lastName}`, rule.path);
    if (order > parent.order || rule.name !== parent.lastName) parent.count = 0;
    else if (!rule.many) throw this.fault(`${rule.name} may occur once`, rule.path);
    parent.order = order;
    parent.lastName = rule.name;
    parent.count += 1;
  }

  private push(frame: Pick<Frame, 'kind' | 'step' | 'type' | 'object' | 'depth' | 'element'>): void {
    this.frames.push({ ...frame, order: 0, lastName: '', count: 0, value: undefined, isEmpty: true });
    if (frame.depth > this.limits.depthMax) throw this.fault(`Elements are nested more than ${this.limits.depthMax} levels deep`);
  }

  private attributes(tag: SaxesTagNS, frame: Frame): void {
    for (const name in tag.attributes) {
      const attribute = tag.attributes[name] as SaxesAttributeNS;
      if (attribute.uri === XMLNS) continue;
      const isValue = frame.kind === 'primitive' && attribute.name === 'value';
      const isKnown = isValue || (frame.kind !== 'wrapper' && attribute.uri === '' && xmlPlanOf(frame.type).attributes.includes(attribute.name));
      if (!isKnown) throw this.fault(`${frame.element?.rule.name ?? ''} has no attribute ${shown(attribute.name)}`);
      if (attribute.value === '') throw this.fault(`The attribute ${attribute.name} may not be empty`);
      frame.isEmpty = false;
      const value = this.long.restore(attribute.value);
      if (isValue) frame.value = value;
      else frame.object[attribute.name] = value;
    }
  }

  private requireNamespace(tag: SaxesTagNS, namespace = FHIR_NAMESPACE): void {
    if (tag.uri === namespace) return;
    const found = tag.uri === '' ? 'it is in none' : `it is in ${shown(tag.uri)}`;
    throw this.fault(`The element ${shown(tag.local)} must be in the namespace ${namespace}; ${found}`);
  }

  private close(tag: SaxesTagNS): void {
    if (this.narrative !== undefined) { this.closeXhtml(this.narrative, tag); return; }
    const frame = this.frames.at(-1) as Frame;
    if (frame.isEmpty && frame.kind !== 'resource') throw this.fault(`${frame.element?.rule.name ?? ''} may not be empty`);
    if (frame.kind === 'primitive' && frame.value !== undefined && frame.element !== undefined) this.checkValue(frame, frame.element);
    dropEmptyArrays(frame.object);
    const parent = this.frames.at(-2);
    if (parent === undefined) this.result = frame.object;
    else if (frame.kind === 'resource') parent.object = frame.object;
    else if (frame.element !== undefined) attach(parent.object, frame, frame.element);
    this.frames.pop();
  }

  private checkValue(frame: Frame, { rule }: PlannedElement): void {
    if (valueOfText(rule.type, frame.value as string) === undefined) throw this.fault(`${rule.name} must be ${rule.type === 'boolean' ? 'true or false' : 'a number'}; ${shown(frame.value as string)} was found`);
  }

  private characters(found: string, isCdata: boolean): void {
    if (this.narrative !== undefined) { this.narrative.characters(found, isCdata); return; }
    if (isCdata || /[^ \t\r\n]/.test(found)) throw this.fault(`Text is not allowed here: ${shown(found.trim())}`);
  }

  private openNarrative(tag: SaxesTagNS): void {
    this.narrative = new XhtmlReader(this.text, this.parser.position);
    this.openXhtml(this.narrative, tag);
  }

  private aside(): void {
    if (++this.asides > 2 * this.limits.elementsMax) throw this.fault(`More than ${2 * this.limits.elementsMax} comments and elements of narratives`);
  }

  private openXhtml(narrative: XhtmlReader, tag: SaxesTagNS): void {
    this.aside();
    const fault = narrative.open(tag);
    if (fault !== undefined) throw this.fault(fault, 'div');
  }

  private closeXhtml(narrative: XhtmlReader, tag: SaxesTagNS): void {
    if (!narrative.close(tag)) return;
    (this.frames.at(-1) as Frame).object['div'] = this.long.restore(narrative.xhtml(this.parser.position));
    this.narrative = undefined;
  }
}

/** Puts a finished element into its parent, a primitive as the property and what `_name` holds beside it. */
function attach(parent: JsonObject, frame: Frame, { rule }: PlannedElement): void {
  if (frame.kind !== 'primitive') {
    if (rule.many) arrayOf(parent, rule.name).push(frame.object);
    else parent[rule.name] = frame.object;
    return;
  }
  const value = frame.value === undefined ? null : valueOfText(rule.type, frame.value) ?? null;
  const companion = Object.keys(frame.object).length === 0 ? null : frame.object;
  if (!rule.many) {
    if (value !== null) parent[rule.name] = value;
    if (companion !== null) parent[rule.companion] = companion;
    return;
  }
  const values = arrayOf(parent, rule.name);
  values.push(value);
  if (companion === null && parent[rule.companion] === undefined) return;
  const companions = arrayOf(parent, rule.companion);
  while (companions.length < values.length - 1) companions.push(null);
  companions.push(companion);
}

function arrayOf(object: JsonObject, name: string): JsonValue[] {
  const known = object[name];
  if (Array.isArray(known)) return known;
  const made: JsonValue[] = [];
  object[name] = made;
  return made;
}

/** JSON has no property for values of which there is none: `_given` alone. */
function dropEmptyArrays(object: JsonObject): void {
  for (const name in object) {
    const value = object[name];
    if (Array.isArray(value) && value[0] === null && value.every((item) => item === null)) delete object[name];
  }
}

function shown(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}
