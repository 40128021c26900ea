// The only reader of the environment. Each variable stands here once, with its description; docs/configuration.md is
// compared with this table by a test.

export interface VariableDescription {
  description: string;
  /** As documented; the value itself is given by config.ts. */
  default: string;
  secret?: true;
}

export const VARIABLES = {
  NODE_ENV: { description: '`production` refuses embedded parts and development keys', default: 'unset' },
  PORT: { description: 'TCP port of the listener', default: '3000' },
  HOST: { description: 'Address of the listener', default: '127.0.0.1' },
  BASE_URL: { description: 'Public base as clients see it, without `/fhir`', default: '`http://localhost:PORT`, with TLS `https://`' },
  TRUSTED_PROXIES: { description: 'Addresses and ranges of proxies whose X-Forwarded-For and Forwarded name the client, separated by commas (10.0.0.0/8)', default: 'unset = none' },
  TLS_CERT: { description: 'PEM file of the certificate, with those that vouch for it: TLS 1.3 is served directly', default: 'unset = plain HTTP' },
  TLS_KEY: { description: 'PEM file of its private key; both are read again when they change', default: 'none' },
  TLS_CLIENT_CERTIFICATES: { description: '`request` asks clients for a certificate, which their token may be bound to (RFC 8705); `off`', default: 'off' },
  CORS_ORIGINS: { description: 'Origins whose pages may call from a browser, separated by commas (https://app.example); `*` = every one. Never with the browser\'s credentials', default: '`*`' },
  DATA_DIR: { description: 'Embedded PostgreSQL, filesystem store, development keys', default: './data' },
  DATABASE_URL: { description: 'PostgreSQL 15 or later; the owner of its database', default: 'unset = embedded', secret: true },
  DATABASE_URL_FILE: { description: 'File that holds DATABASE_URL in its place, read again while the server runs', default: 'unset' },
  DATABASE_APP_URL: { description: 'Login of the application role (row-level security forced)', default: 'DATABASE_URL with the role set', secret: true },
  DATABASE_APP_URL_FILE: { description: 'File that holds DATABASE_APP_URL in its place, read again while the server runs', default: 'unset' },
  DATABASE_AUDIT_URL: { description: 'Login of the audit writer (insert only)', default: 'DATABASE_URL with the role set', secret: true },
  DATABASE_AUDIT_URL_FILE: { description: 'File that holds DATABASE_AUDIT_URL in its place, read again while the server runs', default: 'unset' },
  DATABASE_WORKER_URL: { description: 'Login of the worker (mirror, sweep)', default: 'DATABASE_URL with the role set', secret: true },
  DATABASE_WORKER_URL_FILE: { description: 'File that holds DATABASE_WORKER_URL in its place, read again while the server runs', default: 'unset' },
  STORAGE_TYPE: { description: '`local`, `minio`, `s3`, `r2`, `azure` or `gcs`', default: 'local' },
  STORAGE_ENDPOINT: { description: 'Address of the object store; with `azure` that of the storage account', default: 'none; with `gcs` https://storage.googleapis.com' },
  STORAGE_BUCKET: { description: 'Bucket of the object store, or container', default: 'none' },
  STORAGE_REGION: { description: 'Region of the object store; `azure` and `gcs` need none', default: 'us-east-1' },
  STORAGE_ACCESS_KEY: { description: 'Access key of the object store; with `azure` the name of the account', default: 'none', secret: true },
  STORAGE_ACCESS_KEY_FILE: { description: 'File that holds STORAGE_ACCESS_KEY in its place, read again while the server runs', default: 'unset' },
  STORAGE_SECRET_KEY: { description: 'Secret key of the object store; with `azure` a key of the account', default: 'none', secret: true },
  STORAGE_SECRET_KEY_FILE: { description: 'File that holds STORAGE_SECRET_KEY in its place, read again while the server runs', default: 'unset' },
  STORAGE_GOOGLE_CREDENTIALS_FILE: { description: 'With `gcs`: JSON file of the credentials (key of a service account, federated identity), read again while the server runs', default: 'application default credentials' },
  STORAGE_KEY_TEMPLATE: { description: 'Layout of object keys; made of `{org}`, `{patient}`, `{year}`, `{month}`, `{uuid}`, `{ext}`', default: '{org}/{year}/{month}/{uuid}' },
  STORAGE_DIRECT_ENDPOINT: { description: 'Address at which clients reach the bucket itself, for [direct URLs](signed-urls.md#direct); `s3` and `minio` alone', default: 'unset = they do not' },
  STORAGE_DIRECT_MINIO: { description: '`acknowledged` lets clients reach MinIO, which takes forged writes', default: 'unset' },
  STORAGE_STS_ENDPOINT: { description: 'Address that gives sessions (AssumeRole) for direct URLs', default: '`STORAGE_ENDPOINT`' },
  STORAGE_STS_ROLE: { description: 'ARN of the role that such a session has; MinIO needs none', default: 'none' },
  STORAGE_REPLICA_TYPE: { description: 'What the replica is: `s3` (any S3), `azure` or `gcs`', default: 's3' },
  STORAGE_REPLICA_ENDPOINT: { description: 'Address of a second object store that holds the same objects under the same keys', default: 'unset = no replica; with `gcs` https://storage.googleapis.com' },
  STORAGE_REPLICA_BUCKET: { description: 'Bucket of the replica', default: 'none' },
  STORAGE_REPLICA_REGION: { description: 'Region of the replica', default: 'us-east-1' },
  STORAGE_REPLICA_ACCESS_KEY: { description: 'Access key of the replica', default: 'none', secret: true },
  STORAGE_REPLICA_ACCESS_KEY_FILE: { description: 'File that holds STORAGE_REPLICA_ACCESS_KEY in its place, read again while the server runs', default: 'unset' },
  STORAGE_REPLICA_SECRET_KEY: { description: 'Secret key of the replica', default: 'none', secret: true },
  STORAGE_REPLICA_SECRET_KEY_FILE: { description: 'File that holds STORAGE_REPLICA_SECRET_KEY in its place, read again while the server runs', default: 'unset' },
  STORAGE_REPLICA_GOOGLE_CREDENTIALS_FILE: { description: 'STORAGE_GOOGLE_CREDENTIALS_FILE of the replica', default: 'application default credentials' },
  MIRROR_BASE_URL: { description: 'FHIR base of the HAPI server; may hold `{org}`, and a user and a password', default: 'unset = no mirror', secret: true },
  MIRROR_USER: { description: 'User of HAPI (basic authentication); `{org}` in it, and in the paths and addresses below, stands for the organisation', default: 'none' },
  MIRROR_PASSWORD_FILE: { description: 'File of its password. Files of secrets and certificates for HAPI are read again when they change', default: 'none' },
  MIRROR_TOKEN_FILE: { description: 'File of a bearer token for HAPI', default: 'none' },
  MIRROR_OAUTH_TOKEN_URL: { description: 'Token endpoint that gives a token for HAPI (OAuth 2.0 client credentials); it is kept until shortly before it ends', default: 'none' },
  MIRROR_OAUTH_CLIENT_ID: { description: 'Our client id there', default: 'none' },
  MIRROR_OAUTH_CLIENT_SECRET_FILE: { description: 'File of our secret there', default: 'none: MIRROR_OAUTH_KEY_FILE or MIRROR_TLS_CERT vouches for the client' },
  MIRROR_OAUTH_KEY_FILE: { description: 'PEM file (PKCS #8) of the private key that signs our assertion there (private_key_jwt): RSA, P-256, P-384 or Ed25519', default: 'none' },
  MIRROR_OAUTH_KEY_ID: { description: 'Its key id (`kid`) in the key set that was registered there', default: 'none' },
  MIRROR_OAUTH_SCOPE: { description: 'Scopes that are asked for', default: 'unset = what the server gives' },
  MIRROR_TLS_CERT: { description: 'PEM file of the certificate that we show to HAPI and to the token endpoint (mutual TLS)', default: 'none' },
  MIRROR_TLS_KEY: { description: 'PEM file of its private key', default: 'none' },
  MIRROR_TLS_CA: { description: 'PEM file of the authorities that vouch for HAPI', default: 'those that Node.js knows' },
  MIRROR_CONNECT_SECONDS: { description: 'How long a connection to HAPI may take, 1 to 60', default: '5' },
  MIRROR_TIMEOUT_SECONDS: { description: 'How long one request of a delivery may take with its answer, 1 to 30', default: '30' },
  MIRROR_CHANGES: { description: 'What becomes of changes that others make at HAPI to what is mirrored: `alarm` tells of them, `authoritative` puts ours back', default: 'alarm' },
  MIRROR_CHECK_SECONDS: { description: 'HAPI\'s history is looked through for such changes once in so many seconds; `0` = never', default: '300' },
  MIRROR_BINARY_BYTES_MAX: { description: 'Binaries of up to so many bytes go to HAPI with their bytes, the others without; 256 KiB at most', default: 'unset = all without' },
  MIRROR_ACCESS: { description: 'Which access records go to HAPI: `off`, `writes`, `all`', default: 'writes' },
  CLAMAV_HOST: { description: 'Host of the virus scanner', default: 'unset = scanning off' },
  CLAMAV_PORT: { description: 'Port of the virus scanner', default: '3310' },
  CLAMAV_STREAM_BYTES_MAX: { description: 'Longest stream that the scanner takes: not above its StreamMaxLength, MaxFileSize and MaxScanSize. Longer content is quarantined as unscannable', default: '2000 MiB' },
  CLAMAV_CONNECTIONS_MAX: { description: 'Connections to the scanner at once: not above its MaxQueue', default: '32' },
  SCAN: { description: '`off`, `optional`, `required`', default: '`optional`; in production `required`' },
  TRUSTED_ISSUERS: { description: 'JSON array of `{issuer, jwks_uri, audience, audience_optional, claims, introspection}`', default: 'unset = the development issuer' },
  METRICS_PORT: { description: 'Prometheus listener on loopback; 0 = off', default: 'PORT + 6464, off past 65535' },
  AUDIT_SIGNING_KEY_FILE: { description: 'Ed25519 private key that seals the log (PEM, PKCS #8); after a change the new key first, then the one before', default: 'made in `DATA_DIR` when the log is empty' },
  SYSLOG_ADDRESS: { description: '`host:port` of the audit repository that the record is handed to: syslog over TLS (RFC 5425) with DICOM audit messages', default: 'unset = nowhere' },
  SYSLOG_TLS_CA: { description: 'PEM file of the authorities that vouch for it', default: 'those that Node.js knows' },
  SYSLOG_TLS_CERT: { description: 'PEM file of the certificate that we show to it', default: 'none' },
  SYSLOG_TLS_KEY: { description: 'PEM file of its private key', default: 'none' },
  SCRUB_DAYS: { description: 'Each content at rest is read and compared within so many days', default: '90' },
  SCRUB_BYTES_PER_SECOND: { description: 'Bytes a second that a server reads for it at most', default: '32MiB' },
  RATE_ORG: { description: 'What an organisation may ask of one server in a second: `requests`, `bytes`, and `search`, the milliseconds that its searches take; `off`', default: 'in production requests=2000, bytes=1GiB, search=16000; else off' },
  RATE_CLIENT: { description: 'The same of one client', default: 'in production requests=1000, bytes=512MiB, search=8000; else off' },
  RATE_USER: { description: 'The same of one user', default: 'in production requests=200, bytes=256MiB, search=4000; else off' },
  OPERATOR_ORG: { description: 'Organisation under which accesses without one are recorded', default: '`demo`; must be set in production' },
  SIGNED_URL_MINUTES_MAX: { description: 'How long a signed URL may be valid, 1 to 60 minutes', default: '60' },
  BODY_BYTES_MAX: { description: 'Largest FHIR JSON body, bytes or with a unit (36MiB)', default: '36MiB' },
  INLINE_BYTES_MAX: { description: 'Largest sum of decoded inline data in one body', default: '24MiB' },
  UPLOAD_BYTES_MAX: { description: 'Largest raw upload', default: '5GiB' },
  INFLIGHT_BYTES_MAX: { description: 'Bytes of request bodies that may be held in memory at once: a text counts whole, a stream 8 MiB at most. What goes over it is 503 before its body is read', default: '1GiB' },
  ALLOW_EMBEDDED_IN_PRODUCTION: { description: '`true` lets production run on embedded parts and development keys', default: 'unset' },
  MUNIMENT_BASE: { description: 'FHIR base of the server that the commands `retention`, `hold` and `purge` ask', default: 'that of BASE_URL, PORT or the server of DATA_DIR' },
  MUNIMENT_TOKEN: { description: 'Bearer token of the administrator who calls them', default: 'none', secret: true },
  LOG_LEVEL: { description: '`debug`, `info`, `warn`, `error`', default: 'info' },
} as const satisfies Record<string, VariableDescription>;

export type VariableName = keyof typeof VARIABLES;
export type Environment = { readonly [Name in VariableName]?: string };

/** The variables that are set, empty ones left out. */
export function readEnvironment(source: Readonly<Record<string, string | undefined>> = process.env): Environment {
  const names = Object.keys(VARIABLES) as VariableName[];
  const set = names.flatMap((name) => {
    const value = source[name];
    return value === undefined || value.trim() === '' ? [] : [[name, value.trim()] as const];
  });
  return Object.fromEntries(set);
}
