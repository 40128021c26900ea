// CORS (fetch.spec.whatwg.org): every origin may call with a bearer token, without credentials of the browser.
import type { Request, Response } from 'express';

const ALLOWED_HEADERS = ['Authorization', 'Content-Type', 'Accept', 'Prefer', 'If-Match', 'If-None-Match', 'If-Modified-Since', 'If-None-Exist', 'Range', 'If-Range', 'X-Provenance', 'X-Request-Id', 'X-Security-Context', 'Idempotency-Key', 'Repr-Digest', 'Content-Digest'];
const EXPOSED_HEADERS = ['Content-Location', 'Location', 'Link', 'ETag', 'Last-Modified', 'Date', 'X-Request-Id', 'X-Correlation-Id', 'X-Progress', 'Retry-After', 'Content-Disposition', 'Content-Range', 'Accept-Ranges', 'Repr-Digest', 'WWW-Authenticate', 'X-Security-Context', 'Preference-Applied'];
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

/** Sets the headers that the browser asks for, `options` besides on a preflight; true when the request was a preflight and is answered. */
export function crossOrigin(request: Request, response: Response, options: Record<string, string> = {}): boolean {
  if (request.headers.origin !== undefined) {
    response.setHeader('Access-Control-Allow-Origin', '*');
    response.setHeader('Access-Control-Expose-Headers', EXPOSED_HEADERS.join(', '));
  }
  if (request.method !== 'OPTIONS') return false;
  response.setHeader('Access-Control-Allow-Methods', METHODS.join(', '));
  response.setHeader('Access-Control-Allow-Headers', ALLOWED_HEADERS.join(', '));
  response.setHeader('Access-Control-Max-Age', '600');
  response.setHeader('Allow', METHODS.join(', '));
  for (const [name, value] of Object.entries(options)) response.setHeader(name, value);
  response.status(204).end();
  return true;
}
