// `muniment scrub`: reads bytes at rest now. Exit code 0 when nothing is wrong at the end, 1 when something is, 2 when used wrongly.
import { hostname } from 'node:os';
import { parseArgs } from 'node:util';
import { OBSERVER_PREFIX } from './audit/who.ts';
import { loadConfig, type Config } from './config/config.ts';
import type { Environment } from './config/env.ts';
import { createPace } from './content/pace.ts';
import { scrub, type ScrubReport } from './content/scrub.ts';
import type { Database } from './database/database.ts';
import { createAccessRecorder } from './gate/record-access.ts';
import { createScrubRecord } from './gate/record-scrub.ts';
import { createLogger } from './logger.ts';
import { tellFailure } from './operator-commands.ts';
import { openConfiguredDatabase, openConfiguredReplica, openConfiguredStore } from './open-parts.ts';

const USAGE = `Usage: muniment scrub [--all] [--restore] [--rate BYTES_PER_SECOND] [--json]
  reads the bytes that are due (SCRUB_DAYS), compares them with their digests, and takes out of service what no copy can mend
  --all      all bytes, those out of service too
  --restore  puts copies with the same SHA-256 back and lifts the quarantine; looks at all that is out of service
  --rate     bytes a second at most; unlimited without it`;

const OPTIONS = { all: { type: 'boolean', default: false }, restore: { type: 'boolean', default: false }, rate: { type: 'string' }, json: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } } as const;
const DAY_MS = 24 * 60 * 60 * 1_000;
const BAR_COLUMNS = 30;

interface Wish { all: boolean; restore: boolean; rate: number | undefined; json: boolean }

async function extent(database: Database): Promise<{ now: Date; bytes: number }> {
  return database.workerTransaction(async (tx) => {
    const { rows } = await tx.query<{ now: Date; bytes: string | null }>(`select clock_timestamp() as now, (select sum(size) from content where state in ('live', 'quarantined')) as bytes`);
    return { now: rows[0]?.now ?? new Date(), bytes: Number(rows[0]?.bytes ?? 0) };
  });
}

/** A bar on a terminal, and nothing elsewhere. */
function progressBar(total: number): { add: (bytes: number) => void; end: () => void } {
  if (!process.stderr.isTTY || total === 0) return { add: () => undefined, end: () => undefined };
  let done = 0;
  return {
    add(bytes) {
      done += bytes;
      const part = Math.min(1, done / total);
      const filled = Math.round(part * BAR_COLUMNS);
      process.stderr.write(`\r[${'#'.repeat(filled)}${'.'.repeat(BAR_COLUMNS - filled)}] ${Math.floor(part * 100)} %  ${(done / 1024 ** 2).toFixed(0)} MiB`);
    },
    end: () => process.stderr.write('\n'),
  };
}

async function run(config: Config, database: Database, wish: Wish): Promise<ScrubReport> {
  const store = await openConfiguredStore(config, database);
  const { now, bytes } = await extent(database);
  const bar = progressBar(wish.all ? bytes : 0);
  const end = new AbortController();
  const stop = (): void => end.abort();
  process.once('SIGINT', stop);
  const record = createScrubRecord({ database, recorder: createAccessRecorder(database), observer: `${OBSERVER_PREFIX}${hostname()}`, by: 'command' });
  try {
    return await scrub({
      database, stores: [store], replica: openConfiguredReplica(config), restore: wish.restore, onChange: record, onChecked: bar.add, signal: end.signal, pace: createPace(wish.rate, end.signal),
    }, { verifiedUntil: wish.all ? now : new Date(now.getTime() - config.scrubDays * DAY_MS), triedUntil: now, quarantined: wish.all || wish.restore });
  } finally {
    process.off('SIGINT', stop);
    bar.end();
  }
}

function printed(report: ScrubReport): string {
  const lines = report.findings.map(({ content, kind, what, copy, quarantined, restored }) =>
    `${kind} ${content}: ${what}${restored ? '; restored' : copy === undefined ? '' : `; a good copy is in the ${copy}`}${quarantined ? '; out of service' : ''}`);
  return [...lines, `${report.checked} contents, ${report.bytes} bytes, ${report.findings.length} findings`].join('\n');
}

function readWish(flags: readonly string[]): Wish | 'help' | undefined {
  const { values } = parseArgs({ args: [...flags], options: OPTIONS });
  if (values.help) return 'help';
  if (values.rate !== undefined && !/^[1-9]\d{0,14}$/.test(values.rate)) return undefined;
  return { all: values.all, restore: values.restore, json: values.json, rate: values.rate === undefined ? undefined : Number(values.rate) };
}

export async function runScrubCommand(flags: readonly string[], environment: Environment): Promise<number> {
  try {
    const wish = readWish(flags);
    if (wish === 'help') { process.stdout.write(`${USAGE}\n`); return 0; }
    if (wish === undefined) { process.stderr.write(`${USAGE}\n`); return 2; }
    const config = loadConfig(environment);
    const opened = await openConfiguredDatabase(config, createLogger('error'));
    try {
      const report = await run(config, opened.database, wish);
      process.stdout.write(`${wish.json ? JSON.stringify(report) : printed(report)}\n`);
      return report.findings.every(({ restored }) => restored) ? 0 : 1;
    } finally {
      await opened.stop();
    }
  } catch (error) {
    return tellFailure(error);
  }
}
