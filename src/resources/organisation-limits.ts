// What the operator allows an organisation, as its row has it.

export interface OrganisationLimits {
  /** The name of a shipped preset, or media types in lower case where a star stands for anything: `image/*`. */
  allowedTypes: 'clinical' | readonly string[];
  /** Bytes of all contents that it may hold; undefined = without a bound. */
  quotaBytes?: number;
  /** How many contents it may hold. */
  quotaCount?: number;
  /** `iss` of the tokens that speak for it; undefined = every issuer that the server trusts. */
  issuers?: readonly string[];
}

export interface LimitsRow {
  allowed_types: string[];
  quota_bytes: number | null;
  quota_count: number | null;
  issuers: string[] | null;
}

/** As columns of `select`; counts up to 2^53 are exact. */
export const LIMITS_COLUMNS = 'allowed_types, quota_bytes::float8 as quota_bytes, quota_count::float8 as quota_count, issuers';

export function limitsOf({ allowed_types: allowed, quota_bytes: quotaBytes, quota_count: quotaCount, issuers }: LimitsRow): OrganisationLimits {
  return {
    allowedTypes: allowed[0] === 'clinical' ? 'clinical' : allowed,
    ...(quotaBytes === null ? {} : { quotaBytes }), ...(quotaCount === null ? {} : { quotaCount }), ...(issuers === null ? {} : { issuers }),
  };
}

/** The values of the columns, in their order. */
export function limitsValues({ allowedTypes, quotaBytes, quotaCount, issuers }: OrganisationLimits): unknown[] {
  return [allowedTypes === 'clinical' ? ['clinical'] : allowedTypes, quotaBytes ?? null, quotaCount ?? null, issuers ?? null];
}
