// `muniment record`: the record as files that are kept elsewhere and verified without the database, and what is old removed from it.
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { oldestKept } from './audit/removal-statement.ts';
import { loadConfig } from './config/config.ts';
import type { Environment } from './config/env.ts';
import { ExportError, exportRecord } from './log/export-record.ts';
import { createLogger } from './logger.ts';
import { openConfiguredDatabase } from './open-parts.ts';
import { runRemove } from './removal-command.ts';
import { tellFailure } from './operator-commands.ts';
import { progressBar } from './verify-command.ts';

const USAGE = `Usage: muniment record export --to DIR [--after DIR] [--json]
  writes the log up to its newest checkpoint into DIR: rows as NDJSON, their schema, a manifest with digests and the signed
  checkpoint. What was begun in DIR is gone on with. muniment verify --export DIR compares it with the key alone
  --after  the export that this one continues: only what was sealed since
Usage: muniment record remove --export DIR... [--before DATE] [--apply] [--key FILE]... [--json]
  verifies the exports and says which accesses of more than eight years would leave the database; --apply removes them, after a
  statement signed with the key of the log has its leaf. Writes, purges and what is under a legal hold stay
  --before  removes only what was recorded before that date; eight years ago without it
  --key     public keys to trust, as for muniment verify`;

const OPTIONS = {
  'to': { type: 'string' }, 'after': { type: 'string' }, 'json': { type: 'boolean', default: false }, 'help': { type: 'boolean', default: false },
  'export': { type: 'string', multiple: true, default: [] as string[] }, 'key': { type: 'string', multiple: true, default: [] as string[] }, 'before': { type: 'string' }, 'apply': { type: 'boolean', default: false },
} satisfies ParseArgsConfig['options'];

async function runExport(to: string, after: string | undefined, json: boolean, environment: Environment): Promise<number> {
  const opened = await openConfiguredDatabase(loadConfig(environment), createLogger('error'));
  try {
    const bar = progressBar();
    const { end, files, origin, start } = await exportRecord({ database: opened.database, folder: to, ...(after === undefined ? {} : { after }), ...(bar === undefined ? {} : { onProgress: bar }) });
    const done = { origin, start: start.size, size: end.size, sealedAt: end.sealedAt, files: files.length, bytes: files.reduce((sum, { bytes }) => sum + bytes, 0) };
    process.stdout.write(`${json ? JSON.stringify(done) : `${origin}: leaves ${done.start} to ${done.size}, sealed at ${done.sealedAt}, in ${done.files} files of ${done.bytes} bytes: ${to}`}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof ExportError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return 1;
  } finally {
    await opened.stop();
  }
}

/** Exit code 0 done, 1 something keeps it from being done, 2 used wrongly. */
export async function runRecordCommand(flags: readonly string[], environment: Environment): Promise<number> {
  try {
    const [what, ...rest] = flags;
    const { values } = parseArgs({ args: what === '--help' ? [what] : rest, options: OPTIONS });
    if (values.help) { process.stdout.write(`${USAGE}\n`); return 0; }
    if (what === 'remove') {
      const before = values.before === undefined ? oldestKept(new Date()) : new Date(values.before);
      if (values.export.length > 0 && !Number.isNaN(before.getTime())) return await runRemove({ ...values, before }, environment);
      process.stderr.write(`${values.export.length === 0 ? '--export names a folder that holds what is to go' : '--before takes a date such as 2018-01-31'}\n${USAGE}\n`);
      return 2;
    }
    if (what !== 'export' || values.to === undefined) {
      process.stderr.write(`${what === 'export' ? '--to names the folder to write into' : 'record export and record remove are what there is'}\n${USAGE}\n`);
      return 2;
    }
    return await runExport(values.to, values.after, values.json, environment);
  } catch (error) { return tellFailure(error); }
}
