// What a store really holds after a write, and how an object is taken out again.
import { fhirError, type FhirError } from '../fhir/fhir-error.ts';
import { startDigestPass, type ContentDigests } from './chunk-digests.ts';
import type { ContentStore, StoredObject } from './content-store.ts';

function wrong(what: string): FhirError {
  const cause = new Error(`The store holds ${what} than was sent`);
  return fhirError('unavailable', 'The store did not keep the bytes as they were sent', { cause, headers: { 'Retry-After': '2' } });
}

async function readBack(store: ContentStore, key: string, held: StoredObject): Promise<Buffer> {
  const pass = startDigestPass();
  if (held.size > 0) {
    const options = held.version === undefined ? {} : { version: held.version };
    for await (const piece of await store.get(key, { start: 0, length: held.size }, options)) pass.update(piece);
  }
  return pass.finish().sha256;
}

/**
 * Compares what the store holds with what was sent: by length where that proves, else by the SHA-256 that the store
 * validated, else by reading all of it back. Raises `unavailable`. Answers what is held, with its version.
 */
export async function verifyStored(store: ContentStore, key: string, sent: ContentDigests, stored: StoredObject): Promise<StoredObject> {
  const held = store.lengthProves ? stored : await store.stat(key, stored.version);
  if (held === undefined) throw wrong('nothing, or less,');
  if (held.size !== sent.size) throw wrong('another length');
  if (store.lengthProves) return held;
  const sha256 = held.sha256 ?? await readBack(store, key, held);
  if (!sha256.equals(sent.sha256)) throw wrong('other bytes');
  return held;
}

/** A store that stayed silent will not answer a moment later either; a connection that broke may. */
export const isSilence = (error: unknown): boolean => (error as { cause?: { code?: string } }).cause?.code === 'ETIMEDOUT';

/** Removes the object. Where the version is not known the store is asked, or a bucket with versions would keep the bytes. */
export async function eraseObject(store: ContentStore, key: string, version: string | undefined): Promise<void> {
  const known = version ?? (store.lengthProves ? undefined : (await store.stat(key))?.version);
  await store.remove(key, known);
}

/** Removes all that was ever written under the key, where nobody published any of it. */
export async function eraseVersions(store: ContentStore, key: string): Promise<void> {
  const [newest, ...older] = await store.versions?.(key) ?? [];
  for (const { version } of older) await store.remove(key, version);
  // Where there is none, an upload in parts may have been begun.
  await eraseObject(store, key, newest?.version);
}
