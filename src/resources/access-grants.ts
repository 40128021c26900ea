// The rows of grants: made, found, listed, revoked and counted. What a grant allows is decided elsewhere.
import type { AccessGrant, GrantLimits } from '../access/access-grant.ts';
import type { Transaction } from '../database/database.ts';
import type { OrgId } from '../database/tables.ts';
import { typeName, typeNumber } from '../fhir/resource-type.ts';

export interface GrantRow {
  id: string;
  owner: string;
  principal: string;
  type: number;
  resource: string;
  method: GrantLimits['method'];
  created_at: Date;
  expires_at: Date;
  revoked_at: Date | null;
  allowed_ip: string[];
  disposition: 'inline' | 'attachment' | null;
  uses_max: number | null;
  used: number;
  content_type: string | null;
  size: string | null;
  sha256: Buffer | null;
  direct: boolean;
  /** For the pictures of lists, each of which its token names. */
  thumbnails: boolean;
}

const COLUMNS = 'id, owner, principal, type, resource, method, created_at, expires_at, revoked_at, allowed_ip, disposition, uses_max, used, content_type, size, sha256, direct, thumbnails';

/** One grant, as a statement for whatever transaction it is read in. */
export const findGrantStatement = (org: OrgId, id: string): { name: string; text: string; values: unknown[] } =>
  ({ name: 'find-grant', text: `select ${COLUMNS} from access_grant where org = $1 and id = $2`, values: [org, id] });

export function grantOf(row: GrantRow): AccessGrant {
  return {
    id: row.id, type: typeName(row.type) as AccessGrant['type'], resourceId: row.resource, method: row.method, createdAt: row.created_at.getTime(), expiresAt: row.expires_at.getTime(),
    allowedIp: row.allowed_ip, used: row.used,
    ...(row.revoked_at === null ? {} : { revokedAt: row.revoked_at.getTime() }),
    ...(row.disposition === null ? {} : { disposition: row.disposition }),
    ...(row.uses_max === null ? {} : { usesMax: row.uses_max }),
    ...(row.content_type === null ? {} : { contentType: row.content_type }),
    ...(row.size === null ? {} : { size: Number(row.size) }),
    ...(row.sha256 === null ? {} : { sha256: row.sha256 }),
    ...(row.direct ? { direct: true } : {}),
  };
}

export interface OwnedGrant {
  org: OrgId;
  owner: string;
  principal: string;
}

/** How long one that has expired can still be renewed. */
const KEPT_MS = 24 * 3_600_000;
const LIFE_MS_MAX = 3_600_000;

/** Ids are UUIDs of version 7: one below this was made so long ago that nobody renews it, and those above need not be looked at. */
function oldestKept(now: number): string {
  const hex = Math.max(0, now - KEPT_MS - LIFE_MS_MAX).toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
}

/** What the same owner no longer needs goes with it; the record keeps what was done by it. */
export async function insertGrant(tx: Transaction, { org, owner, principal }: OwnedGrant, grant: AccessGrant, thumbnails = false): Promise<void> {
  await tx.query({
    name: 'remove-old-grants',
    text: 'delete from access_grant where org = $1 and owner = $2 and id < $3::uuid',
    values: [org, owner, oldestKept(grant.createdAt)],
  });
  await tx.query({
    name: 'insert-grant',
    text: `insert into access_grant (org, id, owner, principal, type, resource, method, created_at, expires_at, allowed_ip, disposition, uses_max, content_type, size, sha256, direct, thumbnails)
      values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`,
    values: [
      org, grant.id, owner, principal, typeNumber(grant.type), grant.resourceId, grant.method, new Date(grant.createdAt), new Date(grant.expiresAt), grant.allowedIp,
      grant.disposition ?? null, grant.usesMax ?? null, grant.contentType ?? null, grant.size ?? null, grant.sha256 ?? null, grant.direct ?? false, thumbnails,
    ],
  });
}

/** One without limits but its end, for a download: it travels with the commit of what it is for. */
export function insertPlainGrant(tx: Transaction, { org, owner, principal }: OwnedGrant, grant: Pick<AccessGrant, 'id' | 'type' | 'resourceId' | 'createdAt' | 'expiresAt'>): void {
  tx.last({
    name: 'insert-plain-grant',
    text: `with removed as (
        delete from access_grant g using unnest($1::int[], $3::text[], $9::uuid[]) as o(org, owner, kept_from) where g.org = o.org and g.owner = o.owner and g.id < o.kept_from)
      insert into access_grant (org, id, owner, principal, type, resource, created_at, expires_at, method)
      select *, 'GET' from unnest($1::int[], $2::uuid[], $3::text[], $4::text[], $5::smallint[], $6::text[], $7::timestamptz[], $8::timestamptz[])`,
    columns: [[org], [grant.id], [owner], [principal], [typeNumber(grant.type)], [grant.resourceId], [new Date(grant.createdAt)], [new Date(grant.expiresAt)], [oldestKept(grant.createdAt)]],
  });
}

/** The grant, and nobody else changes it until the transaction ends. */
export async function lockGrant(tx: Transaction, org: OrgId, id: string): Promise<GrantRow | undefined> {
  const { rows } = await tx.query<GrantRow>({ name: 'lock-grant', text: `select ${COLUMNS} from access_grant where org = $1 and id = $2 for update`, values: [org, id] });
  return rows[0];
}

/** Those of an owner that have not expired, newest first; that for the pictures of lists is none of them. */
export async function listGrants(tx: Transaction, org: OrgId, owner: string, now: number, limit: number): Promise<GrantRow[]> {
  const { rows } = await tx.query<GrantRow>({
    name: 'list-grants',
    text: `select ${COLUMNS} from access_grant where org = $1 and owner = $2 and expires_at > $3 and not thumbnails order by id desc limit $4`,
    values: [org, owner, new Date(now), limit],
  });
  return rows;
}

export async function revokeGrant(tx: Transaction, org: OrgId, id: string, now: number): Promise<void> {
  await tx.query({ name: 'revoke-grant', text: 'update access_grant set revoked_at = $3 where org = $1 and id = $2 and revoked_at is null', values: [org, id, new Date(now)] });
}

/** Takes one use; false where none is left, or the grant ended meanwhile. Of those who come at once no more than are left succeed. */
export async function takeUse(tx: Transaction, org: OrgId, id: string, now: number): Promise<boolean> {
  const { rowCount } = await tx.query({
    name: 'take-grant-use',
    text: `update access_grant set used = used + 1 where org = $1 and id = $2 and revoked_at is null and expires_at > $3 and (uses_max is null or used < uses_max)`,
    values: [org, id, new Date(now)],
  });
  return rowCount === 1;
}

/** A use that came to nothing. */
export async function giveBackUse(tx: Transaction, org: OrgId, id: string): Promise<void> {
  await tx.query({ name: 'give-back-grant-use', text: 'update access_grant set used = used - 1 where org = $1 and id = $2 and used > 0', values: [org, id] });
}
