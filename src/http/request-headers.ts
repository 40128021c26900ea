// Headers of a request as the rest of the server sees them.
import type { Request } from 'express';
import { randomUUID } from 'node:crypto';

const REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/;

const given = new WeakMap<Request, string>();

/** The client's own X-Request-Id when it is a valid one, else a new one; the same each time. */
export function requestIdOf(request: Request): string {
  const sent = request.headers['x-request-id'];
  if (typeof sent === 'string' && REQUEST_ID.test(sent)) return sent;
  const made = given.get(request) ?? randomUUID();
  given.set(request, made);
  return made;
}

/** The value of a header, several lines joined by comma. */
export function headerOf(request: Request, name: string): string | undefined {
  // Node keeps the first of several credentials: that there were several must be seen.
  const value = name === 'authorization' ? request.headersDistinct[name] : request.headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}
