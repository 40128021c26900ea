// One content as it lies in its store: is it there, has it its size and version, is it encrypted, and does every byte match.
import type { ContentRow } from '../database/tables.ts';
import type { ObjectPlace } from './copies.ts';
import { ContentIntegrityError, createContentReader } from './read-content.ts';

export type FindingKind =
  /** The bytes as they were published can't be had from this place. */
  | 'missing' | 'damaged'
  /** The bytes are right, and something about the object is not as it was left. */
  | 'size' | 'replaced' | 'unencrypted';

export interface Finding {
  kind: FindingKind;
  /** For people. */
  what: string;
}

export interface CheckOptions {
  /** The store must say that it encrypts. */
  encrypted?: boolean;
  /** Told the bytes that were read; the reading goes on when it resolves. */
  pace?: ((bytes: number) => Promise<void>) | undefined;
}

export const isLoss = ({ kind }: Finding): boolean => kind === 'missing' || kind === 'damaged';

/** The bytes of one place, verified before they are handed on; no other copy stands in for it. */
export async function readVerified(row: ContentRow, place: ObjectPlace): Promise<AsyncIterable<Buffer>> {
  const there: ContentRow = { ...row, store: place.store.name, key: place.key, store_version: place.version ?? null };
  return createContentReader({ stores: [{ ...place.store, versions: async () => [] }], onDamage: async () => undefined }).open(there);
}

/** Reads all of it. Undefined when each chunk and the whole match. Raises `unavailable` for a store out of reach. */
async function checkBytes(row: ContentRow, place: ObjectPlace, pace: CheckOptions['pace']): Promise<Finding | undefined> {
  try {
    for await (const bytes of await readVerified(row, place)) await pace?.(bytes.length);
    return undefined;
  } catch (error) {
    if (error instanceof ContentIntegrityError) return { kind: 'damaged', what: error.message };
    throw error;
  }
}

/** What is wrong with the bytes of a row in one place; a loss is always the first of the findings. */
export async function checkContent(row: ContentRow, place: ObjectPlace, { encrypted = false, pace }: CheckOptions = {}): Promise<Finding[]> {
  const held = await place.store.stat(place.key, place.version);
  if (held === undefined) return [{ kind: 'missing', what: 'The store has no such object' }];
  const size = Number(row.size);
  if (held.size < size) return [{ kind: 'damaged', what: `The object has ${held.size} bytes of ${size}` }];
  const loss = await checkBytes(row, place, pace);
  if (loss !== undefined) return [loss];
  const findings: Finding[] = [];
  if (held.size > size) findings.push({ kind: 'size', what: `The object has ${held.size} bytes, ${held.size - size} more than were published` });
  const newest = place.version === undefined ? held : await place.store.stat(place.key);
  if (place.version !== undefined && newest?.version !== place.version) findings.push({ kind: 'replaced', what: newest === undefined ? 'The object was deleted; its version is still there' : 'Another version was written over the object' });
  if (encrypted && held.encryption === undefined) findings.push({ kind: 'unencrypted', what: 'The store does not say that it encrypts the object' });
  return findings;
}
