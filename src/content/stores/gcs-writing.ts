// Writing objects of Google Cloud Storage: what fits into one part in one request with its MD5, which the service compares,
// else a resumable upload whose MD5 is compared here. Both are conditional: ifGenerationMatch=0 means that there is none yet.
import { createHash, randomUUID, type Hash } from 'node:crypto';
import type { StoredObject } from '../content-store.ts';
import { gcsError, readJson, storedObject, type GcsCaller, type GcsObject } from './gcs-call.ts';
import { openUpload } from './gcs-upload.ts';
import type { Part } from './s3-multipart.ts';
import { unreachable } from './store-errors.ts';

const NEW = { ifGenerationMatch: '0' };

function addTo(hash: Hash, { pieces }: Part): Hash {
  for (const piece of pieces) hash.update(piece);
  return hash;
}

/** What the service says of an object, or of one version of it; undefined where it has none. */
export async function lookAt(caller: GcsCaller, key: string, version?: string): Promise<GcsObject | undefined> {
  const answer = await caller.call({ method: 'GET', path: caller.objects(key), ...(version === undefined ? {} : { query: { generation: version } }) });
  if (answer.status === 200) return readJson<GcsObject>(answer.text);
  if (await caller.isMissing(answer)) return undefined;
  throw gcsError(answer);
}

/** One part with its name and MD5 before it (multipart/related, RFC 2387). */
export async function putWhole(caller: GcsCaller, key: string, part: Part): Promise<StoredObject> {
  const md5Hash = addTo(createHash('md5'), part).digest('base64');
  const boundary = randomUUID();
  const head = `--${boundary}\r\nContent-Type: application/json\r\n\r\n${JSON.stringify({ name: key, md5Hash })}\r\n--${boundary}\r\nContent-Type: application/octet-stream\r\n\r\n`;
  const answer = await caller.call({
    method: 'POST', path: caller.uploads, query: { uploadType: 'multipart', ...NEW }, headers: { 'content-type': `multipart/related; boundary=${boundary}` },
    body: [Buffer.from(head), ...part.pieces, Buffer.from(`\r\n--${boundary}--\r\n`)],
  });
  if (answer.status === 200) return storedObject(readJson<GcsObject>(answer.text));
  // An earlier try took effect, and its answer was lost.
  const held = answer.repeated && answer.status === 412 ? await lookAt(caller, key) : undefined;
  if (held?.md5Hash === md5Hash && Number(held.size) === part.size) return storedObject(held);
  throw gcsError(answer);
}

/** All parts as one object: one is on its way, one waits, because the last one tells the length, and one is gathered. A failure ends the upload. */
export async function putParts(caller: GcsCaller, key: string, parts: AsyncIterable<Part>): Promise<StoredObject> {
  const upload = await openUpload(caller, key, NEW);
  const md5 = createHash('md5');
  let waiting: Part = { pieces: [], size: 0 };
  let sending: Promise<void> = Promise.resolve();
  try {
    for await (const part of parts) {
      addTo(md5, part);
      await sending;
      if (waiting.size > 0) sending = upload.send(waiting);
      // Its failure is told when it is waited for.
      sending.catch(() => undefined);
      waiting = part;
    }
    await sending;
    const { answer, size } = await upload.finish(waiting);
    return await asSent(caller, key, readJson<GcsObject>(answer.text), md5.digest('base64'), size);
  } catch (error) {
    await Promise.allSettled([sending]);
    await upload.cancel();
    throw error;
  }
}

/** What the service made of it, which is removed where it is something else. */
async function asSent(caller: GcsCaller, key: string, made: GcsObject, md5Hash: string, size: number): Promise<StoredObject> {
  if (Number(made.size) === size && (made.md5Hash === undefined || made.md5Hash === md5Hash)) return storedObject(made);
  await removeObject(caller, key, made.generation);
  throw unreachable(new Error('The store holds other bytes than were sent'));
}

/** Exactly this version for good, where one is named; a missing one is no error. */
export async function removeObject(caller: GcsCaller, key: string, version: string | undefined): Promise<void> {
  const answer = await caller.call({ method: 'DELETE', path: caller.objects(key), ...(version === undefined ? {} : { query: { generation: version } }) });
  if (answer.status === 204 || answer.status === 200 || await caller.isMissing(answer)) return;
  throw gcsError(answer);
}
