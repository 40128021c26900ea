// The write path: intent → bytes → verify → publish. A row in state `staging` with the final random key is committed
// first, then the bytes flow once through all digests into the store, then what the store holds is verified. Only the
// publishing transaction makes them visible; a crash before leaves litter that the sweeper removes.
import { randomUUID } from 'node:crypto';
import type { Database } from '../database/database.ts';
import type { OrgId } from '../database/tables.ts';
import { fhirError, type ErrorDetail } from '../fhir/fhir-error.ts';
import { newUuidV7 } from '../fhir/uuid-v7.ts';
import type { ContentDigests } from './chunk-digests.ts';
import { condemnContent, publishContent, stageContent, type StagedContent } from './content-rows.ts';
import { ObjectExistsError, type ContentStore, type StoredObject } from './content-store.ts';
import { checkDeclaredType, type TypeRules } from './declared-type.ts';
import { objectKey, thumbnailKey, type KeyParts } from './object-key.ts';
import { quotaOf, requireRoom, type Quota } from './quota.ts';
import { startBytePass, type AnnouncedBytes, type BytePass } from './received-bytes.ts';
import { startContentScan, type ContentScan, type ScanPolicy, type ScanResult } from './scan-content.ts';
import { eraseObject, isSilence, verifyStored } from './stored-object.ts';
import { HEAD_BYTES, sniffType } from './sniff-type.ts';

export { publishContent };

/** What the sender claims of the bytes, and the error that a wrong claim is. */
export interface ContentClaims {
  size?: number;
  sha1?: Buffer;
  sha256?: Buffer;
  error: Extract<ErrorDetail, 'digest-mismatch' | 'claim-mismatch'>;
}

export interface Reception extends AnnouncedBytes {
  org: { id: OrgId; name: string };
  declaredType: string;
  /** What the organisation takes, and how much it may hold. */
  rules: TypeRules & Quota;
  creator: string;
  /** Id of the patient, for a key layout that holds it. */
  patient?: string | undefined;
  /** For an image of a person: whose. */
  profile?: KeyParts['profile'];
  /** Key of the object beside which it is kept, for what is made of that one. */
  beside?: string;
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
  /** What publishing must not exceed. */
  quota: Quota;
  /** Undefined where nothing scans. */
  scan?: ScanResult | undefined;
}

export interface ContentReceiver {
  /**
   * Receives, scans, stores and verifies; nothing is visible yet. Raises 413 `too-long` and `quota` (before the first byte is read), 415 `media-type`, 422 `infected`,
   * the error of a wrong claim, `client-aborted`, 503 `unavailable`, 507 `storage-full`; nothing is kept then.
   */
  receive(reception: Reception): Promise<ReceivedContent>;
  /** Takes back what was received and not published. Never raises: what fails here is left to the sweeper. */
  discard(org: OrgId, received: ReceivedContent): Promise<void>;
}

export interface ReceiverParts {
  database: Database;
  store: ContentStore;
  keyTemplate: string;
  scan: ScanPolicy;
  onReceived?: (bytes: number) => void;
}

function checkContentClaims(claims: ContentClaims, digests: ContentDigests): void {
  if (claims.size !== undefined && claims.size !== digests.size) throw fhirError(claims.error, `There are ${digests.size} bytes, not ${claims.size}`);
  if (claims.sha256 !== undefined && !claims.sha256.equals(digests.sha256)) throw fhirError(claims.error, 'The SHA-256 is not that of the bytes');
  if (claims.sha1 !== undefined && !claims.sha1.equals(digests.sha1)) throw fhirError(claims.error, 'The SHA-1 is not that of the bytes');
}

