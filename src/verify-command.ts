// `muniment verify`: the record against its log, with public keys alone. Exit code 0 nothing wrong, 1 something found, 2 used wrongly.
import { createPublicKey, type KeyObject } from 'node:crypto';
import { parseArgs } from 'node:util';
import { readVerifier } from './audit/checkpoint.ts';
import { loadConfig, type Config } from './config/config.ts';
import type { Environment } from './config/env.ts';
import { verifyExport, type ExportReport } from './log/verify-export.ts';
import { publicPath, readIfThere } from './log/signing-key.ts';
import type { TrustedKey } from './log/verify-keys.ts';
import { verifyLog, type VerifyReport } from './log/verify-log.ts';
import { createLogger } from './logger.ts';
import { openConfiguredDatabase } from './open-parts.ts';
import { tellFailure } from './operator-commands.ts';

const USAGE = `Usage: muniment verify [--key FILE]... [--since DATE | --export DIR] [--json]
  compares every event, version and digest of bytes with its leaf, the leaves with the signed checkpoints, and those of the
  database with those in DATA_DIR
  --key    public keys to trust: lines of audit-key.pub, or PEM; the one in DATA_DIR without it
  --export an export of the record instead, without the database
  --since  only what came after the newest checkpoint that was sealed by then (2026-01-31, or an instant)`;

const OPTIONS = { key: { type: 'string', multiple: true, default: [] as string[] }, since: { type: 'string' }, export: { type: 'string' }, json: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } } as const;
const DATE = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2}))?$/;
const BAR_COLUMNS = 30;

class UsageError extends Error {}

function readPem(pem: string): KeyObject[] {
  try {
    const key = createPublicKey(pem);
    return key.asymmetricKeyType === 'ed25519' ? [key] : [];
  } catch { return []; }
}

function parseKeys(text: string): TrustedKey[] {
  if (text.includes('-----BEGIN')) return readPem(text);
  const lines = text.split('\n').filter((line) => line.trim() !== '').map(readVerifier);
  return lines.flatMap((verifier) => (verifier === undefined ? [] : [verifier]));
}

async function keysOf(path: string): Promise<TrustedKey[]> {
  const text = await readIfThere(path).catch(() => undefined);
  const keys = text === undefined ? [] : parseKeys(text);
  if (keys.length === 0) throw new UsageError(`${path} holds no Ed25519 public key`);
  return keys;
}

/** What was named, else what this folder trusts, else what is configured. */
/** The keys of the files; without any the one in DATA_DIR, or that of AUDIT_SIGNING_KEY_FILE. */
export async function trustedKeys(paths: readonly string[], { dataDir, auditSigningKeyFile }: Config): Promise<TrustedKey[]> {
  if (paths.length > 0) return (await Promise.all(paths.map(keysOf))).flat();
  if (await readIfThere(publicPath(dataDir)) !== undefined) return keysOf(publicPath(dataDir));
  return auditSigningKeyFile === undefined ? [] : keysOf(auditSigningKeyFile);
}

function readSince(text: string | undefined): Date | undefined {
  if (text === undefined) return undefined;
  const date = new Date(text);
  if (!DATE.test(text) || Number.isNaN(date.getTime())) throw new UsageError('--since takes a date such as 2026-01-31, or an instant with its zone');
  return date;
}

export function progressBar(): Progress | undefined {
  if (!process.stderr.isTTY) return undefined;
  const begun = performance.now();
  return (done, all) => {
    const filled = Math.round((done / all) * BAR_COLUMNS);
    const rate = Math.round(done / Math.max(0.001, (performance.now() - begun) / 1_000));
    process.stderr.write(`\r[${'#'.repeat(filled)}${'.'.repeat(BAR_COLUMNS - filled)}] ${Math.floor((done / all) * 100)} %  ${done} of ${all} leaves, ${rate}/s${done === all ? '\n' : ''}`);
  };
}

