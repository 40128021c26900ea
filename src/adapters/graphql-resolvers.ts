// What the fields of the GraphQL schema mean: each of those at the root is a FHIR interaction of its own.
import { createHash } from 'node:crypto';
import { GraphQLError } from 'graphql';
import { fhirError, FhirError } from '../fhir/fhir-error.ts';
import type { FhirResponse } from '../interactions/interaction.ts';
import type { FhirCall } from './fhir-call.ts';
import { fileNameOf } from './file-name.ts';
import type { FileUpload, UploadedBinary } from './graphql-upload.ts';
import { documentOf, mediaOf, sha256Of, windowMinutes, type FileMetadata, type Members } from './graphql-resource.ts';

/** A file of a multipart request, whose bytes are read once. */
export interface UploadPart {
  bytes: AsyncIterable<Buffer>;
}

export interface GraphqlCaller {
  call: FhirCall;
  /** Keeps bytes as a Binary, with a URL that shows them. */
  upload(upload: FileUpload): Promise<UploadedBinary>;
  fhirBase: string;
  metadata: FileMetadata;
  /** Media types that a file may have here. */
  allowedTypes: readonly string[];
  /** Handles that this request made, by name: kept when it is done. */
  handles: Map<string, string>;
  /** The Binary that the caller uploaded under a name before; undefined for none, and for several. */
  findHandle(name: string): Promise<string | undefined>;
  /** `Type/id` of the resource whose bytes the signed URL or its token shows. */
  resourceOfUrl(urlOrToken: string): Promise<string>;
}

type Arguments = Record<string, unknown>;

/** The error of an interaction as GraphQL tells it: the code of the OperationOutcome stands in the extensions. */
export function graphqlError(error: FhirError): GraphQLError {
  const [first] = error.issues;
  return new GraphQLError(error.message, {
    originalError: error,
    extensions: { code: error.detail, status: error.status, ...(first?.expression === undefined ? {} : { expression: first.expression }), ...error.members },
  });
}

async function told<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof FhirError ? graphqlError(error) : error;
  }
}

const resourceIn = ({ body = '{}' }: FhirResponse): Members => JSON.parse(body) as Members;
const members = (value: unknown): Members[] => (Array.isArray(value) ? value as Members[] : []);
const tokenIn = (url: string): string => url.split('/').at(-1) ?? '';

interface SignedUrl { url: string; sasToken: string; expiresAt: string }

function signedIn(response: FhirResponse): SignedUrl {
  const found = new Map(members(resourceIn(response)['parameter']).map((parameter) => [parameter['name'], Object.entries(parameter).find(([name]) => name.startsWith('value'))?.[1]]));
  const url = String(found.get('url'));
  return { url, sasToken: tokenIn(url), expiresAt: String(found.get('expires-at')) };
}

const parameters = (parameter: Members[]): Members => ({ resourceType: 'Parameters', ...(parameter.length === 0 ? {} : { parameter }) });

async function sign({ call }: GraphqlCaller, reference: string, minutes: unknown): Promise<SignedUrl> {
  return signedIn(await call('POST', `${reference}/$signed-url`, parameters([
    ...(typeof minutes === 'number' ? [{ name: 'expires-in', valueInteger: minutes }] : []),
  ])));
}

function attachmentOut(caller: GraphqlCaller, attachment: Members, geometry: Members = {}): Members {
  const url = typeof attachment['url'] === 'string' ? attachment['url'] : '';
  const binary = url.startsWith(`${caller.fhirBase}/Binary/`) ? url.slice(caller.fhirBase.length + 1) : undefined;
  const { height, width, frames, duration } = geometry;
  return {
    ...attachment, height, width, frames, duration, hashSha256: sha256Of(attachment) ?? null,
    signedUrl: ({ minutes }: Arguments) => (binary === undefined ? null : told(() => sign(caller, binary, minutes))),
  };
}

function recordOf(caller: GraphqlCaller, reference: string): (args: Arguments) => Promise<Members[]> {
  return ({ first }) => told(async () => {
    const bundle = resourceIn(await caller.call('GET', `AuditEvent?entity=${reference}&_count=${pageSize(first)}`));
    return members(bundle['entry']).map((entry) => entry['resource'] as Members).filter((resource) => resource['resourceType'] === 'AuditEvent').map((event) => ({
      id: event['id'], recorded: event['recorded'], action: event['action'], outcome: event['outcome'],
      agent: members(event['agent']).flatMap((agent) => { const who = (agent['who'] ?? {}) as Members; return typeof who['reference'] === 'string' ? [who['reference']] : []; }),
    }));
  });
}

function documentOut(caller: GraphqlCaller, resource: Members): Members {
  const content = members(resource['content']).map((one) => ({ ...one, attachment: attachmentOut(caller, (one['attachment'] ?? {}) as Members) }));
  return { ...resource, content, record: recordOf(caller, `DocumentReference/${String(resource['id'])}`) };
}

function mediaOut(caller: GraphqlCaller, resource: Members): Members {
  return { ...resource, content: attachmentOut(caller, (resource['content'] ?? {}) as Members, resource), record: recordOf(caller, `Media/${String(resource['id'])}`) };
}

function pageSize(first: unknown): number {
  const count = typeof first === 'number' ? first : 20;
  if (count < 1 || count > 100) throw fhirError('invalid-parameter', 'first is 1 to 100');
  return count;
}

