// The parts of a resumable upload: each is an object of its own in the store until the whole is received from them. A row in
// state `staging` names it before its first byte, so the sweeper finds what is left behind.
import { randomUUID } from 'node:crypto';
import type { Database } from '../database/database.ts';
import type { OrgId } from '../database/tables.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { newUuidV7 } from '../fhir/uuid-v7.ts';
import { startDigestPass } from './chunk-digests.ts';
import { condemnContent, stageContent } from './content-rows.ts';
import type { ContentStore } from './content-store.ts';
import { objectKey } from './object-key.ts';
import { eraseObject, verifyStored } from './stored-object.ts';

/** A part is held in memory while it is gathered: so many bytes for each upload under way. */
export const PART_BYTES = 4 * 1024 * 1024;

export interface UploadPart {
  /** Place of its first byte in the upload. */
  start: number;
  size: number;
  sha256: Buffer;
  content: string;
  key: string;
  storeVersion: string | undefined;
}

export interface UploadPartStore {
  /** Durable and verified when it resolves. Raises `unavailable`, `storage-full`. */
  keep(org: { id: OrgId; name: string }, start: number, bytes: Buffer, creator: string, now: number): Promise<UploadPart>;
  /** The bytes of parts in their order, each compared with its digest before it is handed on. */
  read(parts: readonly UploadPart[]): AsyncIterable<Buffer>;
  /** Never raises: what fails here is left to the sweeper. */
  discard(org: OrgId, parts: readonly UploadPart[]): Promise<void>;
}

export function createUploadPartStore({ database, store, keyTemplate }: { database: Database; store: ContentStore; keyTemplate: string }): UploadPartStore {
  async function discardOne(org: OrgId, { content, key, storeVersion }: Pick<UploadPart, 'content' | 'key' | 'storeVersion'>): Promise<void> {
    await eraseObject(store, key, storeVersion).catch(() => { /* The sweeper tries again. */ });
    await condemnContent(database, { org, id: content }).catch(() => { /* It finds the row in state staging. */ });
  }

  async function readPart({ size, sha256, key, storeVersion }: UploadPart): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for await (const piece of await store.get(key, { start: 0, length: size }, storeVersion === undefined ? {} : { version: storeVersion })) pieces.push(piece);
    const pass = startDigestPass();
    for (const piece of pieces) pass.update(piece);
    if (!pass.finish().sha256.equals(sha256)) throw fhirError('unavailable', 'A part of the upload is not as it was stored', { headers: { 'Retry-After': '2' } });
    return Buffer.concat(pieces);
  }

  return {
    async keep(org, start, bytes, creator, now) {
      const key = objectKey(keyTemplate, { org: org.name, patient: undefined, now: new Date(now), uuid: randomUUID(), mediaType: 'application/octet-stream' });
      const content = newUuidV7(now);
      await stageContent(database, { org: org.id, id: content, store: store.name, key }, { declaredType: undefined, sniffedType: undefined, creator });
      try {
        const pass = startDigestPass();
        pass.update(bytes);
        const digests = pass.finish();
        const stored = await verifyStored(store, key, digests, await store.put(key, (async function* () { yield bytes; })(), { size: bytes.length, sha256: () => digests.sha256 }));
        return { start, size: bytes.length, sha256: digests.sha256, content, key, storeVersion: stored.version };
      } catch (error) {
        await discardOne(org.id, { content, key, storeVersion: undefined });
        throw error;
      }
    },
    async *read(parts) {
      for (const part of parts) yield await readPart(part);
    },
    async discard(org, parts) {
      for (const part of parts) await discardOne(org, part);
    },
  };
}
