// Reading versions: the newest from `resource`, superseded ones from `resource_history`.
import type { Transaction } from '../database/database.ts';
import type { OrgId, VersionRow } from '../database/tables.ts';

const COLUMNS = 'org, type, id, version, last_updated, deleted, method, body, content, creator';

/** The newest version, deleted or not; undefined when this organisation never had the id. */
export async function readNewest(tx: Transaction, org: OrgId, type: number, id: string): Promise<VersionRow | undefined> {
  const { rows } = await tx.query<VersionRow>({
    name: 'read-newest',
    text: `select ${COLUMNS} from resource where org = $1 and type = $2 and id = $3`,
    values: [org, type, id],
  });
  return rows[0];
}

/** The same, and nobody else may change it until the transaction ends. */
export async function lockNewest(tx: Transaction, org: OrgId, type: number, id: string): Promise<VersionRow | undefined> {
  const { rows } = await tx.query<VersionRow>({
    name: 'lock-newest',
    text: `select ${COLUMNS} from resource where org = $1 and type = $2 and id = $3 for update`,
    values: [org, type, id],
  });
  return rows[0];
}

/** One version, the newest included. */
export async function readVersion(tx: Transaction, org: OrgId, type: number, id: string, version: number): Promise<VersionRow | undefined> {
  const { rows } = await tx.query<VersionRow>({
    name: 'read-version',
    text: `select ${COLUMNS} from resource where org = $1 and type = $2 and id = $3 and version = $4
      union all select ${COLUMNS} from resource_history where org = $1 and type = $2 and id = $3 and version = $4`,
    values: [org, type, id, version],
  });
  return rows[0];
}

/** A page of an instance's versions, newest first: those below `before`, when given. */
export async function readHistory(tx: Transaction, org: OrgId, type: number, id: string, limit: number, before?: number): Promise<VersionRow[]> {
  const { rows } = await tx.query<VersionRow>({
    name: 'read-history',
    text: `select ${COLUMNS} from (
      select ${COLUMNS} from resource where org = $1 and type = $2 and id = $3
      union all select ${COLUMNS} from resource_history where org = $1 and type = $2 and id = $3) as versions
      where version < $4 order by version desc limit $5`,
    values: [org, type, id, before ?? 2_147_483_647, limit],
  });
  return rows;
}

/** Versioned references of the current, not deleted documents that use a Binary. */
export async function readCurrentUsers(tx: Transaction, org: OrgId, binary: string): Promise<{ type: number; id: string; version: number; patient: string | null }[]> {
  const { rows } = await tx.query<{ type: number; id: string; version: number; patient: string | null }>({
    name: 'read-current-users',
    text: `select r.type, r.id, r.version, r.patient from attachment_use u
      join resource r on r.org = u.org and r.type = u.type and r.id = u.id and r.version = u.version
      where u.org = $1 and u."binary" = $2 and not r.deleted order by r.type, r.id limit 50`,
    values: [org, binary],
  });
  return rows;
}
