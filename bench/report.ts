// What a run leaves: a table for people, and JSON with the machine beside it for comparison.
import { mkdir, writeFile } from 'node:fs/promises';
import { cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import type { AuthorizationCost, AuthorizationResult } from './authorization-scenario.ts';
import { PROJECT } from './child-server.ts';
import { median } from './closed-loop.ts';
import type { CrowdMemoryResult, MemoryResult } from './memory-scenario.ts';
import type { MirrorResult } from './mirror-scenario.ts';
import type { RecordResult } from './record-writer.ts';
import type { ScenarioResult } from './scenario.ts';
import type { ScrubResult } from './scrub-scenario.ts';
import type { SearchAllResult, SearchTime } from './search-all.ts';

const COLUMNS = [14, 10, 14, 9, 9, 9, 8, 8];

function row(cells: readonly string[]): string {
  return cells.map((cell, column) => (column < 2 ? cell.padEnd(COLUMNS[column] ?? 0) : cell.padStart(COLUMNS[column] ?? 0))).join(' ');
}

export function tableHead(): string {
  return row(['scenario', 'subject', 'rate', 'p50 ms', 'p95 ms', 'p99 ms', 'errors', 'ratio']);
}

export function scenarioRows({ scenario, unit, subjects, ratio }: ScenarioResult): string {
  return subjects.map((result, position) => {
    const failures = Object.values(result.errors).reduce((sum, times) => sum + times, 0);
    const times = [result.p50Ms, result.p95Ms, result.p99Ms].map((ms) => ms.toFixed(1));
    const first = position === 0;
    return [
      row([first ? scenario : '', result.subject, `${result.rate.toFixed(1)} ${unit}`, ...times, String(failures), first ? ratio.toFixed(2) : '']),
      ...Object.entries(result.errors).slice(0, 3).map(([text, count]) => `    ${count} x ${text}`),
    ].join('\n');
  }).join('\n');
}

export function memoryRow(result: MemoryResult): string {
  const { idleMib, uploadPeakMib, formPeakMib, downloadPeakMib, aboveIdleMib } = result;
  const [idle, up, form, down, above] = [idleMib, uploadPeakMib, formPeakMib, downloadPeakMib, aboveIdleMib].map((mib) => mib.toFixed(0));
  return `${result.scenario.padEnd(14)} idle ${idle} MiB, upload ${up} MiB, in a form ${form} MiB, download ${down} MiB: ${above} MiB above idle`;
}

export function crowdRow({ scenario, idleMib, peakMib, aboveIdleMib }: CrowdMemoryResult): string {
  return `${scenario.padEnd(14)} idle ${idleMib.toFixed(0)} MiB, 16 uploads ${peakMib.toFixed(0)} MiB: ${aboveIdleMib.toFixed(0)} MiB above idle`;
}

export function scrubRow({ rateMBs, p99Ratio }: ScrubResult): string {
  return `scrub          ${rateMBs.toFixed(0)} MB/s; read p99 at work ${p99Ratio.toFixed(2)} times that at rest`;
}

export function searchRow({ query, p50Ms, p95Ms, p99Ms, errors }: SearchTime): string {
  const failures = Object.entries(errors).map(([text, count]) => `  ${count} x ${text}`);
  return [`search-all     ${query.padEnd(84)} p50 ${p50Ms.toFixed(1)} p95 ${p95Ms.toFixed(1)} p99 ${p99Ms.toFixed(1)} ms`, ...failures].join('\n');
}

export function authorizationRow({ what, scope, wideUs, narrowUs, addedUs, ratio }: AuthorizationCost): string {
  return `authorization  ${what.padEnd(84)} ${scope.padEnd(8)} ${wideUs.toFixed(0)} to ${narrowUs.toFixed(0)} us, ${addedUs >= 0 ? '+' : ''}${addedUs.toFixed(0)} us, ratio ${ratio.toFixed(2)}`;
}

export function authorizationSummary({ knownTokenUs: { wide, status, category }, reads, searches }: AuthorizationResult): string {
  const worst = [...searches].sort((a, b) => b.ratio - a.ratio).slice(0, 5).map(({ what, scope, ratio }) => `${ratio.toFixed(2)} ${scope} ${what}`);
  return [
    `a known token and the decision: ${[wide, status, category].map((us) => us.toFixed(1)).join(', ')} us (everything, status, category)`,
    `a read: ${reads.map(({ scope, addedUs }) => `+${addedUs.toFixed(0)} us (${scope})`).join(', ')}`,
    `searches: median ratio ${median(searches.map(({ ratio }) => ratio)).toFixed(2)}; the dearest ${worst.join(' | ')}`,
  ].map((line) => `authorization  ${line}`).join('\n');
}

export function recordRows(result: RecordResult): string {
  const { writtenPerSecond, writeP99Ms, sequencedPerSecond, verifiedPerSecond, verifiedPerCoreSecond, findings, bytesPerRow, tables, pageNearMs, pageFarMs, rows } = result;
  return [
    `${rows} rows: ${writtenPerSecond}/s written, p99 ${writeP99Ms.toFixed(1)} ms; ${sequencedPerSecond}/s sequenced; ${verifiedPerSecond}/s verified, ${verifiedPerCoreSecond} for each second of its own processor time, ${findings} findings`,
    `${bytesPerRow} bytes a row with all indexes: ${Object.entries(tables).map(([name, bytes]) => `${name} ${Math.round(bytes / rows)}`).join(', ')}`,
    `page of 20: newest ${pageNearMs.toFixed(2)} ms, far back ${pageFarMs.toFixed(2)} ms`,
  ].map((line) => `record         ${line}`).join('\n');
}

/** Writes bench/results/DATE-NAME.json; tells its path. */
export async function keepResult(name: string, result: AuthorizationResult | ScenarioResult | MemoryResult | CrowdMemoryResult | ScrubResult | MirrorResult | RecordResult | SearchAllResult, run: { quick: boolean; rounds: number }): Promise<string> {
  const folder = join(PROJECT, 'bench/results');
  await mkdir(folder, { recursive: true });
  const at = new Date().toISOString();
  const file = join(folder, `${at.slice(0, 19).replaceAll(':', '')}-${name}.json`);
  // What else the machine did meanwhile: the load of the last five minutes.
  const machine = { cores: cpus().length, load: Math.round(loadavg()[1] ?? 0), cpu: cpus()[0]?.model, memoryMib: Math.round(totalmem() / 1024 ** 2), node: process.version, platform: process.platform };
  await writeFile(file, `${JSON.stringify({ at, ...run, machine, ...result }, undefined, 2)}\n`);
  return file;
}
