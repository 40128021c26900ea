// The resource in a request's body: parsed losslessly, of the type that the URL names, valid base R4.
import { ERRORS, fhirError, FhirError, type Issue } from '../fhir/fhir-error.ts';
import { isJsonObject, JsonSyntaxError, parseJson, type JsonLimits, type JsonObject, type JsonValue } from '../fhir/json.ts';
import { readXml } from '../fhir/read-xml.ts';
import { XmlSyntaxError } from '../fhir/xml-syntax.ts';
import { isSubsetted } from '../fhir/summary.ts';
import { validateResource } from '../validation/validate-resource.ts';
import type { FhirRequest } from './interaction.ts';

const MEDIA_TYPE = /^(?:application\/(?:fhir\+(?<fhir>json|xml)|(?<old>json|xml)\+fhir|(?<plain>json|xml))|text\/(?<text>json|xml))\s*(?:;|$)/i;
const CHARSET = /;\s*charset\s*=\s*"?([^";\s]+)/i;
const VERSION = /;\s*fhirVersion\s*=\s*"?([^";\s]+)/i;

export type BodyFormat = 'json' | 'xml';

/** How a body is declared. Raises 415 `media-type` unless that is FHIR JSON or XML of version 4.0 in UTF-8. */
export function bodyFormat(contentType: string | undefined): BodyFormat {
  const { fhir, old, plain, text } = MEDIA_TYPE.exec(contentType ?? '')?.groups ?? {};
  const format = (fhir ?? old ?? plain ?? text)?.toLowerCase();
  if (contentType === undefined || (format !== 'json' && format !== 'xml')) throw fhirError('media-type', 'The body must be application/fhir+json or application/fhir+xml');
  const charset = CHARSET.exec(contentType)?.[1];
  if (charset !== undefined && !/^utf-?8$/i.test(charset)) throw fhirError('media-type', 'The body must be in UTF-8');
  const version = VERSION.exec(contentType)?.[1];
  if (version !== undefined && version !== '4.0' && version !== '4.0.1') throw fhirError('media-type', 'The body must be of FHIR version 4.0');
  return format;
}

/** The value of a body: in XML always a resource. Raises 400 with the place of what is wrong. */
export function parseBody(text: string, format: BodyFormat, limits: JsonLimits = {}): JsonValue {
  const { depthMax = 64, keysMax = 50_000 } = limits;
  try {
    return format === 'json' ? parseJson(text, { depthMax, keysMax }) : readXml(text, { depthMax, elementsMax: keysMax });
  } catch (error) {
    if (error instanceof JsonSyntaxError) throw fhirError('malformed-json', error.message);
    if (error instanceof XmlSyntaxError) throw fhirError('malformed-xml', error.message, error.expression === undefined ? {} : { expression: error.expression });
    throw error;
  }
}

/** The object in a body of FHIR JSON or XML, or of an entry. Raises 415 for any other, 400 for what is none. */
export async function readFhirBody(request: FhirRequest, bodyBytesMax: number, limits: JsonLimits = {}): Promise<JsonObject> {
  const format = bodyFormat(request.body.contentType);
  const value = request.body.json ?? parseBody(await request.body.text(bodyBytesMax), format, limits);
  if (!isJsonObject(value)) throw fhirError('malformed-json', 'The body must be a JSON object');
  return value;
}

/** Raises 400 for a body that is no resource of this type, and 400 or 422 with every fault that the validator finds. */
export async function readResourceBody(request: FhirRequest, bodyBytesMax: number): Promise<JsonObject> {
  const value = await readFhirBody(request, bodyBytesMax);
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
