// The write path: intent → bytes → verify → publish. A row in state `staging` with the final random key is committed
// first, then the bytes flow once through all digests into the store, then what the store holds is verified. Only the
// publishing transaction makes them visible; a crash before leaves litter that the sweeper removes.
import { randomUUID } from 'node:crypto';
import type { Database, Transaction } from '../database/database.ts';
import type { OrgId } from '../database/tables.ts';
import { fhirError, FhirError, type ErrorDetail } from '../fhir/fhir-error.ts';
import { CHUNK_BYTES, startDigestPass, type ContentDigests, type DigestPass } from './chunk-digests.ts';
import type { ContentStore, StoredObject } from './content-store.ts';
import { objectKey } from './object-key.ts';
import { checkDeclaredType, HEAD_BYTES, sniffType } from './sniff-type.ts';

/** What the sender claims of the bytes, and the error that a wrong claim is. */
export interface ContentClaims {
  size?: number;
  sha1?: Buffer;
  sha256?: Buffer;
  error: Extract<ErrorDetail, 'digest-mismatch' | 'claim-mismatch'>;
}

export interface Reception {
  org: { id: OrgId; name: string };
  bytes: AsyncIterable<Buffer>;
  /** Length, when known before the first byte. */
  size?: number;
  declaredType: string;
  creator: string;
  bytesMax: number;
  /** Id of the patient, for a key layout that holds it. */
  patient?: string | undefined;
  claims?: ContentClaims;
  /** Milliseconds. */
  now: number;
}

export interface ReceivedContent extends ContentDigests {
  id: string;
  key: string;
  store: string;
  storeVersion: string | undefined;
  declaredType: string;
  sniffedType: string | undefined;
}

export interface ContentReceiver {
  /**
   * Receives, stores and verifies; nothing is visible yet. Raises 413 `too-long`, 415 `media-type`, the error of a wrong
   * claim, `client-aborted`, 503 `unavailable`, 507 `storage-full`; nothing is kept then.
   */
  receive(reception: Reception): Promise<ReceivedContent>;
  /** Takes back what was received and not published. */
  discard(org: OrgId, received: ReceivedContent): Promise<void>;
}

export interface ReceiverParts {
  database: Database;
  store: ContentStore;
  keyTemplate: string;
  onReceived?: (bytes: number) => void;
}

interface Staged {
  org: OrgId;
  id: string;
  key: string;
}

/** The head of a stream, and the stream with the head in front again. */
async function readHead(bytes: AsyncIterable<Buffer>): Promise<{ head: Buffer; whole: AsyncIterable<Buffer> }> {
  const iterator = bytes[Symbol.asyncIterator]();
  const first: Buffer[] = [];
  let size = 0;
  while (size < HEAD_BYTES) {
    const next = await iterator.next();
    if (next.done === true) break;
    first.push(next.value);
    size += next.value.length;
  }
  async function* rejoined(): AsyncGenerator<Buffer> {
    try {
      yield* first;
      for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
    } finally {
      await iterator.return?.();
    }
  }
  return { head: (first.length === 1 ? first[0] as Buffer : Buffer.concat(first)).subarray(0, HEAD_BYTES), whole: rejoined() };
}

async function* measured(bytes: AsyncIterable<Buffer>, pass: DigestPass, bytesMax: number): AsyncGenerator<Buffer> {
  let size = 0;
  for await (const chunk of bytes) {
    size += chunk.length;
    if (size > bytesMax) throw fhirError('too-long', `The bytes may be ${bytesMax} at most`);
    pass.update(chunk);
    yield chunk;
  }
}

