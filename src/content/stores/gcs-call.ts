// A call of the JSON API of Google Cloud Storage, and what its answers mean for us (cloud.google.com/storage/docs/json_api).
import { ObjectExistsError, type StoredObject } from '../content-store.ts';
import type { GoogleTokens } from './google-tokens.ts';
import { createPatience } from './patience.ts';
import { encodeQuery } from './s3-signature.ts';
import { unreachable } from './store-errors.ts';
import type { StoreAnswer, StoreTransport } from './store-request.ts';

export interface GcsCall {
  method: string;
  /** Encoded. */
  path: string;
  query?: Record<string, string>;
  headers?: Record<string, string>;
  body?: readonly Buffer[];
}

export interface GcsCaller {
  /** Path of an object's metadata; that of all objects of the bucket without a key. */
  objects(key?: string): string;
  /** Path that new objects are sent to. */
  uploads: string;
  /** Answers with any status. What is no answer yet (408, 429, 5xx) is asked again; then `repeated` is set, as after a broken connection. */
  call(request: GcsCall): Promise<StoreAnswer>;
  /** The same, once: for what must not be done twice. */
  once(request: GcsCall): Promise<StoreAnswer>;
  /** A GET whose bytes are taken as they come. */
  download(request: Pick<GcsCall, 'path' | 'query' | 'headers'>): Promise<StoreAnswer & { bytes?: AsyncIterable<Buffer> }>;
  /** Whether there is no such object, or no such version of it. Raises `unavailable` where it is the bucket that is missing. */
  isMissing(answer: Pick<StoreAnswer, 'status'>): Promise<boolean>;
}

/** What the service may answer at any time, and asks to be asked again for. */
export function isPassing(status: number): boolean {
  return status === 408 || status === 429 || status >= 500;
}

/** `tokens` undefined: an emulator, that asks nobody who they are. */
export function createGcsCaller(transport: StoreTransport, bucket: string, tokens: GoogleTokens | undefined): GcsCaller {
  const place = `storage/v1/b/${encodeURIComponent(bucket)}/o`;
  const objects = (key?: string): string => (key === undefined ? `/${place}` : `/${place}/${encodeURIComponent(key)}`);

  async function ready({ path, query = {}, headers = {}, body }: Omit<GcsCall, 'method'>): Promise<{ target: string; headers: Record<string, string> }> {
    const search = encodeQuery(query);
    return {
      target: path + (search === '' ? '' : `?${search}`),
      headers: {
        ...headers,
        ...(body === undefined ? {} : { 'content-length': String(body.reduce((sum, piece) => sum + piece.length, 0)) }),
        ...(tokens === undefined ? {} : { authorization: `Bearer ${await tokens()}` }),
      },
    };
  }

  async function once(request: GcsCall, mayRepeat = false): Promise<StoreAnswer> {
    return transport.exchange({ method: request.method, ...await ready(request), ...(request.body === undefined ? {} : { body: request.body }), mayRepeat });
  }

  async function patiently<Answer extends StoreAnswer>(ask: () => Promise<Answer>): Promise<Answer> {
    const again = createPatience();
    for (let repeated = false; ; repeated = true) {
      const answer = await ask();
      if (!isPassing(answer.status) || !await again()) return { ...answer, repeated: answer.repeated || repeated };
    }
  }

  const call = (request: GcsCall): Promise<StoreAnswer> => patiently(() => once(request, true));

  return {
    objects,
    uploads: `/upload/${place}`,
    call,
    once,
    download: (request) => patiently(async () => transport.download(await ready(request))),
    async isMissing({ status }) {
      if (status !== 404) return false;
      // A bucket that is missing answers the same.
      const listed = await call({ method: 'GET', path: objects(), query: { maxResults: '1', fields: 'kind' } });
      if (listed.status !== 200) throw gcsError(listed);
      return true;
    },
  };
}

/** The service's own word for why, such as conditionNotMet. */
function reasonOf({ text }: Pick<StoreAnswer, 'text'>): string {
  return /"reason":\s*"([A-Za-z]{1,60})"/.exec(text)?.[1] ?? '';
}

/** What a refusal means for us; its own reason is kept for the log. */
export function gcsError(answer: Pick<StoreAnswer, 'status' | 'text'>): Error {
  return answer.status === 412 ? new ObjectExistsError() : unreachable(new Error(`The store answered ${answer.status} ${reasonOf(answer)}`));
}

/** The object resource, as far as it is looked at. */
export interface GcsObject {
  name?: string;
  size?: string;
  generation?: string;
  md5Hash?: string;
  timeCreated?: string;
  kmsKeyName?: string;
}

/** Raises `unavailable` for what is no JSON object. */
export function readJson<T extends object>(text: string): T {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as T;
  } catch { /* Told below. */ }
  throw unreachable(new Error('The store answered something else than JSON'));
}

/** What is kept is encrypted by the service, always, with a key of ours where the bucket names one; a version is a generation. */
export function storedObject({ size, generation, kmsKeyName }: GcsObject): StoredObject {
  return { size: Number(size ?? 0), ...(generation === undefined ? {} : { version: generation }), encryption: kmsKeyName === undefined ? 'AES256' : 'kms' };
}
