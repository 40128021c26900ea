// `muniment record remove`: accesses of more than eight years leave the database, verified in an export before. Without --apply
// it says what would go.
import { hostname } from 'node:os';
import { OBSERVER_PREFIX } from './audit/who.ts';
import { loadConfig, type Config } from './config/config.ts';
import type { Environment } from './config/env.ts';
import type { Database } from './database/database.ts';
import { createAccessRecorder } from './gate/record-access.ts';
import { recordRemoval } from './gate/record-removal.ts';
import { planRemoval, removeRecord, RemovalError, type RemovalPlan, type RemovalWish } from './log/remove-record.ts';
import { claimSigner } from './log/signing-key.ts';
import { createLogger } from './logger.ts';
import { openConfiguredDatabase } from './open-parts.ts';
import { createOrganisations } from './resources/organisation.ts';
import { progressBar, trustedKeys } from './verify-command.ts';

export interface RemoveFlags {
  export: readonly string[];
  key: readonly string[];
  before: Date;
  apply: boolean;
  json: boolean;
}

async function apply(database: Database, config: Config, wish: RemovalWish, plan: RemovalPlan): Promise<number> {
  const key = await claimSigner(database, { dataDir: config.dataDir, keyFile: config.auditSigningKeyFile });
  if (key === undefined) throw new RemovalError('Only a holder of the key of the log removes: DATA_DIR has none, and AUDIT_SIGNING_KEY_FILE names none');
  const org = await createOrganisations(database, false).admit(config.operatorOrg);
  const parts = { recorder: createAccessRecorder(database), observer: `${OBSERVER_PREFIX}${hostname()}` };
  const what = `${plan.removable} accesses from before ${plan.before} removed from the record, below leaf ${plan.size}; exported before`;
  return removeRecord(wish, plan, key, (statement) => recordRemoval(parts, { org: org.id, orgName: org.name, statement, what }));
}

function printed({ before, held, removable, size, begun }: RemovalPlan, removed: number | undefined): string {
  const kept = held === 0 ? '' : ` ${held} stay under a legal hold.`;
  if (removed !== undefined) return `${removed} events from before ${before}, below leaf ${size}, were removed.${kept} muniment verify proves what remains`;
  return `${begun ? 'A removal that was broken off is gone on with: ' : ''}${removable} events from before ${before}, below leaf ${size}, would be removed.${kept} Nothing was: --apply does it`;
}

/** Exit code 0 done or to be done, 1 something keeps it from being done. */
export async function runRemove(flags: RemoveFlags, environment: Environment): Promise<number> {
  const config = loadConfig(environment);
  const opened = await openConfiguredDatabase(config, createLogger('error'));
  try {
    const bar = progressBar();
    const wish: RemovalWish = { database: opened.database, folders: flags.export, keys: await trustedKeys(flags.key, config), before: flags.before, now: new Date(), ...(bar === undefined ? {} : { onProgress: bar }) };
    if (wish.keys.length === 0) throw new RemovalError('No key is there to verify with: --key names its file');
    const plan = await planRemoval(wish);
    const removed = flags.apply ? await apply(opened.database, config, wish, plan) : undefined;
    const { before, begun, held, origin, removable, size } = plan;
    process.stdout.write(`${flags.json ? JSON.stringify({ origin, before, size, removable, held, begun, removed: removed ?? 0, applied: flags.apply }) : printed(plan, removed)}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof RemovalError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return 1;
  } finally {
    await opened.stop();
  }
}
