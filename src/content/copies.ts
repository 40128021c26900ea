// Where else the bytes of a content may lie: other versions of its object, then the replica under the same key. A copy is
// only ever trusted as far as its chunks match the digests of the row.
import type { ContentRow } from '../database/tables.ts';
import type { ContentStore } from './content-store.ts';
import { fetchChunk, type FetchChunks } from './verified-chunks.ts';

export type CopyOrigin = 'version' | 'replica';

/** One object of a store. */
export interface ObjectPlace {
  store: ContentStore;
  key: string;
  version: string | undefined;
}

export interface Copy extends ObjectPlace {
  origin: CopyOrigin;
}

/** The chunks of a content as they lie in one place. */
export function fetcherOf(row: Pick<ContentRow, 'chunk_bytes' | 'size'>, { store, key, version }: ObjectPlace): FetchChunks {
  const options = version === undefined ? {} : { version };
  return (first, last) => {
    const start = first * row.chunk_bytes;
    return store.get(key, { start, length: Math.min((last + 1) * row.chunk_bytes, Number(row.size)) - start }, options);
  };
}

/** The other copies, the nearest first. A store that cannot say which versions it has is passed over, and told. */
export async function findCopies(row: ContentRow, store: ContentStore, replica: ContentStore | undefined, onUnreachable?: () => void): Promise<Copy[]> {
  const versions = await store.versions?.(row.key).catch(() => { onUnreachable?.(); return []; }) ?? [];
  // Without a version of its own the row means the newest one.
  const own = row.store_version ?? versions[0]?.version;
  const others = versions.filter(({ version }) => version !== own);
  return [
    ...others.map(({ version }) => ({ store, key: row.key, version, origin: 'version' as const })),
    ...(replica === undefined ? [] : [{ store: replica, key: row.replica_key ?? row.key, version: undefined, origin: 'replica' as const }]),
  ];
}

export interface RescueParts {
  store: ContentStore;
  replica: ContentStore | undefined;
  onRescue: ((row: ContentRow, chunk: number, from: CopyOrigin) => void) | undefined;
}

/** Fetches single chunks from other copies; where they lie is asked once, and the copy that helped is asked first. */
export function createRescue(parts: RescueParts, row: ContentRow): (chunk: number) => Promise<Buffer | undefined> {
  let copies: Copy[] | undefined;
  return async (chunk) => {
    copies ??= await findCopies(row, parts.store, parts.replica);
    for (const copy of copies) {
      // A copy that is wrong, gone or out of reach is no help, and no news either: the next one may be.
      const bytes = await fetchChunk(row, chunk, fetcherOf(row, copy), 1).catch(() => undefined);
      if (bytes === undefined) continue;
      copies = [copy, ...copies.filter((other) => other !== copy)];
      parts.onRescue?.(row, chunk, copy.origin);
      return bytes;
    }
    return undefined;
  };
}
