// CORS (fetch.spec.whatwg.org): the origins of the configuration, every one unless it names some, may call with a token of their
// own; never with credentials of the browser.
import type { Express, Request, Response } from 'express';

/** Name of the setting of the application that holds them. */
const ORIGINS = 'cross origins';

/** `origins` as browsers send them, https://app.example; undefined = every one. */
export function allowOrigins(app: Express, origins: readonly string[] | undefined): void {
  app.set(ORIGINS, origins === undefined ? undefined : new Set(origins));
}

const ALLOWED_HEADERS = ['Authorization', 'Content-Type', 'Accept', 'Prefer', 'If-Match', 'If-None-Match', 'If-Modified-Since', 'If-None-Exist', 'Range', 'If-Range', 'X-Provenance', 'X-Break-Glass', 'X-Type-Override', 'X-Request-Id', 'X-Security-Context', 'Idempotency-Key', 'DPoP', 'Repr-Digest', 'Content-Digest', 'Tus-Resumable', 'Upload-Length', 'Upload-Offset', 'Upload-Metadata', 'Upload-Checksum', 'X-Requested-With'];
const EXPOSED_HEADERS = ['Content-Location', 'Location', 'Link', 'ETag', 'Last-Modified', 'Date', 'X-Request-Id', 'X-Correlation-Id', 'X-Progress', 'Retry-After', 'Content-Disposition', 'Content-Range', 'Accept-Ranges', 'Repr-Digest', 'WWW-Authenticate', 'X-Security-Context', 'Preference-Applied', 'Tus-Resumable', 'Tus-Version', 'Tus-Extension', 'Tus-Max-Size', 'Tus-Checksum-Algorithm', 'Upload-Offset', 'Upload-Length', 'Upload-Metadata', 'Upload-Expires'];
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

/** Sets the headers that the browser asks for, `options` besides on a preflight; true when the request was a preflight and is answered. */
export function crossOrigin(request: Request, response: Response, options: Record<string, string> = {}): boolean {
  const origins = request.app.get(ORIGINS) as ReadonlySet<string> | undefined;
  const { origin } = request.headers;
  // A cache must not give one origin the answer that another had.
  if (origins !== undefined) response.setHeader('Vary', 'Origin');
  const allowed = origins === undefined || (origin !== undefined && origins.has(origin));
  if (allowed && origin !== undefined) {
    response.setHeader('Access-Control-Allow-Origin', origins === undefined ? '*' : origin);
    response.setHeader('Access-Control-Expose-Headers', EXPOSED_HEADERS.join(', '));
  }
  if (request.method !== 'OPTIONS') return false;
  if (allowed) {
    response.setHeader('Access-Control-Allow-Methods', METHODS.join(', '));
    response.setHeader('Access-Control-Allow-Headers', ALLOWED_HEADERS.join(', '));
    response.setHeader('Access-Control-Max-Age', '600');
  }
  response.setHeader('Allow', METHODS.join(', '));
  for (const [name, value] of Object.entries(options)) response.setHeader(name, value);
  response.status(204).end();
  return true;
}
