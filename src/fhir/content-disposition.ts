// Content-Disposition of bytes (RFC 6266, names by RFC 8187): always an attachment, with a name that cannot lead out of a
// folder, break the header or show itself as another.

const NAME_CHARACTERS_MAX = 120;
/** Controls, and the marks that turn the direction of text: they make an ending look like another. */
const INVISIBLE = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/gu;

const ENDINGS: Record<string, readonly string[]> = {
  'application/pdf': ['pdf'], 'image/jpeg': ['jpg', 'jpeg', 'jpe'], 'image/png': ['png'], 'image/tiff': ['tif', 'tiff'], 'image/webp': ['webp'], 'image/gif': ['gif'], 'image/bmp': ['bmp'],
  'image/svg+xml': ['svg'], 'application/dicom': ['dcm', 'dicom'], 'text/plain': ['txt', 'text', 'log', 'md'], 'text/html': ['html', 'htm'], 'text/csv': ['csv'], 'text/rtf': ['rtf'], 'application/rtf': ['rtf'],
  'application/json': ['json'], 'application/xml': ['xml', 'cda'], 'text/xml': ['xml', 'cda'], 'application/hl7-cda+xml': ['xml', 'cda'], 'video/mp4': ['mp4', 'm4v'], 'audio/mpeg': ['mp3'], 'audio/wav': ['wav'],
  'application/zip': ['zip'], 'application/msword': ['doc'], 'application/vnd.openxmlformats-officedocument.wordprocessingml.document': ['docx'],
  'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet': ['xlsx'], 'application/vnd.openxmlformats-officedocument.presentationml.presentation': ['pptx'],
};

/** A name of one segment without marks and without an end of dots or spaces; undefined when nothing is left. */
function segment(title: string): string | undefined {
  const last = Buffer.from(title, 'utf8').toString('utf8').normalize('NFC').replace(INVISIBLE, '').split(/[/\\]/).at(-1) ?? '';
  const cut = [...last.replace(/[<>:"|?*]/g, '_').replace(/\s+/g, ' ')].slice(0, NAME_CHARACTERS_MAX).join('');
  const name = cut.replace(/^[. ]+|[. ]+$/g, '');
  return name === '' ? undefined : name;
}

/** The ending that belongs to the type, unless the name has one that does. */
function withEnding(name: string, contentType: string): string {
  const endings = ENDINGS[contentType.split(';')[0]?.trim().toLowerCase() ?? ''];
  const [expected] = endings ?? [];
  if (expected === undefined) return name;
  const own = name.includes('.') ? name.slice(name.lastIndexOf('.') + 1).toLowerCase() : '';
  return endings?.includes(own) === true ? name : `${name}.${expected}`;
}

/** ASCII for clients that know no better: marks fall off their letters, what else is foreign becomes `_`. */
function asciiName(name: string): string {
  return name.normalize('NFD').replace(/\p{M}/gu, '').replace(/[^\x20-\x7e]/gu, '_').replace(/[\\"%]/g, '_');
}

/** RFC 8187 3.2.1: attr-char stands as it is, all else is percent-encoded UTF-8. */
function extendedValue(name: string): string {
  return `UTF-8''${encodeURIComponent(name).replace(/['()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)}`;
}

/** The header's value, in ASCII. Without a title, or one of which nothing is left, it has no name. */
export function contentDisposition(title: string | undefined, contentType: string): string {
  const name = title === undefined ? undefined : segment(title);
  if (name === undefined) return 'attachment';
  const full = withEnding(name, contentType);
  const plain = asciiName(full);
  return plain === full ? `attachment; filename="${plain}"` : `attachment; filename="${plain}"; filename*=${extendedValue(full)}`;
}
