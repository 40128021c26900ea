// AWS Signature Version 4 for requests whose body is not signed: its digest travels as a checksum that the store
// verifies itself. In the headers of our own requests, or in the query of a URL that others use.
import { createHash, createHmac } from 'node:crypto';

/** Looked at for each request: what it holds may change while the server runs. */
export interface S3Credentials {
  accessKey: string;
  secretKey: string;
  region: string;
  /** Of a session that the store gave for a while. */
  sessionToken?: string;
}

export interface UnsignedRequest {
  method: string;
  host: string;
  /** Path with the bucket, not yet encoded. */
  path: string;
  query: Record<string, string>;
  /** In lower case; all of them are signed. */
  headers: Record<string, string>;
  payloadHash: string;
  /** s3, unless it is for the service that gives sessions. */
  service?: 's3' | 'sts';
}

export const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD';
export const UNSIGNED_TRAILER = 'STREAMING-UNSIGNED-PAYLOAD-TRAILER';
const ALGORITHM = 'AWS4-HMAC-SHA256';

const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();

/** RFC 3986 percent-encoding of one segment or value. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}

export function encodePath(path: string): string {
  return path.split('/').map(encode).join('/');
}

export function encodeQuery(query: Record<string, string>): string {
  return Object.entries(query).map(([name, value]) => `${encode(name)}=${encode(value)}`).sort().join('&');
}

const stampOf = (date: Date): string => date.toISOString().replace(/[-:]|\.\d{3}/g, '');
const scopeOf = (stamp: string, { region }: S3Credentials, service: string): string => `${stamp.slice(0, 8)}/${region}/${service}/aws4_request`;

function signatureOf({ method, path, query, headers, payloadHash, service = 's3' }: Omit<UnsignedRequest, 'host'>, credentials: S3Credentials, stamp: string): { signature: string; names: string } {
  const names = Object.keys(headers).sort();
  const canonical = [method, encodePath(path), encodeQuery(query), ...names.map((name) => `${name}:${(headers[name] ?? '').trim()}`), '', names.join(';'), payloadHash].join('\n');
  const key = [credentials.region, service, 'aws4_request'].reduce((derived, part) => hmac(derived, part), hmac(`AWS4${credentials.secretKey}`, stamp.slice(0, 8)));
  const text = `${ALGORITHM}\n${stamp}\n${scopeOf(stamp, credentials, service)}\n${createHash('sha256').update(canonical).digest('hex')}`;
  return { signature: hmac(key, text).toString('hex'), names: names.join(';') };
}

/** The headers to send, Authorization included. */
export function signRequest(request: UnsignedRequest, credentials: S3Credentials, date: Date): Record<string, string> {
  const stamp = stampOf(date);
  const headers: Record<string, string> = { ...request.headers, 'host': request.host, 'x-amz-date': stamp, 'x-amz-content-sha256': request.payloadHash };
  const { signature, names } = signatureOf({ ...request, headers }, credentials, stamp);
  return { ...headers, authorization: `${ALGORITHM} Credential=${credentials.accessKey}/${scopeOf(stamp, credentials, request.service ?? 's3')}, SignedHeaders=${names}, Signature=${signature}` };
}

/** The path with a query by which whoever has it makes this one request until `seconds` are over, with the headers that it names. */
export function signUrl({ method, host, path, query, headers }: Omit<UnsignedRequest, 'payloadHash' | 'service'>, credentials: S3Credentials, date: Date, seconds: number): string {
  const stamp = stampOf(date);
  const signed: Record<string, string> = { ...headers, host };
  const whole = {
    ...query, 'X-Amz-Algorithm': ALGORITHM, 'X-Amz-Credential': `${credentials.accessKey}/${scopeOf(stamp, credentials, 's3')}`, 'X-Amz-Date': stamp, 'X-Amz-Expires': String(seconds),
    'X-Amz-SignedHeaders': Object.keys(signed).sort().join(';'), ...(credentials.sessionToken === undefined ? {} : { 'X-Amz-Security-Token': credentials.sessionToken }),
  };
  const { signature } = signatureOf({ method, path, query: whole, headers: signed, payloadHash: UNSIGNED_PAYLOAD }, credentials, stamp);
  return `${encodePath(path)}?${encodeQuery(whole)}&X-Amz-Signature=${signature}`;
}
