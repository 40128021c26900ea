// The report of a comparison: what was compared with what, what was found, and the verdict. As JSON inside a JWS
// (RFC 7515), so that whoever has the public key can tell that nobody changed it, and as a page for people.
import { createHash, createPrivateKey, createPublicKey, sign, verify, type KeyObject } from 'node:crypto';
import type { MirroredOrg } from './our-side.ts';
import { COMPARED_TYPES } from './our-side.ts';
import type { KnownDrift, ReconcileProgress, Run, TypeCounts } from './reconcile-progress.ts';
import { isBalanced } from './reconcile.ts';

/**
 * `equal`: both sides hold the same. `drift`: differences stand in the report. `waiting`: deliveries are under way or parked.
 * `counts-differ`: no difference was found, but the numbers that both sides gave by themselves do not agree.
 * `nothing-compared`: there was nothing here, which proves nothing.
 */
export type Verdict = 'equal' | 'drift' | 'waiting' | 'counts-differ' | 'nothing-compared';

export interface ReconcileReport {
  verdict: Verdict;
  org: string;
  /** Without credentials. */
  hapi: string;
  /** `all`: everything of these types that HAPI has. `ours`: only what carries our meta.source there. */
  scope: 'all' | 'ours';
  startedAt: string;
  endedAt: string;
  /** It went on with a run that had been ended. */
  resumed: boolean;
  repair: boolean;
  types: Record<string, TypeCounts & { balanced: boolean }>;
  /** Deliveries that wait for a person. */
  parked: number;
  /** Differences that are left, and the oldest 1,000 of them. */
  driftCount: number;
  drift: KnownDrift[];
}

export interface ReportParts extends MirroredOrg {
  hapiBase: string;
  scope: 'all' | 'ours';
  repair: boolean;
  parked: number;
  driftCount: number;
  drift: KnownDrift[];
}

export function makeReport(run: Run<ReconcileProgress>, parts: ReportParts, endedAt: Date): ReconcileReport {
  const asked = COMPARED_TYPES.filter((type) => run.progress.types[type].here !== null);
  const types = Object.fromEntries(asked.map((type) => [type, { ...run.progress.types[type], balanced: isBalanced(run.progress.types[type]) }]));
  return {
    verdict: verdictOf(Object.values(types), parts), org: parts.orgName, hapi: parts.hapiBase, scope: parts.scope, startedAt: run.startedAt.toISOString(), endedAt: endedAt.toISOString(),
    resumed: run.resumed, repair: parts.repair, types, parked: parts.parked, driftCount: parts.driftCount, drift: parts.drift,
  };
}

function verdictOf(types: readonly ReconcileReport['types'][string][], { parked, driftCount }: ReportParts): Verdict {
  if (driftCount > 0) return 'drift';
  if (parked > 0 || types.some(({ waiting }) => waiting > 0)) return 'waiting';
  if (types.reduce((sum, { compared }) => sum + compared, 0) === 0) return 'nothing-compared';
  return types.every(({ balanced }) => balanced) ? 'equal' : 'counts-differ';
}

// PKCS #8 of an Ed25519 key (RFC 8410) up to its 32 bytes.
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

/** The key that all servers of a database sign reports with; `secret` is what they share. */
export function reportKey(secret: Buffer): KeyObject {
  const seed = createHash('sha256').update('muniment mirror report\n').update(secret).digest();
  return createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' });
}

/** Compact JWS; its header carries the public key, whose thumbprint (RFC 7638) is the kid, and the line of the log's key where it is that one. */
export function signReport(report: ReconcileReport, key: KeyObject, verifier?: string): string {
  const { kty, crv, x } = createPublicKey(key).export({ format: 'jwk' });
  const kid = createHash('sha256').update(JSON.stringify({ crv, kty, x })).digest('base64url');
  const signed = [{ alg: 'EdDSA', typ: 'JWT', kid, jwk: { kty, crv, x }, ...(verifier === undefined ? {} : { verifier }) }, report].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${signed}.${sign(null, Buffer.from(signed), key).toString('base64url')}`;
}

/** The report in a JWS that was signed with `key`; undefined for any other text. */
export function readSignedReport(jws: string, key: KeyObject): ReconcileReport | undefined {
  const [header, payload, signature, more] = jws.split('.');
  if (header === undefined || payload === undefined || signature === undefined || more !== undefined) return undefined;
  const sound = verify(null, Buffer.from(`${header}.${payload}`), createPublicKey(key), Buffer.from(signature, 'base64url'));
  return sound ? JSON.parse(Buffer.from(payload, 'base64url').toString()) as ReconcileReport : undefined;
}

export const VERDICTS: Record<Verdict, string> = {
  equal: 'Both sides hold the same.',
  drift: 'The two sides differ.',
  waiting: 'No difference was found, but some deliveries wait or are parked: nothing is said of them.',
  'counts-differ': 'No difference was found, but the numbers that both sides gave by themselves do not agree.',
  'nothing-compared': 'There was nothing to compare, which proves nothing.',
};

/** Markdown. */
export function printReport(report: ReconcileReport, jws: string): string {
  const columns = ['here', 'atHapi', 'compared', 'equal', 'missing', 'extra', 'stale', 'different', 'repaired', 'waiting', 'placeholders', 'foreign'] as const;
  const rows = Object.entries(report.types).map(([type, counts]) => `| ${type} | ${columns.map((column) => String(counts[column] ?? '–')).join(' | ')} | ${counts.balanced ? 'yes' : 'no'} |`);
  const found = report.drift.map(({ reference, kind, path, detail }) => `| ${reference} | ${kind} | ${path ?? '–'} | ${detail.replaceAll('|', '\\|')} |`);
  return [
    `# Comparison of the mirror of ${report.org}`, '', `**${report.verdict}**: ${VERDICTS[report.verdict]}`, '',
    `- HAPI: ${report.hapi} (${report.scope === 'all' ? 'everything of these types' : 'only what carries our meta.source'})`,
    `- From ${report.startedAt} to ${report.endedAt}${report.resumed ? ', in more than one go' : ''}${report.repair ? ', with repair' : ''}`,
    `- ${report.driftCount} differences are left, ${report.parked} deliveries are parked`, '',
    '`here` and `atHapi` are what each side answered when asked how many it has.', '',
    `| Type | ${columns.join(' | ')} | balanced |`, `|---|${'---|'.repeat(columns.length + 1)}`, ...rows, '',
    ...(found.length === 0 ? [] : ['| Resource | What | Where | |', '|---|---|---|---|', ...found, '']),
    'Signed as JWS (Ed25519):', '', '```', jws, '```', '',
  ].join('\n');
}
