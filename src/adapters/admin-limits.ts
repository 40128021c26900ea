// What an operator may set of an organisation's limits, as JSON: each member checked, null takes a bound away.
import { fhirError } from '../fhir/fhir-error.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../fhir/json.ts';
import { TYPE_PRESETS } from '../content/declared-type.ts';
import { isRetentionProfile, RETENTION_PROFILES, type RetentionProfile } from '../resources/retention-profiles.ts';
import { BYTES_TYPES, type AllowedTypes, type OrganisationLimits } from '../resources/organisation-limits.ts';

export const LIMIT_MEMBERS = ['allowedTypes', 'allowedTypesOf', 'quotaBytes', 'quotaCount', 'issuers', 'retention'] as const;

const [TYPES_MAX, ISSUERS_MAX, ISSUER_CHARACTERS_MAX] = [200, 50, 2_000];
/** RFC 6838 4.2, with stars. */
const MEDIA_TYPE = /^[a-z0-9*][a-z0-9!#$&^_.+*-]{0,126}\/[a-z0-9*][a-z0-9!#$&^_.+*-]{0,126}$/;

function readStrings(value: JsonValue, member: string, countMax: number): string[] {
  if (!Array.isArray(value) || !value.every((one) => typeof one === 'string')) throw fhirError('structure', `${member} must be an array of strings`, { expression: member });
  if (value.length === 0 || value.length > countMax) throw fhirError('invalid-value', `${member} has 1 to ${countMax} members`, { expression: member });
  return [...new Set(value)];
}

function readTypes(value: JsonValue, member: string): AllowedTypes {
  if (typeof value === 'string') {
    if (!Object.hasOwn(TYPE_PRESETS, value)) throw fhirError('code-invalid', `${member} is a preset (${Object.keys(TYPE_PRESETS).join(', ')}) or an array of media types`, { expression: member });
    return value as AllowedTypes;
  }
  return readStrings(value, member, TYPES_MAX).map((type, position) => {
    if (!MEDIA_TYPE.test(type.toLowerCase())) throw fhirError('invalid-value', 'A media type is type/subtype, with * for anything', { expression: `${member}[${position}]` });
    return type.toLowerCase();
  });
}

/** Members that are null are taken away, those that are not named stay. */
function readTypesOf(before: OrganisationLimits['allowedTypesOf'], value: JsonValue | undefined): OrganisationLimits['allowedTypesOf'] {
  if (value === undefined || value === null) return undefined;
  if (!isJsonObject(value)) throw fhirError('structure', 'allowedTypesOf must be an object', { expression: 'allowedTypesOf' });
  const next = { ...before };
  for (const [name, types] of Object.entries(value)) {
    const type = BYTES_TYPES.find((known) => known === name);
    if (type === undefined) throw fhirError('code-invalid', `allowedTypesOf has the members ${BYTES_TYPES.join(', ')}`, { expression: 'allowedTypesOf' });
    if (types === null || types === undefined) delete next[type];
    else next[type] = readTypes(types, `allowedTypesOf.${type}`);
  }
  return Object.keys(next).length === 0 ? undefined : next;
}

function readCount(value: JsonValue | undefined, member: string): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw fhirError('invalid-value', `${member} is a whole number from 0 to ${Number.MAX_SAFE_INTEGER}`, { expression: member });
  return value;
}

function readRetention(value: JsonValue | undefined): RetentionProfile {
  const profile = value ?? 'uk';
  if (!isRetentionProfile(profile)) throw fhirError('code-invalid', `retention is one of ${Object.keys(RETENTION_PROFILES).join(', ')}`, { expression: 'retention' });
  return profile;
}

function readIssuers(value: JsonValue | undefined): readonly string[] | undefined {
  if (value === undefined || value === null) return undefined;
  return readStrings(value, 'issuers', ISSUERS_MAX).map((issuer, position) => {
    if (issuer.length > ISSUER_CHARACTERS_MAX || !/^[^\s\u0000-\u001f\u007f]+$/.test(issuer)) throw fhirError('invalid-value', `An issuer has 1 to ${ISSUER_CHARACTERS_MAX} characters without spaces`, { expression: `issuers[${position}]` });
    return issuer;
  });
}

/** The limits with what the body sets; members that it lacks stay. Raises 400 or 422 with the place. */
export function patchedLimits(limits: OrganisationLimits, body: JsonObject): OrganisationLimits {
  const allowedTypesOf = 'allowedTypesOf' in body ? readTypesOf(limits.allowedTypesOf, body['allowedTypesOf']) : limits.allowedTypesOf;
  const quotaBytes = 'quotaBytes' in body ? readCount(body['quotaBytes'], 'quotaBytes') : limits.quotaBytes;
  const quotaCount = 'quotaCount' in body ? readCount(body['quotaCount'], 'quotaCount') : limits.quotaCount;
  const issuers = 'issuers' in body ? readIssuers(body['issuers']) : limits.issuers;
  return {
    allowedTypes: 'allowedTypes' in body ? readTypes(body['allowedTypes'] ?? 'clinical', 'allowedTypes') : limits.allowedTypes,
    ...(allowedTypesOf === undefined ? {} : { allowedTypesOf }),
    ...(quotaBytes === undefined ? {} : { quotaBytes }), ...(quotaCount === undefined ? {} : { quotaCount }), ...(issuers === undefined ? {} : { issuers }),
    retention: 'retention' in body ? readRetention(body['retention']) : limits.retention ?? 'uk',
  };
}

export function sameLimits(one: OrganisationLimits, other: OrganisationLimits): boolean {
  return JSON.stringify(LIMIT_MEMBERS.map((member) => one[member] ?? null)) === JSON.stringify(LIMIT_MEMBERS.map((member) => other[member] ?? null));
}
