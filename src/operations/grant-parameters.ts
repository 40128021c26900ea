// What the operations on signed URLs take and answer, as R4 Parameters. A parameter that is not known is refused: a limit
// that was misspelt must not become none.
import { isAddressRange } from '../access/address-range.ts';
import { DISPOSITIONS, GRANT_METHODS, MINUTES_MAX, type AccessGrant, type GrantLimits } from '../access/access-grant.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { printInstant } from '../fhir/instant.ts';
import { isJsonObject, JsonNumber, printJson, type JsonObject, type JsonValue } from '../fhir/json.ts';
import type { FhirRequest, FhirResponse } from '../interactions/interaction.ts';
import { readFhirBody } from '../interactions/read-body.ts';
import { FHIR_JSON_TYPE } from '../interactions/representation.ts';

/** Texts by the name of their parameter, numbers as they were written. */
export type Asked = ReadonlyMap<string, readonly string[]>;

const OUTPUT = new Set(['_format', '_pretty']);
const RANGES_MAX = 50;
const USES_MAX = 1_000_000;
const SIZE_MAX = 2 ** 43;
const MEDIA_TYPE = /^[\w!#$&^.+-]{1,120}\/[\w!#$&^.+-]{1,120}$/;

/** Of the body and of the query. Raises 400 for what is not among `known`, or occurs twice where that means nothing. */
export async function readAsked(request: FhirRequest, bodyBytesMax: number, known: readonly string[], repeating: readonly string[] = []): Promise<Asked> {
  const asked = new Map<string, string[]>();
  const inQuery = request.query.filter(([name]) => !OUTPUT.has(name));
  for (const [name, value] of [...await bodyValues(request, bodyBytesMax), ...inQuery]) {
    if (!known.includes(name)) throw fhirError('invalid-parameter', `The parameters are ${known.join(', ')}; ${name.slice(0, 64)} is none`);
    asked.set(name, [...asked.get(name) ?? [], value]);
  }
  for (const [name, values] of asked) if (values.length > 1 && !repeating.includes(name)) throw fhirError('invalid-parameter', `${name} is given once`);
  return asked;
}

async function bodyValues(request: FhirRequest, bodyBytesMax: number): Promise<[string, string][]> {
  const { json, contentType, length } = request.body;
  const isSent = request.method === 'POST' && (json !== undefined || (length ?? 0) > 0 || (contentType !== undefined && length !== 0));
  if (!isSent) return [];
  const body = await readFhirBody(request, bodyBytesMax);
  if (body['resourceType'] !== 'Parameters') throw fhirError('wrong-resource-type', 'The body must be Parameters', { expression: 'resourceType' });
  const parameters = body['parameter'] ?? [];
  if (!Array.isArray(parameters)) throw fhirError('structure', 'parameter must be an array', { expression: 'Parameters.parameter' });
  return parameters.map((parameter, at): [string, string] => {
    const value = isJsonObject(parameter) ? valueOf(parameter) : undefined;
    if (!isJsonObject(parameter) || typeof parameter['name'] !== 'string' || value === undefined) {
      throw fhirError('structure', 'A parameter here has a name and a value of a primitive type', { expression: `Parameters.parameter[${at}]` });
    }
    return [parameter['name'], value];
  });
}

function valueOf(parameter: JsonObject): string | undefined {
  const values: JsonValue[] = Object.entries(parameter).filter(([name]) => name.startsWith('value')).map(([, value]) => value);
  const [value] = values;
  if (values.length !== 1) return undefined;
  return typeof value === 'string' || typeof value === 'number' || value instanceof JsonNumber ? String(value) : undefined;
}

function oneOf<Choice extends string>(asked: Asked, name: string, choices: readonly Choice[]): Choice | undefined {
  const given = asked.get(name)?.[0];
  const choice = choices.find((one) => one === given);
  if (given !== undefined && choice === undefined) throw fhirError('invalid-parameter', `${name} is one of ${choices.join(', ')}`);
  return choice;
}

function wholeNumber(asked: Asked, name: string, min: number, max: number): number | undefined {
  const given = asked.get(name)?.[0];
  if (given === undefined) return undefined;
  const value = /^\d{1,16}$/.test(given) ? Number(given) : Number.NaN;
  if (!(value >= min && value <= max)) throw fhirError('invalid-parameter', `${name} is a whole number from ${min} to ${max}`);
  return value;
}

/** Milliseconds from now. What is longer than this server permits is cut to that. */
export function readDuration(asked: Asked, minutesMax: number, otherwise = MINUTES_MAX * 60_000): number {
  const minutes = wholeNumber(asked, 'expires-in', 1, MINUTES_MAX);
  return Math.min(minutes === undefined ? otherwise : minutes * 60_000, minutesMax * 60_000);
}

/** SHA-256 in hexadecimal or base64. */
function readSha256(asked: Asked): Buffer | undefined {
  const given = asked.get('sha-256')?.[0];
  if (given === undefined) return undefined;
  const digest = /^[0-9a-f]{64}$/i.test(given) ? Buffer.from(given, 'hex') : /^[A-Za-z0-9+/]{43}=$/.test(given) ? Buffer.from(given, 'base64') : undefined;
  if (digest === undefined) throw fhirError('invalid-parameter', 'sha-256 is a SHA-256 in hexadecimal or base64');
  return digest;
}

function readMediaType(asked: Asked): string | undefined {
  const given = asked.get('content-type')?.[0];
  if (given !== undefined && !MEDIA_TYPE.test(given)) throw fhirError('invalid-parameter', 'content-type is a media type such as application/pdf');
  return given;
}

const LIMITS = ['expires-in', 'allowed-ip', 'disposition', 'method', 'mode', 'uses', 'content-type', 'size', 'sha-256'] as const;
const MODES = ['server', 'direct'] as const;
const OF_PUT = ['content-type', 'size', 'sha-256'] as const;

export function readLimitParameters(request: FhirRequest, bodyBytesMax: number): Promise<Asked> {
  return readAsked(request, bodyBytesMax, LIMITS, ['allowed-ip']);
}

/** Raises 400 for a limit that is wrong, or that means nothing for the method. An upload may be used once unless told. */
export function readLimits(asked: Asked): GrantLimits {
  const method = oneOf(asked, 'method', GRANT_METHODS) ?? 'GET';
  const foreign = (method === 'GET' ? OF_PUT : ['disposition']).find((name) => asked.has(name));
  if (foreign !== undefined) throw fhirError('invalid-parameter', `${foreign} means nothing for ${method}`);
  const allowedIp = asked.get('allowed-ip') ?? [];
  const wrong = allowedIp.find((range) => !isAddressRange(range));
  if (wrong !== undefined || allowedIp.length > RANGES_MAX) throw fhirError('invalid-parameter', `allowed-ip is an address or a range such as 192.0.2.0/24 or 2001:db8::/32, ${RANGES_MAX} at most`);
  const disposition = oneOf(asked, 'disposition', DISPOSITIONS);
  const usesMax = wholeNumber(asked, 'uses', 1, USES_MAX) ?? (method === 'PUT' ? 1 : undefined);
  const direct = oneOf(asked, 'mode', MODES) === 'direct';
  if (direct && allowedIp.length > 0) throw fhirError('invalid-parameter', 'allowed-ip cannot be held to in mode direct: the store does not look at addresses');
  if (direct && method === 'PUT' && usesMax !== 1) throw fhirError('invalid-parameter', 'A PUT in mode direct is used once');
  const [contentType, size, sha256] = [readMediaType(asked), wholeNumber(asked, 'size', 0, SIZE_MAX), readSha256(asked)];
  return {
    method, allowedIp,
    ...(disposition === undefined ? {} : { disposition }), ...(usesMax === undefined ? {} : { usesMax }),
    ...(contentType === undefined ? {} : { contentType }), ...(size === undefined ? {} : { size }), ...(sha256 === undefined ? {} : { sha256 }),
    ...(direct ? { direct } : {}),
  };
}

export function parametersAnswer(parameter: JsonObject[]): FhirResponse {
  const body = printJson({ resourceType: 'Parameters', ...(parameter.length === 0 ? {} : { parameter }) });
  return { status: 200, headers: { 'Content-Type': FHIR_JSON_TYPE, 'Cache-Control': 'no-store' }, body };
}

/** The URL is shown once, here. */
export function signedUrlAnswer(url: string, { id, expiresAt }: Pick<AccessGrant, 'id' | 'expiresAt'>): FhirResponse {
  return parametersAnswer([{ name: 'url', valueUrl: url }, { name: 'expires-at', valueInstant: printInstant(expiresAt) }, { name: 'grant', valueId: id }]);
}
