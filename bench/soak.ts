// `npm run soak [-- ROUNDS]`: rounds of kill -9 under load, 200 unless told; the report is kept in bench/results.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runKillRounds } from './kill-rounds.ts';

const rounds = Number(process.argv[2] ?? 200);
const dataDir = await mkdtemp(join(tmpdir(), 'muniment-soak-'));
try {
  const report = await runKillRounds({ rounds, uploadsAtOnce: 8, dataDir, random: Math.random });
  const holds = report.broken.length === 0 && Object.values(report.halves).every((count) => count === 0);
  const folder = join(import.meta.dirname, 'results');
  await mkdir(folder, { recursive: true });
  const path = join(folder, `${new Date().toISOString().slice(0, 19).replaceAll(':', '')}-soak.json`);
  await writeFile(path, `${JSON.stringify({ ...report, node: process.version }, undefined, 2)}\n`);
  process.stdout.write(`${report.rounds} rounds, ${report.answered} answers of 201, ${report.broken.length} broken, halves ${JSON.stringify(report.halves)}\n`);
  process.exitCode = holds ? 0 : 1;
} finally {
  await rm(dataDir, { recursive: true, force: true });
}
