// `npm run soak [-- ROUNDS]`: rounds of kill -9 under load, 200 unless told; `npm run soak -- bulk [ROUNDS]`: in the middle of bulk
// uploads, 10 unless told; `npm run soak -- reads [ROUNDS] [SEED]`: in the middle of reads, 200 unless told;
// `npm run soak -- steps [ROUNDS] [SEED]`: at a named step of an upload each, 200 unless told;
// `npm run soak -- mirror [ROUNDS] [SEED]`: faults of the mirror, 100 unless told. The report is kept in bench/results.
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedPostgres } from '../src/embedded/postgres.ts';
import { seeded } from '../test/support/faulty-proxy.ts';
import { runBulkKills } from './bulk-kills.ts';
import { runKillRounds } from './kill-rounds.ts';
import { runMirrorRounds } from './mirror-rounds.ts';
import { runReadKills } from './read-kills.ts';
import { runStepKills } from './step-kills.ts';

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

async function soakReads(dataDir: string, rounds: number, seed: number): Promise<Soaked> {
  const report = await runReadKills({ rounds, readersAtOnce: 16, dataDir, random: seeded(seed), tell: (line) => { process.stdout.write(`${line}\n`); } });
  const { answered, cut, lost, recordedUnanswered, strange } = report;
  // Exit code 0: nothing wrong with the log either, over all the kills.
  const { status, stdout } = spawnSync(process.execPath, ['--import', 'tsx', 'src/main.ts', 'verify', '--json'], { env: { ...process.env, DATA_DIR: dataDir }, encoding: 'utf8', maxBuffer: 64 * 1024 ** 2 });
  const verified = JSON.parse(stdout) as { findingCount: number };
  return {
    name: 'soak-reads', report: { ...report, seed, findings: verified.findingCount }, holds: lost.length === 0 && strange === 0 && status === 0,
    line: `${rounds} rounds, answers ${JSON.stringify(answered)}, ${lost.length} without their event; ${cut} cut off, ${recordedUnanswered} of them recorded; ${strange} events of nobody, ${verified.findingCount} findings of verify`,
  };
}

async function soakSteps(dataDir: string, rounds: number, seed: number): Promise<Soaked> {
  // The database outlives the kills, which spares its recovery; the other soaks kill it along.
  const postgres = await startEmbeddedPostgres({ directory: join(dataDir, 'postgres') });
  try {
    const report = await runStepKills({ rounds, dataDir, databaseUrl: postgres.url, random: seeded(seed), tell: (line) => { process.stdout.write(`${line}\n`); } });
    const { answered, broken, halves, killedAt, left } = report;
    return { name: 'soak-steps', report: { ...report, seed }, holds: broken.length === 0 && isWhole(halves) && left.length === 0, line: `${rounds} rounds, killed at ${JSON.stringify(killedAt)}; ${answered} answers of 201, ${broken.length} broken, halves ${JSON.stringify(halves)}, ${left.length} left behind after the sweeps` };
  } finally { await postgres.stop(); }
}

async function soakMirror(dataDir: string, rounds: number, seed: number): Promise<Soaked> {
  const report = await runMirrorRounds({ rounds, dataDir, random: seeded(seed), tell: (line) => { process.stdout.write(`${line}\n`); } });
  return { name: 'soak-mirror', report: { ...report, seed }, holds: report.broken.length === 0, line: `${report.rounds} rounds, ${report.versions} versions, ${report.deletions} deletions, ${report.broken.length} broken` };
}

function soakNamed(dataDir: string, [first, second, third]: string[]): Promise<Soaked> {
  if (first === 'bulk') return soakBulk(dataDir, Number(second ?? 10));
  if (first === 'reads') return soakReads(dataDir, Number(second ?? 200), Number(third ?? Date.now() % 1_000_000));
  if (first === 'steps') return soakSteps(dataDir, Number(second ?? 200), Number(third ?? Date.now() % 1_000_000));
  return first === 'mirror' ? soakMirror(dataDir, Number(second ?? 100), Number(third ?? Date.now() % 1_000_000)) : soakUploads(dataDir, Number(first ?? 200));
}

const dataDir = await mkdtemp(join(tmpdir(), 'muniment-soak-'));
try {
  const { name, report, holds, line } = await soakNamed(dataDir, process.argv.slice(2));
  const folder = join(import.meta.dirname, 'results');
  await mkdir(folder, { recursive: true });
  const path = join(folder, `${new Date().toISOString().slice(0, 19).replaceAll(':', '')}-${name}.json`);
  await writeFile(path, `${JSON.stringify({ ...report, node: process.version }, undefined, 2)}\n`);
  process.stdout.write(`${line}\n`);
  process.exitCode = holds ? 0 : 1;
} finally {
  await rm(dataDir, { recursive: true, force: true });
}
