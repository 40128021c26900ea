// What the first bytes say of a file: the library knows binary signatures; text formats, executables and what its
// short signatures take for something else are ours.
import { fileTypeFromBuffer } from 'file-type';

/** As much of the head as signatures need. */
export const HEAD_BYTES = 4_096;

function startsWith(head: Buffer, signature: string, at = 0): boolean {
  return head.length >= at + signature.length && head.toString('latin1', at, at + signature.length) === signature;
}

const MACH_O = ['\xfe\xed\xfa\xce', '\xfe\xed\xfa\xcf', '\xce\xfa\xed\xfe', '\xcf\xfa\xed\xfe'];

/** Text may begin with MZ; a program has its second header where the first one says. */
function isWindowsProgram(head: Buffer): boolean {
  if (!startsWith(head, 'MZ') || head.length < 64) return false;
  const at = head.readUInt32LE(0x3c);
  return at + 4 <= head.length ? /^(PE\0\0|NE|LE|LX)/.test(head.toString('latin1', at, at + 4)) : head.includes(0);
}

/** A Java class and a Mach-O of several architectures begin alike; neither is kept. */
function executableType(head: Buffer): string | undefined {
  if (startsWith(head, '\x7fELF')) return 'application/x-elf';
  if (isWindowsProgram(head)) return 'application/x-msdownload';
  if (MACH_O.some((magic) => startsWith(head, magic))) return 'application/x-mach-binary';
  if (startsWith(head, '\xca\xfe\xba\xbe')) return 'application/java-vm';
  if (/^#![ \t]*\//.test(head.toString('latin1', 0, 64))) return 'application/x-sh';
  return undefined;
}

/** The head as text, without byte order mark and white space in front; undefined when it holds what text does not. */
function textOf(head: Buffer): string | undefined {
  const utf16 = startsWith(head, '\xff\xfe') ? 'utf-16le' : startsWith(head, '\xfe\xff') ? 'utf-16be' : undefined;
  try {
    // The head may end within a character, which `stream` allows.
    const text = new TextDecoder(utf16 ?? 'utf-8', { fatal: true }).decode(head, { stream: true });
    return /[\0-\x08\x0e-\x1a\x1c-\x1f]/.test(text) ? undefined : text.trimStart();
  } catch {
    return undefined;
  }
}

const TEXT_FORMATS: [RegExp, string][] = [
  [/^<!doctype html|^<html[\s>]/i, 'text/html'],
  // A comment ends at its first end, else many of them could be divided in endless ways.
  [/^(<\?xml[^>]*>\s*)?(<!--(?:(?!-->)[\s\S])*-->\s*|<!doctype svg[^>]*>\s*)*<svg[\s/>]/i, 'image/svg+xml'],
  [/^<\?xml[\s?]/, 'application/xml'],
  [/^%PDF-/, 'application/pdf'],
  [/^\{\\rtf/, 'application/rtf'],
  [/^%!PS/, 'application/postscript'],
];

/** In bytes that are text all through, the library's signatures of two or three letters mean nothing. */
function textType(text: string): string | undefined {
  return TEXT_FORMATS.find(([pattern]) => pattern.test(text))?.[1];
}

/** The two synchronisation bytes of MPEG audio occur in any data: without another sign they are no recognition. */
const UNSURE = new Set(['audio/mpeg', 'audio/aac', 'video/mpeg', 'application/x-compress']);

function isSure(mime: string, head: Buffer): boolean {
  if (UNSURE.has(mime)) return startsWith(head, 'ID3') || startsWith(head, '\0\0\x01');
  // A bitmap says how long its second header is.
  if (mime === 'image/bmp') return head.length >= 18 && [12, 40, 52, 56, 64, 108, 124].includes(head.readUInt32LE(14));
  return true;
}

async function libraryType(head: Buffer): Promise<string | undefined> {
  try {
    return (await fileTypeFromBuffer(head))?.mime;
  } catch {
    // The library reads on for some formats; a head that ends too early shows nothing.
    return undefined;
  }
}

/** The media type that the head (HEAD_BYTES of it) shows; undefined when no signature matches. */
export async function sniffType(head: Buffer): Promise<string | undefined> {
  if (startsWith(head, 'DICM', 128)) return 'application/dicom';
  const executable = executableType(head);
  if (executable !== undefined) return executable;
  const text = textOf(head);
  if (text !== undefined) return textType(text);
  // Formats whose first line is text and whose body is not.
  if (startsWith(head, '%PDF-')) return 'application/pdf';
  if (startsWith(head, '{\\rtf')) return 'application/rtf';
  const mime = await libraryType(head);
  return mime !== undefined && isSure(mime, head) ? mime : undefined;
}
