// Leaves against what they are leaves of: events by their stored text, versions by text, dates and digests.
import { leafDigest } from '../audit/access-event.ts';
import { indexAccess } from '../audit/access-index.ts';
import type { Removal } from '../audit/removal-statement.ts';
import { versionLeafText } from '../audit/version-leaf.ts';
import type { Transaction } from '../database/database.ts';
import type { Findings } from './findings.ts';
import { findPurged } from './purged-versions.ts';
import { columnsOf, isVersion, nameOf, organisationOf, type LeafRow, type VersionRow } from './read-leaves.ts';
import { readVersions, type ReadVersion, type VersionKey } from './read-versions.ts';
import { entityKey, hasItsEntities, NO_ENTITIES, readEntities, type EntityRows } from './verify-entities.ts';

/** Larger texts are fetched a few at a time. */
const TEXTS_BYTES_MAX = 16 * 1024 ** 2;
const TEXTS_AT_ONCE = 256;

/** What is wrong with an event whose leaf is this one, undefined for nothing. */
function eventFault(row: LeafRow, entities: EntityRows): string | undefined {
  const { text, told } = row.read();
  if (leafDigest(text) !== row.digest) return 'its text is not the one that was recorded';
  const event = told();
  if (event === undefined) return 'it stands under another id, instant or organisation';
  const index = indexAccess(event);
  if (columnsOf(event, index) !== row.columns) return 'the columns that searches go by differ from its text';
  return hasItsEntities(index, entities) ? undefined : 'the rows by which searches find it are not those of its text';
}

/** Events that are not there and that a removal covers: below its place, and without a version behind them. What wrote one is never removed. */
async function findRemoved(tx: Transaction, rows: readonly LeafRow[], removal: Removal | undefined): Promise<Set<LeafRow>> {
  const gone = rows.filter((row) => !row.isKept && !isVersion(row) && row.index < (removal?.size ?? 0));
  if (gone.length === 0) return new Set();
  const { rows: writes } = await tx.query<{ index: string }>('select index - 1 as index from log_leaf where index = any($1::bigint[]) and version is not null', [gone.map(({ index }) => index + 1)]);
  const wrote = new Set(writes.map(({ index }) => Number(index)));
  return new Set(gone.filter(({ index }) => !wrote.has(index)));
}

function checkEvent(row: LeafRow, entities: EntityRows, findings: Findings): void {
  const fault = row.isKept ? eventFault(row, entities) : undefined;
  if (row.isKept && fault === undefined) return;
  const start = row.index;
  const place = { leaves: { start, end: start + 1 }, reference: `AuditEvent/${row.event}`, organisation: organisationOf(row) };
  if (fault === undefined) findings.add({ kind: 'event-missing', what: `Leaf ${start}: AuditEvent/${row.event} is missing`, ...place });
  else findings.add({ kind: 'event-changed', what: `Leaf ${start}: AuditEvent/${row.event}: ${fault}`, ...place });
}

/** With the digests of texts as we make them, a few megabytes at a time. */
async function readOwn(tx: Transaction, rows: readonly VersionRow[]): Promise<(ReadVersion | undefined)[]> {
  const keys = rows.map(({ org, type, id, version }): VersionKey => ({ org, type, id, version }));
  const sizes = await textSizes(tx, keys);
  const read: (ReadVersion | undefined)[] = [];
  for (let start = 0; start < keys.length;) {
    let end = start;
    for (let bytes = 0; end < keys.length && end - start < TEXTS_AT_ONCE && (end === start || bytes + (sizes[end] ?? 0) <= TEXTS_BYTES_MAX); end += 1) bytes += sizes[end] ?? 0;
    read.push(...await readVersions(tx, keys.slice(start, end), 'our own'));
    start = end;
  }
  return read;
}

async function textSizes(tx: Transaction, keys: readonly VersionKey[]): Promise<number[]> {
  if (keys.length <= 1) return keys.map(() => 0);
  const { rows } = await tx.query<{ bytes: number | null }>({
    name: 'verify-text-sizes',
    text: `select coalesce(
        (select octet_length(r.body) from resource r where r.org = t.org and r.type = t.type and r.id = t.id and r.version = t.version),
        (select octet_length(h.body) from resource_history h where h.org = t.org and h.type = t.type and h.id = t.id and h.version = t.version)) as bytes
      from unnest($1::int[], $2::smallint[], $3::text[], $4::int[]) with ordinality as t (org, type, id, version, ordinal) order by t.ordinal`,
    values: [keys.map(({ org }) => org), keys.map(({ type }) => type), keys.map(({ id }) => id), keys.map(({ version }) => version)],
  });
  return rows.map(({ bytes }) => bytes ?? 0);
}

function nameVersion(row: VersionRow, stored: ReadVersion | undefined, findings: Findings): void {
  const reference = nameOf(row);
  const start = row.index;
  const place = { leaves: { start, end: start + 1 }, reference, organisation: organisationOf(row) };
  if (stored === undefined) findings.add({ kind: 'version-missing', what: `Leaf ${start}: ${reference} is missing`, ...place });
  else if (stored.content !== undefined && stored.content.sha256 === null) findings.add({ kind: 'content-missing', what: `Leaf ${start}: ${reference}: the bytes ${stored.content.id} are not known any more`, ...place });
  else if (stored.content !== undefined) findings.add({ kind: 'content-changed', what: `Leaf ${start}: ${reference}: its text, or the digest of its bytes, is not the one that was published`, ...place });
  else findings.add({ kind: 'version-changed', what: `Leaf ${start}: ${reference}: its text or date is not the one that was published`, ...place });
}

/** Versions that are not what their leaves are of, but for those that a purge took; answers how many that are. */
async function checkVersions(tx: Transaction, rows: readonly VersionRow[], findings: Findings): Promise<{ versions: number; purged: number }> {
  const stored = await readOwn(tx, rows);
  const others = rows.flatMap((row, position) => {
    const text = versionLeafText({ org: organisationOf(row), reference: nameOf(row), stored: stored[position] });
    return leafDigest(text) === row.digest ? [] : [{ row, stored: stored[position], reference: nameOf(row), org: organisationOf(row) }];
  });
  const purged = await findPurged(tx, others);
  for (const other of others) if (!purged.has(other.row)) nameVersion(other.row, other.stored, findings);
  return { versions: stored.filter((version) => version !== undefined).length, purged: purged.size };
}

export interface CheckedLeaves {
  /** Of those whose row is there. */
  events: number;
  versions: number;
  /** Versions whose text or bytes went with a purge that has its leaf. */
  purged: number;
  /** Events that are gone as the statement of a removal says. */
  removed: number;
}

/** Compares a page of leaves with the rows that they are leaves of. */
export async function checkLeaves(tx: Transaction, rows: readonly LeafRow[], findings: Findings, removal?: Removal): Promise<CheckedLeaves> {
  const versions = rows.filter(isVersion);
  const removed = await findRemoved(tx, rows, removal);
  const checked = { events: 0, removed: removed.size, ...(versions.length === 0 ? { versions: 0, purged: 0 } : await checkVersions(tx, versions, findings)) };
  const entities = await readEntities(tx, rows.flatMap((row) => (row.isKept ? [row.event] : [])));
  for (const row of rows) {
    if (isVersion(row) || removed.has(row)) continue;
    checkEvent(row, entities.get(entityKey(row.org, row.event)) ?? NO_ENTITIES, findings);
    if (row.isKept) checked.events += 1;
  }
  return checked;
}
