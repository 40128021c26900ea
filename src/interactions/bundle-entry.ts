// One entry of a batch or transaction as a request, and its answer as an entry of the response Bundle (R4 bundle.html).
import { createHash } from 'node:crypto';
import type { BundleEntry } from '../fhir/bundle.ts';
import { fhirError, type FhirError } from '../fhir/fhir-error.ts';
import { printInstant } from '../fhir/instant.ts';
import { printJson, type JsonObject } from '../fhir/json.ts';
import type { ResourceType } from '../fhir/resource-type.ts';
import { refusedInteraction, type FhirRequest, type FhirResponse, type InteractionContext, type Passage, type RequestBody } from './interaction.ts';

/** What the URL of an entry is aimed at. */
export interface EntryAim {
  passage: Passage;
  type: ResourceType;
  id: string;
  version: string;
  compartment?: { type: string; id: string };
  query: readonly [string, string][];
}

export interface BundleParts {
  fhirBase: string;
  bodyBytesMax: number;
  /** Bytes of a Binary that may stand in an answer as base64. */
  inlineBytesMax: number;
  aim(asked: { method: string; url: string; header(name: string): string | undefined }): EntryAim;
  /** An OperationOutcome's JSON text. */
  printOutcome(error: FhirError): string;
}

/** A body that is an object in memory; its text is made for whoever asks for one. */
function entryBody({ resource }: BundleEntry): RequestBody {
  const patch = resource === undefined ? undefined : jsonPatchIn(resource);
  let printed: Buffer | undefined;
  const bytes = (): Buffer => (printed ??= Buffer.from(patch?.text ?? (resource === undefined ? '' : printJson(resource)), 'utf8'));
  return {
    contentType: resource === undefined ? undefined : patch?.contentType ?? 'application/fhir+json',
    contentEncoding: undefined,
    length: undefined,
    text: async () => bytes().toString('utf8'),
    async* stream() { yield bytes(); },
    digest: () => createHash('sha256').update(bytes()).digest(),
    ...(resource === undefined || patch !== undefined ? {} : { json: resource }),
  };
}

/** A JSON Patch travels in a Bundle as a Binary, by convention; a FHIRPath Patch as the Parameters that it is. */
function jsonPatchIn(resource: JsonObject): { contentType: string; text: string } | undefined {
  const { resourceType, contentType, data } = resource;
  if (resourceType !== 'Binary' || typeof contentType !== 'string' || !/^application\/json-patch\+json\s*(;|$)/i.test(contentType) || typeof data !== 'string') return undefined;
  return { contentType, text: Buffer.from(data, 'base64').toString('utf8') };
}

