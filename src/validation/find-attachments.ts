// Where a resource holds attachments (http://hl7.org/fhir/R4/datatypes.html#attachment), by the same tables that validation uses.
import { isJsonObject, type JsonObject, type JsonValue } from '../fhir/json.ts';
import { isResourceType, structureOf, type ElementRule } from '../fhir/structure.ts';

export interface FoundAttachment {
  /** The object inside the resource, not a copy. */
  attachment: JsonObject;
  /** FHIRPath: DocumentReference.content[0].attachment, Patient.extension[0].value. */
  expression: string;
}

/** Every Attachment in document order: at any depth, in contained resources and in extensions too. What is not valid is passed over. */
export function findAttachments(resource: JsonObject, type: string): FoundAttachment[] {
  const found: FoundAttachment[] = [];
  if (isResourceType(type)) search(resource, type, type, found);
  return found;
}

function search(object: JsonObject, type: string, place: string, found: FoundAttachment[]): void {
  const { elements, companions } = structureOf(type);
  for (const [key, value] of Object.entries(object)) {
    const rule = elements.get(key) ?? companions.get(key);
    if (rule === undefined || typeof value !== 'object') continue;
    const path = `${place}.${rule.path}`;
    if (Array.isArray(value)) value.forEach((item, index) => searchItem(item, rule, `${path}[${index}]`, found));
    else searchItem(value, rule, path, found);
  }
}

function searchItem(value: JsonValue, rule: ElementRule, place: string, found: FoundAttachment[]): void {
  if (!isJsonObject(value)) return;
  if (rule.type === 'Attachment') found.push({ attachment: value, expression: place });
  const type = rule.type === 'Resource' ? value['resourceType'] : rule.primitive === undefined ? rule.type : 'Element';
  const isKnown = typeof type === 'string' && (rule.type !== 'Resource' || isResourceType(type));
  if (isKnown) search(value, type, place, found);
}
