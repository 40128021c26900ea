// The accounting of disclosures as a document to print or to hand out (PDF 1.7, ISO 32000-1): lines of one font that every
// reader has, so that neither a font nor a library has to be carried along.
import { deflateSync } from 'node:zlib';
import { disclosureText, periodText, shownInstant, subjectText, type Accounting } from './disclosure-text.ts';

export const PDF_TYPE = 'application/pdf';

/** A4, lying; points. */
const [WIDTH, HEIGHT, MARGIN] = [842, 595, 36];
const [FONT_SIZE, LEADING] = [7, 9];
/** Each character of Courier is 0.6 of the font's size wide. */
const LINE_CHARACTERS = Math.floor((WIDTH - 2 * MARGIN) / (FONT_SIZE * 0.6));
const LINES_PER_PAGE = Math.floor((HEIGHT - 2 * MARGIN) / LEADING) - 5;
/** The base line of the foot: below the last line of the page. */
const FOOT = MARGIN - LEADING;

const COLUMNS = [['When', 24], ['Who', 44], ['How', 20], ['What', 66], ['Why', 24]] as const;

// WinAnsiEncoding (ISO 32000-1 Annex D) is Latin-1 but for these.
const WINDOWS = new Map([...'€‚ƒ„…†‡ˆ‰Š‹Œ'].map((character, position): [string, number] => [character, position === 0 ? 0x80 : 0x81 + position]));
for (const [character, byte] of [['Ž', 0x8e], ['‘', 0x91], ['’', 0x92], ['“', 0x93], ['”', 0x94], ['•', 0x95], ['–', 0x96], ['—', 0x97], ['˜', 0x98], ['™', 0x99], ['š', 0x9a], ['›', 0x9b], ['œ', 0x9c], ['ž', 0x9e], ['Ÿ', 0x9f]] as const) WINDOWS.set(character, byte);

/** What the font does not have stands as its number, so that no two names look the same that are not. */
export function printable(text: string): string {
  return [...text.normalize('NFC')].map((character) => {
    const code = character.codePointAt(0) ?? 0;
    if (WINDOWS.has(character) || (code >= 0x20 && code < 0x7f) || (code >= 0xa0 && code <= 0xff)) return character;
    return /\s/.test(character) ? ' ' : `[U+${code.toString(16).toUpperCase().padStart(4, '0')}]`;
  }).join('');
}

/** A literal string of PDF: one byte for each character. */
function literal(line: string): Buffer {
  const bytes = [...line].flatMap((character) => {
    const byte = WINDOWS.get(character) ?? character.codePointAt(0) ?? 0x20;
    return byte === 0x28 || byte === 0x29 || byte === 0x5c ? [0x5c, byte] : [byte];
  });
  return Buffer.from([0x28, ...bytes, 0x29]);
}

/** Broken at spaces where there is one in the second half of the line. */
function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  let rest = [...printable(text)];
  while (rest.length > width) {
    const space = rest.lastIndexOf(' ', width);
    const end = space > width / 2 ? space : width;
    lines.push(rest.slice(0, end).join(''));
    rest = rest.slice(rest[end] === ' ' ? end + 1 : end);
  }
  return [...lines, rest.join('')];
}

const columnsLine = (cells: readonly string[]): string => COLUMNS.map(([, width], column) => (cells[column] ?? '').padEnd(width)).join(' ').trimEnd();

/** The lines of one disclosure, which stay together on a page. */
function linesOf(event: Accounting['events'][number]): string[] {
  const { as, event: id, how, what, when, who, why } = disclosureText(event);
  const cells = [when, `${who}${as === '' ? '' : ` (${as})`}`, how, what, why].map((text, column) => [text].flat().flatMap((line) => wrapped(line, COLUMNS[column]?.[1] ?? 1)));
  const height = Math.max(...cells.map(({ length }) => length));
  return [...Array.from({ length: height }, (_, at) => columnsLine(cells.map((lines) => lines[at] ?? ''))), `  AuditEvent/${id}`, ''];
}

