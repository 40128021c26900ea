// What every step of one run shares, and how it writes documents: all of them are about one patient, made up for the run.
import type { Attachment, Binary, DocumentReference, Media } from '@medplum/fhirtypes';
import type { Checks } from './checks.ts';
import { reprDigest, type DemoFile } from './demo-file.ts';
import type { DemoFiles } from './demo-files.ts';
import { jsonOf, type Answer } from './exchange.ts';
import type { Muniment } from './open-muniment.ts';
import { printSize } from './paper.ts';
import { locationOf, type Access, type Stage } from './stage.ts';

export interface Scene {
  muniment: Muniment;
  checks: Checks;
  stage: Stage;
  /** Patient/demo-… */
  patient: string;
  files: DemoFiles;
}

/** A file that went in, and the Binary that holds it. */
export interface StoredFile {
  file: DemoFile;
  /** Binary/id/_history/1 */
  binary: string;
}

export const CATEGORIES = 'https://muniment.example/fhir/CodeSystem/document-category';
export const IDENTIFIERS = 'urn:muniment:demo:document';

export interface DocumentWish {
  identifier: string;
  title: string;
  category: string;
  date: string;
  attachments: Attachment[];
}

export function writeDocument(patient: string, wish: DocumentWish): DocumentReference {
  return {
    resourceType: 'DocumentReference', status: 'current',
    identifier: [{ system: IDENTIFIERS, value: wish.identifier }],
    category: [{ coding: [{ system: CATEGORIES, code: wish.category }] }],
    subject: { reference: patient }, date: wish.date, description: wish.title,
    content: wish.attachments.map((attachment) => ({ attachment })),
  };
}

/** Of a Binary that holds the bytes already. */
export function linkTo(base: string, { file, binary }: StoredFile): Attachment {
  return { contentType: file.contentType, title: file.title, url: `${base}/${binary.split('/_history/')[0]}` };
}

/** The bytes themselves, with what they claim to be. */
export function inline(file: DemoFile): Attachment {
  const data = Buffer.concat([...file.read(0, file.size)]).toString('base64');
  return { contentType: file.contentType, title: file.title, size: file.size, hash: file.sha1.toString('base64'), data };
}

export function jsonBody(resource: Binary | DocumentReference | Media): Pick<Access, 'body' | 'headers'> {
  const bytes = Buffer.from(JSON.stringify(resource));
  return { body: { bytes: [bytes], size: bytes.length }, headers: { 'content-type': 'application/fhir+json' } };
}

/** create of a Binary as its bytes. */
export function uploadOf(file: DemoFile, sha256 = file.sha256): Access {
  return {
    method: 'POST', path: 'Binary', label: `Binary: ${file.title}, ${printSize(file.size)}`, interaction: 'create', status: 201,
    headers: { 'content-type': file.contentType, 'repr-digest': reprDigest(sha256) },
    body: { bytes: file.read(0, file.size), size: file.size },
  };
}

export async function upload({ stage }: Scene, file: DemoFile): Promise<StoredFile> {
  return { file, binary: locationOf(await stage.perform(uploadOf(file))) };
}

const ALTERNATE_HASH = 'http://hl7.org/fhir/StructureDefinition/alternate-hash';

/** The server must have written size, SHA-1 and SHA-256 into the attachment, and a link in place of data. */
export function checkAttachment({ checks, muniment }: Scene, attachment: Attachment | undefined, file: DemoFile): void {
  const hashes = attachment?.extension?.find(({ url }) => url === ALTERNATE_HASH)?.extension;
  checks.equal(`${file.title}: attachment`, { size: attachment?.size, sha1: attachment?.hash, sha256: hashes?.find(({ url }) => url === 'hash')?.valueString, data: attachment?.data }, {
    size: file.size, sha1: file.sha1.toString('base64'), sha256: file.sha256.toString('base64'), data: undefined,
  });
  checks.equal(`${file.title}: attachment.url`, attachment?.url?.startsWith(`${muniment.base}/Binary/`), true);
}

/** Binary/id/_history/1 that an attachment links to. */
export function binaryOf(attachment: Attachment | undefined): string {
  return `${attachment?.url?.split('/').slice(-2).join('/')}/_history/1`;
}

export function documentOf(answer: Answer): DocumentReference {
  return jsonOf<DocumentReference>(answer) as DocumentReference;
}
