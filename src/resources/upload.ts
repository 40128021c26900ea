// The rows of resumable uploads. No upload is held by anybody: each step names the offset that it goes on from, and one of two
// at the same offset takes effect. A restart or another server goes on from the rows.
import type { UploadPart } from '../content/upload-parts.ts';
import type { Transaction } from '../database/database.ts';
import type { OrgId } from '../database/tables.ts';
import { fhirError } from '../fhir/fhir-error.ts';

export interface Upload {
  id: string;
  creator: string;
  length: number;
  received: number;
  metadata: string | undefined;
  expiresAt: Date;
  ended: boolean;
  result: string | undefined;
}

/** Milliseconds. The sweeper takes staged parts after as long, counted from their own beginning: never before their upload ends. */
export const UPLOAD_MS = 24 * 60 * 60 * 1_000;
const FORGOTTEN_MS = 7 * UPLOAD_MS;

export async function createUpload(tx: Transaction, org: OrgId, upload: Pick<Upload, 'id' | 'creator' | 'length' | 'metadata'>, now: number): Promise<Date> {
  const old = new Date(now - FORGOTTEN_MS);
  await tx.query(`delete from upload_part where org = $1 and upload in (select id from upload where org = $1 and expires_at < $2)`, [org, old]);
  await tx.query('delete from upload where org = $1 and expires_at < $2', [org, old]);
  const expiresAt = new Date(now + UPLOAD_MS);
  await tx.query('insert into upload (org, id, creator, length, metadata, expires_at) values ($1, $2, $3, $4, $5, $6)', [org, upload.id, upload.creator, upload.length, upload.metadata ?? null, expiresAt]);
  return expiresAt;
}

/** Bytes that the uploads under way announced. */
export async function openLengths(tx: Transaction, org: OrgId, now: number): Promise<number> {
  const { rows } = await tx.query<{ bytes: number }>('select coalesce(sum(length), 0)::float8 as bytes from upload where org = $1 and expires_at > $2 and not ended and result is null', [org, new Date(now)]);
  return rows[0]?.bytes ?? 0;
}

/** The upload of this creator. Raises 404 `not-found` for any other, 410 `upload-expired`. */
export async function readUpload(tx: Transaction, org: OrgId, id: string, creator: string, now: number): Promise<Upload> {
  const { rows } = await tx.query<{ length: string; received: string; metadata: string | null; expires_at: Date; ended: boolean; result: string | null }>(
    'select length, received, metadata, expires_at, ended, result from upload where org = $1 and id = $2 and creator = $3', [org, id, creator],
  );
  const row = rows[0];
  if (row === undefined) throw fhirError('not-found', 'There is no such upload');
  if (row.expires_at.getTime() <= now) throw fhirError('upload-expired', 'The upload has expired; begin a new one');
  if (row.ended) throw fhirError('upload-expired', 'The upload was refused for what its bytes are');
  return { id, creator, length: Number(row.length), received: Number(row.received), metadata: row.metadata ?? undefined, expiresAt: row.expires_at, ended: row.ended, result: row.result ?? undefined };
}

export async function readUploadParts(tx: Transaction, org: OrgId, upload: string): Promise<UploadPart[]> {
  const { rows } = await tx.query<{ start: string; size: number; sha256: Buffer; content: string; key: string; store_version: string | null }>(
    'select start, size, sha256, content, key, store_version from upload_part where org = $1 and upload = $2 order by start', [org, upload],
  );
  return rows.map(({ start, size, sha256, content, key, store_version: version }) => ({ start: Number(start), size, sha256, content, key, storeVersion: version ?? undefined }));
}

async function goOn(tx: Transaction, org: OrgId, upload: string, from: number, to: number, result: string | undefined): Promise<void> {
  const { rowCount } = await tx.query(
    'update upload set received = $4, result = $5 where org = $1 and id = $2 and received = $3 and not ended and result is null', [org, upload, from, to, result ?? null],
  );
  if (rowCount !== 1) throw fhirError('conflict', 'The upload went on from another place meanwhile; ask for its offset');
}

/** The offset moves on over these parts, which begin at it. Raises 409 `conflict` when it is elsewhere. */
export async function addUploadParts(tx: Transaction, org: OrgId, upload: string, from: number, parts: readonly UploadPart[]): Promise<number> {
  const to = parts.reduce((sum, { size }) => sum + size, from);
  await goOn(tx, org, upload, from, to, undefined);
  for (const part of parts) {
    await tx.query('insert into upload_part (org, upload, start, size, sha256, content, key, store_version) values ($1, $2, $3, $4, $5, $6, $7, $8)', [org, upload, part.start, part.size, part.sha256, part.content, part.key, part.storeVersion ?? null]);
  }
  return to;
}

/** All bytes are there, and published as `result`. Raises 409 `conflict` when somebody else was faster. */
export async function finishUpload(tx: Transaction, org: OrgId, upload: Upload, from: number, result: string): Promise<void> {
  await goOn(tx, org, upload.id, from, upload.length, result);
  await tx.query('delete from upload_part where org = $1 and upload = $2', [org, upload.id]);
}

/** Refused for good. */
export async function endUpload(tx: Transaction, org: OrgId, upload: string): Promise<void> {
  await tx.query('update upload set ended = true where org = $1 and id = $2 and result is null', [org, upload]);
  await tx.query('delete from upload_part where org = $1 and upload = $2', [org, upload]);
}

export async function deleteUpload(tx: Transaction, org: OrgId, upload: string): Promise<void> {
  await tx.query('delete from upload_part where org = $1 and upload = $2', [org, upload]);
  await tx.query('delete from upload where org = $1 and id = $2', [org, upload]);
}
