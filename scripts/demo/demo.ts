// npm run demo [-- --small]: real files go into a running server, are found, read back and looked up in its record.
// Exit code: 0 = every step was checked, 1 = a check failed, 2 = there is nothing to check against.
import { randomUUID } from 'node:crypto';
import { bringLetter, bringPhotograph, bringReport, bringSeries, bringVideo } from './bring-in.ts';
import { CheckFailed, createChecks, type Checks } from './checks.ts';
import { makeDemoFiles } from './demo-files.ts';
import { closeConnections } from './exchange.ts';
import { findDocuments, readRanges, readWhole } from './find-and-read.ts';
import { lookUpAccesses } from './look-up-accesses.ts';
import { NotReady, openMuniment } from './open-muniment.ts';
import { inksFor, printSize, printTime, type Inks } from './paper.ts';
import { readPatientThrough } from './read-through.ts';
import { refuseWrongClaims, repeatRequest } from './refuse-and-repeat.ts';
import { readHistory, removeDocument, reviseLetter } from './revise-and-remove.ts';
import type { Scene } from './scene.ts';
import { createStage } from './stage.ts';

const USAGE = `Usage: npm run demo [-- --small]
  MUNIMENT_BASE     FHIR base of the server, http://localhost:3000/fhir
  MUNIMENT_TOKEN    bearer token; unset = signed with the development key in DATA_DIR (./data)
  MIRROR_BASE_URL   FHIR base of the mirror, to compare its copies and to read through to it
  --small           a video of 20 MB in place of 300 MB
`;

const VIDEO_BYTES = 300_000_000;
const SMALL_VIDEO_BYTES = 20_000_000;

const write = (line: string): void => { process.stdout.write(`${line}\n`); };

async function tell(scene: Scene): Promise<void> {
  const report = await bringReport(scene);
  const letter = await bringLetter(scene);
  const photograph = await bringPhotograph(scene);
  const series = await bringSeries(scene);
  const video = await bringVideo(scene);
  await findDocuments(scene, [letter, report], [video, photograph]);
  await readWhole(scene, [report, letter, photograph, series, video].flatMap(({ stored }) => stored));
  for (const stored of video.stored) await readRanges(scene, stored);
  await refuseWrongClaims(scene);
  await repeatRequest(scene, letter);
  const revised = await reviseLetter(scene, letter);
  await readHistory(scene, letter, revised);
  await removeDocument(scene);
  await lookUpAccesses(scene, letter);
  if (scene.muniment.mirror !== undefined) await readPatientThrough(scene, scene.muniment.mirror);
}

async function run(checks: Checks, inks: Inks, videoBytes: number): Promise<void> {
  const started = performance.now();
  const muniment = await openMuniment(process.env);
  const patient = `Patient/demo-${randomUUID().slice(0, 8)}`;
  write(`${inks.bold('Muniment')} ${muniment.base}   ${muniment.identity.user} of ${muniment.identity.org}   ${patient}   ${muniment.mirrorNote}`);
  const making = performance.now();
  const files = await makeDemoFiles(checks, patient.slice('Patient/'.length), videoBytes);
  write(inks.dim(`Two PDFs, a photograph, ${files.slices.length} DICOM slices and a video of ${printSize(files.video.size)} made in ${printTime(performance.now() - making)}`));
  const stage = createStage(muniment, checks, inks, write);
  await tell({ muniment, checks, stage, patient, files });
  write(`\n${inks.green(`${stage.finish()} steps, ${checks.count} checks, all good`)}, ${printTime(performance.now() - started)}`);
}

function reportFailure(error: unknown, checks: Checks, inks: Inks): number {
  if (error instanceof NotReady) {
    process.stderr.write(`${error.message}\n`);
    return 2;
  }
  if (error instanceof CheckFailed) write(`\n${inks.red('Failed')}   ${error.message}\n  expected   ${error.expected}\n  found      ${error.found}`);
  else write(`\n${inks.red('Failed')}   ${(error as Error).message}`);
  write(`${checks.count} checks until then`);
  return 1;
}

async function main(words: readonly string[]): Promise<number> {
  if (words.includes('--help') || words.some((word) => word !== '--small')) {
    (words.includes('--help') ? process.stdout : process.stderr).write(USAGE);
    return words.includes('--help') ? 0 : 2;
  }
  const checks = createChecks();
  const inks = inksFor(process.stdout.isTTY && process.env['NO_COLOR'] === undefined);
  try {
    await run(checks, inks, words.includes('--small') ? SMALL_VIDEO_BYTES : VIDEO_BYTES);
    return 0;
  } catch (error) {
    return reportFailure(error, checks, inks);
  } finally {
    closeConnections();
  }
}

process.exitCode = await main(process.argv.slice(2));
