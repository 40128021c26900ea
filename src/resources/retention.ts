// Until when a resource has to be kept, and what is due for review. The last activity counts: the newest version, or the date
// that the document itself has when that is later.
import type { Transaction } from '../database/database.ts';
import type { OrgId, VersionRow } from '../database/tables.ts';
import { isJsonObject, type JsonObject } from '../fhir/json.ts';
import { RESOURCE_TYPES, typeName } from '../fhir/resource-type.ts';
import { findHold, type LegalHold } from './legal-holds.ts';
import { readResource } from './resource-text.ts';
import { periodEnd, RETENTION_TAG_SYSTEM, retentionClass, type RetentionClass, type RetentionProfile } from './retention-profiles.ts';

export interface Retention {
  class: string;
  /** Milliseconds. */
  lastActivity: number;
  /** Milliseconds; undefined = for good. */
  until: number | undefined;
}

/** Types that have a retention. */
export const RETAINED_TYPES = ['DocumentReference', 'Media', 'List', 'Binary'] as const;

function tagOf(resource: JsonObject): string | undefined {
  const meta = isJsonObject(resource['meta']) ? resource['meta'] : {};
  const tags = Array.isArray(meta['tag']) ? meta['tag'].filter(isJsonObject) : [];
  const code = tags.find(({ system }) => system === RETENTION_TAG_SYSTEM)?.['code'];
  // Bytes alone are unlinked.
  return typeof code === 'string' && code !== 'unlinked' ? code : undefined;
}

function ended({ code, period }: RetentionClass, lastActivity: number): Retention {
  return { class: code, lastActivity, until: period === undefined ? undefined : periodEnd(lastActivity, period) };
}

interface Dated extends Pick<VersionRow, 'org' | 'type' | 'id' | 'last_updated' | 'patient' | 'version' | 'deleted'> {
  date_hi: Date | number | null;
  /** Of the newest version that has a text. */
  text: string | null;
  used: boolean;
}

const DATED = `r.org, r.type, r.id, r.last_updated, r.patient, r.version, r.deleted, case when isfinite(r.date_hi) then r.date_hi end as date_hi,
  coalesce(r.body, (select h.body from resource_history h where h.org = r.org and h.type = r.type and h.id = r.id and h.body is not null order by h.version desc limit 1)) as text,
  exists (select from attachment_use u join resource d on d.org = u.org and d.type = u.type and d.id = u.id
    where u.org = r.org and u."binary" = r.id and r.type = ${RESOURCE_TYPES.Binary}
      and exists (select from resource_history h where h.org = d.org and h.type = d.type and h.id = d.id and h.body is not null union all select where d.body is not null)) as used`;

function retentionOfRow(row: Dated, profile: RetentionProfile): Retention | undefined {
  // Nothing is left to keep.
  if (row.text === null) return undefined;
  const lastActivity = Math.max(row.last_updated.getTime(), row.date_hi instanceof Date ? row.date_hi.getTime() : 0);
  if (row.type === RESOURCE_TYPES.Binary) return row.used ? undefined : ended(retentionClass(profile, 'unlinked'), lastActivity);
  return ended(retentionClass(profile, tagOf(readResource(row.text))), lastActivity);
}

/** undefined where there is nothing (any more) that has a retention of its own: what was purged, and bytes that a document uses. */
export async function readRetention(tx: Transaction, org: OrgId, type: number, id: string, profile: RetentionProfile): Promise<Retention | undefined> {
  const { rows } = await tx.query<Dated>(`select ${DATED} from resource r where r.org = $1 and r.type = $2 and r.id = $3`, [org, type, id]);
  return rows[0] === undefined ? undefined : retentionOfRow(rows[0], profile);
}

export interface DueDocument extends Retention {
  reference: string;
  version: number;
  deleted: boolean;
  patient: string | null;
  hold: LegalHold | undefined;
}

/** Where a list goes on: behind that resource. */
export interface RetentionCursor {
  type: number;
  id: string;
}

/** Resources that one page looks at, most. */
const LOOKED_AT = 2_000;

/**
 * Those whose retention is over at `now`, held ones included and named as such, in the order of type and id. One page looks at
 * a bounded number of resources, so it may be short; `next` says where the following one begins.
 */
export async function listDue(tx: Transaction, org: OrgId, profile: RetentionProfile, { now, after, limit }: { now: number; after: RetentionCursor; limit: number }): Promise<{ due: DueDocument[]; next: RetentionCursor | undefined }> {
  const shortest = Math.min(now - 24 * 3_600_000, now);
  const { rows } = await tx.query<Dated>(
    `select ${DATED} from (
       select * from resource where org = $1 and (type, id) > ($2::smallint, $3::text) and type = any($4::smallint[]) order by type, id limit $5) r order by r.type, r.id`,
    [org, after.type, after.id, RETAINED_TYPES.map((type) => RESOURCE_TYPES[type]), LOOKED_AT],
  );
  const due: DueDocument[] = [];
  let last: Dated | undefined;
  for (const row of rows) {
    if (due.length === limit) break;
    last = row;
    const retention = row.last_updated.getTime() > shortest ? undefined : retentionOfRow(row, profile);
    if (retention?.until === undefined || retention.until > now) continue;
    due.push({ ...retention, reference: `${typeName(row.type)}/${row.id}`, version: row.version, deleted: row.deleted, patient: row.patient, hold: await findHold(tx, row) });
  }
  const isEnd = rows.length < LOOKED_AT && last === rows.at(-1);
  return { due, next: isEnd || last === undefined ? undefined : { type: last.type, id: last.id } };
}
