// Google Cloud Storage by requests of our own over its JSON API, with tokens by Google's library: checks, silence and memory are
// then those of the other stores. The service validates MD5, not SHA-256, so what it holds is proved by reading back.
import { randomUUID } from 'node:crypto';
import type { ContentStore, PutOptions, StoredObject, StoreProtection } from '../content-store.ts';
import { createGcsCaller, gcsError, storedObject } from './gcs-call.ts';
import { listObjects, listObjectVersions } from './gcs-listing.ts';
import { lookAt, putParts, putWhole, removeObject } from './gcs-writing.ts';
import { createGoogleTokens } from './google-tokens.ts';
import { cutParts, firstParts, following, type Part } from './s3-multipart.ts';
import { reaching, reachingItems, unreachable } from './store-errors.ts';
import { openTransport } from './store-request.ts';
import { SILENCE_MS } from './store-silence.ts';

export interface GcsOptions {
  /** Kept in each content row: gcs. */
  name: string;
  /** https://storage.googleapis.com; one of http: is an emulator, and is sent no token. */
  endpoint: string;
  bucket: string;
  /** JSON of the credentials of this moment; undefined for the application default credentials. */
  credentials?: string | undefined;
  /** For tests; how long the store may be silent while we wait for it. */
  silenceMs?: number;
}

/** A store on one bucket. Opens no connection by itself. */
export function openGcsStore(options: GcsOptions): ContentStore {
  const endpoint = new URL(options.endpoint);
  const silenceMs = options.silenceMs ?? SILENCE_MS;
  const tokens = endpoint.protocol === 'https:' ? createGoogleTokens(() => options.credentials, silenceMs) : undefined;
  const caller = createGcsCaller(openTransport(endpoint, silenceMs), options.bucket, tokens);

  async function put(key: string, bytes: AsyncIterable<Buffer>, _options: PutOptions): Promise<StoredObject> {
    const parts = cutParts(bytes);
    try {
      const begin = await firstParts(parts);
      return begin.length > 1 ? await putParts(caller, key, following(begin, parts)) : await putWhole(caller, key, begin[0] as Part);
    } finally {
      await parts.return(undefined);
    }
  }

  async function stat(key: string, version?: string): Promise<StoredObject | undefined> {
    const held = await lookAt(caller, key, version);
    return held === undefined ? undefined : storedObject(held);
  }

  async function get(key: string, { start, length }: { start: number; length: number }, version?: string): Promise<AsyncIterable<Buffer>> {
    const answer = await caller.download({ path: caller.objects(key), query: { alt: 'media', ...(version === undefined ? {} : { generation: version }) }, headers: { range: `bytes=${start}-${start + length - 1}` } });
    if (answer.bytes !== undefined) return reachingItems(answer.bytes);
    // The reader finds that missing bytes do not match.
    if (answer.status === 416 || await caller.isMissing(answer)) return nothing();
    throw gcsError(answer);
  }

  const probed = Buffer.from('probe');
  const putProbe = async (key: string): Promise<StoredObject> => putWhole(caller, key, { pieces: [probed], size: probed.length });

  async function probe(): Promise<void> {
    const key = `.probe/${randomUUID()}`;
    const { version } = await putProbe(key);
    const pieces: Buffer[] = [];
    for await (const piece of await get(key, { start: 0, length: probed.length }, version)) pieces.push(piece);
    if (!Buffer.concat(pieces).equals(probed)) throw unreachable(new Error('A probe that was written does not come back'));
    await removeObject(caller, key, version);
  }

  /** Each object has a generation, versions or not: whether one outlives its deletion is what tells. */
  async function protection(): Promise<StoreProtection> {
    const key = `.probe/${randomUUID()}`;
    const { version, encryption } = await putProbe(key);
    try {
      await removeObject(caller, key, undefined);
      return { versioned: await stat(key, version) !== undefined, encrypted: encryption !== undefined };
    } finally { await removeObject(caller, key, version); }
  }

  return {
    name: options.name,
    lengthProves: false,
    put: (key, bytes, wish) => reaching(put(key, bytes, wish)),
    stat: (key, version) => reaching(stat(key, version)),
    get: (key, range, { version } = {}) => reaching(get(key, range, version)),
    versions: (key) => reaching(listObjectVersions(caller, key)),
    list: (after) => reachingItems(listObjects(caller, after)),
    remove: (key, version) => reaching(removeObject(caller, key, version)),
    protection: () => reaching(protection()),
    probe: () => reaching(probe()),
  };
}

async function* nothing(): AsyncGenerator<Buffer> {
  // See get.
}
