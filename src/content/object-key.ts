// The key of an object: random and final, without anything clinical in the default layout. Every segment is checked or
// encoded, so a key can name nothing outside the store.
import { hash } from 'node:crypto';

export interface KeyParts {
  org: string;
  /** Id of the patient, when known before the bytes. */
  patient: string | undefined;
  /** For an image of a person: whose. */
  profile?: { type: 'patient' | 'practitioner'; id: string } | undefined;
  now: Date;
  uuid: string;
  /** Sniffed or declared media type; decides {ext}. */
  mediaType: string | undefined;
}

const EXTENSIONS: Record<string, string> = {
  'application/pdf': 'pdf', 'image/jpeg': 'jpg', 'image/png': 'png', 'image/tiff': 'tif', 'image/webp': 'webp', 'image/gif': 'gif', 'application/dicom': 'dcm',
  'text/plain': 'txt', 'text/html': 'html', 'application/json': 'json', 'application/xml': 'xml', 'text/xml': 'xml', 'application/rtf': 'rtf', 'video/mp4': 'mp4', 'audio/mpeg': 'mp3', 'application/zip': 'zip',
};

const PLACEHOLDER = /\{(org|patient|year|month|uuid|ext)\}/g;
const LITERAL = /^[A-Za-z0-9._/-]*$/;
const SAFE = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

/** Stores take 255 bytes between two slashes; something is left for what a template has beside. */
const SEGMENT_MAX = 128;

/** What is not made of safe characters is written in hexadecimal; what is too long for that, as its SHA-256. */
function segment(text: string): string {
  if (SAFE.test(text) && text.length <= SEGMENT_MAX) return text;
  const hexadecimal = Buffer.from(text, 'utf8').toString('hex');
  return hexadecimal.length <= SEGMENT_MAX ? hexadecimal : hash('sha256', text, 'hex');
}

/** What is wrong with a template, for people; undefined when it can be used. */
export function templateProblem(template: string): string | undefined {
  const literal = template.replace(PLACEHOLDER, '');
  if (/[{}]/.test(literal)) return 'holds an unknown placeholder';
  if (!LITERAL.test(literal)) return 'may hold A-Z a-z 0-9 . _ - / beside its placeholders';
  if (!template.includes('{uuid}')) return 'must hold {uuid}';
  if (template.split('/').some((part) => /^\.*$/.test(part))) return 'has an empty or dot-only segment';
  return undefined;
}

export function objectKey(template: string, parts: KeyParts): string {
  const values: Record<string, string> = {
    org: segment(parts.org),
    patient: parts.patient === undefined ? 'unlinked' : segment(parts.patient),
    year: String(parts.now.getUTCFullYear()),
    month: String(parts.now.getUTCMonth() + 1).padStart(2, '0'),
    uuid: parts.uuid,
    ext: EXTENSIONS[(parts.mediaType ?? '').split(';')[0]?.trim().toLowerCase() ?? ''] ?? 'bin',
  };
  // A layout that names patients has one of its own for images of people.
  const layout = parts.profile !== undefined && template.includes('{patient}') ? `{org}/profiles/${parts.profile.type}/${segment(parts.profile.id)}/{uuid}.{ext}` : template;
  return layout.replace(PLACEHOLDER, (_whole, name: string) => values[name] ?? '');
}

/** The key of a picture beside the object that it is made of, with a part by which no try meets another. */
export function thumbnailKey(source: string, uuid: string): string {
  return source.replace(/(\.[a-z0-9]{1,5})?$/, `_${uuid.slice(0, 8)}_thumb`);
}
