// Azure Blob Storage by requests of our own: the checks, the silence of a store and the memory of an upload are then those
// of the other stores. The service validates MD5, not SHA-256, so what it holds is proved by reading back.
import { randomUUID } from 'node:crypto';
import type { ContentStore, PutOptions, StoredObject, StoreProtection } from '../content-store.ts';
import { azureCode, azureError, azureObject, createAzureCaller, isMissing } from './azure-call.ts';
import { listBlobs, listBlobVersions } from './azure-listing.ts';
import type { AzureCredentials } from './azure-signature.ts';
import { dropBlocks, putBlob, putBlocks, removeBlob } from './azure-writing.ts';
import { cutParts, firstParts, following, partBytes, type Part } from './s3-multipart.ts';
import { reaching, reachingItems, unreachable } from './store-errors.ts';
import { openTransport } from './store-request.ts';
import { SILENCE_MS } from './store-silence.ts';

export interface AzureOptions extends AzureCredentials {
  /** Kept in each content row: azure. */
  name: string;
  /** Of the account: https://ACCOUNT.blob.core.windows.net */
  endpoint: string;
  /** The container. */
  bucket: string;
  /** For tests; how long the store may be silent while we wait for it. */
  silenceMs?: number;
}

/** A store on one container. Opens no connection by itself. */
export function openAzureStore(options: AzureOptions): ContentStore {
  const endpoint = new URL(options.endpoint);
  const caller = createAzureCaller(openTransport(endpoint, options.silenceMs ?? SILENCE_MS), endpoint, options.bucket, options);
  const versioned = (version: string | undefined): { query?: Record<string, string> } => (version === undefined ? {} : { query: { versionid: version } });

  async function put(key: string, bytes: AsyncIterable<Buffer>, { size = 0 }: PutOptions): Promise<StoredObject> {
    const parts = cutParts(bytes, partBytes(size));
    try {
      const begin = await firstParts(parts);
      return begin.length > 1 ? await putBlocks(caller, key, following(begin, parts)) : await putBlob(caller, key, begin[0] as Part);
    } finally {
      await parts.return(undefined);
    }
  }

  async function stat(key: string, version?: string): Promise<StoredObject | undefined> {
    const answer = await caller.call({ method: 'HEAD', key, ...versioned(version) });
    if (isMissing(answer)) return undefined;
    if (answer.status !== 200) throw azureError(answer);
    return azureObject(Number(answer.headers['content-length']), answer);
  }

  async function get(key: string, { start, length }: { start: number; length: number }, version?: string): Promise<AsyncIterable<Buffer>> {
    const answer = await caller.download({ key, ...versioned(version), headers: { 'x-ms-range': `bytes=${start}-${start + length - 1}` } });
    if (answer.bytes !== undefined) return reachingItems(answer.bytes);
    // The reader finds that missing bytes do not match.
    if (answer.status === 416 || isMissing(answer)) return nothing();
    throw unreachable(new Error(`The store answered ${answer.status} ${azureCode(answer)}`));
  }

  async function remove(key: string, version?: string): Promise<void> {
    await removeBlob(caller, key, version);
    if (version === undefined) await dropBlocks(caller, key);
  }

  const probed = Buffer.from('probe');
  const putProbe = async (key: string): Promise<StoredObject> => putBlob(caller, key, { pieces: [probed], size: probed.length });

  async function probe(): Promise<void> {
    const key = `.probe/${randomUUID()}`;
    const { version } = await putProbe(key);
    const pieces: Buffer[] = [];
    for await (const piece of await get(key, { start: 0, length: probed.length }, version)) pieces.push(piece);
    if (!Buffer.concat(pieces).equals(probed)) throw unreachable(new Error('A probe that was written does not come back'));
    await removeBlob(caller, key, version);
  }

  async function protection(): Promise<StoreProtection> {
    const key = `.probe/${randomUUID()}`;
    const { version } = await putProbe(key);
    try {
      return { versioned: version !== undefined, encrypted: (await stat(key, version))?.encryption !== undefined };
    } finally { await removeBlob(caller, key, version); }
  }

  return {
    name: options.name,
    lengthProves: false,
    put: (key, bytes, options) => reaching(put(key, bytes, options)),
    stat: (key, version) => reaching(stat(key, version)),
    get: (key, range, { version } = {}) => reaching(get(key, range, version)),
    versions: (key) => reaching(listBlobVersions(caller, key)),
    list: (after) => reachingItems(listBlobs(caller, after)),
    remove: (key, version) => reaching(remove(key, version)),
    protection: () => reaching(protection()),
    probe: () => reaching(probe()),
  };
}

async function* nothing(): AsyncGenerator<Buffer> {
  // See get.
}
