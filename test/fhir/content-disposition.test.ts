import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { contentDisposition } from '../../src/fhir/content-disposition.ts';

describe('contentDisposition', () => {
  it.each([
    [undefined, 'application/pdf', 'attachment'],
    ['', 'application/pdf', 'attachment'],
    ['..', 'application/pdf', 'attachment'],
    ['\u202e\u200f', 'application/pdf', 'attachment'],
    ['Letter.pdf', 'application/pdf', 'attachment; filename="Letter.pdf"'],
    ['Letter.PDF', 'application/pdf; version=1.7', 'attachment; filename="Letter.PDF"'],
    ['Letter', 'application/pdf', 'attachment; filename="Letter.pdf"'],
    ['Letter.exe', 'application/pdf', 'attachment; filename="Letter.exe.pdf"'],
    ['Letter', 'application/x-of-nobody', 'attachment; filename="Letter"'],
    ['../../etc/passwd', 'text/plain', 'attachment; filename="passwd.txt"'],
    ['C:\\temp\\scan.png', 'image/png', 'attachment; filename="scan.png"'],
    ['a"b\r\nSet-Cookie: x', 'text/plain', 'attachment; filename="a_bSet-Cookie_ x.txt"'],
    ['100%.txt', 'text/plain', `attachment; filename="100_.txt"; filename*=UTF-8''100%25.txt`],
    ['Résumé', 'application/pdf', `attachment; filename="Resume.pdf"; filename*=UTF-8''R%C3%A9sum%C3%A9.pdf`],
    ['報告.pdf', 'application/pdf', `attachment; filename="__.pdf"; filename*=UTF-8''%E5%A0%B1%E5%91%8A.pdf`],
    ["l'été (1)*", 'text/plain', `attachment; filename="l'ete (1)_.txt"; filename*=UTF-8''l%27%C3%A9t%C3%A9%20%281%29_.txt`],
    ['invoice\u202efdp.exe', 'application/pdf', 'attachment; filename="invoicefdp.exe.pdf"'],
    ['\ud800broken', 'text/plain', `attachment; filename="_broken.txt"; filename*=UTF-8''%EF%BF%BDbroken.txt`],
  ])('%j of %s', (title, contentType, expected) => {
    expect(contentDisposition(title, contentType)).toBe(expected);
  });

  it('is one ASCII line for any title, and its name is one segment without marks of direction', () => {
    fc.assert(fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: fc.constantFrom('.', '/', '\\', '"', ';', '\u202e', '\u2066', '\n', 'a', 'é', '\ud83d') })), (title) => {
      const header = contentDisposition(title, 'application/pdf');
      expect(header).toMatch(/^attachment(; filename="[^"\\/%]+"(; filename\*=UTF-8''[A-Za-z0-9!#$&+\-.^_`|~%]+)?)?$/);
      expect(header).toMatch(/^[\x20-\x7e]*$/);
      const extended = /filename\*=UTF-8''(.*)$/.exec(header)?.[1];
      if (extended !== undefined) expect(decodeURIComponent(extended)).not.toMatch(/[/\\\u202a-\u202e\u2066-\u2069\u200e\u200f]/u);
    }), { numRuns: 2_000 });
  });
});
