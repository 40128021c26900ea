// What a store lists is compared with the table of contents, in both directions: both are read in the order of their keys,
// side by side, so nothing is held in memory. Removes nothing by itself.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../database/database.ts';
import type { ContentRow } from '../database/tables.ts';
import type { Logger } from '../logger.ts';
import type { ContentStore, ListedObject } from './content-store.ts';
import { fenceHolds } from './epoch-fence.ts';
import { distrustContent } from './read-content.ts';

export interface InventoryParts {
  database: Pick<Database, 'workerTransaction'>;
  store: ContentStore;
  signal?: AbortSignal;
  /** Milliseconds; the clock by default. */
  now?: number;
}

export interface InventoryFinding {
  /** `stray`: no row names the object. `missing`, `size`: a content in service has no object, or one of another length. */
  kind: 'stray' | 'missing' | 'size';
  key: string;
  content?: string;
  what: string;
}

export interface InventoryReport {
  store: string;
  objects: number;
  contents: number;
  findings: InventoryFinding[];
  /** There are more findings than are listed here. */
  cut: boolean;
  /** Store or database were restored: nothing was compared. */
  halted: boolean;
  /** False where it was ended early, or another server is at it. */
  complete: boolean;
}

type Row = Pick<ContentRow, 'org' | 'id' | 'key' | 'state' | 'store_version' | 'size'>;

const DAY_MS = 24 * 60 * 60 * 1_000;
const WEEK_MS = 7 * DAY_MS;
const ROWS_AT_ONCE = 1_000;
const LEASE_MS = 120_000;
const FINDINGS_MAX = 1_000;

const before = (one: string, other: string): boolean => Buffer.compare(Buffer.from(one), Buffer.from(other)) < 0;

/** Objects below these are the server's own: marks, probes. */
const isOwn = (key: string): boolean => /^\.(epoch|probe)/.test(key) || key === 'muniment-store.json';

/** Rows of contents that may have an object, in the order of their keys. */
async function* rowsBehind({ database, store }: InventoryParts, after: string): AsyncGenerator<Row> {
  for (let from = after; ;) {
    const { rows } = await database.workerTransaction((tx) => tx.query<Row>(
      `select org, id, key, state, store_version, size from content where store collate "C" = $1 and key collate "C" > $2 and state <> 'gone' order by key collate "C" limit $3`, [store.name, from, ROWS_AT_ONCE],
    ));
    yield* rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < ROWS_AT_ONCE) return;
    from = last.key;
  }
}

interface Pair { object: ListedObject | undefined; row: Row | undefined }

/** Objects and rows side by side: a pair where both have the key, else one of the two. */
async function* pairs(objects: AsyncIterator<ListedObject>, rows: AsyncIterator<Row>): AsyncGenerator<Pair> {
  const next = async <T>(from: AsyncIterator<T>): Promise<T | undefined> => {
    const step = await from.next();
    return step.done === true ? undefined : step.value;
  };
  let [object, row] = [await next(objects), await next(rows)];
  while (object !== undefined || row !== undefined) {
    if (row === undefined || (object !== undefined && before(object.key, row.key))) {
      yield { object, row: undefined };
      object = await next(objects);
    } else if (object === undefined || before(row.key, object.key)) {
      yield { object: undefined, row };
      row = await next(rows);
    } else {
      yield { object, row };
      [object, row] = [await next(objects), await next(rows)];
    }
  }
}

/** An object that no row names is noted from its eighth day on; who meets it again a week later puts it in quarantine. */
async function noteStray({ database, store, now = Date.now() }: InventoryParts, { key, size, modified }: ListedObject): Promise<InventoryFinding | undefined> {
  if (modified.getTime() > now - WEEK_MS) return undefined;
  const { rows } = await database.workerTransaction((tx) => tx.query<{ quarantined: boolean }>(
    `insert into stray_object (store, key, size, first_seen, last_seen) values ($1, $2, $3, $4, $4)
      on conflict (store, key) do update set size = $3, last_seen = $4, quarantined = stray_object.quarantined or stray_object.first_seen <= $4::timestamptz - interval '7 days' returning quarantined`,
    [store.name, key, size, new Date(now)],
  ));
  return { kind: 'stray', key, what: `No content has it; written at ${modified.toISOString()}, ${size} bytes; ${rows[0]?.quarantined === true ? 'in quarantine: an administrator may remove it' : 'it is looked at again in a week'}` };
}

/** A content in service whose object was not listed, or has another length: the scrubber takes it next, and finds a copy or quarantines. */
async function noteAbsent({ database, store }: InventoryParts, row: Row, listed: ListedObject | undefined): Promise<InventoryFinding | undefined> {
  // Staged and condemned ones may have none; the listing may be older than a purge.
  if (row.state !== 'live' && row.state !== 'quarantined') return undefined;
  const held = await store.stat(row.key, row.store_version ?? undefined);
  if (held !== undefined && held.size === Number(row.size)) return undefined;
  const isStill = await database.workerTransaction(async (tx) => {
    const { rowCount } = await tx.query(`select from content where org = $1 and id = $2 and state = $3 and key = $4`, [row.org, row.id, row.state, row.key]);
    if (rowCount === 1) await distrustContent(tx, row.org, row.id);
    return rowCount === 1;
  });
  if (!isStill) return undefined;
  return held === undefined
    ? { kind: 'missing', key: row.key, content: row.id, what: 'Its object is gone; the scrub looks for a copy next' }
    : { kind: 'size', key: row.key, content: row.id, what: `Its object has ${held.size} bytes${listed === undefined ? '' : ' in the version that counts'}, not ${String(row.size)}; the scrub looks at it next` };
}

