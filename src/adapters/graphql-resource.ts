// Between the inputs of GraphQL and FHIR JSON, and back. Pure.
import { DOCUMENT_CATEGORIES } from '../access/policy.ts';
import { fhirError } from '../fhir/fhir-error.ts';
import { ALTERNATE_HASH, HASH_ALGORITHMS } from '../resources/attachments.ts';
import { CATEGORY_SYSTEM } from './document-fields.ts';

export type Members = Record<string, unknown>;

const HANDLE = /^(?:azure-blob|s3|muniment):\/\/(.+)$/s;
const GEOMETRY = ['height', 'width', 'frames', 'duration'] as const;

const isObject = (value: unknown): value is Members => typeof value === 'object' && value !== null && !Array.isArray(value);
const list = (value: unknown): Members[] => (Array.isArray(value) ? value.filter(isObject) : []);

/** Members that are null say nothing in FHIR JSON; objects of GraphQL have no prototype. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.filter((one) => one !== null).map(plain);
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== null && one !== undefined).map(([name, one]) => [name, plain(one)]));
}

/** `sha256:` and 64 hexadecimal digits, or 32 bytes in base64, are claims of a SHA-256; R4's own hash is a SHA-1. */
function withHash({ hash, ...attachment }: Members, place: string): Members {
  if (typeof hash !== 'string') return attachment;
  const hex = /^sha-?256:([0-9a-f]{64})$/i.exec(hash)?.[1];
  const sha256 = hex !== undefined ? Buffer.from(hex, 'hex') : /^[A-Za-z0-9+/]{43}=$/.test(hash) ? Buffer.from(hash, 'base64') : undefined;
  if (sha256 === undefined && /^sha/i.test(hash)) throw fhirError('claim-mismatch', 'The hash is sha256: and 64 hexadecimal digits', { expression: `${place}.hash` });
  if (sha256 === undefined) return { ...attachment, hash };
  const extension = [{ url: ALTERNATE_HASH, extension: [
    { url: 'algorithm', valueCoding: { system: HASH_ALGORITHMS, code: 'SHA-256' } },
    { url: 'hash', valueString: sha256.toString('base64') },
  ] }];
  return { ...attachment, extension };
}

/** The name behind azure-blob://, s3:// or muniment://; undefined for any other URL. */
export function handleIn(url: unknown): string | undefined {
  return typeof url === 'string' ? HANDLE.exec(url)?.[1] : undefined;
}

/** `binaryOf` answers the id of the Binary behind a handle, or raises. */
async function attachmentOf(attachment: unknown, place: string, binaryOf: (handle: string, place: string) => Promise<string>): Promise<Members> {
  const made = withHash(isObject(attachment) ? attachment : {}, place);
  const handle = handleIn(made['url']);
  return handle === undefined ? made : { ...made, url: `Binary/${await binaryOf(handle, place)}` };
}

export async function documentOf(input: unknown, categories: readonly Members[], binaryOf: (handle: string, place: string) => Promise<string>): Promise<Members> {
  const { content, category, ...rest } = plain(input) as Members;
  const contents = await Promise.all(list(content).map(async (one, at) => {
    const place = `DocumentReference.content[${at}].attachment`;
    const { height: _h, width: _w, frames: _f, duration: _d, ...attachment } = await attachmentOf(one['attachment'], place, binaryOf);
    return { ...one, attachment };
  }));
  const all = [...list(category), ...categories];
  return { resourceType: 'DocumentReference', ...rest, ...(all.length === 0 ? {} : { category: all }), content: contents };
}

/** Geometry is taken in both places; R4 has it beside the content. */
export async function mediaOf(input: unknown, binaryOf: (handle: string, place: string) => Promise<string>): Promise<Members> {
  const { content, ...rest } = plain(input) as Members;
  const attachment = await attachmentOf(content, 'Media.content', binaryOf);
  const geometry = Object.fromEntries(GEOMETRY.flatMap((name) => (attachment[name] === undefined || rest[name] !== undefined ? [] : [[name, attachment[name]]])));
  for (const name of GEOMETRY) delete attachment[name];
  return { resourceType: 'Media', ...rest, ...geometry, content: attachment };
}

/** SHA-256 of the bytes as the resource tells it, hexadecimal. */
export function sha256Of(attachment: Members): string | undefined {
  const hash = list(attachment['extension']).find(({ url }) => url === ALTERNATE_HASH);
  const value = list(hash?.['extension']).find((part) => part['url'] === 'hash')?.['valueString'];
  return typeof value === 'string' ? Buffer.from(value, 'base64').toString('hex') : undefined;
}

/** Minutes of "15m" or "1h". Raises 400 outside 1 to 60 minutes. */
export function windowMinutes(text: unknown): number | undefined {
  if (text === undefined || text === null) return undefined;
  const [, count, unit] = /^(\d{1,2})(m|min|h)$/.exec(typeof text === 'string' ? text : '') ?? [];
  const minutes = Number(count) * (unit === 'h' ? 60 : 1);
  if (!(minutes >= 1 && minutes <= 60)) throw fhirError('invalid-parameter', 'accessWindow is 1m to 60m', { expression: 'security.accessWindow' });
  return minutes;
}

export interface FileMetadata {
  /** Categories that a document made by this request gets besides its own. */
  categories: Members[];
}

const METADATA_BYTES_MAX = 4_096;

/** The header X-File-Metadata: `{"purpose":"patient_consent"}`; a purpose or category that names a document category is one. Raises 400. */
export function fileMetadata(header: string | undefined): FileMetadata {
  if (header === undefined) return { categories: [] };
  let value: unknown;
  try {
    value = header.length > METADATA_BYTES_MAX ? undefined : JSON.parse(header);
  } catch { /* Told below. */ }
  if (!isObject(value)) throw fhirError('malformed-request', `X-File-Metadata is a JSON object of at most ${METADATA_BYTES_MAX} bytes`);
  const hints = [value['purpose'], value['category']].filter((hint) => typeof hint === 'string').map((hint) => hint.replace(/^patient_/, '').replaceAll('_', '-'));
  return { categories: DOCUMENT_CATEGORIES.filter((code) => hints.includes(code)).map((code) => ({ coding: [{ system: CATEGORY_SYSTEM, code }] })) };
}
