// From variables to a frozen configuration: defaults, cross-checks, and all problems reported at once.
import { resolve } from 'node:path';
import { readBinaryBytesMax, readMirrorSecurity, type HapiSecurity } from './mirror-security.ts';
import { readAddresses, readOrigins, readTls, type TlsConfig } from './network.ts';
import { readRates, type RateConfig } from './rates.ts';
import { Reader, UNITS } from './read-environment.ts';
import type { Secret } from './secrets.ts';
import { readStorage, type StorageConfig } from './storage.ts';
import { readSyslog, type SyslogConfig } from './syslog.ts';
import { readTrustedIssuers, type TrustedIssuer } from './trusted-issuers.ts';
import type { Environment } from './env.ts';

export interface Config {
  production: boolean;
  port: number;
  host: string;
  /** Public base without /fhir and without a trailing slash. */
  baseUrl: string;
  /** Addresses and ranges, 10.0.0.0/8. */
  trustedProxies: string[];
  /** Files of the certificate; undefined = plain HTTP. */
  tls: TlsConfig | undefined;
  /** Whose pages may call from a browser; undefined = every origin. */
  corsOrigins: string[] | undefined;
  /** The FHIR base: baseUrl + /fhir. */
  fhirBase: string;
  dataDir: string;
  /** undefined = embedded PostgreSQL. */
  databaseUrl: Secret | undefined;
  databaseAppUrl: Secret | undefined;
  databaseAuditUrl: Secret | undefined;
  databaseWorkerUrl: Secret | undefined;
  storage: StorageConfig;
  /** May hold a user and a password. */
  mirrorBaseUrl: Secret | undefined;
  mirrorSecurity: HapiSecurity;
  mirrorAccess: 'off' | 'writes' | 'all';
  mirrorChanges: 'alarm' | 'authoritative';
  mirrorCheckSeconds: number;
  /** 0 = Binaries are stubs at HAPI. */
  mirrorBinaryBytesMax: number;
  /** streamBytesMax: what the scanner takes in one stream. */
  clamav: { host: string; port: number; streamBytesMax: number; connectionsMax: number } | undefined;
  scan: 'off' | 'optional' | 'required';
  /** Empty = the development issuer. */
  trustedIssuers: TrustedIssuer[];
  /** 0 = off. */
  metricsPort: number;
  /** undefined = the key in DATA_DIR. */
  auditSigningKeyFile: string | undefined;
  /** Whom the record is handed to; undefined = nobody. */
  syslog: SyslogConfig | undefined;
  scrubDays: number;
  scrubBytesPerSecond: number;
  /** undefined = not limited. */
  rates: Record<'org' | 'client' | 'user', RateConfig | undefined>;
  operatorOrg: string;
  signedUrlMinutesMax: number;
  bodyBytesMax: number;
  inlineBytesMax: number;
  uploadBytesMax: number;
  inflightBytesMax: number;
  logLevel: 'debug' | 'info' | 'warn' | 'error';
}

/** Thrown at start; its message lists every problem, one a line, and never a value. */
export class ConfigurationError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(['The configuration has problems:', ...problems.map((problem) => `  ${problem}`)].join('\n'));
    this.name = 'ConfigurationError';
    this.problems = problems;
  }
}

const WEB = ['http:', 'https:'];
const POSTGRES = ['postgres:', 'postgresql:'];
const ORG_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

const LOGINS = ['DATABASE_APP_URL', 'DATABASE_AUDIT_URL', 'DATABASE_WORKER_URL'] as const;

/** With some of the logins the others would be the owner with a role set, and nobody would notice. */
function checkLogins(reader: Reader): void {
  const missing = LOGINS.filter((name) => !reader.isSet(name));
  if (missing.length === LOGINS.length) return;
  for (const name of missing) reader.problems.push(`${name} is needed: ${LOGINS.join(', ')} are set together or not at all`);
  if (!reader.isSet('DATABASE_URL')) reader.problems.push('DATABASE_URL is needed by the logins of the runtime roles: they are of its database');
}

/** Nothing that is read at start changes afterwards, at any depth. */
function frozen<T extends object>(value: T): Readonly<T> {
  for (const member of Object.values(value) as unknown[]) if (typeof member === 'object' && member !== null) frozen(member);
  return Object.freeze(value);
}

