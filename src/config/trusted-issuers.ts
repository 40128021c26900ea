// TRUSTED_ISSUERS: which authorization servers may sign tokens, and how their claims map to ours.
import { Ajv, type JSONSchemaType } from 'ajv';

export interface TrustedIssuer {
  issuer: string;
  jwks_uri: string;
  /** Value that `aud` must hold; the FHIR base when left out. */
  audience?: string;
  /** Our claim names to theirs; dots go into objects: {"org": "realm.tenant"} */
  claims?: Record<string, string>;
}

const SCHEMA: JSONSchemaType<TrustedIssuer[]> = {
  type: 'array',
  minItems: 1,
  items: {
    type: 'object',
    required: ['issuer', 'jwks_uri'],
    additionalProperties: false,
    properties: {
      issuer: { type: 'string', minLength: 1 },
      jwks_uri: { type: 'string', pattern: '^https?://' },
      audience: { type: 'string', minLength: 1, nullable: true },
      claims: { type: 'object', required: [], additionalProperties: { type: 'string' }, nullable: true },
    },
  },
};

/** The issuers of `text`; what is wrong with it is added to `problems`, with its place. */
export function readTrustedIssuers(text: string | undefined, problems: string[]): TrustedIssuer[] {
  if (text === undefined) return [];
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    problems.push('TRUSTED_ISSUERS is not JSON');
    return [];
  }
  const valid = new Ajv({ allErrors: true }).compile(SCHEMA);
  if (valid(value)) return value;
  for (const error of valid.errors ?? []) problems.push(`TRUSTED_ISSUERS${error.instancePath} ${error.message ?? 'is wrong'}`);
  return [];
}
