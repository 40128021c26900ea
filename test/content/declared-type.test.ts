// Media types: what the first bytes show, what may be declared, and what contradicts it.
import { beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { crc32, deflateRawSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import sharp from 'sharp';
import { checkDeclaredType, CLINICAL_TYPES, isAllowedType, TYPE_PRESETS } from '../../src/content/declared-type.ts';
import { HEAD_BYTES, sniffType } from '../../src/content/sniff-type.ts';
import { FhirError } from '../../src/fhir/fhir-error.ts';

const text = (content: string): Buffer => Buffer.from(content, 'utf8');

/** A ZIP file as office programs write it: local headers with sizes, deflated. */
function zip(entries: [name: string, content: string][]): Buffer {
  return Buffer.concat(entries.flatMap(([name, content]) => {
    const packed = deflateRawSync(content);
    const header = Buffer.alloc(30);
    header.writeUInt32LE(0x04034b50, 0);
    header.writeUInt16LE(20, 4);
    header.writeUInt16LE(8, 8);
    header.writeUInt32LE(crc32(content), 14);
    header.writeUInt32LE(packed.length, 18);
    header.writeUInt32LE(Buffer.byteLength(content), 22);
    header.writeUInt16LE(name.length, 26);
    return [header, text(name), packed];
  }));
}

const docx = (padding: string): Buffer => zip([
  ['[Content_Types].xml', `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><!--${padding}--><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>`],
  ['word/document.xml', '<w:document/>'],
]);

function windowsProgram(): Buffer {
  const program = Buffer.alloc(512);
  program.write('MZ', 0, 'latin1');
  program.writeUInt32LE(0x80, 0x3c);
  program.write('PE\0\0', 0x80, 'latin1');
  return program;
}

function mp4(brand: string): Buffer {
  return Buffer.concat([Buffer.from([0, 0, 0, 24]), text(`ftyp${brand}`), Buffer.alloc(4), text(`${brand}isom`), randomBytes(100)]);
}

const samples: Record<string, Buffer> = {
  pdf: Buffer.concat([text('%PDF-1.7\n%'), Buffer.from([0xe2, 0xe3, 0xcf, 0xd3]), text('\n1 0 obj')]),
  plainPdf: text('%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\n'),
  rtf: text('{\\rtf1\\ansi Hello}'),
  dicom: Buffer.concat([Buffer.alloc(128), text('DICM'), randomBytes(200)]),
  cda: text('\ufeff<?xml version="1.0"?>\n<ClinicalDocument xmlns="urn:hl7-org:v3"/>'),
  utf16: Buffer.from('\ufeff<?xml version="1.0" encoding="UTF-16"?><a/>', 'utf16le'),
  svg: text('<svg xmlns="http://www.w3.org/2000/svg"/>'),
  svgProlog: text('<?xml version="1.0"?>\n<!-- drawn -->\n<svg/>'),
  html: text('\n <!DOCTYPE html><html><body>Hi</body></html>'),
  json: text('{"resourceType":"Patient"}'),
  note: text('The patient feels well.\n'),
  bmNote: text('BM went well today, patient is fine and eats again.'),
  mzNote: text('MZ wrote on 2026-03-04 that the result is normal and needs no further visit at all.'),
  hl7: text('MSH|^~\\&|LAB|A|B|C|202603041200||ORU^R01|1|P|2.5\rPID|1||123\r'),
  zip: zip([['a.txt', 'hello']]),
  docx: docx(''),
  docxLong: docx(randomBytes(6_000).toString('hex')),
  odt: zip([['mimetype', 'application/vnd.oasis.opendocument.text'], ['content.xml', '<a/>']]),
  cfb: Buffer.concat([Buffer.from('d0cf11e0a1b11ae1', 'hex'), Buffer.alloc(600)]),
  gzip: gzipSync('hello'),
  mp4: mp4('isom'),
  m4a: mp4('M4A '),
  mov: mp4('qt  '),
  heic: mp4('heic'),
  wav: Buffer.concat([text('RIFF'), Buffer.from([36, 0, 0, 0]), text('WAVEfmt '), Buffer.alloc(40)]),
  ogg: Buffer.concat([text('OggS'), Buffer.alloc(24), text('\x01OpusHead'), randomBytes(40)]),
  mp3: Buffer.concat([text('ID3\x04\0\0\0\0\0\x0a'), Buffer.alloc(10), Buffer.from([0xff, 0xfb, 0x90, 0x64]), Buffer.alloc(400)]),
  elf: Buffer.concat([text('\x7fELF\x02\x01\x01'), Buffer.alloc(60)]),
  exe: windowsProgram(),
  macho: Buffer.concat([Buffer.from('cffaedfe07000001', 'hex'), Buffer.alloc(60)]),
  javaClass: Buffer.concat([Buffer.from('cafebabe00000034', 'hex'), Buffer.alloc(60)]),
  wasm: Buffer.concat([Buffer.from('0061736d01000000', 'hex'), Buffer.alloc(20)]),
  script: text('#!/bin/sh\necho hi\n'),
  unknown: Buffer.from('00010203fafbfcfd10203040506070809', 'hex'),
  empty: Buffer.alloc(0),
};

beforeAll(async () => {
  const picture = sharp({ create: { width: 16, height: 16, channels: 3, background: 'red' } });
  for (const format of ['jpeg', 'png', 'webp', 'gif', 'tiff', 'avif'] as const) samples[format] = await picture.clone().toFormat(format).toBuffer();
  samples['node'] = (await readFile(process.execPath)).subarray(0, HEAD_BYTES);
});

const sample = (name: string): Buffer => (samples[name] as Buffer).subarray(0, HEAD_BYTES);

async function outcome(name: string, declared: string): Promise<string> {
  try {
    checkDeclaredType(declared, await sniffType(sample(name)), { allowedTypes: CLINICAL_TYPES });
    return 'kept';
  } catch (error) { return error instanceof FhirError ? `${error.status} ${error.detail}` : String(error); }
}

describe('what the first bytes show', () => {
  it.each([
    ['pdf', 'application/pdf'], ['plainPdf', 'application/pdf'], ['rtf', 'application/rtf'], ['dicom', 'application/dicom'], ['cda', 'application/xml'], ['utf16', 'application/xml'], ['svg', 'image/svg+xml'],
    ['svgProlog', 'image/svg+xml'], ['html', 'text/html'], ['json', undefined], ['note', undefined], ['bmNote', undefined], ['mzNote', undefined], ['hl7', undefined], ['unknown', undefined], ['empty', undefined],
    ['jpeg', 'image/jpeg'], ['png', 'image/png'], ['webp', 'image/webp'], ['gif', 'image/gif'], ['tiff', 'image/tiff'], ['avif', 'image/avif'], ['heic', 'image/heic'], ['zip', 'application/zip'],
    ['docx', 'application/vnd.openxmlformats-officedocument.wordprocessingml.document'], ['odt', 'application/vnd.oasis.opendocument.text'], ['cfb', 'application/x-cfb'], ['gzip', 'application/gzip'],
    ['wav', 'audio/wav'], ['mp3', 'audio/mpeg'], ['elf', 'application/x-elf'], ['node', 'application/x-elf'], ['exe', 'application/x-msdownload'], ['macho', 'application/x-mach-binary'],
    ['javaClass', 'application/java-vm'], ['wasm', 'application/wasm'], ['script', 'application/x-sh'],
  ])('%s is %s', async (name, type) => {
    expect(await sniffType(sample(name))).toBe(type);
  });

  it('is never an error, whatever the bytes are', async () => {
    await fc.assert(fc.asyncProperty(fc.constantFrom(...Object.keys(samples)), fc.nat(HEAD_BYTES), fc.uint8Array({ maxLength: 64 }), async (name, cut, tail) => {
      await sniffType(Buffer.concat([sample(name).subarray(0, cut), tail]));
    }), { numRuns: 300 });
  });
});

describe('a head made to be slow', () => {
  it.each(['<!-- -->', '<!doctype svg>', '<?xml?>', ' ', '<'])('of %j is read at once', async (unit) => {
    const begin = performance.now();
    await sniffType(text(unit.repeat(HEAD_BYTES)).subarray(0, HEAD_BYTES));
    expect(performance.now() - begin).toBeLessThan(200);
  });
});

describe('what may be declared', () => {
  it.each([
    ['pdf', 'application/pdf'], ['pdf', 'application/PDF; version=1.7'], ['rtf', 'text/rtf'], ['rtf', 'application/msword'], ['dicom', 'application/dicom'], ['cda', 'text/xml'], ['cda', 'application/hl7-cda+xml'],
    ['cda', 'text/plain'], ['svg', 'image/svg+xml'], ['svgProlog', 'application/xml'], ['html', 'text/html; charset=utf-8'], ['html', 'application/xhtml+xml'], ['json', 'application/fhir+json'], ['json', 'application/json'],
    ['note', 'text/plain'], ['note', 'text/markdown'], ['bmNote', 'text/plain'], ['mzNote', 'text/plain'], ['hl7', 'text/plain'], ['jpeg', 'image/jpg'], ['jpeg', 'image/jpeg'], ['png', 'image/x-png'], ['tiff', 'image/x-adobe-dng'],
    ['docx', 'application/vnd.openxmlformats-officedocument.wordprocessingml.document'], ['docxLong', 'application/vnd.openxmlformats-officedocument.wordprocessingml.document'], ['docx', 'application/zip'],
    ['zip', 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet'], ['zip', 'application/x-zip-compressed'], ['odt', 'application/vnd.oasis.opendocument.text'], ['cfb', 'application/msword'], ['cfb', 'application/vnd.ms-excel'],
    ['gzip', 'application/x-gzip'], ['gzip', 'application/x-tar'], ['mp4', 'video/mp4'], ['mp4', 'audio/mp4'], ['m4a', 'audio/mp4'], ['m4a', 'audio/x-m4a'], ['mov', 'video/quicktime'], ['heic', 'image/heif'], ['avif', 'image/avif'],
    ['wav', 'audio/x-wav'], ['ogg', 'audio/ogg'], ['ogg', 'audio/opus'], ['mp3', 'audio/mp3'], ['unknown', 'application/dicom'], ['unknown', 'application/pdf'], ['empty', 'application/pdf'],
    ['pdf', 'application/octet-stream'], ['jpeg', 'application/octet-stream'], ['unknown', 'application/octet-stream'],
  ])('keeps %s as %s', async (name, declared) => {
    expect(await outcome(name, declared)).toBe('kept');
  });

  it.each([
    ['pdf', 'image/png'], ['pdf', 'text/plain'], ['jpeg', 'image/png'], ['png', 'image/jpeg'], ['png', 'application/pdf'], ['html', 'application/pdf'], ['html', 'image/png'], ['svg', 'image/png'], ['svg', 'application/json'],
    ['cda', 'application/json'], ['cda', 'application/pdf'], ['zip', 'application/pdf'], ['zip', 'application/msword'], ['mp4', 'image/jpeg'], ['dicom', 'image/jpeg'], ['rtf', 'application/pdf'], ['gzip', 'application/pdf'], ['jpeg', 'text/plain'],
  ])('refuses %s declared as %s', async (name, declared) => {
    expect(await outcome(name, declared)).toBe('415 media-type');
  });

  it.each(['elf', 'node', 'exe', 'macho', 'javaClass', 'wasm', 'script'])('refuses the executable %s under any type', async (name) => {
    for (const declared of ['application/octet-stream', 'text/plain', 'application/pdf', 'image/png', 'application/zip']) expect(await outcome(name, declared)).toBe('415 media-type');
  });

  it.each(['application/x-msdownload', 'application/x-sh', 'application/javascript', 'application/java-archive', 'application/x-executable', 'multipart/form-data', 'model/stl', 'application/x-foo', 'pdf', '', '*/*'])('refuses the type %s, and names those that are allowed', (declared) => {
    const refused = (() => { try { checkDeclaredType(declared, undefined, { allowedTypes: CLINICAL_TYPES }); return undefined; } catch (error) { return error as FhirError; } })();
    expect(refused).toMatchObject({ status: 415, detail: 'media-type' });
    for (const type of CLINICAL_TYPES) expect(refused?.message).toContain(type);
  });

  it('refuses a type that no header can carry', () => {
    for (const declared of ['text/plain; name=ä', 'text/plain; a="\r\nX: y"']) expect(() => checkDeclaredType(declared, undefined, { allowedTypes: CLINICAL_TYPES })).toThrow(FhirError);
  });
});

describe('rules that are set aside', () => {
  const taken = (declared: string, sniffed: string | undefined): string => {
    let isAside = false;
    try {
      checkDeclaredType(declared, sniffed, { allowedTypes: TYPE_PRESETS['pdf-only'], setAside: () => { isAside = true; } });
      return isAside ? 'taken aside' : 'taken';
    } catch (error) { return (error as FhirError).detail; }
  };

  it('let any other type in, and one that the bytes contradict, and say so', () => {
    expect([taken('application/pdf', 'application/pdf'), taken('image/png', 'image/png'), taken('application/pdf', 'image/png'), taken('model/stl', undefined)]).toEqual(['taken', 'taken aside', 'taken aside', 'taken aside']);
  });

  it('let in no executable, and nothing that is no media type', () => {
    expect([taken('application/pdf', 'application/x-elf'), taken('application/x-msdownload', undefined), taken('pdf', undefined), taken('a/b/c', undefined), taken('text/plain; a="\r\n"', undefined)]).toEqual(Array(5).fill('media-type'));
  });
});

describe('an allow-list of an organisation', () => {
  it('holds stars for anything but a slash, and nothing else is a pattern', () => {
    const judge = (type: string, allowed: string[]): boolean => isAllowedType(type, allowed);
    expect([judge('image/png', ['image/*']), judge('image/svg+xml', ['image/*']), judge('application/fhir+json', ['*/*+json']), judge('application/xvnd', ['application/.*']), judge('application/pdfx', ['application/pdf']), judge('a$b/c', ['a$b/c']), judge('image/a/b', ['image/*'])])
      .toEqual([true, true, true, false, false, true, false]);
  });
});
