// Everything below /fhir: from path to row of the table, through the gate, to the answer. What is not in the table
// passes the gate as well, because a refusal is an answer and is recorded.
import type { NextFunction, Request, Response } from 'express';
import { randomUUID } from 'node:crypto';
import { FhirError, fhirError } from '../fhir/fhir-error.ts';
import { ID_PATTERN } from '../fhir/reference.ts';
import { RESOURCE_TYPES, type ResourceType } from '../fhir/resource-type.ts';
import type { Passage, Perform } from '../gate/perform.ts';
import { defineInteraction, type FhirRequest } from '../interactions/interaction.ts';
import type { Logger } from '../logger.ts';
import { errorResponse } from './error-response.ts';
import { openBody, sendAnswer } from './exchange.ts';
import { acceptsFhirJson } from './media-type.ts';
import { PUBLIC_PATHS } from './public-routes.ts';
import { matchRoute, type PathParameters, type Route, type RouteCode } from './routes.ts';

export interface FhirEntryParts {
  routes: readonly Route[];
  perform: Perform;
  logger: Logger;
}

const REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/;
const URL_CHARACTERS_MAX = 16_384;
const HEADERS = { 'Cache-Control': 'private, no-cache', 'Vary': 'Accept, Authorization', 'X-Content-Type-Options': 'nosniff' };

/** The client's own id when it is a valid one, else a new one. */
export function requestIdOf(request: Request): string {
  const sent = request.headers['x-request-id'];
  return typeof sent === 'string' && REQUEST_ID.test(sent) ? sent : randomUUID();
}

function headerReader(request: Request): (name: string) => string | undefined {
  return (name) => {
    // Node keeps the first of several credentials: that there were several must be seen.
    const value = name === 'authorization' ? request.headersDistinct[name] : request.headers[name];
    return Array.isArray(value) ? value.join(', ') : value;
  };
}

/** Path segments below the base; undefined when the percent-encoding is broken or a control character hides in it. */
function segmentsOf(path: string): string[] | undefined {
  try {
    const segments = path.split('/').filter((segment) => segment !== '').map(decodeURIComponent);
    return segments.some((segment) => /[\u0000-\u001f\u007f]/.test(segment)) ? undefined : segments;
  } catch {
    return undefined;
  }
}

function queryOf(search: string): [string, string][] | undefined {
  try {
    decodeURIComponent(search.replaceAll('+', ' '));
    return [...new URLSearchParams(search)];
  } catch {
    return undefined;
  }
}

