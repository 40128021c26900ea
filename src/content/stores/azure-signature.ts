// Shared Key of Azure Storage: the headers of a request signed with the key of the account
// (learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key).
import { createHmac } from 'node:crypto';

/** Looked at for each request: what it holds may change while the server runs. */
export interface AzureCredentials {
  /** Name of the storage account. */
  accessKey: string;
  /** Key of the account, in base64. */
  secretKey: string;
}

export interface UnsignedAzureRequest {
  method: string;
  /** As it is sent: encoded, with whatever the endpoint puts before the container. */
  path: string;
  query: Record<string, string>;
  /** In lower case. */
  headers: Record<string, string>;
}

/** In the order of the specification; a length of 0 is left out. */
const SIGNED = ['content-encoding', 'content-language', 'content-length', 'content-md5', 'content-type', 'date', 'if-modified-since', 'if-match', 'if-none-match', 'if-unmodified-since', 'range'];
/** The first with versions of blobs is 2019-12-12. */
const SERVICE_VERSION = '2021-12-02';

/** The headers to send, Authorization included. */
export function signAzureRequest(request: UnsignedAzureRequest, { accessKey, secretKey }: AzureCredentials, date: Date): Record<string, string> {
  const headers: Record<string, string> = { ...request.headers, 'x-ms-date': date.toUTCString(), 'x-ms-version': SERVICE_VERSION };
  const own = Object.keys(headers).filter((name) => name.startsWith('x-ms-')).sort();
  const text = [
    request.method,
    ...SIGNED.map((name) => (name === 'content-length' && headers[name] === '0' ? '' : headers[name] ?? '')),
    ...own.map((name) => `${name}:${headers[name] ?? ''}`),
    [`/${accessKey}${request.path}`, ...Object.keys(request.query).sort().map((name) => `${name}:${request.query[name] ?? ''}`)].join('\n'),
  ].join('\n');
  const signature = createHmac('sha256', Buffer.from(secretKey, 'base64')).update(text).digest('base64');
  return { ...headers, authorization: `SharedKey ${accessKey}:${signature}` };
}
