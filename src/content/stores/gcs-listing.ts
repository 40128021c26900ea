// What the bucket lists, page by page, in the order of the names' bytes.
import type { ListedObject, StoredObject } from '../content-store.ts';
import { gcsError, readJson, storedObject, type GcsCaller, type GcsObject } from './gcs-call.ts';
import { unreachable } from './store-errors.ts';

const PAGE = '1000';
/** A thousand of the longest names, and more. */
const PAGE_BYTES_MAX = 8 * 1024 * 1024;

async function textOf(bytes: AsyncIterable<Buffer>): Promise<string> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of bytes) {
    size += piece.length;
    if (size > PAGE_BYTES_MAX) throw unreachable(new Error('The store lists more than was asked for'));
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}

async function* listed(caller: GcsCaller, query: Record<string, string>, fields: string): AsyncGenerator<GcsObject> {
  for (let pageToken: string | undefined = ''; pageToken !== undefined;) {
    const answer = await caller.download({ path: caller.objects(), query: { maxResults: PAGE, fields: `nextPageToken,items(${fields})`, ...query, ...(pageToken === '' ? {} : { pageToken }) } });
    if (answer.bytes === undefined) throw gcsError(answer);
    const page: { items?: GcsObject[]; nextPageToken?: string } = readJson(await textOf(answer.bytes));
    yield* page.items ?? [];
    pageToken = page.nextPageToken || undefined;
  }
}

/** All objects behind the name `after`; the service begins with that name itself, where there is one. */
export async function* listObjects(caller: GcsCaller, after: string): AsyncGenerator<ListedObject> {
  for await (const { name = '', size, timeCreated } of listed(caller, after === '' ? {} : { startOffset: after }, 'name,size,timeCreated')) {
    if (name !== after) yield { key: name, size: Number(size ?? 0), modified: new Date(timeCreated ?? 0) };
  }
}

/** Every version of one object, the newest first: generations grow. */
export async function listObjectVersions(caller: GcsCaller, key: string): Promise<StoredObject[]> {
  const found: StoredObject[] = [];
  for await (const object of listed(caller, { prefix: key, versions: 'true' }, 'name,size,generation')) {
    if (object.name !== key) continue;
    const { size, version } = storedObject(object);
    found.push({ size, ...(version === undefined ? {} : { version }) });
  }
  return found.sort((one, other) => Number(BigInt(other.version ?? 0) - BigInt(one.version ?? 0)));
}
