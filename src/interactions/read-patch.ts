// The body of a patch (R4 http.html 3.1.0.6): JSON Patch or FHIRPath Patch, as one function from a resource to the next.
import { fhirError, FhirError } from '../fhir/fhir-error.ts';
import { applyFhirPathPatch, readFhirPathPatch } from '../fhir/fhirpath-patch.ts';
import { applyJsonPatch, isSameJson, readJsonPatch } from '../fhir/json-patch.ts';
import { isJsonObject, JsonSyntaxError, parseJson, printJson, type JsonObject, type JsonValue } from '../fhir/json.ts';
import { isSubsetted } from '../fhir/summary.ts';
import { readResource } from '../resources/resource-text.ts';
import { validateResource } from '../validation/validate-resource.ts';
import type { FhirRequest } from './interaction.ts';
import { bodyFormat, invalidResource, parseBody, type BodyFormat } from './read-body.ts';

/** Patch formats as the CapabilityStatement and Accept-Patch (RFC 5789) name them. */
export const PATCH_FORMATS = ['application/json-patch+json', 'application/fhir+json', 'application/fhir+xml'] as const;

/** The valid resource that the patch makes of a stored text. Raises 422. */
export type Patch = (stored: string) => JsonObject;

const JSON_PATCH = /^application\/json-patch\+json\s*(;|$)/i;

/** Raises 415 `media-type` for any other format, 400 for a body that is no patch. */
export async function readPatch(request: FhirRequest, bodyBytesMax: number): Promise<Patch> {
  const { contentType } = request.body;
  const isJsonPatch = contentType !== undefined && JSON_PATCH.test(contentType);
  const format = isJsonPatch ? 'json' : patchFormat(contentType);
  const body = parseBody(await request.body.text(bodyBytesMax), format);
  const apply = isJsonPatch ? jsonPatch(body) : fhirPathPatch(body);
  return (stored) => checked(readResource(stored), apply(readResource(stored)), request.type);
}

function patchFormat(contentType: string | undefined): BodyFormat {
  try {
    return bodyFormat(contentType);
  } catch {
    throw fhirError('media-type', `A patch is one of ${PATCH_FORMATS.join(', ')}`, { headers: { 'Accept-Patch': PATCH_FORMATS.join(', ') } });
  }
}

function jsonPatch(body: JsonValue): (current: JsonObject) => JsonValue {
  const operations = readJsonPatch(body);
  return (current) => applyJsonPatch(current, operations);
}

function fhirPathPatch(body: JsonValue): (current: JsonObject) => JsonValue {
  if (!isJsonObject(body)) throw fhirError('malformed-json', 'The body must be a JSON object');
  if (body['resourceType'] !== 'Parameters') throw fhirError('wrong-resource-type', 'A FHIRPath Patch is a Parameters resource', { expression: 'resourceType' });
  const issues = validateResource(body, 'Parameters');
  if (issues.length > 0) throw invalidResource(issues);
  const operations = readFhirPathPatch(body);
  return (current) => {
    applyFhirPathPatch(current, operations);
    return current;
  };
}

function checked(before: JsonObject, next: JsonValue, type: string): JsonObject {
  const resource = reread(next);
  requireSame(resource['resourceType'], before['resourceType'], 'resourceType', type);
  requireSame(resource['id'], before['id'], 'id', type);
  const meta = membersOf(before['meta']);
  const stamped = Object.entries(membersOf(resource['meta'])).filter(([name]) => name === 'versionId' || name === 'lastUpdated');
  for (const [name, value] of stamped) requireSame(value, meta[name], `meta.${name}`, type);
  if (isSubsetted(resource)) throw fhirError('business-rule', 'The tag SUBSETTED says that this is a part of a resource; only a whole one can be stored', { expression: `${type}.meta.tag` });
  removeStaleText(before, resource);
  const issues = validateResource(resource, type);
  if (issues.length > 0) throw new FhirError(issues, { status: 422 });
  return resource;
}

const membersOf = (value: JsonValue | undefined): JsonObject => (isJsonObject(value) ? value : {});

function requireSame(value: JsonValue | undefined, stored: JsonValue | undefined, element: string, type: string): void {
  if (value !== stored) throw fhirError('patch-failed', `A patch cannot change ${element}`, { expression: `${type}.${element}` });
}

/** What a patch builds must be readable again: nested no deeper, without characters that JSON texts of FHIR do not have. */
function reread(next: JsonValue): JsonObject {
  try {
    const value = parseJson(printJson(next));
    if (isJsonObject(value)) return value;
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
  }
  throw fhirError('patch-failed', 'The patch does not leave a resource');
}

/** A narrative that was generated from data which the patch changed would tell what is not so any more (R4 http.html 3.1.0.6). */
function removeStaleText(before: JsonObject, resource: JsonObject): void {
  const text = resource['text'];
  if (!isJsonObject(text) || (text['status'] !== 'generated' && text['status'] !== 'extensions') || !isSameJson(text, before['text'] ?? null)) return;
  if (!isSameJson(dataOf(before), dataOf(resource))) delete resource['text'];
}

function dataOf({ meta: _meta, text: _text, ...data }: JsonObject): JsonObject {
  return data;
}
