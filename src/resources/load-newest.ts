// The newest version of a resource, many requests by one query.
import type { Database } from '../database/database.ts';
import { createNaturalBatch } from '../database/natural-batch.ts';
import type { OrgId, VersionRow } from '../database/tables.ts';
import { VERSION_COLUMNS } from './read-version.ts';

export interface NewestLoader {
  /** The newest version, deleted or not; undefined when this organisation never had the id. */
  load(org: OrgId, type: number, id: string): Promise<VersionRow | undefined>;
}

const NEWEST = `select ${VERSION_COLUMNS} from resource where org = $1 and type = $2 and id = any($3::text[])`;

export function createNewestLoader(database: Pick<Database, 'select'>): NewestLoader {
  const load = createNaturalBatch<string, VersionRow | undefined>(async (lane, ids) => {
    const [org, type] = lane.split('/').map(Number) as [OrgId, number];
    const { rows } = await database.select<VersionRow>(org, { name: 'load-newest', text: NEWEST, values: [org, type, ids] });
    const byId = new Map(rows.map((row) => [row.id, row]));
    return ids.map((id) => byId.get(id));
  });
  return { load: (org, type, id) => load(`${org}/${type}`, id) };
}