/** Below the base: a URL that begins with the base of this server is one of its own. */
function urlBelowBase(url: string, fhirBase: string): string {
  const bare = url.replace(/^https?:(?=\/\/)/, '');
  const base = fhirBase.replace(/^https?:/, '');
  return bare.startsWith(`${base}/`) ? bare.slice(base.length + 1) : url.replace(/^\//, '');
}

export interface AimedEntry {
  entry: BundleEntry;
  request: FhirRequest;
  passage: Passage;
}

/** The request that the entry stands for. Its answer is FHIR JSON, also for a Binary; Prefer is the Bundle's. */
export function aimEntry(parts: BundleParts, { request: outer }: InteractionContext, entry: BundleEntry, more: Readonly<Record<string, string>> = {}): AimedEntry {
  const url = urlBelowBase(entry.url, parts.fhirBase);
  const header = (name: string): string | undefined => {
    if (name === 'accept') return 'application/fhir+json';
    if (name === 'prefer' || name === 'authorization' || name === 'x-break-glass' || name === 'x-type-override') return outer.header(name);
    return entry.headers[name] ?? more[name];
  };
  const { passage: found, ...aimed } = parts.aim({ method: entry.method, url: `/${url}`, header });
  const passage = isRecordWrite(entry.method, aimed.type) ? refusingRecordWrite(found, aimed.type) : found;
  // How the whole answer is shown is asked of the Bundle.
  const query = aimed.query.filter(([name]) => name !== '_format' && name !== '_pretty');
  const request: FhirRequest = { requestId: outer.requestId, method: entry.method, url, address: outer.address, header, body: entryBody(entry), ...aimed, query };
  return { entry, request, passage };
}

function isRecordWrite(method: string, type: ResourceType): boolean {
  return (type === 'AuditEvent' || type === 'Provenance') && method !== 'GET' && method !== 'HEAD';
}

/** Alone this is a method that is not allowed there; in a Bundle it is something that nobody may do. */
function refusingRecordWrite({ interaction, access }: Passage, type: ResourceType): Passage {
  const error = fhirError('forbidden', `${type} is written by this server alone`);
  return { interaction: refusedInteraction(interaction.code, error), access };
}

const PHRASES: Record<number, string> = {
  200: 'OK', 201: 'Created', 202: 'Accepted', 204: 'No Content', 304: 'Not Modified', 400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found',
  405: 'Method Not Allowed', 406: 'Not Acceptable', 409: 'Conflict', 410: 'Gone', 412: 'Precondition Failed', 413: 'Content Too Large', 415: 'Unsupported Media Type',
  422: 'Unprocessable Content', 423: 'Locked', 429: 'Too Many Requests', 500: 'Internal Server Error', 501: 'Not Implemented', 503: 'Service Unavailable', 507: 'Insufficient Storage',
};

/** JSON text of one entry of the response. `body` is the text of a resource. */
export function printEntry(method: string, { status, headers, body, lastUpdated }: FhirResponse, fullUrl: string | undefined): string {
  const phrase = PHRASES[status];
  const response = {
    status: phrase === undefined ? String(status) : `${status} ${phrase}`,
    ...(headers['Location'] === undefined ? {} : { location: headers['Location'] }),
    ...(headers['ETag'] === undefined || !headers['ETag'].startsWith('W/') ? {} : { etag: headers['ETag'] }),
    ...(lastUpdated === undefined ? {} : { lastModified: printInstant(lastUpdated) }),
  };
  const head = JSON.stringify({ ...(fullUrl === undefined ? {} : { fullUrl }), response });
  if (body === undefined || body === '' || method === 'HEAD') return head;
  if (body.startsWith('{"resourceType":"OperationOutcome"')) return `${head.slice(0, -2)},"outcome":${body}}}`;
  return `${head.slice(0, -1)},"resource":${body}}`;
}

export function printFailedEntry(parts: BundleParts, error: FhirError): string {
  return printEntry('', { status: error.status, headers: {}, body: parts.printOutcome(error) }, undefined);
}

/** Address of what an entry answers: its location without the version, or what a GET of one resource asked for. */
export function fullUrlOf(parts: BundleParts, request: FhirRequest, { headers, status }: FhirResponse): string | undefined {
  const location = headers['Location']?.replace(/\/_history\/.*$/, '');
  if (location !== undefined) return location;
  return status === 200 && request.id !== '' ? `${parts.fhirBase}/${request.type}/${request.id}` : undefined;
}

/** Text of bytes that would have left as a stream: a Binary in FHIR form. Raises 413 past the bound, before they are read. */
export async function collected(parts: BundleParts, response: FhirResponse): Promise<FhirResponse> {
  const { stream, ...rest } = response;
  if (stream === undefined) return response;
  if (stream.length > Math.ceil(parts.inlineBytesMax / 3) * 4 + 65_536) {
    await stream.bytes[Symbol.asyncIterator]().return?.();
    throw fhirError('too-long', `A Binary in a Bundle may have ${parts.inlineBytesMax} bytes; read it by itself`);
  }
  const chunks: Buffer[] = [];
  for await (const chunk of stream.bytes) chunks.push(chunk);
  return { ...rest, body: Buffer.concat(chunks).toString('utf8') };
}
