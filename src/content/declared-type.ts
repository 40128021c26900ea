// What a sender may declare, and whether the bytes contradict it. Executables are never kept; formats that are built
// inside others do not contradict their container.
import { fhirError } from '../fhir/fhir-error.ts';

/** The shipped preset `clinical`; a star stands for anything. */
export const CLINICAL_TYPES: readonly string[] = [
  'text/*', 'image/*', 'audio/*', 'video/*', 'application/pdf', 'application/rtf', 'application/dicom', 'application/json', 'application/xml', '*/*+json', '*/*+xml',
  'application/msword', 'application/vnd.ms-excel', 'application/vnd.ms-excel.*', 'application/vnd.ms-powerpoint', 'application/vnd.ms-powerpoint.*', 'application/vnd.ms-word.*',
  'application/vnd.ms-outlook', 'application/vnd.ms-project', 'application/vnd.ms-works', 'application/vnd.ms-xpsdocument', 'application/vnd.visio', 'application/vnd.ms-visio.*',
  'application/vnd.openxmlformats-officedocument.*', 'application/vnd.oasis.opendocument.*', 'application/vnd.apple.pages', 'application/vnd.apple.numbers', 'application/vnd.apple.keynote',
  'application/epub+zip',
  'application/zip', 'application/x-zip-compressed', 'application/gzip', 'application/x-gzip', 'application/x-tar', 'application/x-gtar', 'application/x-7z-compressed', 'application/x-bzip2',
  'application/x-xz', 'application/zstd', 'application/vnd.rar', 'application/x-rar-compressed', 'application/octet-stream',
];

/** Allow-lists that are shipped, by name. */
export const TYPE_PRESETS = { 'clinical': CLINICAL_TYPES, 'pdf-only': ['application/pdf'] } as const satisfies Record<string, readonly string[]>;

/** What may come in: an allow-list and, where somebody took it upon himself to set it aside, what is called when that happens. */
export interface TypeRules {
  allowedTypes: readonly string[];
  setAside?: (() => void) | undefined;
}

const MATCHERS_MAX = 1_000;
const matchers = new Map<string, RegExp>();

/** The pattern of one member of an allow-list. */
function matcherOf(type: string): RegExp {
  const known = matchers.get(type);
  if (known !== undefined) return known;
  const made = new RegExp(`^${type.replace(/[.+$^]/g, '\\$&').replace(/\*+/g, '[^/]+')}$`);
  if (matchers.size < MATCHERS_MAX) matchers.set(type, made);
  return made;
}

/** `type` in lower case, without parameters. */
export const isAllowedType = (type: string, allowed: readonly string[]): boolean => allowed.some((one) => matcherOf(one).test(type));

const EXECUTABLES = new Set([
  'application/x-elf', 'application/x-msdownload', 'application/x-mach-binary', 'application/x-sh', 'application/java-vm', 'application/java-archive', 'application/wasm',
  'application/vnd.android.package-archive', 'application/x-apple-diskimage', 'application/x-deb', 'application/x-rpm', 'application/x.ms.shortcut', 'application/x.apple.alias',
  'application/x-google-chrome-extension', 'application/x-xpinstall', 'application/x-shockwave-flash', 'application/vnd.ms-htmlhelp', 'application/x-ms-regedit', 'application/x-nintendo-nes-rom',
]);

/** One medium under several names, without the `x-` that many have in front. */
const ALIASES: Record<string, string> = {
  'image/jpg': 'image/jpeg', 'image/dicom': 'application/dicom', 'image/pjpeg': 'image/jpeg', 'image/apng': 'image/png', 'image/tif': 'image/tiff', 'image/ms-bmp': 'image/bmp',
  'image/vnd.microsoft.icon': 'image/icon', 'image/ico': 'image/icon', 'audio/wave': 'audio/wav', 'audio/vnd.wave': 'audio/wav', 'audio/aif': 'audio/aiff', 'audio/mid': 'audio/midi',
  'application/rar-compressed': 'application/vnd.rar', 'text/richtext': 'application/rtf', 'text/rtf': 'application/rtf', 'text/xml': 'application/xml', 'text/json': 'application/json',
  'audio/matroska': 'video/matroska', 'audio/webm': 'video/webm', 'video/msvideo': 'video/vnd.avi', 'video/avi': 'video/vnd.avi', 'application/tgz': 'application/gzip', 'application/gtar': 'application/tar',
};

function canonical(type: string): string {
  const plain = type.replace(/^([a-z]+)\/x-/, '$1/');
  return ALIASES[plain] ?? plain;
}