/** Lines by page; what is longer than a page goes on on the next. */
function pagesOf(events: Accounting['events']): string[][] {
  const pages: string[][] = [[]];
  for (const event of events) {
    const lines = linesOf(event);
    const page = pages.at(-1) as string[];
    if (page.length > 0 && page.length + lines.length > LINES_PER_PAGE) pages.push([]);
    for (const line of lines) {
      if ((pages.at(-1) as string[]).length >= LINES_PER_PAGE) pages.push([]);
      (pages.at(-1) as string[]).push(line);
    }
  }
  return pages;
}

/** Lines from the top of the page on, and one at its foot. */
function contentOf(lines: readonly string[], foot: string): Buffer {
  const at = (y: number): Buffer => Buffer.from(`BT /F1 ${FONT_SIZE} Tf ${LEADING} TL ${MARGIN} ${y} Td `);
  const parts = lines.flatMap((line) => [literal(line.slice(0, LINE_CHARACTERS)), Buffer.from(' Tj T*\n')]);
  return deflateSync(Buffer.concat([at(HEIGHT - MARGIN), ...parts, Buffer.from('ET\n'), at(FOOT), literal(foot.padStart(LINE_CHARACTERS)), Buffer.from(' Tj ET')]));
}

/** PDFDocEncoding is not enough for a title: UTF-16BE with its mark (7.9.2.2). */
function textString(text: string): string {
  return `<feff${[...Array(text.length).keys()].map((at) => text.charCodeAt(at).toString(16).padStart(4, '0')).join('')}>`;
}

/** All of the file: some kilobytes for a page of thirty disclosures. */
export function printDisclosuresPdf(accounting: Accounting): Buffer {
  const title = subjectText(accounting.subject);
  const pages = accounting.events.length === 0 ? [['Nobody was shown anything of it in this period.']] : pagesOf(accounting.events);
  const head = [printable(title), printable(`${accounting.organisation}, ${periodText(accounting)}`)];
  const objects: Buffer[] = [];
  const add = (text: string | Buffer): void => { objects.push(Buffer.isBuffer(text) ? text : Buffer.from(text, 'latin1')); };
  // 1 catalogue, 2 pages, 3 font, 4 information; then a page and its content in turns.
  add('<< /Type /Catalog /Pages 2 0 R /Lang (en) /ViewerPreferences << /DisplayDocTitle true >> >>');
  add(`<< /Type /Pages /Count ${pages.length} /Kids [${pages.map((_, at) => `${5 + 2 * at} 0 R`).join(' ')}] >>`);
  add('<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>');
  add(`<< /Title ${textString(title)} /Producer ${textString('Muniment')} /CreationDate (D:${accounting.asked.replace(/\D/g, '').slice(0, 14)}Z) >>`);
  pages.forEach((lines, at) => {
    const foot = `Asked for at ${shownInstant(accounting.asked)}, page ${at + 1} of ${pages.length}`;
    const content = contentOf([...head, '', columnsLine(COLUMNS.map(([name]) => name)), '', ...lines], foot);
    add(`<< /Type /Page /Parent 2 0 R /MediaBox [0 0 ${WIDTH} ${HEIGHT}] /Resources << /Font << /F1 3 0 R >> >> /Contents ${6 + 2 * at} 0 R >>`);
    add(Buffer.concat([Buffer.from(`<< /Length ${content.length} /Filter /FlateDecode >>\nstream\n`), content, Buffer.from('\nendstream')]));
  });
  return assembled(objects);
}

function assembled(objects: readonly Buffer[]): Buffer {
  const parts: Buffer[] = [Buffer.from('%PDF-1.7\n%\xe2\xe3\xcf\xd3\n', 'latin1')];
  let at = parts[0]?.length ?? 0;
  const offsets: number[] = [];
  objects.forEach((object, position) => {
    const whole = Buffer.concat([Buffer.from(`${position + 1} 0 obj\n`), object, Buffer.from('\nendobj\n')]);
    offsets.push(at);
    at += whole.length;
    parts.push(whole);
  });
  const table = offsets.map((offset) => `${String(offset).padStart(10, '0')} 00000 n \n`).join('');
  parts.push(Buffer.from(`xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${table}trailer\n<< /Size ${objects.length + 1} /Root 1 0 R /Info 4 0 R >>\nstartxref\n${at}\n%%EOF\n`));
  return Buffer.concat(parts);
}
