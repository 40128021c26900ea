// AWS Signature Version 4 for requests whose body is not signed: its digest travels as a checksum that the store
// verifies itself.
import { createHash, createHmac } from 'node:crypto';

/** Looked at for each request: what it holds may change while the server runs. */
export interface S3Credentials {
  accessKey: string;
  secretKey: string;
  region: string;
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
}

export const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD';
export const UNSIGNED_TRAILER = 'STREAMING-UNSIGNED-PAYLOAD-TRAILER';

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

/** The headers to send, Authorization included. */
export function signRequest(request: UnsignedRequest, credentials: S3Credentials, date: Date): Record<string, string> {
  const stamp = date.toISOString().replace(/[-:]|\.\d{3}/g, '');
  const day = stamp.slice(0, 8);
  const headers: Record<string, string> = { ...request.headers, 'host': request.host, 'x-amz-date': stamp, 'x-amz-content-sha256': request.payloadHash };
  const names = Object.keys(headers).sort();
  const canonical = [
    request.method, encodePath(request.path), encodeQuery(request.query),
    ...names.map((name) => `${name}:${(headers[name] ?? '').trim()}`), '', names.join(';'), request.payloadHash,
  ].join('\n');
  const scope = `${day}/${credentials.region}/s3/aws4_request`;
  const key = ['s3', 'aws4_request'].reduce((derived, part) => hmac(derived, part), hmac(hmac(`AWS4${credentials.secretKey}`, day), credentials.region));
  const signature = hmac(key, `AWS4-HMAC-SHA256\n${stamp}\n${scope}\n${createHash('sha256').update(canonical).digest('hex')}`).toString('hex');
  return { ...headers, authorization: `AWS4-HMAC-SHA256 Credential=${credentials.accessKey}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}` };
}
