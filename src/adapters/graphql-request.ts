// A GraphQL request (GraphQL over HTTP): one operation as JSON, or as a form with files.
import { fhirError } from '../fhir/fhir-error.ts';
import type { FhirRequest } from '../interactions/interaction.ts';
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

/** Runs `execute` with the request; with files while these come. Raises 400, 413 and 415. */
export async function withRequest<Result>({ body }: FhirRequest, limits: { bodyBytesMax: number; uploadBytesMax: number }, execute: (request: GraphqlRequest) => Promise<Result>): Promise<Result> {
  if (/^application\/json\s*(?:;|$)/i.test(body.contentType ?? '')) return execute(requestOf(parsed(await body.text(limits.bodyBytesMax), 'The body')));
  if (!/^multipart\/form-data\s*(?:;|$)/i.test(body.contentType ?? '')) {
    throw fhirError('media-type', 'A GraphQL request is application/json, or multipart/form-data with files', { members: { allowedTypes: ['application/json', 'multipart/form-data'] } });
  }
  const files = new FormFiles();
  let running: Promise<Result> | undefined;
  const begin = (fields: readonly (readonly [string, string])[]): Promise<Result> => (running ??= (async () => {
    const field = (name: string): string | undefined => fields.find(([one]) => one === name)?.[1];
    if (field('operations') === undefined || field('map') === undefined) throw fhirError('malformed-form', 'operations and map come before the files');
    const request = withFiles(requestOf(parsed(field('operations'), 'operations')), parsed(field('map'), 'map'), files);
    try {
      return await execute(request);
    } finally {
      files.end();
    }
  })());
  const read = readMultipart(body, { bytesMax: limits.uploadBytesMax + FIELD_BYTES_MAX, filesMax: FILES_MAX, fieldsMax: 10, fieldBytesMax: FIELD_BYTES_MAX }, async (file, before) => {
    // What execution fails with is told once the form was read.
    begin(before).catch(() => { files.end(); });
    await files.take(file.field, file.bytes);
  });
  try {
    const form = await read;
    files.end();
    return await begin(form.fields);
  } catch (error) {
    files.fail(error);
    await running?.catch(() => { /* What it did is taken back before the fault is told. */ });
    throw error;
  }
}
