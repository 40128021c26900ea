// A PDF of several pages, as a hospital writes a report.
import { PDFDocument, StandardFonts, type PDFFont, type PDFPage } from 'pdf-lib';

const A4: [number, number] = [595, 842];
const MARGIN = 56;

const SENTENCES = [
  'The patient was seen in the outpatient clinic together with the accompanying relative.',
  'Blood pressure 128/78 mmHg, pulse 68 per minute and regular, temperature 36.7 degrees.',
  'Heart sounds are normal, the lungs are clear, the abdomen is soft and without tenderness.',
  'Laboratory values are within the reference range apart from a ferritin of 18 ug/l.',
  'Iron is given by mouth for three months; the values are taken again after six weeks.',
  'The images of the chest show no change compared with those of the previous year.',
];

function drawPage(page: PDFPage, font: PDFFont, title: string, position: string): void {
  page.drawText(title, { x: MARGIN, y: A4[1] - MARGIN, size: 18, font });
  for (let line = 0; line < 30; line++) {
    const sentence = SENTENCES[(line * 5 + position.length + line) % SENTENCES.length] ?? '';
    page.drawText(sentence, { x: MARGIN, y: A4[1] - MARGIN - 40 - line * 20, size: 10.5, font });
  }
  page.drawText(position, { x: MARGIN, y: MARGIN / 2, size: 9, font });
}

export async function makePdf(title: string, pages: number): Promise<Buffer> {
  const document = await PDFDocument.create();
  document.setTitle(title);
  document.setProducer('Muniment demo');
  const font = await document.embedFont(StandardFonts.Helvetica);
  for (let number = 1; number <= pages; number++) drawPage(document.addPage(A4), font, title, `Page ${number} of ${pages}`);
  return Buffer.from(await document.save());
}

/** Read back by the library, not remembered. */
export async function countPages(pdf: Buffer): Promise<number> {
  return (await PDFDocument.load(pdf)).getPageCount();
}
