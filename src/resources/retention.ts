// Until when a resource has to be kept, and what is due for review. The last activity counts: the newest version, or the date
// that the document itself has when that is later.
import type { Transaction } from '../database/database.ts';
import type { OrgId, VersionRow } from '../database/tables.ts';
import { RESOURCE_TYPES, typeName } from '../fhir/resource-type.ts';
import { findHold, type LegalHold } from './legal-holds.ts';
import { readResource } from './resource-text.ts';
import { classesOver, classTag, periodEnd, retentionClass, UNLINKED_CLASS, type RetentionClass, type RetentionProfile } from './retention-profiles.ts';

export interface Retention {
  class: string;
  /** Milliseconds. */
  lastActivity: number;
  /** Milliseconds; undefined = for good. */
  until: number | undefined;
}

/** Types that have a retention. */
export const RETAINED_TYPES = ['DocumentReference', 'Media', 'List', 'Binary'] as const;

function ended({ code, period }: RetentionClass, lastActivity: number): Retention {
  return { class: code, lastActivity, until: period === undefined ? undefined : periodEnd(lastActivity, period) };
}

interface Dated extends Pick<VersionRow, 'org' | 'type' | 'id' | 'patient' | 'version' | 'deleted'> {
  last_activity: Date;
  /** Of the newest version that has a text. */
  text: string | null;
  used: boolean;
}

const DATED = `r.org, r.type, r.id, r.last_activity, r.patient, r.version, r.deleted,
  coalesce(r.body, (select h.body from resource_history h where h.org = r.org and h.type = r.type and h.id = r.id and h.body is not null order by h.version desc limit 1)) as text,
  exists (select from attachment_use u join resource d on d.org = u.org and d.type = u.type and d.id = u.id
    where u.org = r.org and u."binary" = r.id and r.type = ${RESOURCE_TYPES.Binary}
      and exists (select from resource_history h where h.org = d.org and h.type = d.type and h.id = d.id and h.body is not null union all select where d.body is not null)) as used`;

function retentionOfRow(row: Dated, profile: RetentionProfile): Retention | undefined {
  // Nothing is left to keep.
  if (row.text === null) return undefined;
  const lastActivity = row.last_activity.getTime();
  if (row.type === RESOURCE_TYPES.Binary) return row.used ? undefined : ended(retentionClass(profile, UNLINKED_CLASS), lastActivity);
  return ended(retentionClass(profile, classTag(readResource(row.text))), lastActivity);
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
  /** Milliseconds. */
  lastActivity: number;
  type: number;
  id: string;
}

export const START_OF_LIST: RetentionCursor = { lastActivity: Date.UTC(0, 0), type: 0, id: '' };

/** Each class by its index, as far as it may be over: the oldest of each, of which the oldest of all are taken. */
const DUE = `with class as (select * from unnest($2::text[], $3::timestamptz[]) as c (code, latest)),
  found as (select r.* from class c cross join lateral (
    select org, type, id, last_activity from resource r
      where r.org = $1 and r.retention = c.code and r.last_activity <= c.latest and (r.last_activity, r.type, r.id) > ($4::timestamptz, $5::smallint, $6::text)
      order by r.last_activity, r.type, r.id limit $7) r),
  page as (select * from found order by last_activity, type, id limit $7)
  select ${DATED} from page p join resource r on r.org = p.org and r.type = p.type and r.id = p.id order by p.last_activity, p.type, p.id`;

/**
 * Those whose retention is over at `now`, held ones included and named as such, what was left alone longest first. A page may be
 * short of one that was used meanwhile; `next` says where the following one begins.
 */
export async function listDue(tx: Transaction, org: OrgId, profile: RetentionProfile, { now, after, limit }: { now: number; after: RetentionCursor; limit: number }): Promise<{ due: DueDocument[]; next: RetentionCursor | undefined }> {
  const classes = classesOver(profile, now);
  const { rows } = await tx.query<Dated>(DUE, [org, classes.map(({ code }) => code), classes.map(({ latest }) => new Date(latest)), new Date(after.lastActivity), after.type, after.id, limit + 1]);
  const page = rows.slice(0, limit);
  const due: DueDocument[] = [];
  for (const row of page) {
    const retention = retentionOfRow(row, profile);
    if (retention?.until === undefined || retention.until > now) continue;
    due.push({ ...retention, reference: `${typeName(row.type)}/${row.id}`, version: row.version, deleted: row.deleted, patient: row.patient, hold: await findHold(tx, row) });
  }
  const last = page.at(-1);
  return { due, next: rows.length <= limit || last === undefined ? undefined : { lastActivity: last.last_activity.getTime(), type: last.type, id: last.id } };
}
