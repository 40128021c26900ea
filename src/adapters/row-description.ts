// What a row of a way in says of itself beyond its method and path: what goes in, what comes out, and with which statuses. The
// document of the API is printed from it, and an answer with another status is told to the log.
import type { ErrorDetail } from '../fhir/fhir-error.ts';
import { ERRORS } from '../fhir/fhir-error.ts';

/** A JSON Schema (2020-12), or a reference to one of the document's own by `schema`. */
export type Schema = Readonly<Record<string, unknown>> | true;

/** A reference to a schema of the document by its name. */
export const schema = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });

export interface Parameter {
  schema: Schema;
  about: string;
  required?: true;
}

export interface RowDescription {
  /** One line for people, beginning with a verb. */
  summary: string;
  /** Statuses that are no refusal; by media type what their bodies are, none where there is no body. */
  answers: Readonly<Record<number, Readonly<Record<string, Schema>>>>;
  /** Statuses of refusals, besides those that every row has. */
  refusals?: readonly number[];
  query?: Readonly<Record<string, Parameter>>;
  headers?: Readonly<Record<string, Parameter>>;
  /** Of what varies in the path, where it is no id of FHIR. */
  path?: Readonly<Record<string, Schema>>;
  body?: Readonly<Record<string, Schema>>;
  /** The body may be left out. */
  bodyOptional?: true;
}

/** A broken URL or header, no token, no right, too many requests, a failure, a part that is out of reach. */
const ALWAYS = [400, 401, 403, 429, 500, 503] as const;
/** Too much of it, of a type that is not taken. */
const WITH_BODY = [413, 415] as const;
/** A path that names something may name nothing. */
const WITH_VARIABLE = [404] as const;
/** An Idempotency-Key that is in use, or was used with another body. */
const WITH_KEY = [409, 422] as const;

export interface DeclaredRow {
  method: string;
  path: string;
  says?: RowDescription;
}

const known = new WeakMap<DeclaredRow, ReadonlySet<number>>();

/** Every status that a row may answer with; without a description those of a row that has nothing to add. */
export function declaredStatuses(row: DeclaredRow): ReadonlySet<number> {
  const found = known.get(row) ?? statusesOf(row);
  known.set(row, found);
  return found;
}

function statusesOf({ method, path, says }: DeclaredRow): ReadonlySet<number> {
  return new Set([
    ...Object.keys(says?.answers ?? {}).map(Number), ...says?.refusals ?? [], ...ALWAYS, ...(says?.body === undefined ? [] : WITH_BODY),
    ...(path.includes('[') ? WITH_VARIABLE : []), ...(method === 'POST' ? WITH_KEY : []),
  ]);
}

/** The stable codes that travel with a status, for people. */
export const codesOf = (status: number): string => (Object.keys(ERRORS) as ErrorDetail[]).filter((code) => ERRORS[code].status === status).map((code) => `\`${code}\``).join(', ');

export const JSON_TYPE = 'application/json';
export const FORM_TYPE = 'multipart/form-data';

export const TEXT: Schema = { type: 'string' };
export const FILE: Schema = { type: 'string', format: 'binary' };
/** Bytes of any type that come in, and that go out: of these no schema says anything. */
export const BYTES_OUT: Readonly<Record<string, Schema>> = { '*/*': {} };
export const ANY_BYTES: Readonly<Record<string, Schema>> = { '*/*': { type: 'string', format: 'binary' } };

export const answer = (status: number, body: Schema): Record<number, Record<string, Schema>> => ({ [status]: { [JSON_TYPE]: body } });