function checkProduction(reader: Reader, config: Config): void {
  const allowed = reader.text('ALLOW_EMBEDDED_IN_PRODUCTION') === 'true';
  const embedded = (problem: string): void => {
    if (!allowed) reader.problems.push(`${problem} (or ALLOW_EMBEDDED_IN_PRODUCTION=true)`);
  };
  if (config.databaseUrl === undefined) embedded('DATABASE_URL must be set when NODE_ENV=production: embedded PostgreSQL is for development');
  if (config.storage.type === 'local') embedded('STORAGE_TYPE must name an object store when NODE_ENV=production: the local store is for development');
  if (config.trustedIssuers.length === 0) embedded('TRUSTED_ISSUERS must be set when NODE_ENV=production: the development issuer signs for anybody');
  if (reader.text('OPERATOR_ORG') === undefined) reader.problems.push('OPERATOR_ORG must be set when NODE_ENV=production');
  if (config.scan !== 'off' && config.clamav === undefined) reader.problems.push('CLAMAV_HOST must be set when NODE_ENV=production, or SCAN=off be said');
}

/** The configuration of `environment`; throws ConfigurationError with every problem found. */
export function loadConfig(environment: Environment): Readonly<Config> {
  const reader = new Reader(environment);
  const production = reader.text('NODE_ENV') === 'production';
  const port = reader.port('PORT', 3000, 0);
  const tls = readTls(reader);
  const baseUrl = reader.url('BASE_URL', WEB) ?? `${tls === undefined ? 'http' : 'https'}://localhost:${port}`;
  const host = reader.text('CLAMAV_HOST');
  const config: Config = {
    production,
    port,
    host: reader.text('HOST') ?? '127.0.0.1',
    baseUrl,
    trustedProxies: readAddresses(reader, 'TRUSTED_PROXIES'),
    tls,
    corsOrigins: readOrigins(reader),
    fhirBase: `${baseUrl}/fhir`,
    dataDir: resolve(reader.text('DATA_DIR') ?? './data'),
    databaseUrl: reader.keptUrl('DATABASE_URL', POSTGRES),
    databaseAppUrl: reader.keptUrl('DATABASE_APP_URL', POSTGRES),
    databaseAuditUrl: reader.keptUrl('DATABASE_AUDIT_URL', POSTGRES),
    databaseWorkerUrl: reader.keptUrl('DATABASE_WORKER_URL', POSTGRES),
    storage: readStorage(reader),
    mirrorBaseUrl: reader.secretUrl('MIRROR_BASE_URL', WEB),
    mirrorSecurity: readMirrorSecurity(reader),
    mirrorAccess: reader.choice('MIRROR_ACCESS', ['off', 'writes', 'all'], 'writes'),
    mirrorChanges: reader.choice('MIRROR_CHANGES', ['alarm', 'authoritative'], 'alarm'),
    mirrorCheckSeconds: reader.seconds('MIRROR_CHECK_SECONDS', 300),
    mirrorBinaryBytesMax: readBinaryBytesMax(reader),
    clamav: host === undefined ? undefined : { host, port: reader.port('CLAMAV_PORT', 3310), streamBytesMax: reader.bytes('CLAMAV_STREAM_BYTES_MAX', 2_000 * UNITS['MiB']!), connectionsMax: reader.connections('CLAMAV_CONNECTIONS_MAX', 32) },
    scan: reader.choice('SCAN', ['off', 'optional', 'required'], production ? 'required' : 'optional'),
    trustedIssuers: readTrustedIssuers(reader.text('TRUSTED_ISSUERS'), reader.problems),
    metricsPort: reader.port('METRICS_PORT', port + 6464 > 65_535 ? 0 : port + 6464, 0),
    auditSigningKeyFile: reader.text('AUDIT_SIGNING_KEY_FILE'),
    syslog: readSyslog(reader),
    scrubDays: reader.days('SCRUB_DAYS', 90),
    scrubBytesPerSecond: reader.bytes('SCRUB_BYTES_PER_SECOND', 32 * UNITS['MiB']!),
    rates: readRates(reader, production),
    operatorOrg: reader.text('OPERATOR_ORG') ?? 'demo',
    signedUrlMinutesMax: reader.minutes('SIGNED_URL_MINUTES_MAX', 60),
    bodyBytesMax: reader.bytes('BODY_BYTES_MAX', 36 * UNITS['MiB']!),
    inlineBytesMax: reader.bytes('INLINE_BYTES_MAX', 24 * UNITS['MiB']!),
    uploadBytesMax: reader.bytes('UPLOAD_BYTES_MAX', 5 * UNITS['GiB']!),
    inflightBytesMax: reader.bytes('INFLIGHT_BYTES_MAX', UNITS['GiB']!),
    logLevel: reader.choice('LOG_LEVEL', ['debug', 'info', 'warn', 'error'], 'info'),
  };
  if (!ORG_NAME.test(config.operatorOrg)) reader.problems.push('OPERATOR_ORG must have 1 to 64 characters of A-Z a-z 0-9 . _ - and begin with a letter or digit');
  checkLogins(reader);
  if (production) checkProduction(reader, config);
  if (reader.problems.length > 0) throw new ConfigurationError(reader.problems);
  return frozen(config);
}
