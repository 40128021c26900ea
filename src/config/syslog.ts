// Where the record is handed on to: the audit repository of the customer.
import type { Reader } from './read-environment.ts';

export interface SyslogConfig {
  host: string;
  port: number;
  /** PEM files. */
  ca: string | undefined;
  cert: string | undefined;
  key: string | undefined;
}

const ADDRESS = /^(?:\[(?<bracketed>[0-9A-Fa-f:.]+)\]|(?<name>[A-Za-z0-9.-]+)):(?<port>\d{1,5})$/;

export function readSyslog(reader: Reader): SyslogConfig | undefined {
  const address = reader.text('SYSLOG_ADDRESS');
  const [ca, cert, key] = [reader.text('SYSLOG_TLS_CA'), reader.text('SYSLOG_TLS_CERT'), reader.text('SYSLOG_TLS_KEY')];
  if ((cert === undefined) !== (key === undefined)) reader.problems.push('SYSLOG_TLS_CERT and SYSLOG_TLS_KEY are set together or not at all');
  if (address === undefined) {
    if (ca !== undefined || cert !== undefined) reader.problems.push('SYSLOG_ADDRESS is needed by SYSLOG_TLS_CA and SYSLOG_TLS_CERT');
    return undefined;
  }
  const { bracketed, name, port } = ADDRESS.exec(address)?.groups ?? {};
  const host = bracketed ?? name;
  if (host === undefined || Number(port) < 1 || Number(port) > 65_535) {
    reader.problems.push('SYSLOG_ADDRESS must be host:port, such as audit.example.org:6514');
    return undefined;
  }
  return { host, port: Number(port), ca, cert, key };
}
