// The exact JSON text of a version: what the client sent, with id and meta set by the server.
import { isDeepStrictEqual } from 'node:util';
import { printInstant } from '../fhir/instant.ts';
import { isJsonObject, parseJson, printJson, type JsonObject } from '../fhir/json.ts';

export interface Stamp {
  id: string;
  version: number;
  /** Milliseconds. */
  lastUpdated: number;
}

/** Text with resourceType, id and meta first; a client's versionId and lastUpdated count for nothing (R4 http.html 3.1.0.6). */
export function stampResource(resource: JsonObject, stamp: Stamp): string {
  const { resourceType = '', id: _id, meta, ...rest } = resource;
  const { versionId: _versionId, lastUpdated: _lastUpdated, ...kept } = isJsonObject(meta) ? meta : {};
  return printJson({
    resourceType,
    id: stamp.id,
    meta: { versionId: String(stamp.version), lastUpdated: printInstant(stamp.lastUpdated), ...kept },
    ...rest,
  });
}

/** The object of a stored text. */
export function readResource(text: string): JsonObject {
  const value = parseJson(text);
  if (!isJsonObject(value)) throw new Error('A stored resource is not a JSON object');
  return value;
}

/**
 * True when a repeated PUT brings nothing new: equal but for what the server stamps, and for the order of properties, which
 * means nothing (R4 json.html 2.6.2) and which XML does not carry. Digits of decimals and the order of lists count.
 */
export function isSameVersion(resource: JsonObject, stored: string): boolean {
  const neutral: Stamp = { id: 'x', version: 1, lastUpdated: 0 };
  const [sent, kept] = [stampResource(resource, neutral), stampResource(readResource(stored), neutral)];
  // Properties in another order make a text of the same length.
  return sent === kept || (sent.length === kept.length && isDeepStrictEqual(readResource(sent), readResource(kept)));
}

/** `system|value` of the masterIdentifier: the key that is unique among live documents. */
export function masterIdentifierKey(resource: JsonObject): string | null {
  const identifier = resource['masterIdentifier'];
  if (!isJsonObject(identifier) || typeof identifier['value'] !== 'string') return null;
  return `${typeof identifier['system'] === 'string' ? identifier['system'] : ''}|${identifier['value']}`;
}
