// The JSON body of a request of administrators: one object of known members, and an answer like it.
import { FhirError, fhirError, issueOf } from '../fhir/fhir-error.ts';
import { isJsonObject, JsonSyntaxError, parseJson, type JsonObject, type JsonValue } from '../fhir/json.ts';
import type { FhirRequest, FhirResponse } from '../interactions/interaction.ts';

const BODY_BYTES_MAX = 1024 * 1024;
const JSON_TYPE = /^application\/(json|merge-patch\+json)\s*(?:;|$)/i;

function parsed(text: string): JsonValue {
  try {
    return parseJson(text, { depthMax: 8, keysMax: 20_000 });
  } catch (error) {
    if (error instanceof JsonSyntaxError) throw fhirError('malformed-json', error.message);
    throw error;
  }
}

/** Raises 415 for what is no JSON, 400 for what is no object or has a member that is not among `members`. */
export async function readAdminBody(request: FhirRequest, members: readonly string[]): Promise<JsonObject> {
  if (!JSON_TYPE.test(request.body.contentType ?? '')) throw fhirError('media-type', 'The body must be application/json');
  const value = parsed(await request.body.text(BODY_BYTES_MAX));
  if (!isJsonObject(value)) throw fhirError('structure', 'The body must be a JSON object');
  const unknown = Object.keys(value).filter((name) => !members.includes(name));
  if (unknown.length > 0) throw new FhirError(unknown.slice(0, 20).map((name) => issueOf('structure', `The body has ${members.join(', ')} and nothing else`, name.slice(0, 64))));
  return value;
}

/** A text of people: 1 to `charactersMax` characters that are shown. Raises 400 or 422 with its place. */
export function readText(value: JsonValue | undefined, member: string, charactersMax: number): string {
  if (value === undefined) throw fhirError('required', `${member} is missing`, { expression: member });
  if (typeof value !== 'string') throw fhirError('structure', `${member} must be a string`, { expression: member });
  const text = value.trim();
  if (text === '' || text.length > charactersMax || /[\u0000-\u001f\u007f]/.test(text)) throw fhirError('invalid-value', `${member} has 1 to ${charactersMax} characters and no control characters`, { expression: member });
  return text;
}

export function readBoolean(value: JsonValue, member: string): boolean {
  if (typeof value !== 'boolean') throw fhirError('structure', `${member} must be true or false`, { expression: member });
  return value;
}

export function jsonAnswer(status: number, value: unknown, headers: Record<string, string> = {}): FhirResponse {
  return { status, headers: { 'Content-Type': 'application/json', ...headers }, body: JSON.stringify(value) };
}

const [COUNT_DEFAULT, COUNT_MAX] = [100, 1_000];

/** `_count` of a list: 100 unless told, 1,000 at most. Raises 400 for what is no number from 1 on. */
export function pageCount({ query }: FhirRequest): number {
  const count = query.find(([name]) => name === '_count')?.[1] ?? String(COUNT_DEFAULT);
  if (!/^[1-9]\d{0,3}$/.test(count)) throw fhirError('invalid-parameter', `_count is a number from 1 to ${COUNT_MAX}`);
  return Math.min(Number(count), COUNT_MAX);
}
