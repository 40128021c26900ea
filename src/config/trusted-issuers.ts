// TRUSTED_ISSUERS: which authorization servers may give tokens, how each token is verified (RFC 7517 keys, or RFC 7662
// introspection), and how their claims map to ours.
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { Ajv } from 'ajv';
import { Secret } from './secrets.ts';

export interface TrustedIssuer {
  issuer: string;
  /** Of the keys that its JWTs are signed with. */
  jwks_uri?: string;
  /** Value that `aud` must hold; the FHIR base when left out. */
  audience?: string;
  /** Tokens that its introspection tells no `aud` of are taken too; those of an issuer that others use as well must not be. */
  audience_optional?: boolean;
  /** Our claim names to theirs; dots go into objects: {"org": "realm.tenant"} */
  claims?: Record<string, string>;
  introspection?: IntrospectionConfig;
}

export interface IntrospectionConfig {
  endpoint: string;
  clientId: string;
  /** As it is at this moment: one in a file is read anew. */
  clientSecret: () => Promise<string>;
  method: 'client_secret_basic' | 'client_secret_post';
  /** '' = every token that is no JWT. */
  tokenPrefix: string;
}

/** As it is written. */
interface IssuerEntry extends Omit<TrustedIssuer, 'introspection'> {
  introspection?: { endpoint: string; client_id: string; client_secret?: string; client_secret_file?: string; method?: IntrospectionConfig['method']; token_prefix?: string };
}

const TEXT = { type: 'string', minLength: 1 };
const WEB_ADDRESS = { type: 'string', pattern: '^https?://' };

const SCHEMA = {
  type: 'array',
  minItems: 1,
  items: {
    type: 'object',
    required: ['issuer'],
    anyOf: [{ required: ['jwks_uri'] }, { required: ['introspection'] }],
    // A JWT always names its audience (RFC 9068 2.2).
    dependencies: { audience_optional: ['introspection'] },
    additionalProperties: false,
    properties: {
      issuer: TEXT,
      jwks_uri: WEB_ADDRESS,
      audience: TEXT,
      audience_optional: { type: 'boolean' },
      claims: { type: 'object', additionalProperties: { type: 'string' } },
      introspection: {
        type: 'object',
        required: ['endpoint', 'client_id'],
        oneOf: [{ required: ['client_secret'] }, { required: ['client_secret_file'] }],
        additionalProperties: false,
        properties: {
          endpoint: WEB_ADDRESS,
          client_id: TEXT,
          client_secret: TEXT,
          client_secret_file: TEXT,
          method: { enum: ['client_secret_basic', 'client_secret_post'] },
          // What begins so is a JWT, and those of other issuers would be carried to this one.
          token_prefix: { type: 'string', pattern: '^(?!eyJ)[A-Za-z0-9._~+/-]+$' },
        },
      },
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
  const valid = new Ajv({ allErrors: true, strictRequired: false }).compile<IssuerEntry[]>(SCHEMA);
  if (!valid(value)) {
    for (const error of valid.errors ?? []) problems.push(`TRUSTED_ISSUERS${error.instancePath} ${error.message ?? 'is wrong'}`);
    return [];
  }
  checkPrefixes(value, problems);
  return value.map((entry, at) => trustedIssuer(entry, `TRUSTED_ISSUERS/${at}`, problems));
}

function checkPrefixes(entries: readonly IssuerEntry[], problems: string[]): void {
  const prefixes = entries.flatMap(({ introspection }) => (introspection === undefined ? [] : [introspection.token_prefix ?? '']));
  if (new Set(prefixes).size < prefixes.length) problems.push('TRUSTED_ISSUERS: each introspection needs a token_prefix of its own; one may have none');
}

function trustedIssuer({ introspection, ...entry }: IssuerEntry, place: string, problems: string[]): TrustedIssuer {
  if (introspection === undefined) return entry;
  const { endpoint, client_id: clientId, client_secret: secret, client_secret_file: file, method = 'client_secret_basic', token_prefix: tokenPrefix = '' } = introspection;
  return { ...entry, introspection: { endpoint, clientId, clientSecret: file === undefined ? heldSecret(secret ?? '') : secretOf(file, place, problems), method, tokenPrefix } };
}

function heldSecret(text: string): () => Promise<string> {
  const secret = new Secret(text);
  return () => Promise.resolve(secret.reveal());
}

/** A missing file is told at start, not at the first token. */
function secretOf(file: string, place: string, problems: string[]): () => Promise<string> {
  try {
    if (readFileSync(file, 'utf8').trim() === '') problems.push(`${place}/introspection/client_secret_file is empty`);
  } catch {
    problems.push(`${place}/introspection/client_secret_file cannot be read`);
  }
  return async () => (await readFile(file, 'utf8')).trim();
}
