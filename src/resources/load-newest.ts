// Reads of the newest version by natural batching: the first leaves at once, those that come while it is under way
// leave together. One transaction serves them all, for they are of one organisation.
import type { Database } from '../database/database.ts';
import type { OrgId, VersionRow } from '../database/tables.ts';
import { VERSION_COLUMNS } from './read-version.ts';

export interface NewestLoader {
  /** The newest version, deleted or not; undefined when this organisation never had the id. */
  load(org: OrgId, type: number, id: string): Promise<VersionRow | undefined>;
}

interface Waiting {
  id: string;
  resolve: (row: VersionRow | undefined) => void;
  reject: (error: unknown) => void;
}

const IDS_PER_QUERY = 64;
const QUERIES_AT_ONCE = 1;

const NEWEST = `select ${VERSION_COLUMNS} from resource where org = $1 and type = $2 and id = any($3::text[])`;

/** What waits for one organisation and type. */
class Lane {
  readonly waiting: Waiting[] = [];
  running = 0;
}

export function createNewestLoader(database: Pick<Database, 'select'>): NewestLoader {
  const lanes = new Map<string, Lane>();

  async function flush(key: string, lane: Lane, org: OrgId, type: number): Promise<void> {
    if (lane.running >= QUERIES_AT_ONCE || lane.waiting.length === 0) return;
    lane.running += 1;
    const batch = lane.waiting.splice(0, IDS_PER_QUERY);
    try {
      const { rows } = await database.select<VersionRow>(org, { name: 'load-newest', text: NEWEST, values: [org, type, batch.map((one) => one.id)] });
      const byId = new Map(rows.map((row) => [row.id, row]));
      for (const one of batch) one.resolve(byId.get(one.id));
    } catch (error) {
      for (const one of batch) one.reject(error);
    } finally {
      lane.running -= 1;
      if (lane.running === 0 && lane.waiting.length === 0) lanes.delete(key);
      else void flush(key, lane, org, type);
    }
  }

  return {
    load: (org, type, id) => new Promise((resolve, reject) => {
      const key = `${org}/${type}`;
      const lane = lanes.get(key) ?? new Lane();
      lanes.set(key, lane);
      lane.waiting.push({ id, resolve, reject });
      void flush(key, lane, org, type);
    }),
  };
}