function compare(parts: InventoryParts, { object, row }: Pair): Promise<InventoryFinding | undefined> {
  if (row === undefined) return object === undefined || isOwn(object.key) ? Promise.resolve(undefined) : noteStray(parts, object);
  return object !== undefined && (row.size === null || object.size === Number(row.size)) ? Promise.resolve(undefined) : noteAbsent(parts, row, object);
}

/** The lease on the comparison of one store, and where it goes on. `due`: only when the last one ended a week ago. */
async function claim({ database, store, now = Date.now() }: InventoryParts, due: boolean): Promise<{ lease: string; after: string; startedAt: Date } | undefined> {
  const lease = randomUUID();
  const { rows } = await database.workerTransaction((tx) => tx.query<{ after: string; started_at: Date }>(
    `insert into store_inventory as s (store, lease, leased_until, started_at) values ($1, $2, now() + $3 * interval '1 millisecond', $4)
      on conflict (store) do update set lease = $2, leased_until = excluded.leased_until, finished_at = null,
        after_key = case when s.finished_at is null then s.after_key else '' end, started_at = case when s.finished_at is null then s.started_at else $4 end
      where (s.leased_until is null or s.leased_until < now()) and (not $5 or s.finished_at is null or s.finished_at <= $4::timestamptz - interval '7 days')
      returning after_key as after, started_at`,
    [store.name, lease, LEASE_MS, new Date(now), due],
  ));
  const [row] = rows;
  return row === undefined ? undefined : { lease, after: row.after, startedAt: row.started_at };
}

/** False when the lease was lost. */
async function advance({ database, store }: InventoryParts, lease: string, after: string): Promise<boolean> {
  const { rowCount } = await database.workerTransaction((tx) => tx.query(
    `update store_inventory set after_key = $3, leased_until = now() + $4 * interval '1 millisecond' where store = $1 and lease = $2`, [store.name, lease, after, LEASE_MS]));
  return rowCount === 1;
}

async function finish({ database, store, now = Date.now() }: InventoryParts, lease: string, startedAt: Date): Promise<void> {
  await database.workerTransaction(async (tx) => {
    const { rowCount } = await tx.query(`update store_inventory set after_key = '', finished_at = $3, leased_until = null where store = $1 and lease = $2`, [store.name, lease, new Date(now)]);
    // Gone, or known again.
    if (rowCount === 1) await tx.query('delete from stray_object where store = $1 and last_seen < $2', [store.name, startedAt]);
  });
}

/**
 * Compares one store, from where the last comparison was ended. Undefined when the store cannot list, or (`due`) the last one
 * ended less than a week ago. Several servers share it by a lease.
 */
export async function takeInventory(parts: InventoryParts, due = false): Promise<InventoryReport | undefined> {
  const { store } = parts;
  if (store.list === undefined) return undefined;
  const report: InventoryReport = { store: store.name, objects: 0, contents: 0, findings: [], cut: false, halted: !await fenceHolds(parts), complete: false };
  if (report.halted) return report;
  const held = await claim(parts, due);
  if (held === undefined) return due ? undefined : report;
  let noted = performance.now();
  for await (const pair of pairs(store.list(held.after)[Symbol.asyncIterator](), rowsBehind(parts, held.after))) {
    const finding = await compare(parts, pair);
    report.objects += pair.object === undefined ? 0 : 1;
    report.contents += pair.row === undefined ? 0 : 1;
    if (finding !== undefined && report.findings.length < FINDINGS_MAX) report.findings.push(finding);
    else if (finding !== undefined) report.cut = true;
    if (performance.now() - noted < 5_000 && parts.signal?.aborted !== true) continue;
    noted = performance.now();
    if (!await advance(parts, held.lease, (pair.row ?? pair.object)?.key ?? '') || parts.signal?.aborted === true) return report;
  }
  await finish(parts, held.lease, held.startedAt);
  return { ...report, complete: true };
}

/** Objects that no row names, and how many of them wait for an administrator. */
export async function strayStatus(database: Pick<Database, 'workerTransaction'>): Promise<{ strays: number; quarantined: number }> {
  return database.workerTransaction(async (tx) => {
    const { rows } = await tx.query<{ strays: number; quarantined: number }>('select count(*)::int as strays, (count(*) filter (where quarantined))::int as quarantined from stray_object');
    return rows[0] ?? { strays: 0, quarantined: 0 };
  });
}

const LOOK_MS = 60 * 60 * 1_000;

/** Looks once an hour whether a week is over. Answers the stop. */
export function startInventories({ logger, ...parts }: InventoryParts & { logger: Logger }): () => Promise<void> {
  const end = new AbortController();
  const loop = (async () => {
    while (!end.signal.aborted) {
      try {
        await sleep(LOOK_MS, undefined, { signal: end.signal, ref: false });
        const report = await takeInventory({ ...parts, signal: end.signal }, true);
        for (const finding of report?.findings ?? []) logger.error(finding, 'the store and the table of contents differ');
      } catch (error) {
        if (!end.signal.aborted) logger.warn({ err: error }, 'the store could not be compared with the table of contents');
      }
    }
  })();
  return async () => {
    end.abort();
    await loop;
  };
}
