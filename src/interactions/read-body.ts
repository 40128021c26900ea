// The resource in a request's body: parsed losslessly, of the type that the URL names, valid base R4.
import { ERRORS, fhirError, FhirError, type Issue } from '../fhir/fhir-error.ts';
import { isJsonObject, JsonSyntaxError, parseJson, type JsonObject, type JsonValue } from '../fhir/json.ts';
import { isSubsetted } from '../fhir/summary.ts';
import { validateResource } from '../validation/validate-resource.ts';
import type { FhirRequest } from './interaction.ts';

const JSON_TYPES = /^(application\/(fhir\+json|json|json\+fhir)|text\/json)\s*(;|$)/i;
const CHARSET = /;\s*charset\s*=\s*"?([^";\s]+)/i;

/** Raises 415 `media-type` unless the body is declared as JSON in UTF-8. */
export function requireFhirJson(contentType: string | undefined): void {
  if (contentType === undefined || !JSON_TYPES.test(contentType)) {
    throw fhirError('media-type', 'The body must be application/fhir+json');
  }
  const charset = CHARSET.exec(contentType)?.[1];
  if (charset !== undefined && !/^utf-?8$/i.test(charset)) throw fhirError('media-type', 'The body must be in UTF-8');
  if (/;\s*fhirVersion\s*=\s*"?(?!4\.0)/i.test(contentType)) throw fhirError('media-type', 'The body must be of FHIR version 4.0');
}

export function parseBody(text: string): JsonValue {
  try {
    return parseJson(text);
  } catch (error) {
    if (error instanceof JsonSyntaxError) throw fhirError('malformed-json', error.message);
    throw error;
  }
}

/** Raises 400 for a body that is no resource of this type, and 400 or 422 with every fault that the validator finds. */
export async function readResourceBody(request: FhirRequest, bodyBytesMax: number): Promise<JsonObject> {
  requireFhirJson(request.body.contentType);
  const value = request.body.json ?? parseBody(await request.body.text(bodyBytesMax));
  if (!isJsonObject(value)) throw fhirError('malformed-json', 'The body must be a JSON object');
  requireType(value, request.type);
  if (isSubsetted(value)) throw fhirError('business-rule', 'The tag SUBSETTED says that this is a part of a resource; only a whole one can be stored', { expression: `${request.type}.meta.tag` });
  const issues = validateResource(value, request.type);
  if (issues.length > 0) throw invalidResource(issues);
  return value;
}

/** What cannot be read as base R4 weighs more than what it says: one 400 among the faults makes the answer 400. */
export function invalidResource(issues: readonly Issue[]): FhirError {
  const status = issues.some((issue) => ERRORS[issue.detail].status === 400) ? 400 : 422;
  return new FhirError(issues, { status });
}

function requireType(value: JsonObject, type: string): void {
  const found = value['resourceType'];
  if (typeof found !== 'string') throw fhirError('structure', 'The body has no resourceType', { expression: 'resourceType' });
  if (found !== type) throw fhirError('wrong-resource-type', `The URL is for ${type}, the body is ${found.slice(0, 64)}`, { expression: 'resourceType' });
}
