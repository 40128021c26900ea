// What the first bytes say of a file, against what its sender says. Executables are never kept; bytes that no
// signature matches are taken as declared.
import { fileTypeFromBuffer } from 'file-type';
import { fhirError } from '../fhir/fhir-error.ts';

/** As much of the head as signatures need. */
export const HEAD_BYTES = 4_096;

const OFFICE = [
  'application/msword', 'application/vnd.ms-excel', 'application/vnd.ms-powerpoint', 'application/vnd.visio', 'application/vnd.ms-outlook', 'application/vnd.ms-word', 'application/x-cfb',
  'application/vnd.oasis.opendocument.*', 'application/vnd.openxmlformats-officedocument.*', 'application/vnd.ms-*', 'application/epub+zip',
];
const ARCHIVES = [
  'application/zip', 'application/gzip', 'application/x-gzip', 'application/x-tar', 'application/x-7z-compressed', 'application/x-bzip2', 'application/x-xz', 'application/zstd',
  'application/vnd.rar', 'application/x-rar-compressed', 'application/x-zip-compressed', 'application/java-archive-excluded',
];

/** The shipped preset `clinical`; a star stands for anything. */
export const CLINICAL_TYPES: readonly string[] = [
  'text/*', 'image/*', 'audio/*', 'video/*', 'application/pdf', 'application/rtf', 'application/dicom', 'application/json', 'application/xml',
  '*+json', '*+xml', ...OFFICE, ...ARCHIVES.filter((type) => !type.endsWith('-excluded')), 'application/octet-stream',
];

const PATTERNS = CLINICAL_TYPES.map((type) => new RegExp(`^${type.replace(/[.+]/g, '\\$&').replace(/\*/g, '[^;]+')}$`));

const EXECUTABLES = new Set(['application/x-msdownload', 'application/x-elf', 'application/x-mach-binary', 'application/x-executable', 'application/x-sh', 'application/java-vm', 'application/wasm', 'application/x-apple-diskimage', 'application/x-deb', 'application/x-rpm', 'application/vnd.android.package-archive']);

function startsWith(head: Buffer, signature: string | Buffer, at = 0): boolean {
  const bytes = typeof signature === 'string' ? Buffer.from(signature, 'latin1') : signature;
  return head.length >= at + bytes.length && head.subarray(at, at + bytes.length).equals(bytes);
}

/** Signatures that the library lacks or names otherwise. */
function ownSignature(head: Buffer): string | undefined {
  if (startsWith(head, 'DICM', 128)) return 'application/dicom';
  if (startsWith(head, '\x7fELF')) return 'application/x-elf';
  if (startsWith(head, 'MZ')) return 'application/x-msdownload';
  if (startsWith(head, Buffer.from([0xcf, 0xfa, 0xed, 0xfe])) || startsWith(head, Buffer.from([0xfe, 0xed, 0xfa, 0xcf]))) return 'application/x-mach-binary';
  if (startsWith(head, '#!')) return 'application/x-sh';
  if (startsWith(head, '%PDF-')) return 'application/pdf';
  if (startsWith(head, '{\\rtf')) return 'application/rtf';
  return undefined;
}

/** The media type that the head shows; undefined when no signature matches. */
export async function sniffType(head: Buffer): Promise<string | undefined> {
  const own = ownSignature(head);
  if (own !== undefined) return own;
  if (head.length < 4) return undefined;
  try {
    return (await fileTypeFromBuffer(head))?.mime;
  } catch {
    // The library reads on for some formats; a head that ends too early shows nothing.
    return undefined;
  }
}

const essenceOf = (type: string): string => (type.split(';')[0] ?? '').trim().toLowerCase();

const ALIASES: Record<string, string> = {
  'image/jpg': 'image/jpeg', 'image/pjpeg': 'image/jpeg', 'audio/mp3': 'audio/mpeg', 'audio/x-wav': 'audio/wav', 'audio/wave': 'audio/wav', 'audio/vnd.wave': 'audio/wav', 'text/xml': 'application/xml',
  'text/rtf': 'application/rtf', 'application/x-gzip': 'application/gzip', 'image/x-ms-bmp': 'image/bmp', 'image/heif': 'image/heic', 'application/x-zip-compressed': 'application/zip', 'application/x-rar-compressed': 'application/vnd.rar',
  'image/apng': 'image/png', 'image/tif': 'image/tiff', 'application/dicom+json': 'application/json',
};

/** Types whose files are built inside others: a container's signature does not contradict what it holds. */
const CONTAINERS: Record<string, RegExp> = {
  'application/zip': /^application\/(vnd\.|epub|zip|java|octet)|\+zip$/,
  'application/x-cfb': /^application\/(msword|vnd\.ms|vnd\.visio|x-cfb)/,
  'application/xml': /xml$|^text\/|svg|html|cda/,
  'application/gzip': /^application\/(gzip|x-tar|x-gtar|tar|fhir|octet)|gzip/,
  'application/ogg': /^(audio|video|application)\/(ogg|opus)/,
};

/** Both are the same medium in families where a container holds either. */
function sameFamily(declared: string, sniffed: string): boolean {
  const family = /^(audio|video|image)\//;
  const [d, s] = [family.exec(declared)?.[1], family.exec(sniffed)?.[1]];
  if (d === undefined || s === undefined) return false;
  if (d === s && d !== 'image') return true;
  const moving = new Set(['audio', 'video']);
  return (moving.has(d) && moving.has(s)) || (/tiff|dng|raw|nef|cr2|arw/.test(declared) && sniffed === 'image/tiff') || (/hei[cf]|avif/.test(declared) && /hei[cf]|avif/.test(sniffed));
}

function agrees(declared: string, sniffed: string): boolean {
  const [d, s] = [ALIASES[declared] ?? declared, ALIASES[sniffed] ?? sniffed];
  if (d === s || d === 'application/octet-stream' || sameFamily(d, s)) return true;
  return CONTAINERS[s]?.test(d) === true || (s.startsWith('application/vnd.') && /^application\/(zip|octet-stream|vnd\.)/.test(d));
}

/** Raises 415 `media-type` for a type outside the allow-list, an executable, or bytes of another type than declared. */
export function checkDeclaredType(declaredType: string, sniffed: string | undefined): void {
  const declared = essenceOf(declaredType);
  if (!PATTERNS.some((pattern) => pattern.test(declared))) throw fhirError('media-type', `${declared.slice(0, 100)} is not among the allowed types: ${CLINICAL_TYPES.join(', ')}`);
  if (sniffed === undefined) return;
  if (EXECUTABLES.has(sniffed)) throw fhirError('media-type', `The bytes are an executable (${sniffed}), which is not kept`);
  if (!agrees(declared, sniffed)) throw fhirError('media-type', `The bytes are ${sniffed}, not ${declared.slice(0, 100)}`);
}
