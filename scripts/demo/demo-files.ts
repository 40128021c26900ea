// The files of one run of the demo, each checked for what it says that it is.
import type { Checks } from './checks.ts';
import { fileOf, type DemoFile } from './demo-file.ts';
import { EDGE, makeDicomSeries, readSlice } from './make-dicom-series.ts';
import { countPages, makePdf } from './make-pdf.ts';
import { makePhotograph, ORIENTATION, readExif } from './make-photograph.ts';
import { makeVideo } from './make-video.ts';

export interface DemoFiles {
  report: DemoFile;
  letter: DemoFile;
  photograph: DemoFile;
  slices: DemoFile[];
  video: DemoFile;
}

const REPORT_PAGES = 5;
const SLICES = 3;

async function makeReport(checks: Checks, title: string, name: string, pages: number): Promise<DemoFile> {
  const bytes = await makePdf(title, pages);
  checks.equal(`${name}: pages`, await countPages(bytes), pages);
  return fileOf(name, 'application/pdf', bytes);
}

async function makePicture(checks: Checks): Promise<DemoFile> {
  const bytes = await makePhotograph();
  checks.equal('photograph.jpg: EXIF', await readExif(bytes), { orientation: ORIENTATION, namesCamera: true });
  return fileOf('photograph.jpg', 'image/jpeg', bytes);
}

function makeSlices(checks: Checks, patient: string): DemoFile[] {
  const files = makeDicomSeries(patient, SLICES);
  const heads = files.map(readSlice);
  checks.equal('slices: preamble', files.map((file) => file.toString('latin1', 128, 132)), files.map(() => 'DICM'));
  checks.equal('slices: pixels', heads.map(({ Rows, BitsAllocated }) => [Rows, BitsAllocated]), heads.map(() => [EDGE, 16]));
  checks.equal('slices: series', new Set(heads.map(({ SeriesInstanceUID }) => SeriesInstanceUID)).size, 1);
  checks.equal('slices: instances', new Set(heads.map(({ SOPInstanceUID }) => SOPInstanceUID)).size, SLICES);
  return files.map((bytes, position) => fileOf(`slice-${position + 1}.dcm`, 'application/dicom', bytes));
}

export async function makeDemoFiles(checks: Checks, patient: string, videoBytes: number): Promise<DemoFiles> {
  return {
    report: await makeReport(checks, 'Discharge report', 'report.pdf', REPORT_PAGES),
    letter: await makeReport(checks, 'Letter of referral', 'letter.pdf', 2),
    photograph: await makePicture(checks),
    slices: makeSlices(checks, patient),
    video: makeVideo('video.mp4', videoBytes),
  };
}