const BY_METHOD: Record<string, RouteCode> = { POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' };

/** A passage that ends in a refusal: identified and recorded like any other. */
function refusing(error: FhirError, method: string, type: ResourceType): Passage {
  const code = BY_METHOD[method] ?? 'read';
  const interaction = defineInteraction({ code, kind: 'read', run: () => Promise.reject(error) });
  return { interaction, access: { interaction: code, type, refusal: true } };
}

interface Aimed extends PathParameters {
  passage: Passage;
  type: ResourceType;
  query: readonly [string, string][];
}

function aim(routes: readonly Route[], request: Request): Aimed {
  const [path = '', search = ''] = splitUrl(request.url);
  const refuse = (error: FhirError, type: ResourceType = 'DocumentReference'): Aimed => ({ passage: refusing(error, request.method, type), type, id: '', version: '', query: [] });
  if (request.url.length > URL_CHARACTERS_MAX) return refuse(fhirError('uri-too-long', `The URL may have ${URL_CHARACTERS_MAX} characters`));
  const segments = segmentsOf(path);
  const query = queryOf(search);
  if (segments === undefined || query === undefined) return refuse(fhirError('malformed-request', 'The percent-encoding of the URL is broken'));
  const match = matchRoute(routes, request.method, segments);
  if (match.kind === 'unknown') return refuse(PUBLIC_PATHS.has(`/${segments.join('/')}`) ? methodNotAllowed(request.method, ['GET', 'HEAD']) : unknownPath(segments));
  if (match.kind === 'method') return refuse(methodNotAllowed(request.method, match.allow), match.type);
  const { kind: _kind, route, ...parameters } = match;
  const { id, compartment } = parameters;
  if (compartment !== undefined && !ID_PATTERN.test(compartment.id)) return refuse(fhirError('not-found', 'There is no such compartment'), route.type);
  if (id !== '' && !ID_PATTERN.test(id)) {
    const error = route.method === 'PUT' ? fhirError('invalid-value', 'An id has 1 to 64 characters of A-Z a-z 0-9 - .') : fhirError('not-found', 'There is no such id');
    return refuse(error, route.type);
  }
  const format = query.find(([name]) => name === '_format')?.[1];
  const free = route.type === 'Binary' && route.code === 'read';
  const accept = request.headers['accept'];
  if (!free && !acceptsFhirJson(format, accept)) return refuse(fhirError('not-acceptable', 'This server answers in application/fhir+json'), route.type);
  const conditional = route.code === 'create' && request.headers['if-none-exist'] !== undefined;
  return { passage: { interaction: route.interaction, access: { interaction: route.code, type: route.type, ...(conditional ? { conditional } : {}) } }, type: route.type, ...parameters, query };
}

function methodNotAllowed(method: string, allow: readonly string[]): FhirError {
  return fhirError('method-not-allowed', `${method} is not offered here`, { headers: { Allow: [...allow, 'OPTIONS'].join(', ') } });
}

function splitUrl(url: string): [string, string] {
  const mark = url.indexOf('?');
  return mark < 0 ? [url, ''] : [url.slice(0, mark), url.slice(mark + 1)];
}

function unknownPath(segments: readonly string[]): FhirError {
  const [type = ''] = segments;
  const known = Object.hasOwn(RESOURCE_TYPES, type);
  return fhirError('unknown-type', known ? 'There is no such interaction here' : `This server does not have the resource type ${type.slice(0, 64)}`);
}

export function fhirEntry(parts: FhirEntryParts): (request: Request, response: Response, next: NextFunction) => void {
  return (request, response, next) => {
    answer(parts, request, response).catch(next);
  };
}

async function answer(parts: FhirEntryParts, request: Request, response: Response): Promise<void> {
  const requestId = requestIdOf(request);
  const shared = { ...HEADERS, 'X-Request-Id': requestId };
  const aimed = aim(parts.routes, request);
  let waits = request.headers.expect !== undefined;
  const fhirRequest: FhirRequest = {
    requestId, method: request.method, url: request.url.replace(/^\//, ''), query: aimed.query, type: aimed.type, id: aimed.id, version: aimed.version,
    ...(aimed.compartment === undefined ? {} : { compartment: aimed.compartment }),
    address: request.socket.remoteAddress, header: headerReader(request),
    body: openBody(request, () => {
      if (waits && !response.headersSent) response.writeContinue();
      waits = false;
    }),
  };
  try {
    const access = await parts.perform(aimed.passage, fhirRequest);
    const end = await sendAnswer(response, request.method, { ...access.response, headers: { ...shared, ...access.response.headers } });
    if (end !== undefined) await access.transferEnded(end).catch((error: unknown) => parts.logger.error({ requestId, err: error }, 'the end of a transfer could not be recorded'));
  } catch (error) {
    if (!(error instanceof FhirError)) throw error;
    const refused = errorResponse(error);
    // A client that waits for 100 Continue has sent nothing that would be lost; any other is listened to until it has done.
    await sendAnswer(response, request.method, { ...refused, headers: { ...shared, ...refused.headers, ...(waits ? { Connection: 'close' } : {}) } });
    if (!request.complete && !request.destroyed && !waits) throwAwayRest(request);
  }
}

const LINGER_BYTES = 64 * 1024 * 1024;
const LINGER_MS = 5_000;

/**
 * After an early refusal the client may still be sending. Closing at once would reset the connection and take the
 * answer with it, so what comes is thrown away, bounded in bytes and in time.
 */
function throwAwayRest(request: Request): void {
  let left = LINGER_BYTES;
  const timer = setTimeout(() => request.destroy(), LINGER_MS);
  request.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) request.destroy();
  });
  request.on('end', () => clearTimeout(timer)).on('close', () => clearTimeout(timer));
  request.resume();
}
