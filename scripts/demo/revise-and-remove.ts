// A document gets a second version, keeps its first, and another one is deleted.
import { randomUUID } from 'node:crypto';
import type { KeptDocument, KeptLetter } from './bring-in.ts';
import { versionsOf } from './find-and-read.ts';
import { printKinds, unversioned } from './paper.ts';
import { checkRefusal } from './refuse-and-repeat.ts';
import { documentOf, inline, jsonBody, writeDocument, type Scene } from './scene.ts';
import { locationOf, type Access } from './stage.ts';

function updateOf(letter: KeptLetter, description: string): Access {
  const { body, headers } = jsonBody({ ...documentOf(letter.answer), description });
  return {
    method: 'PUT', path: unversioned(letter.reference), label: 'DocumentReference', interaction: 'update', status: 200,
    ...(body === undefined ? {} : { body }), headers: { ...headers, 'if-match': letter.answer.headers.etag ?? '' },
  };
}

/** Answers the new version. */
export async function reviseLetter(scene: Scene, letter: KeptLetter): Promise<string> {
  const { stage, checks } = scene;
  stage.begin('The letter is revised with If-Match, and a second writer comes too late');
  const answer = await stage.perform(updateOf(letter, 'Letter of referral, corrected'));
  const revised = locationOf(answer);
  checks.equal('revised letter: version', revised, `${unversioned(letter.reference)}/_history/2`);
  checks.equal('revised letter: bytes', documentOf(answer).content, documentOf(letter.answer).content);
  await stage.perform({ ...updateOf(letter, 'Letter of referral, from a stale copy'), label: 'DocumentReference, stale', status: 412, check: checkRefusal(scene, 'version-mismatch') });
  return revised;
}

export async function readHistory(scene: Scene, letter: KeptLetter, revised: string): Promise<void> {
  const { stage, checks } = scene;
  stage.begin('Its history holds both versions, and the first is as it was');
  const versions = [revised, letter.reference];
  await stage.perform({
    method: 'GET', path: `${unversioned(letter.reference)}/_history`, label: 'DocumentReference: history', interaction: 'history-instance', status: 200,
    // Each version that is shown is seen.
    touched: () => versions,
    check(answer) {
      checks.equal('history: versions', versionsOf(answer), versions);
      return `${versions.length} versions`;
    },
  });
  await stage.perform({
    method: 'GET', path: letter.reference, label: 'DocumentReference: version 1', interaction: 'vread', status: 200, touched: () => [letter.reference],
    check(answer) {
      checks.equal('version 1', documentOf(answer), documentOf(letter.answer));
      return `${printKinds([letter.reference])}, unchanged`;
    },
  });
}

export async function removeDocument(scene: Scene): Promise<KeptDocument> {
  const { stage, patient, files: { letter } } = scene;
  stage.begin('A scratch document is made and deleted');
  const document = writeDocument(patient, { identifier: randomUUID(), title: 'Scratch', category: 'other', date: '2024-05-09T09:00:00Z', attachments: [inline(letter)] });
  const reference = locationOf(await stage.perform({ method: 'POST', path: 'DocumentReference', label: 'DocumentReference: scratch', interaction: 'create', status: 201, ...jsonBody(document) }));
  const path = unversioned(reference);
  await stage.perform({ method: 'DELETE', path, label: 'DocumentReference: scratch', interaction: 'delete', status: 204, touched: () => [reference], check: () => 'deleted' });
  await stage.perform({ method: 'GET', path, label: 'DocumentReference: scratch', interaction: 'read', status: 410, check: checkRefusal(scene, 'deleted') });
  return { reference, stored: [] };
}
