// A GraphQL request (GraphQL over HTTP): one operation as JSON, or as a form with files.
import { authorize } from '../access/authorize.ts';
import type { UploadPartStore } from '../content/upload-parts.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import type { InteractionContext } from '../interactions/interaction.ts';
import { FormFiles } from './graphql-files.ts';
import { readMultipart } from './multipart-form.ts';

export interface GraphqlRequest {
  query: string;
  operationName: string | undefined;
  variables: Record<string, unknown>;
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Raises 400 for anything but one operation. */
export function requestOf(value: unknown): GraphqlRequest {
  if (Array.isArray(value)) throw fhirError('invalid-value', 'One operation a request: an array of them is not taken');
  if (!isObject(value)) throw fhirError('malformed-json', 'The body must be a JSON object');
  const { query, operationName = null, variables = null } = value;
  if (typeof query !== 'string') throw fhirError('structure', 'query is missing or no text', { expression: 'query' });
  if (operationName !== null && typeof operationName !== 'string') throw fhirError('structure', 'operationName is text', { expression: 'operationName' });
  if (variables !== null && !isObject(variables)) throw fhirError('structure', 'variables is an object', { expression: 'variables' });
  return { query, operationName: operationName ?? undefined, variables: variables ?? {} };
}

function parsed(text: string | undefined, name: string): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    throw fhirError('malformed-json', `${name} is no JSON`);
  }
}

const STEPS_MAX = 10;

/** Puts `value` at a path such as variables.input.file or variables.files.0, where null stands. */
function place(request: GraphqlRequest, path: string, value: unknown): void {
  const [first, ...steps] = path.split('.');
  const last = steps.pop();
  let node: unknown = request.variables;
  if (steps.length > STEPS_MAX) node = undefined;
  for (const step of steps) node = typeof node === 'object' && node !== null && Object.hasOwn(node, step) ? (node as Record<string, unknown>)[step] : undefined;
  if (first !== 'variables' || last === undefined || typeof node !== 'object' || node === null || !Object.hasOwn(node, last) || (node as Record<string, unknown>)[last] !== null) {
    throw fhirError('malformed-form', 'map names places in the variables, where null stands', { expression: path.slice(0, 100) });
  }
  (node as Record<string, unknown>)[last] = value;
}

function withFiles(request: GraphqlRequest, map: unknown, files: FormFiles): GraphqlRequest {
  if (!isObject(map)) throw fhirError('malformed-form', 'map is an object');
  for (const [field, paths] of Object.entries(map)) {
    const part = files.expect(field);
    if (!Array.isArray(paths) || paths.length !== 1 || typeof paths[0] !== 'string') throw fhirError('malformed-form', 'map names one place for each file', { expression: 'map' });
    place(request, paths[0], part);
  }
  return request;
}

const FIELD_BYTES_MAX = 1024 * 1024;
const FILES_MAX = 20;

export interface RequestParts {
  bodyBytesMax: number;
  uploadBytesMax: number;
  uploads: UploadPartStore;
}

/** Raises 403 before the files come where none of them could become anything. */
function requireUploads({ principal }: InteractionContext): void {
  const decision = authorize(principal, { interaction: 'create', type: 'Binary' });
  if (!decision.permit) throw fhirError('forbidden', decision.reason);
}

/** Runs `execute` with the request; with its files once all of them came. Raises 400, 403, 413 and 415. */
export async function withRequest<Result>(context: InteractionContext, parts: RequestParts, execute: (request: GraphqlRequest) => Promise<Result>): Promise<Result> {
  const { body } = context.request;
  if (/^application\/json\s*(?:;|$)/i.test(body.contentType ?? '')) return execute(requestOf(parsed(await body.text(parts.bodyBytesMax), 'The body')));
  if (!/^multipart\/form-data\s*(?:;|$)/i.test(body.contentType ?? '')) {
    throw fhirError('media-type', 'A GraphQL request is application/json, or multipart/form-data with files', { members: { allowedTypes: ['application/json', 'multipart/form-data'] } });
  }
  requireUploads(context);
  const files = new FormFiles(parts.uploads, context);
  let request: GraphqlRequest | undefined;
  const begin = (fields: readonly (readonly [string, string])[]): GraphqlRequest => (request ??= requestIn(fields, files));
  try {
    const { fields } = await readMultipart(body, { bytesMax: parts.uploadBytesMax + FIELD_BYTES_MAX, filesMax: FILES_MAX, fieldsMax: 10, fieldBytesMax: FIELD_BYTES_MAX }, async (file, before) => {
      begin(before);
      await files.take(file.field, file.bytes);
    });
    const whole = begin(fields);
    files.requireAll();
    return await execute(whole);
  } finally {
    await files.discard();
  }
}

function requestIn(fields: readonly (readonly [string, string])[], files: FormFiles): GraphqlRequest {
  const field = (name: string): string | undefined => fields.find(([one]) => one === name)?.[1];
  if (field('operations') === undefined || field('map') === undefined) throw fhirError('malformed-form', 'operations and map come before the files');
  return withFiles(requestOf(parsed(field('operations'), 'operations')), parsed(field('map'), 'map'), files);
}
