// Reads bytes that rest, compares them with their digests, and takes out of service what no copy can mend. What is sound is
// only read.
import type { Database, Transaction } from '../database/database.ts';
import type { ContentRow } from '../database/tables.ts';
import { checkContent, isLoss, type Finding, type FindingKind } from './check-content.ts';
import type { ContentStore } from './content-store.ts';
import { findCopies, type Copy, type CopyOrigin } from './copies.ts';
import { quarantineContent } from './read-content.ts';
import { restoreContent, type RestoreFrom } from './restore-content.ts';
import { claimForScrub, type ScrubClaim, type ScrubWish } from './scrub-claim.ts';

export interface ScrubFinding {
  org: number;
  content: string;
  kind: FindingKind | 'quarantined' | 'unreachable' | 'withheld' | 'infected' | 'unscanned';
  what: string;
  /** Where a good copy is; without one the bytes are lost until somebody brings one. */
  copy?: CopyOrigin | 'store';
  /** The bytes are out of service. */
  quarantined: boolean;
  restored: boolean;
}

export interface ScrubReport {
  checked: number;
  bytes: number;
  findings: ScrubFinding[];
}

/** Out of service, or back: for its bytes, or for what the virus scanner or an administrator says of them. */
export type ContentChange = 'quarantined' | 'restored' | 'infected' | 'cleared' | 'accepted' | 'removed';

/** Prepares the record of a change; what it answers is called in the transaction of the change, so that both are one commit. */
export type ContentRecord = (row: ContentRow, change: ContentChange, what: string) => Promise<(tx: Transaction) => void>;

export interface ScrubParts {
  database: Database;
  stores: readonly ContentStore[];
  replica: ContentStore | undefined;
  /** The stores must say that they encrypt. */
  encrypted?: boolean;
  /** Puts good copies back. */
  restore?: boolean;
  pace?: (bytes: number) => Promise<void>;
  record: ContentRecord;
  onQuarantined?: () => void;
  onChecked?: (bytes: number) => void;
  signal?: AbortSignal;
}

/** Out of service by word of the virus scanner: only a scan, or an administrator, lifts that. */
export const isWithheld = ({ state, scan_verdict: verdict }: ContentRow): boolean => state === 'quarantined' && (verdict === 'unscannable' || verdict === 'infected');

/** The first copy that is wholly right. `unreachable`: there is none, but not every place could be asked. */
async function goodCopy(parts: ScrubParts, row: ContentRow, store: ContentStore): Promise<Copy | 'unreachable' | undefined> {
  let unreachable = false;
  for (const copy of await findCopies(row, store, parts.replica, () => { unreachable = true; })) {
    const findings = await checkContent(row, copy, { pace: parts.pace }).catch(() => { unreachable = true; });
    if (findings !== undefined && !findings.some(isLoss)) return copy;
  }
  return unreachable ? 'unreachable' : undefined;
}

async function restore(parts: ScrubParts, row: ContentRow, store: ContentStore, from: RestoreFrom): Promise<boolean> {
  if (parts.restore !== true) return false;
  return restoreContent(parts.database, row, store, from, await parts.record(row, 'restored', `Bytes with the same SHA-256 are back in service, from the ${from.origin}`));
}

async function quarantine(parts: ScrubParts, row: ContentRow, what: string): Promise<void> {
  const record = await parts.record(row, 'quarantined', what);
  const changed = await parts.database.transaction(row.org, async (tx) => {
    const done = await quarantineContent(tx, row.org, row.id, what);
    if (done) record(tx);
    return done;
  });
  if (changed) parts.onQuarantined?.();
}

async function meetLoss(parts: ScrubParts, row: ContentRow, store: ContentStore, loss: Finding): Promise<ScrubFinding> {
  const copy = await goodCopy(parts, row, store);
  const finding = { org: row.org, content: row.id, kind: loss.kind, what: loss.what };
  // Reads verify each chunk by themselves: nothing wrong leaves while a copy that may be right cannot be asked.
  if (copy === 'unreachable') return { ...finding, what: `${loss.what}; another copy is out of reach`, quarantined: row.state === 'quarantined', restored: false };
  if (copy === undefined) {
    await quarantine(parts, row, loss.what);
    return { ...finding, quarantined: true, restored: false };
  }
  const restored = await restore(parts, row, store, copy);
  return { ...finding, copy: copy.origin, quarantined: (!restored && row.state === 'quarantined') || isWithheld(row), restored };
}

/** Everything that is wrong with one content, and what was done about it. */
async function scrubOne(parts: ScrubParts, row: ContentRow): Promise<ScrubFinding[]> {
  const base = { org: row.org, content: row.id, quarantined: row.state === 'quarantined', restored: false };
  const store = parts.stores.find(({ name }) => name === row.store);
  if (store === undefined) return [{ ...base, kind: 'unreachable', what: `The store ${row.store} is not configured` }];
  const findings = await checkContent(row, { store, key: row.key, version: row.store_version ?? undefined }, { encrypted: parts.encrypted ?? false, pace: parts.pace });
  const [first] = findings;
  if (first !== undefined && isLoss(first)) return [await meetLoss(parts, row, store, first)];
  const others = findings.map((finding) => ({ ...base, ...finding }));
  if (row.state !== 'quarantined') return others;
  if (isWithheld(row)) return [{ ...base, kind: 'withheld', what: row.quarantine_reason ?? 'The virus scanner has not cleared it' }, ...others];
  const restored = await restore(parts, row, store, { origin: 'store' });
  return [{ ...base, kind: 'quarantined', what: 'The bytes are out of service, and right', copy: 'store', quarantined: !restored, restored }, ...others];
}

const UNREACHABLE_MAX = 5;

/** A store that is gone would be a finding at each of its contents: the pass ends, and what is left stays due. */
function isStoreGone({ findings }: ScrubReport): boolean {
  return findings.length >= UNREACHABLE_MAX && findings.slice(-UNREACHABLE_MAX).every(({ kind }) => kind === 'unreachable');
}

async function scrubClaimed(parts: ScrubParts, claim: ScrubClaim, report: ScrubReport): Promise<void> {
  for (const row of claim.rows) {
    if (parts.signal?.aborted === true || isStoreGone(report)) return;
    let found: ScrubFinding[];
    try {
      found = await scrubOne(parts, row);
    } catch (error) {
      found = [{ org: row.org, content: row.id, kind: 'unreachable', what: (error as Error).message, quarantined: row.state === 'quarantined', restored: false }];
    }
    await claim.settle(row, found.every(({ kind, restored }) => restored || !['missing', 'damaged', 'unreachable', 'quarantined', 'withheld'].includes(kind)));
    report.checked += 1;
    report.bytes += Number(row.size);
    report.findings.push(...found);
    parts.onChecked?.(Number(row.size));
  }
}

/** One pass over everything that `wish` names and nobody else holds. */
export async function scrub(parts: ScrubParts, wish: Omit<ScrubWish, 'stores'>): Promise<ScrubReport> {
  const report: ScrubReport = { checked: 0, bytes: 0, findings: [] };
  while (parts.signal?.aborted !== true) {
    const claim = await claimForScrub(parts.database, { ...wish, stores: parts.stores.map(({ name }) => name) });
    try {
      if (claim.rows.length === 0 || isStoreGone(report)) break;
      await scrubClaimed(parts, claim, report);
    } finally {
      await claim.release();
    }
  }
  return report;
}