export function createContentReceiver(parts: ReceiverParts): ContentReceiver {
  const { database, store } = parts;

  /** The object and the row, each as far as it can be reached. The object first: it must not outlive a row that is gone. */
  async function takeBack(staged: Pick<StagedContent, 'org' | 'id' | 'key'>, version: string | undefined, ours: boolean): Promise<void> {
    if (ours) await eraseObject(store, staged.key, version).catch(() => { /* The sweeper tries again. */ });
    await condemnContent(database, staged).catch(() => { /* The sweeper finds the row in state staging. */ });
  }

  async function stage(reception: Reception, sniffedType: string | undefined): Promise<StagedContent> {
    const { org, declaredType, creator, now } = reception;
    const uuid = randomUUID();
    const key = reception.beside === undefined
      ? objectKey(parts.keyTemplate, { org: org.name, patient: reception.patient, profile: reception.profile, now: new Date(now), uuid, mediaType: sniffedType ?? declaredType })
      : thumbnailKey(reception.beside, uuid);
    const staged = { org: org.id, id: newUuidV7(now), store: store.name, key };
    await stageContent(database, staged, { declaredType, sniffedType, creator });
    return staged;
  }

  interface Kept { digests: ContentDigests; stored: StoredObject; scan: ScanResult | undefined }

  async function keep(reception: Reception, staged: StagedContent, pass: BytePass, scan: ContentScan, known: ScanResult | undefined): Promise<Kept> {
    const size = pass.digests?.size ?? reception.size;
    // Asked by the store after the last byte, and by us again.
    let finished = pass.digests;
    const finish = (): ContentDigests => (finished ??= pass.finish());
    const bytes = pass.digests === undefined ? scan.pass(pass.stream) : pass.stream;
    // failpoint: intent-committed
    const stored = await store.put(staged.key, bytes, { sha256: () => finish().sha256, ...(size === undefined ? {} : { size }) });
    const digests = finish();
    // failpoint: bytes-stored
    const verified = await verifyStored(store, staged.key, digests, stored);
    // failpoint: bytes-verified
    if (pass.digests !== undefined) return { digests, stored: verified, scan: known };
    if (reception.claims !== undefined) checkContentClaims(reception.claims, digests);
    const again = (): Promise<AsyncIterable<Buffer>> => store.get(staged.key, { start: 0, length: digests.size }, verified.version === undefined ? {} : { version: verified.version });
    return { digests, stored: verified, scan: await scan.result(digests.size, again) };
  }

  /** What can be refused before anything is stored: by type, and by claims on a body that is in memory already. */
  async function examine(reception: Reception, pass: BytePass): Promise<string | undefined> {
    const sniffedType = await sniffType(pass.head.subarray(0, HEAD_BYTES));
    checkDeclaredType(reception.declaredType, sniffedType, reception.rules);
    if (pass.digests !== undefined && reception.claims !== undefined) checkContentClaims(reception.claims, pass.digests);
    return sniffedType;
  }

  async function storeStaged(reception: Reception, staged: StagedContent, pass: BytePass, sniffedType: string | undefined, scan: ContentScan, known: ScanResult | undefined): Promise<ReceivedContent> {
    try {
      const kept = await keep(reception, staged, pass, scan, known);
      parts.onReceived?.(kept.digests.size);
      return { ...kept.digests, id: staged.id, key: staged.key, store: store.name, storeVersion: kept.stored.version, declaredType: reception.declaredType, sniffedType, quota: quotaOf(reception.rules), scan: kept.scan };
    } catch (error) {
      const takingBack = takeBack(staged, undefined, !(error instanceof ObjectExistsError));
      // A store that is silent would be it again for each request: nobody waits for that.
      if (!isSilence(error)) await takingBack;
      throw error;
    }
  }

  return {
    async receive(reception) {
      await requireRoom(database, reception.org.id, reception.rules, reception.size ?? 0);
      const pass = await startBytePass(reception, HEAD_BYTES);
      let scan: ContentScan | undefined;
      try {
        const sniffedType = await examine(reception, pass);
        scan = await startContentScan(parts.scan, pass.digests?.size ?? reception.size, pass.digests !== undefined);
        const known = pass.digests === undefined ? undefined : await scan.result(pass.digests.size, async () => pass.stream);
        return await storeStaged(reception, await stage(reception, sniffedType), pass, sniffedType, scan, known);
      } finally {
        scan?.close();
        // Not awaited: a sender who is silent must not hold up the answer.
        void pass.close();
      }
    },
    discard: (org, received) => takeBack({ org, id: received.id, key: received.key }, received.storeVersion, true),
  };
}
