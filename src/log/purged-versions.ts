// What is gone because it was purged: a version that lacks its text or its bytes is accepted exactly when the leaf of a purge
// names it as its own leaf was made of it.
import { leafHash, type AccessEvent, type PurgedVersion } from '../audit/access-event.ts';
import { ENTITY_ROLES } from '../audit/access-index.ts';
import { versionless } from '../audit/touched-references.ts';
import { versionLeafText, type StoredBytes, type StoredVersion } from '../audit/version-leaf.ts';
import type { Transaction } from '../database/database.ts';

const EVENTS_AT_ONCE = 64;

export interface Other<Row extends { org: number; index: number; hash: Buffer }> {
  row: Row;
  /** Type/id/_history/version */
  reference: string;
  org: string;
  stored: StoredVersion | undefined;
}

interface PurgeRow { body: string; hash: Buffer; index: string }

/** The purges of one resource that have their leaf, the index rows of the record leading to them. */
async function readPurges(tx: Transaction, org: number, resource: string): Promise<PurgeRow[]> {
  const { rows } = await tx.query<PurgeRow>({
    name: 'verify-purges',
    text: `select e.body, l.hash, l.index from access_entity x
      join access_event e on e.org = x.org and e.id = x.event
      join log_leaf l on l.org = x.org and l.event = x.event and l.version is null
      where x.org = $1 and x.reference = $2 and x.role = ${ENTITY_ROLES.purged} order by x.event limit ${EVENTS_AT_ONCE}`,
    values: [org, resource],
  });
  return rows;
}

function versionsOf({ body, hash }: PurgeRow): PurgedVersion[] {
  if (!leafHash(body).equals(hash)) return [];
  const { outcome, purge } = JSON.parse(body) as AccessEvent;
  return outcome === 0 ? purge?.versions ?? [] : [];
}

/** What is left of the bytes says nothing else than the leaf. */
function fitsBytes(left: StoredBytes | undefined, purged: StoredBytes | undefined): boolean {
  if (left === undefined || purged === undefined) return left === purged;
  const fits = <T>(one: T | null, other: T | null): boolean => one === null || one === other;
  return left.id === purged.id && fits(left.sha256, purged.sha256) && fits(left.chunks, purged.chunks) && fits(left.size, purged.size);
}

/** Something is gone, and nothing is other than it was. */
function isRemainder(left: StoredVersion | undefined, purged: PurgedVersion): boolean {
  if (left === undefined) return true;
  return left.lastUpdated === purged.lastUpdated && left.method === purged.method && (left.sha256 === undefined || left.sha256 === purged.sha256) && fitsBytes(left.content, purged.content);
}

/** The rows of those that a purge covers, each with what was there. Purges that come before the leaf of a version cannot have taken it. */
export async function findPurged<Row extends { org: number; index: number; hash: Buffer }>(tx: Transaction, others: readonly Other<Row>[]): Promise<Map<Row, PurgedVersion>> {
  const found = new Map<Row, PurgedVersion>();
  let held: { key: string; purges: { index: number; versions: Map<string, PurgedVersion> }[] } | undefined;
  for (const { row, reference, org, stored } of others) {
    const resource = versionless(reference);
    const key = `${row.org} ${resource}`;
    if (held?.key !== key) {
      const rows = await readPurges(tx, row.org, resource);
      held = { key, purges: rows.map((purge) => ({ index: Number(purge.index), versions: new Map(versionsOf(purge).map((version) => [version.reference, version])) })) };
    }
    for (const { index, versions } of held.purges) {
      const purged = versions.get(reference);
      const covers = purged !== undefined && index > row.index && isRemainder(stored, purged) && leafHash(versionLeafText({ org, reference, stored: purged })).equals(row.hash);
      if (covers) found.set(row, purged);
    }
  }
  return found;
}
