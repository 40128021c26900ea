// Writing blobs: what fits into one part in one request, else blocks that become a blob by the list of them. Each request
// carries the MD5 of its bytes, so that the service refuses others, and what exists is never written over.
import { createHash, randomUUID } from 'node:crypto';
import type { StoredObject } from '../content-store.ts';
import { azureCode, azureError, azureObject, isMissing, type AzureCaller } from './azure-call.ts';
import { sendParts, type Part } from './s3-multipart.ts';

function md5Of({ pieces }: Part): string {
  const hash = createHash('md5');
  for (const piece of pieces) hash.update(piece);
  return hash.digest('base64');
}

export async function putBlob({ call }: AzureCaller, key: string, part: Part): Promise<StoredObject> {
  const md5 = md5Of(part);
  const answer = await call({ method: 'PUT', key, body: part.pieces, headers: { 'x-ms-blob-type': 'BlockBlob', 'content-md5': md5, 'if-none-match': '*' } });
  if (answer.status === 201) return azureObject(part.size, answer);
  // The first try took effect, and its answer was lost with the connection.
  const held = answer.repeated && answer.status === 409 ? await call({ method: 'HEAD', key }) : undefined;
  if (held?.status === 200 && held.headers['content-md5'] === md5 && Number(held.headers['content-length']) === part.size) return azureObject(part.size, held);
  throw azureError(answer);
}

/** The blocks become the blob, in this order; all others of its name are gone. */
async function commitBlocks({ call }: AzureCaller, key: string, ids: readonly string[], size: number): Promise<StoredObject> {
  const list = Buffer.from(`<?xml version="1.0" encoding="utf-8"?><BlockList>${ids.map((id) => `<Uncommitted>${id}</Uncommitted>`).join('')}</BlockList>`);
  const answer = await call({
    method: 'PUT', key, query: { comp: 'blocklist' }, body: [list], mayRepeat: false, own: true,
    headers: { 'content-md5': md5Of({ pieces: [list], size: list.length }), 'content-type': 'application/xml', 'if-none-match': '*' },
  });
  if (answer.status !== 201) throw azureError(answer);
  return azureObject(size, answer);
}

/** All parts as one blob. A failure takes the blocks back. */
export async function putBlocks(caller: AzureCaller, key: string, parts: AsyncIterable<Part>): Promise<StoredObject> {
  // Ids of one length; another writer under the same key has others, and cannot get its blocks into this blob.
  const upload = randomUUID().slice(0, 18);
  const idOf = (number: number): string => Buffer.from(`${upload}-${String(number).padStart(6, '0')}`).toString('base64');
  try {
    const { sent, size } = await sendParts(parts, async (number, part) => {
      const id = idOf(number);
      const answer = await caller.call({ method: 'PUT', key, query: { comp: 'block', blockid: id }, body: part.pieces, headers: { 'content-md5': md5Of(part) } });
      if (answer.status !== 201) throw azureError(answer);
      return id;
    });
    return await commitBlocks(caller, key, sent, size);
  } catch (error) {
    await dropBlocks(caller, key).catch(() => { /* The service drops what is in no blob after a week. */ });
    throw error;
  }
}

/** Blocks that never became a blob go with a list that has none of them; the empty blob of that list is removed at once. */
export async function dropBlocks(caller: AzureCaller, key: string): Promise<void> {
  const listed = await caller.call({ method: 'GET', key, query: { comp: 'blocklist', blocklisttype: 'uncommitted' } });
  if (listed.status !== 200 || !listed.text.includes('<Block>')) return;
  const { version } = await commitBlocks(caller, key, [], 0);
  await removeBlob(caller, key, version);
}

/** Exactly this version, where there is one; a missing one is no error. */
export async function removeBlob(caller: AzureCaller, key: string, version: string | undefined): Promise<void> {
  const answer = await caller.call({ method: 'DELETE', key, ...(version === undefined ? {} : { query: { versionid: version } }) });
  if (answer.status === 202 || isMissing(answer)) return;
  if (version === undefined || azureCode(answer) !== 'OperationNotAllowedOnRootBlob') throw azureError(answer);
  await demote(caller, key, version);
  return removeBlob(caller, key, version);
}

/** The newest version cannot be removed by its id: a deletion of the blob, as long as it is that one, makes an earlier version of it. */
async function demote({ call }: AzureCaller, key: string, version: string): Promise<void> {
  const held = await call({ method: 'HEAD', key });
  const { etag } = held.headers;
  if (held.status !== 200 || held.headers['x-ms-version-id'] !== version || etag === undefined) throw azureError(held);
  const answer = await call({ method: 'DELETE', key, headers: { 'if-match': etag } });
  if (answer.status !== 202) throw azureError(answer);
}