function printed(report: VerifyReport): string {
  const { checkpoints, events, findingCount, findings, purged, sealed, size, start, unsealed, versions, waiting } = report;
  const lines = findings.map(({ what, organisation }) => (organisation === undefined ? what : `${what} (${organisation})`));
  return [
    ...lines,
    ...(findingCount > findings.length ? [`… and ${findingCount - findings.length} more`] : []),
    `${report.origin}: leaves ${start} to ${size}: ${events} events and ${versions} versions compared, ${checkpoints} checkpoints`,
    ...(purged === 0 ? [] : [`${purged} versions were purged, each as the leaf of its purge names it`]),
    ...(report.removed === 0 ? [] : [`${report.removed} events from before ${report.removedBefore} were exported and removed, as a signed statement in the log says`]),
    sealed === undefined ? 'No checkpoint of a trusted key' : `Sealed up to ${sealed.size} at ${sealed.at}`,
    `${unsealed} leaves wait for a checkpoint, ${waiting} events for their leaf`,
    ...(report.keyGiven ? [] : ['No key was given: signatures were compared with the keys that the database names, which proves nothing against whoever owns it']),
    ...(report.fileCompared ? [] : ['DATA_DIR never held the key: it has no checkpoints to compare']),
    findingCount === 0 ? 'Nothing is wrong' : `${findingCount} ${findingCount === 1 ? 'finding' : 'findings'}`,
  ].join('\n');
}

type Progress = (done: number, all: number) => void;

async function verify(paths: readonly string[], since: Date | undefined, config: Config, bar: Progress | undefined): Promise<VerifyReport> {
  const keys = await trustedKeys(paths, config);
  const opened = await openConfiguredDatabase(config, createLogger('error'));
  try {
    return await verifyLog({ database: opened.database, keys, dataDir: config.dataDir, ...(since === undefined ? {} : { since }), ...(bar === undefined ? {} : { onProgress: bar }) });
  } finally {
    await opened.stop();
  }
}

function printedExport({ events, findingCount, findings, keyGiven, origin, sealed, size, start, versions }: ExportReport): string {
  return [
    ...findings.map(({ what }) => what),
    ...(findingCount > findings.length ? [`… and ${findingCount - findings.length} more`] : []),
    `${origin}: leaves ${start} to ${size}: ${events} events and ${versions} versions compared with their hashes and columns`,
    sealed === undefined ? 'No checkpoint of a trusted key' : `Sealed up to ${sealed.size} at ${sealed.at}`,
    ...(keyGiven ? [] : ['No key was given: signatures were compared with the keys that the export names, which proves nothing against whoever made it']),
    findingCount === 0 ? 'Nothing is wrong' : `${findingCount} ${findingCount === 1 ? 'finding' : 'findings'}`,
  ].join('\n');
}

export async function runVerifyCommand(flags: readonly string[], environment: Environment): Promise<number> {
  try {
    const { values } = parseArgs({ args: [...flags], options: OPTIONS });
    if (values.help) { process.stdout.write(`${USAGE}\n`); return 0; }
    const since = readSince(values.since);
    if (values.export !== undefined && since !== undefined) throw new UsageError('--since is for the database, --export for an export');
    const config = loadConfig(environment);
    const show = <Report extends { findingCount: number }>(report: Report, text: (report: Report) => string): number => {
      process.stdout.write(`${values.json ? JSON.stringify(report) : text(report)}\n`);
      return report.findingCount === 0 ? 0 : 1;
    };
    if (values.export === undefined) return show(await verify(values.key, since, config, progressBar()), printed);
    return show(await verifyExport(values.export, await trustedKeys(values.key, config), progressBar()), printedExport);
  } catch (error) {
    if (!(error instanceof UsageError)) return tellFailure(error);
    process.stderr.write(`${error.message}\n${USAGE}\n`);
    return 2;
  }
}
