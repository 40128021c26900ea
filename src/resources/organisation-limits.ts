// What the operator allows an organisation, as its row has it.
import { TYPE_PRESETS } from '../content/declared-type.ts';
import { isRetentionProfile, type RetentionProfile } from './retention-profiles.ts';

/** The name of a shipped preset, or media types in lower case where a star stands for anything: `image/*`. */
export type AllowedTypes = PresetName | readonly string[];
export type PresetName = keyof typeof TYPE_PRESETS;

/** What bytes come with: their own resource, or an attachment of it. */
export const BYTES_TYPES = ['Binary', 'DocumentReference', 'Media'] as const;
export type BytesType = (typeof BYTES_TYPES)[number];

export interface OrganisationLimits {
  allowedTypes: AllowedTypes;
  /** In place of `allowedTypes`, by the resource type that the bytes come with. */
  allowedTypesOf?: Partial<Record<BytesType, AllowedTypes>>;
  /** Bytes of all contents that it may hold; undefined = without a bound. */
  quotaBytes?: number;
  /** How many contents it may hold. */
  quotaCount?: number;
  /** How long documents are kept. */
  retention?: RetentionProfile;
  /** `iss` of the tokens that speak for it; undefined = every issuer that the server trusts. */
  issuers?: readonly string[];
}

export interface LimitsRow {
  allowed_types: string[];
  allowed_types_of: Record<string, string[]>;
  quota_bytes: number | null;
  quota_count: number | null;
  issuers: string[] | null;
  retention: string;
}

/** As columns of `select`; counts up to 2^53 are exact. */
export const LIMITS_COLUMNS = 'allowed_types, allowed_types_of, quota_bytes::float8 as quota_bytes, quota_count::float8 as quota_count, issuers, retention';

const isPreset = (name: string | undefined): name is PresetName => name !== undefined && Object.hasOwn(TYPE_PRESETS, name);
const typesOf = (stored: string[]): AllowedTypes => (isPreset(stored[0]) ? stored[0] : stored);
const storedTypes = (types: AllowedTypes): readonly string[] => (typeof types === 'string' ? [types] : types);

/** The allow-list for bytes that come with a resource of this type. */
export function allowedTypesFor({ allowedTypes, allowedTypesOf }: Pick<OrganisationLimits, 'allowedTypes' | 'allowedTypesOf'>, type: BytesType): readonly string[] {
  const types = allowedTypesOf?.[type] ?? allowedTypes;
  return typeof types === 'string' ? TYPE_PRESETS[types] : types;
}

export function limitsOf({ allowed_types: allowed, allowed_types_of: allowedOf, quota_bytes: quotaBytes, quota_count: quotaCount, issuers, retention }: LimitsRow): OrganisationLimits {
  return {
    allowedTypes: typesOf(allowed),
    ...(Object.keys(allowedOf).length === 0 ? {} : { allowedTypesOf: Object.fromEntries(Object.entries(allowedOf).map(([type, types]) => [type, typesOf(types)])) }),
    ...(quotaBytes === null ? {} : { quotaBytes }), ...(quotaCount === null ? {} : { quotaCount }), ...(issuers === null ? {} : { issuers }), retention: isRetentionProfile(retention) ? retention : 'uk',
  };
}

/** The values of the columns, in their order. */
export function limitsValues({ allowedTypes, allowedTypesOf = {}, quotaBytes, quotaCount, issuers, retention = 'uk' }: OrganisationLimits): unknown[] {
  const byType = Object.fromEntries(Object.entries(allowedTypesOf).map(([type, types]) => [type, storedTypes(types)]));
  return [storedTypes(allowedTypes), JSON.stringify(byType), quotaBytes ?? null, quotaCount ?? null, issuers ?? null, retention];
}
