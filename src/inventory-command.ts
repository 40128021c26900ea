// `muniment inventory`: compares the store with the table of contents now. Exit code 0 when they agree, 1 when not, 2 when used
// wrongly.
import { hostname } from 'node:os';
import { parseArgs } from 'node:util';
import { OBSERVER_PREFIX } from './audit/who.ts';
import { loadConfig, type Config } from './config/config.ts';
import type { Environment } from './config/env.ts';
import { takeInventory, type InventoryReport } from './content/inventory.ts';
import { removeStray } from './content/remove-stray.ts';
import type { Database } from './database/database.ts';
import { createAccessRecorder } from './gate/record-access.ts';
import { recordStrayRemoval } from './gate/record-stray.ts';
import { createLogger } from './logger.ts';
import { openConfiguredDatabase, openConfiguredStore } from './open-parts.ts';
import { tellFailure } from './operator-commands.ts';
import { createOrganisations } from './resources/organisation.ts';

const USAGE = `Usage: muniment inventory [--json]
       muniment inventory --remove KEY --reason TEXT
  compares what the store lists with the table of contents, in both directions, and removes nothing
  --remove  removes an object that no content has, and that two comparisons a week apart saw; recorded`;

const OPTIONS = { remove: { type: 'string' }, reason: { type: 'string' }, json: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } } as const;

function printed({ store, objects, contents, findings, cut, halted, complete }: InventoryReport): string {
  if (halted) return `The mark of the store ${store} is not the database's: one of them was restored, and nothing is compared until \`muniment sweep --accept-restore\``;
  const end = complete ? '' : '; it was not compared to its end: another server is at it';
  return [...findings.map(({ kind, key, content, what }) => `${kind} ${content ?? key}: ${what}`), ...(cut ? ['There are more'] : []), `${store}: ${objects} objects, ${contents} contents, ${findings.length} findings${end}`].join('\n');
}

async function compare(config: Config, database: Database, json: boolean): Promise<number> {
  const end = new AbortController();
  const stop = (): void => end.abort();
  process.once('SIGINT', stop);
  try {
    const report = await takeInventory({ database, store: await openConfiguredStore(config, database), signal: end.signal });
    if (report === undefined) throw new Error('The store cannot list what it holds');
    process.stdout.write(`${json ? JSON.stringify(report) : printed(report)}\n`);
    return report.complete && report.findings.length === 0 ? 0 : 1;
  } finally { process.off('SIGINT', stop); }
}

async function remove(config: Config, database: Database, key: string, reason: string): Promise<number> {
  const store = await openConfiguredStore(config, database);
  const org = await createOrganisations(database, false).admit(config.operatorOrg);
  const parts = { recorder: createAccessRecorder(database), observer: `${OBSERVER_PREFIX}${hostname()}` };
  const record = (): Promise<void> => recordStrayRemoval(parts, { org: org.id, orgName: org.name, what: `The object ${key} of the store ${store.name}, which no content had, was removed: ${reason}` });
  const refusal = await removeStray({ database, store, record }, key);
  process.stdout.write(`${refusal ?? 'The object is removed'}\n`);
  return refusal === undefined ? 0 : 1;
}

export async function runInventoryCommand(flags: readonly string[], environment: Environment): Promise<number> {
  try {
    const { values } = parseArgs({ args: [...flags], options: OPTIONS });
    if (values.help) { process.stdout.write(`${USAGE}\n`); return 0; }
    const reason = values.reason?.trim() ?? '';
    if ((values.remove === undefined) !== (reason === '') || (values.remove !== undefined && values.json)) { process.stderr.write(`${USAGE}\n`); return 2; }
    const config = loadConfig(environment);
    const opened = await openConfiguredDatabase(config, createLogger('error'));
    try {
      return values.remove === undefined ? await compare(config, opened.database, values.json) : await remove(config, opened.database, values.remove, reason);
    } finally {
      await opened.stop();
    }
  } catch (error) {
    return tellFailure(error);
  }
}
