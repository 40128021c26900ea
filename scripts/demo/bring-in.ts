// The files go in: bytes first and a document that links to them, or both in one request.
import type { Media } from '@medplum/fhirtypes';
import { randomUUID } from 'node:crypto';
import type { DemoFile } from './demo-file.ts';
import { jsonOf, type Answer } from './exchange.ts';
import { printSize } from './paper.ts';
import { binaryOf, checkAttachment, documentOf, inline, jsonBody, linkTo, upload, uploadOf, writeDocument, type Scene, type StoredFile } from './scene.ts';
import { locationOf, type Access } from './stage.ts';

export interface KeptDocument {
  /** DocumentReference/id/_history/1 */
  reference: string;
  stored: StoredFile[];
}

export interface KeptLetter extends KeptDocument {
  /** The request that made it, to be sent once more. */
  access: () => Access;
  answer: Answer;
}

export async function bringReport(scene: Scene): Promise<KeptDocument> {
  const { stage, muniment, patient, files: { report } } = scene;
  stage.begin('A report goes in as bytes, and a document links to them (PDF, 5 pages)');
  const stored = await upload(scene, report);
  const document = writeDocument(patient, { identifier: randomUUID(), title: 'Discharge report', category: 'clinical-note', date: '2024-05-06T09:00:00Z', attachments: [linkTo(muniment.base, stored)] });
  const answer = await stage.perform({ method: 'POST', path: 'DocumentReference', label: 'DocumentReference', interaction: 'create', status: 201, ...jsonBody(document) });
  checkAttachment(scene, documentOf(answer).content[0]?.attachment, report);
  return { reference: locationOf(answer), stored: [stored] };
}

export async function bringLetter(scene: Scene): Promise<KeptLetter> {
  const { stage, patient, files: { letter } } = scene;
  stage.begin('A letter goes in inside its document, and is moved out to a Binary (PDF)');
  const document = writeDocument(patient, { identifier: randomUUID(), title: 'Letter of referral', category: 'clinical-note', date: '2024-05-07T09:00:00Z', attachments: [inline(letter)] });
  const key = randomUUID();
  const access = (): Access => {
    const { body, headers } = jsonBody(document);
    return { method: 'POST', path: 'DocumentReference', label: 'DocumentReference', interaction: 'create', status: 201, ...(body === undefined ? {} : { body }), headers: { ...headers, 'idempotency-key': key } };
  };
  const answer = await stage.perform(access());
  const attachment = documentOf(answer).content[0]?.attachment;
  checkAttachment(scene, attachment, letter);
  return { reference: locationOf(answer), stored: [{ file: letter, binary: binaryOf(attachment) }], access, answer };
}

export async function bringSeries(scene: Scene): Promise<KeptDocument> {
  const { stage, checks, muniment, patient, files: { slices } } = scene;
  stage.begin(`A DICOM series goes in: ${slices.length} slices, one document`);
  const answers = await stage.performAll(slices.map((slice) => uploadOf(slice)));
  const stored = slices.map((file, position) => ({ file, binary: locationOf(answers[position] as Answer) }));
  const document = writeDocument(patient, { identifier: randomUUID(), title: 'CT', category: 'imaging', date: '2024-05-08T09:00:00Z', attachments: stored.map((one) => linkTo(muniment.base, one)) });
  const answer = await stage.perform({ method: 'POST', path: 'DocumentReference', label: 'DocumentReference', interaction: 'create', status: 201, ...jsonBody(document) });
  const { content } = documentOf(answer);
  checks.equal('content of the series', content.length, slices.length);
  slices.forEach((slice, position) => checkAttachment(scene, content[position]?.attachment, slice));
  return { reference: locationOf(answer), stored };
}

export async function bringPhotograph(scene: Scene): Promise<KeptDocument> {
  scene.stage.begin('A photograph goes in (JPEG with EXIF)');
  return bringMedia(scene, scene.files.photograph, 'image', '2024-05-06T07:08:09Z');
}

export async function bringVideo(scene: Scene): Promise<KeptDocument> {
  const { stage, files: { video } } = scene;
  stage.begin(`A video of ${printSize(video.size)} goes in, and is never held in memory`);
  return bringMedia(scene, video, 'video', '2024-05-07T07:08:09Z');
}

async function bringMedia(scene: Scene, file: DemoFile, type: 'image' | 'video', createdDateTime: string): Promise<KeptDocument> {
  const { stage, muniment, patient } = scene;
  const stored = await upload(scene, file);
  const media: Media = {
    resourceType: 'Media', status: 'completed', type: { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/media-type', code: type }] },
    subject: { reference: patient }, createdDateTime, content: linkTo(muniment.base, stored),
  };
  const answer = await stage.perform({ method: 'POST', path: 'Media', label: 'Media', interaction: 'create', status: 201, ...jsonBody(media) });
  checkAttachment(scene, jsonOf<Media>(answer)?.content, file);
  return { reference: locationOf(answer), stored: [stored] };
}