export function createContentReceiver(parts: ReceiverParts): ContentReceiver {
  const { database, store } = parts;

  async function stage(reception: Reception, sniffed: string | undefined): Promise<Staged> {
    const id = randomUUID();
    const key = objectKey(parts.keyTemplate, { org: reception.org.name, patient: reception.patient, now: new Date(reception.now), uuid: id, mediaType: sniffed ?? reception.declaredType });
    await database.transaction(reception.org.id, (tx) => tx.query({
      name: 'stage-content',
      text: `insert into content (org, id, state, store, key, chunk_bytes, declared_type, sniffed_type, creator) values ($1, $2, 'staging', $3, $4, $5, $6, $7, $8)`,
      values: [reception.org.id, id, store.name, key, CHUNK_BYTES, reception.declaredType, sniffed ?? null, reception.creator],
    }));
    return { org: reception.org.id, id, key };
  }

  async function condemn(staged: Staged): Promise<void> {
    await database.transaction(staged.org, (tx) => tx.query(`update content set state = 'condemned' where org = $1 and id = $2 and state = 'staging'`, [staged.org, staged.id]));
    await store.remove(staged.key);
    await database.transaction(staged.org, (tx) => tx.query(`update content set state = 'gone' where org = $1 and id = $2 and state = 'condemned'`, [staged.org, staged.id]));
  }

  async function keep(reception: Reception, staged: Staged, whole: AsyncIterable<Buffer>): Promise<{ digests: ContentDigests; stored: StoredObject }> {
    const pass = startDigestPass();
    const stored = await store.put(staged.key, measured(whole, pass, reception.bytesMax), reception.size === undefined ? {} : { size: reception.size });
    const digests = pass.finish();
    if (reception.size !== undefined && digests.size !== reception.size) throw fhirError('client-aborted', 'Fewer bytes came than were announced');
    await verifyStored(store, staged.key, digests, stored);
    if (reception.claims !== undefined) checkContentClaims(reception.claims, digests);
    return { digests, stored };
  }

  return {
    async receive(reception) {
      const { head, whole } = await readHead(reception.bytes);
      const sniffed = await sniffType(head);
      try {
        checkDeclaredType(reception.declaredType, sniffed);
      } catch (error) {
        await whole[Symbol.asyncIterator]().return?.();
        throw error;
      }
      const staged = await stage(reception, sniffed);
      try {
        const { digests, stored } = await keep(reception, staged, whole);
        parts.onReceived?.(digests.size);
        return { ...digests, id: staged.id, key: staged.key, store: store.name, storeVersion: stored.version, declaredType: reception.declaredType, sniffedType: sniffed };
      } catch (error) {
        await condemn(staged).catch(() => { /* The sweeper finds the row; the first error is the one to tell. */ });
        throw error;
      }
    },
    discard: (org, received) => condemn({ org, id: received.id, key: received.key }),
  };
}

/** The local store has synced what it counted; an object store proves its SHA-256, or the bytes are read back. */
async function verifyStored(store: ContentStore, key: string, digests: ContentDigests, stored: StoredObject): Promise<void> {
  const wrong = (what: string): FhirError => fhirError('unavailable', `The store does not hold what was sent: ${what}`, { headers: { 'Retry-After': '2' } });
  if (stored.size !== digests.size) throw wrong('another length');
  if (store.lengthProves) return;
  const held = stored.sha256 === undefined ? await store.stat(key, stored.version) : { size: stored.size, sha256: stored.sha256 };
  if (held?.size !== digests.size) throw wrong('another length');
  if (held.sha256 !== undefined) {
    if (!held.sha256.equals(digests.sha256)) throw wrong('another digest');
    return;
  }
  const pass = startDigestPass();
  for await (const chunk of await store.get(key, { start: 0, length: digests.size })) pass.update(chunk);
  if (!pass.finish().sha256.equals(digests.sha256)) throw wrong('other bytes');
}

function checkContentClaims(claims: ContentClaims, digests: ContentDigests): void {
  if (claims.size !== undefined && claims.size !== digests.size) throw fhirError(claims.error, `There are ${digests.size} bytes, not ${claims.size}`);
  if (claims.sha256 !== undefined && !claims.sha256.equals(digests.sha256)) throw fhirError(claims.error, 'The SHA-256 is not that of the bytes');
  if (claims.sha1 !== undefined && !claims.sha1.equals(digests.sha1)) throw fhirError(claims.error, 'The SHA-1 is not that of the bytes');
}

/** In the publishing transaction: `staging → live`. Raises 409 `conflict` when the sweeper was faster. */
export async function publishContent(tx: Transaction, org: OrgId, received: ReceivedContent): Promise<void> {
  const { rowCount } = await tx.query({
    name: 'publish-content',
    text: `update content set state = 'live', size = $3, sha256 = $4, sha1 = $5, chunk_digests = $6, store_version = $7, published_at = now(), verified_at = now()
      where org = $1 and id = $2 and state = 'staging'`,
    values: [org, received.id, received.size, received.sha256, received.sha1, received.chunkDigests, received.storeVersion ?? null],
  });
  if (rowCount !== 1) throw fhirError('conflict', 'The bytes waited too long to be published; send them again');
}
