// Bytes at rest are scanned again when the signatures are others: what turns out infected goes out of service, what was
// withheld without a verdict and is clean comes back.
import type { ContentRow } from '../database/tables.ts';
import { ContentIntegrityError, createContentReader } from './read-content.ts';
import type { ScanAnswer } from './clamd.ts';
import type { Scanner, ScannerVersion } from './scanner.ts';
import { claimForScrub, type ScrubClaim } from './scrub-claim.ts';
import { isWithheld, type ContentChange, type ScrubFinding, type ScrubParts, type ScrubReport } from './scrub.ts';

export interface RescanParts extends Omit<ScrubParts, 'restore' | 'encrypted'> {
  scanner: Scanner;
}

interface Judgement {
  verdict: 'clean' | 'infected' | 'unscannable';
  finding: string | undefined;
  change: ContentChange | undefined;
}

/** The verified bytes, from the copy that has them right. */
async function* bytesOf(parts: RescanParts, row: ContentRow): AsyncGenerator<Buffer> {
  const reader = createContentReader({ stores: parts.stores, ...(parts.replica === undefined ? {} : { replica: parts.replica }), onDamage: async () => undefined });
  for await (const bytes of await reader.open(row)) {
    await parts.pace?.(bytes.length);
    yield bytes;
  }
}

function judge(row: ContentRow, answer: Exclude<ScanAnswer, { verdict: 'failed' }>): Judgement | undefined {
  switch (answer.verdict) {
    case 'clean': return { verdict: 'clean', finding: undefined, change: isWithheld(row) ? 'cleared' : undefined };
    case 'infected': return { verdict: 'infected', finding: answer.signature, change: row.scan_verdict === 'infected' ? undefined : 'infected' };
    // What is in service without a verdict, or with an older one, stays: nothing was found against it.
    case 'unscannable': return isWithheld(row) && row.scan_verdict === 'unscannable' ? { verdict: 'unscannable', finding: answer.reason, change: undefined } : undefined;
  }
}

const TOLD: Partial<Record<ContentChange, string>> = { cleared: 'The virus scanner found nothing', infected: 'A virus was found at rest' };

/** State and verdict change together with their record. */
async function settle(parts: RescanParts, row: ContentRow, { verdict, finding, change }: Judgement, version: ScannerVersion): Promise<void> {
  const record = change === undefined ? undefined : await parts.record(row, change, `${TOLD[change] ?? ''}${finding === undefined ? '' : `: ${finding}`}`);
  const state = verdict === 'infected' ? 'quarantined' : change === 'cleared' ? 'live' : row.state;
  const done = await parts.database.transaction(row.org, async (tx) => {
    const { rowCount } = await tx.query(
      `update content set state = $3, scan_verdict = $4, scan_finding = $5, scan_engine = $6, scan_signatures = $7, scanned_at = now(),
          quarantine_reason = case when $3 = 'live' then null when $4 = 'infected' then 'infected: ' || $5 else quarantine_reason end
        where org = $1 and id = $2 and state = $8`,
      [row.org, row.id, state, verdict, finding ?? null, version.engine, version.signatures ?? null, row.state],
    );
    if (rowCount === 1) record?.(tx);
    return rowCount === 1;
  });
  if (done && verdict === 'infected' && row.state === 'live') parts.onQuarantined?.();
}

async function rescanOne(parts: RescanParts, row: ContentRow, version: ScannerVersion): Promise<ScrubFinding[]> {
  const base = { org: row.org, content: row.id, restored: false };
  const answer: ScanAnswer = Number(row.size) > parts.scanner.bytesMax ? { verdict: 'unscannable', reason: 'over the bytes that the scanner takes' } : await parts.scanner.scan(bytesOf(parts, row));
  if (answer.verdict === 'failed') return [{ ...base, kind: 'unreachable', what: `The virus scanner gave no verdict: ${answer.reason}`, quarantined: row.state === 'quarantined' }];
  const judgement = judge(row, answer);
  if (judgement !== undefined) await settle(parts, row, judgement, version);
  switch (answer.verdict) {
    case 'clean': return judgement?.change === 'cleared' ? [{ ...base, kind: 'withheld', what: 'It was withheld without a verdict, and is clean', quarantined: false, restored: true }] : [];
    case 'infected': return [{ ...base, kind: 'infected', what: answer.signature, quarantined: true }];
    case 'unscannable': return row.scan_verdict === 'accepted' ? [] : [{ ...base, kind: 'unscanned', what: answer.reason, quarantined: row.state === 'quarantined' }];
  }
}

const FAILED_MAX = 5;

const isScannerGone = ({ findings }: ScrubReport): boolean => findings.length >= FAILED_MAX && findings.slice(-FAILED_MAX).every(({ kind }) => kind === 'unreachable');

async function rescanClaimed(parts: RescanParts, claim: ScrubClaim, version: ScannerVersion, report: ScrubReport): Promise<void> {
  for (const row of claim.rows) {
    if (parts.signal?.aborted === true || isScannerGone(report)) return;
    const found = await rescanOne(parts, row, version).catch((error: unknown): ScrubFinding[] => [{
      org: row.org, content: row.id, kind: error instanceof ContentIntegrityError ? 'damaged' : 'unreachable', what: (error as Error).message, quarantined: row.state === 'quarantined', restored: false,
    }]);
    await claim.settle(row, false);
    report.checked += 1;
    report.bytes += Number(row.size);
    report.findings.push(...found);
    parts.onChecked?.(Number(row.size));
  }
}

/** Scans what was not scanned with the engine and the signatures that are at work, or `all`, once each. Rejects when the scanner does not answer. */
export async function rescan(parts: RescanParts, until: Date, all = false): Promise<ScrubReport> {
  const report: ScrubReport = { checked: 0, bytes: 0, findings: [] };
  const scanner = await parts.scanner.version();
  let after: Pick<ContentRow, 'org' | 'id'> | undefined;
  while (parts.signal?.aborted !== true && !isScannerGone(report)) {
    const claim = await claimForScrub(parts.database, { ...(after === undefined ? {} : { after }), verifiedUntil: until, triedUntil: until, quarantined: true, scanner: all ? 'all' : scanner, stores: parts.stores.map(({ name }) => name) });
    try {
      if (claim.rows.length === 0) break;
      after = claim.rows.reduce((last, row) => (row.org > last.org || (row.org === last.org && row.id > last.id) ? row : last));
      await rescanClaimed(parts, claim, scanner, report);
    } finally {
      await claim.release();
    }
  }
  return report;
}
