// `muniment mirror`: what HAPI has not yet, what it has otherwise, and what a person decides about it. Exit code 0 when
// nothing is wrong, 1 when something was found, 2 when used wrongly.
import { writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { parseArgs } from 'node:util';
import { OBSERVER_PREFIX } from './audit/who.ts';
import { loadConfig, type Config } from './config/config.ts';
import type { Environment } from './config/env.ts';
import { createPace } from './content/pace.ts';
import { createContentReader } from './content/read-content.ts';
import type { Database } from './database/database.ts';
import { createAccessRecorder } from './gate/record-access.ts';
import { createMirrorRecord, type MirrorRecord } from './gate/record-mirror.ts';
import { createLogger } from './logger.ts';
import { createBinaryData } from './mirror/binary-bytes.ts';
import { secondsLeft, type BackfillProgress } from './mirror/backfill.ts';
import { listParked, mirrorStatus, parkedOf, replayParked, showHead, skipParked, type MirrorTarget, type MirrorTargets } from './mirror/mirror-commands.ts';
import { mirroredOrganisation } from './mirror/mirror-status.ts';
import { COMPARED_TYPES } from './mirror/our-side.ts';
import type { ReconcileProgress } from './mirror/reconcile-progress.ts';
import { printReport } from './mirror/reconcile-report.ts';
import { renderReportPage } from './mirror/report-page.ts';
import { findReportSigner } from './mirror/report-signer.ts';
import { runBackfill, runReconcile, type ComparisonConfig } from './mirror/run-reconcile.ts';
import { openConfiguredDatabase, openConfiguredReplica, openConfiguredStore, sharedSecret } from './open-parts.ts';
import { tellFailure } from './operator-commands.ts';

const USAGE = `Usage: muniment mirror COMMAND [--org ORG] [--json]
  status                        what waits, how old it is, what is parked, what differs
  list                          parked deliveries
  show TYPE/ID                  what the mirror knows of one resource
  replay TYPE/ID|all [--reason TEXT]
                                tries parked deliveries again; all: of ORG, or of all organisations
  skip TYPE/ID --reason TEXT    gives a parked version up
  reconcile [--repair] [--ours] [--rate N] [--again] [--remove-others] [--html FILE]
                                compares everything on both sides, and signs a report
    --repair         brings HAPI back to what is here
    --ours           looks only at what carries our meta.source at HAPI: for a HAPI that others write to as well
    --rate N         resources a second at most
    --again          begins anew, where a run was ended it goes on otherwise
    --remove-others  with --repair, removes at HAPI also what others made there
    --html FILE      writes the report as a page for people as well
  backfill [--rate N] [--again] fills a HAPI that lacks what is here; writes go on meanwhile`;

const OPTIONS = {
  json: { type: 'boolean', default: false }, help: { type: 'boolean', default: false }, reason: { type: 'string' }, org: { type: 'string' }, rate: { type: 'string' }, html: { type: 'string' },
  repair: { type: 'boolean', default: false }, ours: { type: 'boolean', default: false }, again: { type: 'boolean', default: false }, 'remove-others': { type: 'boolean', default: false },
} as const;

interface Wish {
  words: string[];
  json: boolean;
  reason: string | undefined;
  org: string | undefined;
  rate: number | undefined;
  html: string | undefined;
  repair: boolean;
  ours: boolean;
  again: boolean;
  removeOthers: boolean;
}

/** `text` is printed unless --json was asked for. */
interface Answer {
  code: 0 | 1 | 2;
  value: unknown;
  text?: string;
}

const WRONG: Answer = { code: 2, value: USAGE };

function readWish(flags: readonly string[]): Wish | 'help' | undefined {
  const { values, positionals } = parseArgs({ args: [...flags], options: OPTIONS, allowPositionals: true });
  if (values.help) return 'help';
  if (values.rate !== undefined && !/^[1-9]\d{0,8}$/.test(values.rate)) return undefined;
  return {
    words: positionals, json: values.json, reason: values.reason, org: values.org, html: values.html, rate: values.rate === undefined ? undefined : Number(values.rate),
    repair: values.repair, ours: values.ours, again: values.again, removeOthers: values['remove-others'],
  };
}

function targetOf({ words, org }: Wish): MirrorTarget | undefined {
  const reference = words[1];
  if (reference === undefined || !/^[A-Z][A-Za-z]+\/[A-Za-z0-9\-.]{1,64}$/.test(reference)) return undefined;
  return org === undefined ? { reference } : { org, reference };
}

async function comparisonConfig(database: Database, config: Config): Promise<ComparisonConfig> {
  const baseUrl = config.mirrorBaseUrl?.reveal();
  if (baseUrl === undefined) throw new Error('MIRROR_BASE_URL is not set: there is no mirror');
  return { database, baseUrl, security: config.mirrorSecurity, publicBase: config.fhirBase, access: config.mirrorAccess, ...await binaryDataOf(database, config) };
}

/** The store is needed only where Binaries go with their bytes. What is damaged there is for the server to find. */
async function binaryDataOf(database: Database, config: Config): Promise<Pick<ComparisonConfig, 'binaryData'>> {
  if (config.mirrorBinaryBytesMax === 0) return {};
  const replica = openConfiguredReplica(config);
  const reader = createContentReader({ stores: [await openConfiguredStore(config, database)], ...(replica === undefined ? {} : { replica }), onDamage: async () => {} });
  return { binaryData: createBinaryData({ database, reader, bytesMax: config.mirrorBinaryBytesMax }) };
}

function mirrorRecord(database: Database): MirrorRecord {
  return createMirrorRecord({ recorder: createAccessRecorder(database), observer: `${OBSERVER_PREFIX}${hostname()}` });
}

/** Before it is done: what nobody can find in the record never happened. */
async function recordDecisions(database: Database, target: MirrorTarget | MirrorTargets, operation: 'mirror-replay' | 'mirror-skip', parameters: Record<string, string>): Promise<void> {
  const record = mirrorRecord(database);
  for (const parked of await parkedOf(database, target)) await record({ ...parked, operation, parameters });
}

async function recordFilling(database: Database, config: Config, wish: Wish, operation: 'mirror-reconcile' | 'mirror-backfill', parameters: Record<string, string>): Promise<void> {
  const perOrganisation = config.mirrorBaseUrl?.reveal().includes('{org}') === true;
  const org = await database.workerTransaction((tx) => mirroredOrganisation(tx, wish.org, perOrganisation));
  await mirrorRecord(database)({ ...org, operation, parameters, references: [] });
}

async function answerReconcile(database: Database, config: Config, wish: Wish): Promise<Answer> {
  const stop = new AbortController();
  const end = (): void => stop.abort(new Error('Stopped'));
  process.once('SIGINT', end);
  try {
    if (wish.repair) await recordFilling(database, config, wish, 'mirror-reconcile', { repair: 'true', ...(wish.removeOthers ? { 'remove-others': 'true' } : {}) });
    const signer = await findReportSigner(database, { dataDir: config.dataDir, keyFile: config.auditSigningKeyFile }, await sharedSecret(database, 'mirror-report'));
    const done = await runReconcile(await comparisonConfig(database, config), {
      ...(wish.org === undefined ? {} : { org: wish.org }), scope: wish.ours ? 'ours' : 'all', repair: wish.repair, removeOthers: wish.removeOthers, again: wish.again,
      pace: createPace(wish.rate, stop.signal), stop: stop.signal, onProgress: showProgress,
    }, signer);
    if (process.stderr.isTTY) process.stderr.write('\n');
    if (done === undefined) return { code: 1, value: 'Stopped; the next comparison goes on from here' };
    if (wish.html !== undefined) await writeFile(wish.html, renderReportPage(done.report, done.jws, signer.verifier === undefined ? 'the key that the servers of the database share' : `the key of the log, ${signer.verifier}`), { mode: 0o600 });
    return { code: done.report.verdict === 'equal' ? 0 : 1, value: { ...done.report, signature: done.jws }, text: printReport(done.report, done.jws) };
  } finally {
    process.off('SIGINT', end);
  }
}

async function answerBackfill(database: Database, config: Config, wish: Wish): Promise<Answer> {
  const stop = new AbortController();
  const end = (): void => stop.abort(new Error('Stopped'));
  process.once('SIGINT', end).once('SIGTERM', end);
  try {
    await recordFilling(database, config, wish, 'mirror-backfill', {});
    const done = await runBackfill(await comparisonConfig(database, config), {
      ...(wish.org === undefined ? {} : { org: wish.org }), again: wish.again, pace: createPace(wish.rate, stop.signal), stop: stop.signal, onProgress: showFilling,
      onTrouble: (reason) => { process.stderr.write(`\nHAPI is waited for: ${reason}\n`); },
    });
    if (process.stderr.isTTY) process.stderr.write('\n');
    if (done === undefined) return { code: 1, value: 'Stopped; the next backfill goes on from here' };
    const { total, sent, present, waiting, refused, seconds } = done;
    return { code: refused.length > 0 ? 1 : 0, value: { total, sent, present, waiting, refused, seconds: Math.round(seconds * 10) / 10, perSecond: Math.round(sent / Math.max(seconds, 0.001)) } };
  } finally {
    process.off('SIGINT', end).off('SIGTERM', end);
  }
}

let shownAt = 0;

/** Every second, on a terminal and in a log file. */
function showFilling(progress: BackfillProgress): void {
  if (Date.now() - shownAt < (process.stderr.isTTY ? 1_000 : 10_000)) return;
  shownAt = Date.now();
  const left = secondsLeft(progress);
  process.stderr.write(`${process.stderr.isTTY ? '\r' : ''}${progress.done} of ${progress.total}, ${progress.sent} sent, ${Math.round(progress.done / Math.max(progress.seconds, 0.001))} a second${left === undefined ? '' : `, about ${left} s left`}   ${process.stderr.isTTY ? '' : '\n'}`);
}

function showProgress({ at, types }: ReconcileProgress): void {
  if (!process.stderr.isTTY) return;
  const all = Object.values(types);
  const [compared, listed] = [all.reduce((sum, one) => sum + one.compared, 0), all.reduce((sum, one) => sum + one.listed, 0)];
  process.stderr.write(`\r${COMPARED_TYPES[at] ?? 'numbers'}: ${compared} compared, ${listed} listed by HAPI   `);
}

async function answer(database: Database, config: Config, wish: Wish): Promise<Answer> {
  const [word, text] = wish.words;
  const target = targetOf(wish);
  switch (word) {
    case 'status': {
      const status = await mirrorStatus(database, config.mirrorBaseUrl?.reveal() ?? '', config.mirrorAccess);
      return { code: status.parked > 0 || status.drift > 0 || status.paused.length > 0 ? 1 : 0, value: status };
    }
    case 'list': {
      const parked = await listParked(database, wish.org);
      return { code: parked.length > 0 ? 1 : 0, value: parked };
    }
    case 'show': {
      if (target === undefined) return WRONG;
      const head = await showHead(database, target);
      return head === undefined ? { code: 1, value: 'The mirror knows nothing of it' } : { code: 0, value: head };
    }
    case 'replay': {
      const targets = text === 'all' ? { all: true as const, ...(wish.org === undefined ? {} : { org: wish.org }) } : target;
      if (targets === undefined) return WRONG;
      await recordDecisions(database, targets, 'mirror-replay', wish.reason === undefined ? {} : { reason: wish.reason });
      return { code: 0, value: { replayed: await replayParked(database, targets) } };
    }
    case 'skip': {
      if (target === undefined || wish.reason === undefined) return WRONG;
      await recordDecisions(database, target, 'mirror-skip', { reason: wish.reason });
      const skipped = await skipParked(database, target, wish.reason);
      return skipped === undefined ? { code: 1, value: 'Nothing of it is parked' } : { code: 0, value: { skipped } };
    }
    case 'reconcile': return answerReconcile(database, config, wish);
    case 'backfill': return answerBackfill(database, config, wish);
    default: return WRONG;
  }
}

function print({ code, value, text }: Answer, asJson: boolean): number {
  const lines = text !== undefined && !asJson ? text : typeof value === 'string' ? value : JSON.stringify(value, undefined, asJson ? undefined : 2);
  (code === 2 ? process.stderr : process.stdout).write(`${lines}\n`);
  return code;
}

export async function runMirrorCommand(flags: readonly string[], environment: Environment): Promise<number> {
  try {
    const wish = readWish(flags);
    if (wish === 'help') { process.stdout.write(`${USAGE}\n`); return 0; }
    if (wish === undefined) return print(WRONG, false);
    const config = loadConfig(environment);
    const opened = await openConfiguredDatabase(config, createLogger('error'));
    try {
      return print(await answer(opened.database, config, wish), wish.json);
    } finally {
      await opened.stop();
    }
  } catch (error) {
    return tellFailure(error);
  }
}
