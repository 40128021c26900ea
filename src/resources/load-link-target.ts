// The Binary that an attachment points to, with the digests of its bytes; many requests by one query.
import type { Database, Transaction } from '../database/database.ts';
import { createNaturalBatch } from '../database/natural-batch.ts';
import type { OrgId, VersionRow } from '../database/tables.ts';
import { RESOURCE_TYPES } from '../fhir/resource-type.ts';

export interface LinkTarget extends VersionRow {
  /** As declared when the bytes came. */
  contentType: string;
  size: number;
  sha256: Buffer;
  sha1: Buffer;
}

export interface LinkTargetLoader {
  /** undefined when this organisation has no such Binary, or it is deleted. */
  load(org: OrgId, id: string): Promise<LinkTarget | undefined>;
}

const TARGETS = `select r.org, r.type, r.id, r.version, r.last_updated, r.deleted, r.method, r.body, r.content, r.creator, r.patient,
    c.size::float8 as size, c.sha256, c.sha1, coalesce(c.declared_type, '') as "contentType"
  from unnest($2::text[]) as k (id)
  cross join lateral (select * from resource v where v.org = $1 and v.type = ${RESOURCE_TYPES.Binary} and v.id = k.id and not v.deleted offset 0) r
  cross join lateral (select * from content where org = r.org and id = r.content offset 0) c`;

export function createLinkTargetLoader(database: Pick<Database, 'select'>): LinkTargetLoader {
  const load = createNaturalBatch<string, LinkTarget | undefined>(async (lane, ids) => {
    const org = Number(lane);
    const { rows } = await database.select<LinkTarget>(org, { name: 'load-link-target', text: TARGETS, values: [org, ids] });
    const byId = new Map(rows.map((row) => [row.id, row]));
    return ids.map((id) => byId.get(id));
  });
  return { load: (org, id) => load(String(org), id) };
}

/** The same inside a transaction. */
export async function readLinkTarget(tx: Transaction, org: OrgId, id: string): Promise<LinkTarget | undefined> {
  return (await tx.query<LinkTarget>({ name: 'load-link-target', text: TARGETS, values: [org, [id]] })).rows[0];
}
