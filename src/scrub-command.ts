// `muniment scrub`: reads bytes at rest now. Exit code 0 when nothing is wrong at the end, 1 when something is, 2 when used wrongly.
import { hostname } from 'node:os';
import { parseArgs } from 'node:util';
import { OBSERVER_PREFIX } from './audit/who.ts';
import { ConfigurationError, loadConfig, type Config } from './config/config.ts';
import type { Environment } from './config/env.ts';
import { acceptContent } from './content/accept-content.ts';
import { createPace } from './content/pace.ts';
import { rescan } from './content/rescan.ts';
import { scrub, type ContentRecord, type ScrubReport } from './content/scrub.ts';
import type { Database } from './database/database.ts';
import type { Scanner } from './content/scanner.ts';
import { createScrubRecord } from './gate/record-scrub.ts';
import { createLogger } from './logger.ts';
import { tellFailure } from './operator-commands.ts';
import { openConfiguredDatabase, openConfiguredReplica, openConfiguredScanner, openConfiguredStore } from './open-parts.ts';

const USAGE = `Usage: muniment scrub [--all] [--restore | --rescan] [--rate BYTES_PER_SECOND] [--json]
       muniment scrub --accept CONTENT --reason TEXT [--json]
  reads the bytes that are due (SCRUB_DAYS), compares them with their digests, and takes out of service what no copy can mend
  --all      all bytes, those out of service too
  --restore  puts copies with the same SHA-256 back and lifts the quarantine; looks at all that is out of service
  --rescan   scans for viruses what was not scanned with the signatures of today; withholds what is infected, and lifts
             the quarantine of what could not be scanned before and is clean; --all: everything
  --accept   takes into service what the virus scanner withheld, by decision of an administrator
  --rate     bytes a second at most; unlimited without it`;

const OPTIONS = { all: { type: 'boolean', default: false }, restore: { type: 'boolean', default: false }, rescan: { type: 'boolean', default: false }, accept: { type: 'string' }, reason: { type: 'string' }, rate: { type: 'string' }, json: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } } as const;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const DAY_MS = 24 * 60 * 60 * 1_000;
const BAR_COLUMNS = 30;

interface Wish { all: boolean; restore: boolean; rescan: boolean; accept: { content: string; reason: string } | undefined; rate: number | undefined; json: boolean }

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

const recordOf = (database: Database): ContentRecord => createScrubRecord({ database, observer: `${OBSERVER_PREFIX}${hostname()}`, by: 'command' });

function neededScanner(config: Config): Scanner {
  const scanner = openConfiguredScanner(config);
  if (scanner === undefined) throw new ConfigurationError(['CLAMAV_HOST is needed by --rescan, and SCAN must not be off']);
  return scanner;
}

async function run(config: Config, database: Database, wish: Wish): Promise<ScrubReport> {
  const store = await openConfiguredStore(config, database);
  const { now, bytes } = await extent(database);
  const bar = progressBar(wish.all ? bytes : 0);
  const end = new AbortController();
  const stop = (): void => end.abort();
  process.once('SIGINT', stop);
  const parts = { database, stores: [store], replica: openConfiguredReplica(config), record: recordOf(database), onChecked: bar.add, signal: end.signal, pace: createPace(wish.rate, end.signal) };
  try {
    if (wish.rescan) return await rescan({ ...parts, scanner: neededScanner(config) }, now, wish.all);
    return await scrub({ ...parts, restore: wish.restore }, { verifiedUntil: wish.all ? now : new Date(now.getTime() - config.scrubDays * DAY_MS), triedUntil: now, quarantined: wish.all || wish.restore });
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
  const { accept, reason, restore, rescan: again } = values;
  if ((restore && again) || (accept === undefined) !== (reason === undefined)) return undefined;
  if (accept !== undefined && (!UUID.test(accept) || reason?.trim() === '' || restore || again || values.all)) return undefined;
  return { all: values.all, restore, rescan: again, accept: accept === undefined ? undefined : { content: accept, reason: reason ?? '' }, json: values.json, rate: values.rate === undefined ? undefined : Number(values.rate) };
}

export async function runScrubCommand(flags: readonly string[], environment: Environment): Promise<number> {
  try {
    const wish = readWish(flags);
    if (wish === 'help') { process.stdout.write(`${USAGE}\n`); return 0; }
    if (wish === undefined) { process.stderr.write(`${USAGE}\n`); return 2; }
    const config = loadConfig(environment);
    const opened = await openConfiguredDatabase(config, createLogger('error'));
    try {
      if (wish.accept !== undefined) {
        const accepted = await acceptContent({ database: opened.database, record: recordOf(opened.database) }, wish.accept.content, wish.accept.reason);
        const told = accepted ? 'It is in service' : 'The virus scanner withholds no such content';
        process.stdout.write(`${wish.json ? JSON.stringify({ accepted }) : told}\n`);
        return accepted ? 0 : 1;
      }
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
