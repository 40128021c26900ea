// Where the server listens and whom it believes: certificate, proxies, origins of pages.
import { isIP } from 'node:net';
import type { VariableName } from './env.ts';

/** The variables, and where their problems are collected. */
export interface VariableSource {
  readonly problems: string[];
  text(name: VariableName): string | undefined;
  choice<Value extends string>(name: VariableName, allowed: readonly Value[], fallback: Value): Value;
}

export interface TlsConfig {
  /** Files in PEM. */
  cert: string;
  key: string;
  clientCertificates: boolean;
}

const WEB = ['http:', 'https:'];

/** Addresses and ranges, separated by commas. */
export function readAddresses(reader: VariableSource, name: VariableName): string[] {
  const entries = (reader.text(name) ?? '').split(',').map((entry) => entry.trim()).filter((entry) => entry !== '');
  if (!entries.every(isAddressOrRange)) reader.problems.push(`${name} must be addresses or ranges such as 10.0.0.0/8, separated by commas`);
  return entries;
}

/** Origins as browsers send them: scheme, host and port, nothing more. */
export function readOrigins(reader: VariableSource): string[] | undefined {
  const text = reader.text('CORS_ORIGINS');
  if (text === undefined || text === '*') return undefined;
  const entries = text.split(',').map((entry) => entry.trim()).filter((entry) => entry !== '');
  const valid = entries.every((entry) => URL.canParse(entry) && WEB.includes(new URL(entry).protocol) && new URL(entry).origin === entry && !entry.includes('*'));
  if (!valid) reader.problems.push('CORS_ORIGINS must be * or origins such as https://app.example, separated by commas');
  return entries;
}

function isAddressOrRange(entry: string): boolean {
  const [address = '', prefix, ...more] = entry.split('/');
  const family = isIP(address);
  if (family === 0 || more.length > 0) return false;
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 6 ? 128 : 32));
}

export function readTls(reader: VariableSource): TlsConfig | undefined {
  const [cert, key] = [reader.text('TLS_CERT'), reader.text('TLS_KEY')];
  const clientCertificates = reader.choice('TLS_CLIENT_CERTIFICATES', ['off', 'request'], 'off') === 'request';
  if (cert !== undefined && key !== undefined) return { cert, key, clientCertificates };
  if (cert !== undefined || key !== undefined) reader.problems.push('TLS_CERT and TLS_KEY are set together or not at all');
  else if (clientCertificates) reader.problems.push('TLS_CLIENT_CERTIFICATES needs TLS_CERT and TLS_KEY: clients show their certificates where TLS ends');
  return undefined;
}
