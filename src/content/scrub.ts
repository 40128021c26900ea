// Reads bytes that rest, compares them with their digests, and takes out of service what no copy can mend. What is sound is
// only read.
import type { Database } from '../database/database.ts';
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
  kind: FindingKind | 'quarantined' | 'unreachable';
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

export interface ScrubParts {
  database: Database;
  stores: readonly ContentStore[];
  replica: ContentStore | undefined;
  /** The stores must say that they encrypt. */
  encrypted?: boolean;
  /** Puts good copies back. */
  restore?: boolean;
  pace?: (bytes: number) => Promise<void>;
  /** Called when bytes went out of service or came back: the record of it. */
  onChange: (row: ContentRow, change: 'quarantined' | 'restored', what: string) => Promise<void>;
  onChecked?: (bytes: number) => void;
  signal?: AbortSignal;
}

/** The first copy that is wholly right; one that is out of reach counts as none. */
async function goodCopy(parts: ScrubParts, row: ContentRow, store: ContentStore): Promise<Copy | undefined> {
  for (const copy of await findCopies(row, store, parts.replica)) {
    const findings = await checkContent(row, copy, { pace: parts.pace }).catch(() => undefined);
    if (findings !== undefined && !findings.some(isLoss)) return copy;
  }
  return undefined;
}

async function restore(parts: ScrubParts, row: ContentRow, store: ContentStore, from: RestoreFrom): Promise<boolean> {
  if (parts.restore !== true || !await restoreContent(parts.database, row, store, from)) return false;
  await parts.onChange(row, 'restored', `Bytes with the same SHA-256 are back in service, from the ${from.origin}`);
  return true;
}

async function quarantine(parts: ScrubParts, row: ContentRow, what: string): Promise<void> {
  if (await parts.database.transaction(row.org, (tx) => quarantineContent(tx, row.org, row.id, what))) await parts.onChange(row, 'quarantined', what);
}

async function meetLoss(parts: ScrubParts, row: ContentRow, store: ContentStore, loss: Finding): Promise<ScrubFinding> {
  const copy = await goodCopy(parts, row, store);
  const finding = { org: row.org, content: row.id, kind: loss.kind, what: loss.what };
  if (copy === undefined) {
    await quarantine(parts, row, loss.what);
    return { ...finding, quarantined: true, restored: false };
  }
  const restored = await restore(parts, row, store, copy);
  return { ...finding, copy: copy.origin, quarantined: !restored && row.state === 'quarantined', restored };
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
    await claim.settle(row, found.every(({ kind, restored }) => restored || !['missing', 'damaged', 'unreachable', 'quarantined'].includes(kind)));
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
