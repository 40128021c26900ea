// The rows of small pictures: queued with the publication of their image, leased, and found again by the Binary.
import { randomUUID } from 'node:crypto';
import { PICTURED_TYPES } from '../content/pictures.ts';
import type { ReceivedContent } from '../content/receive-content.ts';
import type { Transaction } from '../database/database.ts';
import type { ContentRow, OrgId } from '../database/tables.ts';
import { typeNumber } from '../fhir/resource-type.ts';

/** Pixels of the longer edge of what lists show. */
export const THUMBNAIL_EDGE = 256;

/** A picture that is to be made, leased. */
export interface DueRendition {
  org: OrgId;
  orgName: string;
  source: string;
  edge: number;
  attempts: number;
  lease: string;
  /** The image; undefined where there is none any more. */
  row: ContentRow | undefined;
}

/** Travels with the commit of the publication, so that nobody waits for it. */
export function queueThumbnail(tx: Transaction, { org, id, received }: { org: OrgId; id: string; received: Pick<ReceivedContent, 'id' | 'sniffedType'> }): void {
  if (!(PICTURED_TYPES as readonly (string | undefined)[]).includes(received.sniffedType)) return;
  tx.last({
    name: 'queue-rendition',
    text: `insert into rendition (org, source, "binary", edge, state, due_at) select org, source, b, ${THUMBNAIL_EDGE}, 'waiting', now() from unnest($1::int[], $2::uuid[], $3::text[]) as n (org, source, b)`,
    columns: [[org], [received.id], [id]],
  });
}

/** A picture that was made together with its image. */
export async function insertRendition(tx: Transaction, made: { org: OrgId; source: string; binary: string; edge: number; content: string; width: number; height: number }): Promise<void> {
  await tx.query(
    `insert into rendition (org, source, "binary", edge, state, content, width, height) values ($1, $2, $3, $4, 'made', $5, $6, $7)`,
    [made.org, made.source, made.binary, made.edge, made.content, made.width, made.height],
  );
}

/** Leases what is due, the oldest first; what another server leases at this moment is passed over. */
export async function leaseRenditions(tx: Transaction, count: number, leaseMs: number): Promise<DueRendition[]> {
  const lease = randomUUID();
  const { rows } = await tx.query<{ org: OrgId; source: string; edge: number; attempts: number; orgName: string }>(
    `with due as (select org, source, edge from rendition where state = 'waiting' and due_at <= now() order by due_at limit $2 for update skip locked)
      update rendition r set lease = $1, due_at = now() + $3 * interval '1 millisecond' from due d, organisation g
      where r.org = d.org and r.source = d.source and r.edge = d.edge and g.id = d.org returning r.org, r.source, r.edge, r.attempts, g.name as "orgName"`,
    [lease, count, leaseMs],
  );
  if (rows.length === 0) return [];
  const contents = await tx.query<ContentRow>('select c.* from unnest($1::int[], $2::uuid[]) as k (org, id) join content c on c.org = k.org and c.id = k.id', [rows.map(({ org }) => org), rows.map(({ source }) => source)]);
  return rows.map((row) => ({ ...row, lease, row: contents.rows.find(({ org, id }) => org === row.org && id === row.source) }));
}

export type RenditionEnd =
  | { state: 'made'; content: string; width: number; height: number }
  | { state: 'failed'; failure: string }
  /** Tried again after so many milliseconds. */
  | { state: 'waiting'; delayMs: number; failure?: string };

/** Ends a lease. False when it was lost meanwhile, and nothing was changed. */
export async function settleRendition(tx: Transaction, { org, source, edge, lease }: DueRendition, end: RenditionEnd): Promise<boolean> {
  const made = end.state === 'made' ? end : undefined;
  const { rowCount } = await tx.query(
    `update rendition set state = $5, lease = null, attempts = attempts + 1, content = $6, width = $7, height = $8, failure = $9,
        due_at = case when $10::int is null then null else now() + $10 * interval '1 millisecond' end
      where org = $1 and source = $2 and edge = $3 and lease = $4 and state = 'waiting'`,
    [org, source, edge, lease, end.state, made?.content ?? null, made?.width ?? null, made?.height ?? null, end.state === 'made' ? null : end.failure?.replaceAll('\0', '') ?? null, end.state === 'waiting' ? end.delayMs : null],
  );
  return rowCount === 1;
}

export async function countRenditions(tx: Transaction): Promise<{ waiting: number; failed: number }> {
  const { rows } = await tx.query<{ state: string; count: string }>(`select state, count(*) from rendition where state <> 'made' group by state`);
  const of = (state: string): number => Number(rows.find((row) => row.state === state)?.count ?? 0);
  return { waiting: of('waiting'), failed: of('failed') };
}

export interface ShownPicture {
  /** Id of the Binary. */
  binary: string;
  /** The content that the picture is made of. */
  source: string;
}

/** Pictures of the bytes that these Binaries have at this moment. */
export async function findThumbnails(tx: Transaction, org: OrgId, binaries: readonly string[]): Promise<ShownPicture[]> {
  if (binaries.length === 0) return [];
  const { rows } = await tx.query<ShownPicture>({
    name: 'find-thumbnails',
    text: `select t."binary", t.source from rendition t join resource b on b.org = t.org and b.type = ${typeNumber('Binary')} and b.id = t."binary" and b.content = t.source
      where t.org = $1 and t."binary" = any($2::text[]) and t.edge = ${THUMBNAIL_EDGE} and t.state = 'made' and not b.deleted`,
    values: [org, binaries],
  });
  return rows;
}

/** The Binary whose newest bytes the picture is of, and the picture's own content. */
export async function findPicture(tx: Transaction, org: OrgId, source: string, edge: number): Promise<{ binary: string; content: string } | undefined> {
  const { rows } = await tx.query<{ binary: string; content: string }>({
    name: 'find-picture',
    text: `select t."binary", t.content from rendition t join resource b on b.org = t.org and b.type = ${typeNumber('Binary')} and b.id = t."binary" and b.content = t.source
      where t.org = $1 and t.source = $2 and t.edge = $3 and t.state = 'made'`,
    values: [org, source, edge],
  });
  return rows[0];
}