/** Families whose formats hold one another, or that the head cannot tell apart. `found` is sniffed, `said` declared. */
const FAMILIES: { found: RegExp; said: RegExp }[] = [
  // Office documents and EPUB are ZIP files; older office documents are compound files.
  { found: /^application\/(zip|epub\+zip|vnd\.(openxmlformats|oasis|ms-(word|excel|powerpoint)\.|visio))/, said: /^application\/(zip|zip-compressed|epub\+zip|vnd\.(openxmlformats|oasis|apple|ms-|visio))/ },
  { found: /^application\/(cfb|vnd\.ms-outlook|msword|vnd\.visio)/, said: /^application\/(msword|vnd\.ms-|vnd\.visio)/ },
  // Word saves RTF under its own name.
  { found: /^application\/rtf$/, said: /^(application\/(rtf|msword)|text\/.+)$/ },
  // A text format may be called text, and CDA, FHIR or SVG are XML.
  { found: /^(application\/xml|image\/svg\+xml)$/, said: /^(.+\/xml|.+\+xml|text\/.+)$/ },
  { found: /^text\/html$/, said: /^(text\/.+|application\/xhtml\+xml)$/ },
  { found: /^(text\/.+|application\/postscript)$/, said: /^text\/.+$/ },
  // ISO base media: sound, film and still pictures.
  { found: /^(video|audio)\/(mp4|m4a|m4v|quicktime|3gpp2?|3gp2?)$/, said: /^(video|audio)\/(mp4|m4a|m4v|m4b|aac|mp4a-latm|quicktime|3gpp2?|3gp2?)$/ },
  { found: /^image\/(hei[cf](-sequence)?|avif)$/, said: /^image\/(hei[cf](-sequence)?|avif(-sequence)?)$/ },
  { found: /^(audio|video|application)\/ogg/, said: /^(audio|video)\/(ogg|opus|vorbis|speex|flac|theora)$/ },
  { found: /^video\/(matroska|webm)$/, said: /^(video|audio)\/(matroska|webm)$/ },
  { found: /^(audio|video)\/(mpeg|aac|mp1s|mp2p|mp2t)$/, said: /^(audio|video)\/(mpeg|mpeg3|mp3|mp2|mp4|aac|aacp|mpg|mp1s|mp2p|mp2t)$/ },
  { found: /^(application\/vnd\.ms-asf|(audio|video)\/ms-asf)$/, said: /^(video\/ms-(asf|wmv)|audio\/ms-wma|(video|audio)\/asf)$/ },
  // Raw photographs and whole-slide images are TIFF files; a slide may be DICOM and TIFF at once.
  { found: /^image\/(tiff|canon-cr2|adobe-dng|nikon-nef|sony-arw|olympus-orf|panasonic-rw2)$/, said: /^image\/(tiff|dng|raw|canon-cr2|adobe-dng|nikon-nef|sony-arw|olympus-orf|panasonic-rw2|svs|ndpi)$|^application\/dicom$/ },
  { found: /^application\/dicom$/, said: /^image\/tiff$/ },
  { found: /^image\/(jp2|jpx|jpm|mj2|j2c)$/, said: /^(image\/(jp2|jpx|jpm|mj2|j2c|jpeg2000)|video\/mj2)$/ },
  // Compression says nothing of what was compressed.
  { found: /^application\/(gzip|bzip2|xz|zstd)$/, said: /^application\/(tar|gtar|gzip-compressed)$/ },
];

function agrees(declared: string, sniffed: string): boolean {
  const [said, found] = [canonical(declared), canonical(sniffed)];
  return said === found || declared === 'application/octet-stream' || FAMILIES.some((family) => family.found.test(found) && family.said.test(said));
}

export const essenceOf = (type: string): string => (type.split(';')[0] ?? '').trim().toLowerCase();

/** Where the answer is a problem document it names the types as data. */
const refusedType = (diagnostics: string, allowedTypes: readonly string[], expression?: string): Error =>
  fhirError('media-type', diagnostics, { members: { allowedTypes }, ...(expression === undefined ? {} : { expression }) });

/**
 * Raises 415 `media-type` for a type outside the allow-list, or bytes of another type than declared, unless the rules are
 * set aside; for an executable, whoever asks.
 */
export function checkDeclaredType(declaredType: string, sniffedType: string | undefined, rules: TypeRules, expression?: string): void {
  const { allowedTypes, setAside } = rules;
  const refuse = (diagnostics: string, isFinal = false): void => {
    if (isFinal || setAside === undefined || !/^[^/\s]+\/[^/\s]+$/.test(declared)) throw refusedType(diagnostics, allowedTypes, expression);
    setAside();
  };
  // The type is a header when the bytes are read; what no header can carry could never be read again.
  if (!/^[\t\x20-\x7e]*$/.test(declaredType)) throw refusedType('A media type must be in visible ASCII', allowedTypes, expression);
  const declared = essenceOf(declaredType);
  const sniffed = sniffedType === undefined ? undefined : essenceOf(sniffedType);
  if (sniffed !== undefined && EXECUTABLES.has(sniffed)) throw refusedType(`The bytes are an executable (${sniffed}), which is not kept`, allowedTypes, expression);
  const isProgram = EXECUTABLES.has(declared);
  if (isProgram || !isAllowedType(declared, allowedTypes)) refuse(`${declared.slice(0, 100)} is not among the allowed types: ${allowedTypes.join(', ')}`, isProgram);
  else if (sniffed !== undefined && !agrees(declared, sniffed)) refuse(`The bytes are ${sniffed}, not ${declared.slice(0, 100)}`);
}
