// Reading versions: the newest from `resource`, superseded ones from `resource_history`.
import type { Transaction } from '../database/database.ts';
import type { OrgId, VersionRow } from '../database/tables.ts';

/** The columns of a VersionRow, in both tables. */
export const VERSION_COLUMNS = 'org, type, id, version, last_updated, deleted, method, body, content, creator, patient';

/** The newest version, deleted or not; undefined when this organisation never had the id. */
export async function readNewest(tx: Transaction, org: OrgId, type: number, id: string): Promise<VersionRow | undefined> {
  const { rows } = await tx.query<VersionRow>({
    name: 'read-newest',
    text: `select ${VERSION_COLUMNS} from resource where org = $1 and type = $2 and id = $3`,
    values: [org, type, id],
  });
  return rows[0];
}

/** The same, and nobody else may change it until the transaction ends. */
export async function lockNewest(tx: Transaction, org: OrgId, type: number, id: string): Promise<VersionRow | undefined> {
  const { rows } = await tx.query<VersionRow>({
    name: 'lock-newest',
    text: `select ${VERSION_COLUMNS} from resource where org = $1 and type = $2 and id = $3 for update`,
    values: [org, type, id],
  });
  return rows[0];
}

/** One version, the newest included. */
export async function readVersion(tx: Transaction, org: OrgId, type: number, id: string, version: number): Promise<VersionRow | undefined> {
  const { rows } = await tx.query<VersionRow>({
    name: 'read-version',
    text: `select ${VERSION_COLUMNS} from resource where org = $1 and type = $2 and id = $3 and version = $4
      union all select ${VERSION_COLUMNS} from resource_history where org = $1 and type = $2 and id = $3 and version = $4`,
    values: [org, type, id, version],
  });
  return rows[0];
}

export interface BinaryUse {
  type: number;
  id: string;
  /** Newest version that points to the Binary. */
  version: number;
  patient: string | null;
}

/** The documents that use a Binary or did in an older version, which whoever may read versions may still read. */
export async function readBinaryUses(tx: Transaction, org: OrgId, binary: string): Promise<BinaryUse[]> {
  const { rows } = await tx.query<BinaryUse>({
    name: 'read-binary-uses',
    text: `select distinct on (u.type, u.id) u.type, u.id, u.version, r.patient from attachment_use u
      cross join lateral (select patient from resource where org = u.org and type = u.type and id = u.id offset 0) r
      where u.org = $1 and u."binary" = $2 order by u.type, u.id, u.version desc limit 50`,
    values: [org, binary],
  });
  return rows;
}
