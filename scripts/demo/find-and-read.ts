// What went in is found by patient and kind, and comes back byte for byte, whole and in parts.
import type { Bundle, DocumentReference, Media } from '@medplum/fhirtypes';
import type { KeptDocument } from './bring-in.ts';
import { jsonOf, type Answer } from './exchange.ts';
import { printSize, unversioned } from './paper.ts';
import { CATEGORIES, type Scene, type StoredFile } from './scene.ts';
import type { Access } from './stage.ts';

/** Versions that a searchset or history holds, in its order. */
export function versionsOf(answer: Answer): string[] {
  return jsonOf<Bundle<DocumentReference | Media>>(answer)?.entry?.flatMap(({ resource }) => (resource === undefined ? [] : [`${resource.resourceType}/${resource.id}/_history/${resource.meta?.versionId}`])) ?? [];
}

export function searchOf({ checks }: Scene, path: string, label: string, expected: readonly string[]): Access {
  return {
    method: 'GET', path, label, interaction: 'search-type', status: 200, touched: () => expected,
    check(answer) {
      checks.equal(`GET ${path}: matches in their order`, versionsOf(answer), expected);
      return expected.length === 0 ? 'no match' : `${expected.length} found${expected.length === 1 ? '' : ', in order'}`;
    },
  };
}

export async function findDocuments(scene: Scene, newest: readonly KeptDocument[], media: readonly KeptDocument[]): Promise<void> {
  const { stage, patient } = scene;
  stage.begin('Found by patient and category, the newest first');
  const category = encodeURIComponent(`${CATEGORIES}|clinical-note`);
  await stage.perform(searchOf(scene, `DocumentReference?patient=${patient}&category=${category}&_sort=-date`, 'DocumentReference: notes', newest.map(({ reference }) => reference)));
  await stage.perform(searchOf(scene, `Media?patient=${patient}&_sort=-created`, 'Media', media.map(({ reference }) => reference)));
}

export async function readWhole(scene: Scene, stored: readonly StoredFile[]): Promise<void> {
  const { stage, checks } = scene;
  stage.begin('Read whole: the SHA-256 is that of what went in');
  await stage.performAll(stored.map(({ file, binary }): Access => ({
    method: 'GET', path: unversioned(binary), label: `Binary: ${file.title}`, interaction: 'read', status: 200, touched: () => [binary],
    check(answer) {
      checks.equal(`${file.title}: Content-Type`, answer.headers['content-type'], file.contentType);
      checks.equal(`${file.title}: bytes`, answer.size, file.size);
      checks.equal(`${file.title}: SHA-256`, answer.sha256.toString('hex'), file.sha256.toString('hex'));
      return `SHA-256 ${file.sha256.toString('hex').slice(0, 16)}… equal`;
    },
  })));
}

const MEBIBYTE = 1024 * 1024;

export async function readRanges(scene: Scene, { file, binary }: StoredFile): Promise<void> {
  const { stage, checks } = scene;
  stage.begin(`Read by range: first, middle and last MiB of ${file.title}`);
  const starts = { first: 0, middle: Math.floor((file.size - MEBIBYTE) / 2), last: file.size - MEBIBYTE };
  await stage.performAll(Object.entries(starts).map(([name, start]): Access => {
    const range = `bytes ${start}-${start + MEBIBYTE - 1}/${file.size}`;
    return {
      method: 'GET', path: unversioned(binary), label: `Binary: ${name} ${printSize(MEBIBYTE)}`, interaction: 'read', status: 206, touched: () => [binary],
      headers: { range: `bytes=${start}-${start + MEBIBYTE - 1}` },
      check(answer) {
        checks.equal(`${name} range: Content-Range`, answer.headers['content-range'], range);
        checks.equal(`${name} range: bytes equal`, answer.head.equals(Buffer.concat([...file.read(start, MEBIBYTE)])), true);
        return `${range} equal`;
      },
    };
  }));
}