const bytesOf = (data: unknown): AsyncIterable<Buffer> => {
  if (typeof data === 'object' && data !== null && 'bytes' in data) return (data as UploadPart).bytes;
  const text = typeof data === 'string' ? data.replace(/^data:[^,]*;base64,/, '').replaceAll(/\s/g, '') : '';
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text === '') throw fhirError('invalid-value', 'data is base64, or a file of a multipart request', { expression: 'data' });
  return (async function* () { yield Buffer.from(text, 'base64'); })();
};

async function upload(caller: GraphqlCaller, { forEntity, data, filename, contentType, security, fileTypeOverride }: Arguments): Promise<Members> {
  const { encryption = 'AES256', accessWindow, allowedIps } = (security ?? {}) as Members;
  if (encryption !== 'AES256' && encryption !== null) throw fhirError('business-rule', 'Files are encrypted as the store is set up to: AES256', { expression: 'security.encryption' });
  const minutes = windowMinutes(accessWindow);
  const name = fileNameOf(String(filename)) ?? 'file';
  const hash = createHash('sha256');
  let size = 0;
  const bytes = bytesOf(data);
  const counted = async function* (): AsyncGenerator<Buffer> {
    for await (const chunk of bytes) {
      hash.update(chunk);
      size += chunk.length;
      yield chunk;
    }
  };
  const { id, url, expiresAt } = await caller.upload({
    body: { contentType: String(contentType), bytes: counted() }, minutes, allowedIps: Array.isArray(allowedIps) ? allowedIps.map(String) : [],
    headers: {
      'content-type': String(contentType), ...(typeof forEntity === 'string' ? { 'x-security-context': forEntity } : {}),
      ...(typeof fileTypeOverride === 'string' ? { 'x-type-override': fileTypeOverride } : {}),
    },
  });
  caller.handles.set(name, id);
  return { id, url, sasToken: tokenIn(url), expiresAt, storagePath: `muniment://${id}/${name}`, hashSha256: hash.digest('hex'), size };
}

/** A handle is the one that an upload answered, or the name of a file that the caller uploaded and that only one has. */
async function binaryOf(caller: GraphqlCaller, handle: string, place: string): Promise<string> {
  const named = /^([A-Za-z0-9\-.]{1,64})\/./.exec(handle)?.[1];
  const id = named ?? caller.handles.get(handle) ?? await caller.findHandle(handle);
  if (id === undefined) throw fhirError('unknown-binary', 'The url is no handle of a file that was uploaded here, or of several', { expression: `${place}.url` });
  return id;
}

export function resolvers(caller: GraphqlCaller): Record<string, (args: Arguments) => unknown> {
  const { call } = caller;
  const found = async (reference: string, out: typeof documentOut): Promise<Members | null> => {
    try {
      return out(caller, resourceIn(await call('GET', reference)));
    } catch (error) {
      if (error instanceof FhirError && error.status === 404) return null;
      throw error;
    }
  };
  const binary = (handle: string, place: string): Promise<string> => binaryOf(caller, handle, place);
  const created = async (type: string, resource: Members): Promise<Members> => resourceIn(await call('POST', type, resource, { prefer: 'return=representation' }));
  return {
    documentReference: ({ id }) => told(() => found(`DocumentReference/${encodeURIComponent(String(id))}`, documentOut)),
    media: ({ id }) => told(() => found(`Media/${encodeURIComponent(String(id))}`, mediaOut)),
    documentReferences: (args) => told(() => documents(caller, args)),
    allowedTypes: () => caller.allowedTypes,
    uploadFile: (args) => told(() => upload(caller, args)),
    createDocumentReference: ({ resource }) => told(async () => documentOut(caller, await created('DocumentReference', await documentOf(resource, caller.metadata.categories, binary)))),
    createMedia: ({ resource }) => told(async () => mediaOut(caller, await created('Media', await mediaOf(resource, binary)))),
    refreshFileUrl: ({ url, sasToken, minutes }) => told(() => refresh(caller, url ?? sasToken, minutes)),
  };
}

async function documents(caller: GraphqlCaller, { patient, category, status, first, after }: Arguments): Promise<Members> {
  const criteria: [string, unknown][] = [['patient', patient], ['category', category], ['status', status], ['_cursor', after], ['_count', pageSize(first)]];
  const query = new URLSearchParams(criteria.flatMap(([name, value]): [string, string][] => (typeof value === 'string' || typeof value === 'number' ? [[name, String(value)]] : [])));
  const bundle = resourceIn(await caller.call('GET', `DocumentReference?${query.toString()}`));
  const next = members(bundle['link']).find(({ relation }) => relation === 'next')?.['url'];
  const items = members(bundle['entry']).map((entry) => entry['resource'] as Members).filter(({ resourceType }) => resourceType === 'DocumentReference');
  return { total: bundle['total'] ?? null, items: items.map((resource) => documentOut(caller, resource)), next: typeof next === 'string' ? new URL(next).searchParams.get('_cursor') : null };
}

async function refresh(caller: GraphqlCaller, urlOrToken: unknown, minutes: unknown): Promise<SignedUrl> {
  if (typeof urlOrToken !== 'string') throw fhirError('invalid-parameter', 'url or sasToken says which one');
  const reference = await caller.resourceOfUrl(urlOrToken);
  return signedIn(await caller.call('POST', `${reference}/$refresh-url`, parameters([
    { name: 'url', valueUrl: urlOrToken }, ...(typeof minutes === 'number' ? [{ name: 'expires-in', valueInteger: minutes }] : []),
  ])));
}
