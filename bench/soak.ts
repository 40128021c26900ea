// `npm run soak [-- ROUNDS]`: rounds of kill -9 under load, 200 unless told; `npm run soak -- bulk [ROUNDS]`: in the middle of bulk
// uploads, 10 unless told. The report is kept in bench/results.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runBulkKills } from './bulk-kills.ts';
import { runKillRounds } from './kill-rounds.ts';

interface Soaked {
  name: string;
  report: object;
  holds: boolean;
  line: string;
}

const isWhole = (halves: Record<string, number>): boolean => Object.values(halves).every((count) => count === 0);

async function soakBulk(dataDir: string, rounds: number): Promise<Soaked> {
  const report = await runBulkKills({ rounds, dataDir, random: Math.random });
  const { all, none, parts, broken, halves, files } = report;
  return { name: 'soak-bulk', report, holds: parts.length === 0 && broken.length === 0 && isWhole(halves), line: `${rounds} rounds of ${files} files: all ${all} times, none ${none} times, a part ${parts.length} times, ${broken.length} broken, halves ${JSON.stringify(halves)}` };
}

async function soakUploads(dataDir: string, rounds: number): Promise<Soaked> {
  const report = await runKillRounds({ rounds, uploadsAtOnce: 8, dataDir, random: Math.random });
  return { name: 'soak', report, holds: report.broken.length === 0 && isWhole(report.halves), line: `${report.rounds} rounds, ${report.answered} answers of 201, ${report.broken.length} broken, halves ${JSON.stringify(report.halves)}` };
}

const [first, second] = process.argv.slice(2);
const dataDir = await mkdtemp(join(tmpdir(), 'muniment-soak-'));
try {
  const { name, report, holds, line } = first === 'bulk' ? await soakBulk(dataDir, Number(second ?? 10)) : await soakUploads(dataDir, Number(first ?? 200));
  const folder = join(import.meta.dirname, 'results');
  await mkdir(folder, { recursive: true });
  const path = join(folder, `${new Date().toISOString().slice(0, 19).replaceAll(':', '')}-${name}.json`);
  await writeFile(path, `${JSON.stringify({ ...report, node: process.version }, undefined, 2)}\n`);
  process.stdout.write(`${line}\n`);
  process.exitCode = holds ? 0 : 1;
} finally {
  await rm(dataDir, { recursive: true, force: true });
}
