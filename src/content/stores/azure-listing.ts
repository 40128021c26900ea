// What the container lists, page by page.
import type { ListedObject, StoredObject } from '../content-store.ts';
import { azureError, type AzureCaller } from './azure-call.ts';

/** Few enough that a page fits into an answer. */
const PAGE = '40';

const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

/** Text of the first such element. */
function textOf(xml: string, name: string): string | undefined {
  const text = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1];
  return text?.replace(/&(amp|lt|gt|quot|apos);/g, (_whole, entity: string) => ENTITIES[entity] ?? '');
}

/** The `<Blob>` elements, in the order of their names. */
async function* listed({ call }: AzureCaller, query: Record<string, string>): AsyncGenerator<string> {
  for (let marker: string | undefined = ''; marker !== undefined;) {
    const answer = await call({ method: 'GET', query: { restype: 'container', comp: 'list', maxresults: PAGE, ...query, ...(marker === '' ? {} : { marker }) } });
    if (answer.status !== 200) throw azureError(answer);
    for (const [blob] of answer.text.matchAll(/<Blob>.*?<\/Blob>/gs)) yield blob;
    marker = textOf(answer.text, 'NextMarker') || undefined;
  }
}

/** All blobs behind the name `after`. The service begins a list at its own marks alone, so what lies before is passed over. */
export async function* listBlobs(caller: AzureCaller, after: string): AsyncGenerator<ListedObject> {
  for await (const blob of listed(caller, {})) {
    const key = textOf(blob, 'Name') ?? '';
    if (Buffer.compare(Buffer.from(key), Buffer.from(after)) <= 0) continue;
    yield { key, size: Number(textOf(blob, 'Content-Length')), modified: new Date(textOf(blob, 'Last-Modified') ?? 0) };
  }
}

/** Every version of one blob, the newest first: a version is named by its instant. */
export async function listBlobVersions(caller: AzureCaller, key: string): Promise<StoredObject[]> {
  const found: StoredObject[] = [];
  for await (const blob of listed(caller, { prefix: key, include: 'versions' })) {
    if (textOf(blob, 'Name') !== key) continue;
    const version = textOf(blob, 'VersionId');
    found.push({ size: Number(textOf(blob, 'Content-Length')), ...(version === undefined ? {} : { version }) });
  }
  return found.sort((one, other) => (other.version ?? '').localeCompare(one.version ?? ''));
}
