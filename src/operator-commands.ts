// Commands of operators, over the database of the configuration: migrate, sweep, reindex. `--json` prints one document.
import { parseArgs } from 'node:util';
import { ConfigurationError, loadConfig, type Config } from './config/config.ts';
import type { Environment } from './config/env.ts';
import { fenceHolds, renewEpoch } from './content/epoch-fence.ts';
import { planSweep, sweepContent } from './content/sweep.ts';
import type { Database } from './database/database.ts';
import { createLogger } from './logger.ts';
import { openConfiguredDatabase, openConfiguredStore } from './open-parts.ts';
import { addGrantKey } from './resources/grant-keys.ts';
import { reindexStatus, restartReindex, runReindex } from './resources/reindex.ts';

interface Answer {
  code: 0 | 1 | 2;
  /** Printed as JSON with --json, as lines without. */
  value: unknown;
}

const OPTIONS = { json: { type: 'boolean', default: false }, help: { type: 'boolean', default: false }, reason: { type: 'string' }, org: { type: 'string', default: 'demo' }, status: { type: 'boolean', default: false }, all: { type: 'boolean', default: false }, apply: { type: 'boolean', default: false }, 'accept-restore': { type: 'boolean', default: false } } as const;

function print(answer: Answer, asJson: boolean): number {
  const lines = typeof answer.value === 'string' ? answer.value : JSON.stringify(answer.value, undefined, asJson ? undefined : 2);
  (answer.code === 2 ? process.stderr : process.stdout).write(`${lines}\n`);
  return answer.code;
}

type Work = (database: Database, config: Config, words: readonly string[], options: { reason?: string; org: string; status: boolean; all: boolean; apply: boolean; 'accept-restore': boolean }) => Promise<Answer>;

/** Says on standard error what went wrong; the exit code: 2 = used wrongly. */
export function tellFailure(error: unknown): 1 | 2 {
  process.stderr.write(`${(error as Error).message}\n`);
  return error instanceof ConfigurationError || /^ERR_PARSE_ARGS/.test((error as { code?: string }).code ?? '') ? 2 : 1;
}

/** Opens the configured database for one command. */
async function withDatabase(flags: readonly string[], environment: Environment, usage: string, work: Work): Promise<number> {
  try {
    const { values, positionals } = parseArgs({ args: [...flags], options: OPTIONS, allowPositionals: true });
    if (values.help) { process.stdout.write(`${usage}\n`); return 0; }
    const config = loadConfig(environment);
    const opened = await openConfiguredDatabase(config, createLogger('error'));
    try {
      return print(await work(opened.database, config, positionals, values), values.json);
    } finally {
      await opened.stop();
    }
  } catch (error) {
    return tellFailure(error);
  }
}

export function runMigrateCommand(flags: readonly string[], environment: Environment): Promise<number> {
  return withDatabase(flags, environment, 'Usage: muniment migrate', async () => ({ code: 0, value: 'The database is at the newest schema' }));
}

const SWEEP_USAGE = `Usage: muniment sweep [--apply | --accept-restore] [--json]
  says what would be removed and why, and removes nothing
  --apply           removes it
  --accept-restore  database or store were restored, and belong together as they are: sweeps go on`;

export function runSweepCommand(flags: readonly string[], environment: Environment): Promise<number> {
  return withDatabase(flags, environment, SWEEP_USAGE, async (database, config, _words, { apply, 'accept-restore': accept }) => {
    const store = await openConfiguredStore(config, database);
    if (accept) {
      await renewEpoch({ database, store }, true);
      return { code: 0, value: 'Database and store have a new mark; sweeps go on' };
    }
    if (apply) {
      const done = await sweepContent({ database, stores: [store] });
      return { code: done.failed > 0 || done.halted.length > 0 ? 1 : 0, value: done };
    }
    const halted = await fenceHolds({ database, store }) ? [] : [store.name];
    return { code: halted.length > 0 ? 1 : 0, value: { dryRun: true, halted, planned: await planSweep({ database, stores: [store] }) } };
  });
}

/** Exit code 1 while something is lacking, also when another server fills it. */
export function runReindexCommand(flags: readonly string[], environment: Environment): Promise<number> {
  return withDatabase(flags, environment, 'Usage: muniment reindex [--status | --all] [--json]   fills search parameters for resources that were stored before them', async (database, config, _words, { status, all }) => {
    if (!status) {
      if (all) await restartReindex({ database });
      await runReindex({ database, fhirBase: config.fhirBase });
    }
    const found = await reindexStatus({ database });
    return { code: found.every(({ state }) => state === 'complete') ? 0 : 1, value: found };
  });
}

const GRANT_KEY_USAGE = `Usage: muniment grant-key [--json]
  makes a new key for signed URLs: it signs from now on, and the key before it is believed until the next one
  is made, which is refused (exit code 1) while a signed URL of the key before may still be in use`;

export function runGrantKeyCommand(flags: readonly string[], environment: Environment): Promise<number> {
  return withDatabase(flags, environment, GRANT_KEY_USAGE, async (database) => {
    const number = await addGrantKey(database, Date.now());
    return number === undefined ? { code: 1, value: 'The newest key is younger than an hour: nothing was changed' } : { code: 0, value: { key: number } };
  });
}
