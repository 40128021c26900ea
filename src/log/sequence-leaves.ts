// The sequencer: committed events become leaves, each followed by the versions that its write made. Their order is
// decided once: by the transaction that wrote them, then by id, and only once every transaction before has ended.
import { leafHash, type AccessEvent } from '../audit/access-event.ts';
import { appendLeaves, type FullSubtree } from '../audit/merkle-log.ts';
import { versionLeafText } from '../audit/version-leaf.ts';
import type { Transaction } from '../database/database.ts';
import { typeName, typeNumber, type ResourceType } from '../fhir/resource-type.ts';
import { KEPT_TEXT, readTexts, type KeptText } from '../search/event-texts.ts';
import { holdState, writeState, type LogState } from './log-state.ts';
import { readVersions, type VersionKey } from './read-versions.ts';

export const EVENTS_AT_ONCE = 4_096;
/** Smaller subtrees are made of their leaves when they are asked for. */
export const SUBTREE_HEIGHT_MIN = 8;

interface EventRow extends KeptText {
  name: string;
  written_in: string;
  /** A write that succeeded: versions stand behind it. */
  wrote: boolean;
}

export interface Leaf {
  org: number;
  event: string;
  version: VersionKey | undefined;
  hash: Buffer;
}

const VERSION = /^([A-Za-z]+)\/([A-Za-z0-9.-]{1,64})\/_history\/([1-9]\d{0,9})$/;

/** The versions that a write names: its targets, what else it says to have touched, and the version that a deletion made behind what it removed. */
export function versionsOf(org: number, event: Pick<AccessEvent, 'write' | 'entities'>): VersionKey[] {
  const references = new Set([...(event.write?.targets ?? []), ...event.entities.filter(({ role }) => role === 'data').map(({ reference }) => reference)]);
  return [...references].flatMap((reference) => {
    const [, name = '', id = '', version] = VERSION.exec(reference) ?? [];
    const type: unknown = typeNumber(name as ResourceType);
    if (typeof type !== 'number') return [];
    const named = { org, type, id, version: Number(version) };
    return event.write?.activity === 'DELETE' ? [named, { ...named, version: named.version + 1 }] : [named];
  });
}

const EVENTS = (which: string): string => `select e.org, o.name, e.id as event, ${KEPT_TEXT}, e.written_in::text, e.write and e.outcome = 0 as wrote
  from access_event e join organisation o on o.id = e.org
  where ${which} and not exists (select from log_leaf l where l.org = e.org and l.event = e.id and l.version is null)
  order by e.written_in, e.id limit $3`;

const NEXT_EVENTS = EVENTS('(e.written_in, e.id) > ($1::text::xid8, $2::uuid) and e.written_in < $4::text::xid8');
const LEFT_EVENTS = EVENTS('(e.written_in < $1::text::xid8 or e.written_in >= $2::text::xid8)');

interface Batch {
  events: EventRow[];
  /** Up to where events have their leaves then. */
  reached: Pick<LogState, 'writtenIn' | 'event'>;
}

async function nextEvents(tx: Transaction, state: LogState): Promise<Batch> {
  const { rows: [snapshot] } = await tx.query<{ xmin: string; xmax: string }>('select pg_snapshot_xmin(s)::text as xmin, pg_snapshot_xmax(s)::text as xmax from pg_current_snapshot() s');
  if (snapshot === undefined) throw new Error('The database names no snapshot');
  const { xmin, xmax } = snapshot;
  // Transactions are counted anew in a database that was restored from a dump: what is left of the old count comes first.
  const restored = BigInt(state.writtenIn) >= BigInt(xmax);
  const { rows: events } = restored
    ? await tx.query<EventRow>(LEFT_EVENTS, [xmin, xmax, EVENTS_AT_ONCE])
    : await tx.query<EventRow>({ name: 'next-log-events', text: NEXT_EVENTS, values: [state.writtenIn, state.event, EVENTS_AT_ONCE, xmin] });
  const last = events.at(-1);
  if (restored) return { events, reached: events.length < EVENTS_AT_ONCE ? { writtenIn: xmin, event: '00000000-0000-0000-0000-000000000000' } : state };
  return { events, reached: last === undefined ? state : { writtenIn: last.written_in, event: last.event } };
}

const keyOf = ({ org, type, id, version }: VersionKey): string => `${org}/${type}/${id}/${version}`;

/** Without those that have their leaf: an update that changed nothing names the version that was there. */
async function withoutLeaf(tx: Transaction, named: readonly VersionKey[]): Promise<Set<string>> {
  if (named.length === 0) return new Set();
  const { rows } = await tx.query<VersionKey>({
    name: 'versions-without-leaf',
    text: `select t.org, t.type, t.id, t.version from unnest($1::int[], $2::smallint[], $3::text[], $4::int[]) as t (org, type, id, version)
      where not exists (select from log_leaf l where l.org = t.org and l.type = t.type and l.id = t.id and l.version = t.version and l.version is not null)`,
    values: [named.map(({ org }) => org), named.map(({ type }) => type), named.map(({ id }) => id), named.map(({ version }) => version)],
  });
  return new Set(rows.map(keyOf));
}

async function leavesOf(tx: Transaction, events: readonly EventRow[]): Promise<Leaf[]> {
  const texts = await readTexts(tx, events);
  const lost = texts.indexOf(null);
  if (lost >= 0) throw new Error(`The text of AuditEvent/${events[lost]?.event ?? ''} cannot be made: nothing is appended`);
  const named = events.map(({ org, wrote }, position) => (wrote ? versionsOf(org, JSON.parse(texts[position] as string) as AccessEvent) : []));
  const lacking = await withoutLeaf(tx, named.flat());
  // The first event of several that names a version has it behind it.
  const versions = named.map((keys) => keys.filter((key) => lacking.delete(keyOf(key))));
  const stored = await readVersions(tx, versions.flat(), 'of the database');
  let next = 0;
  return events.flatMap(({ org, name, event }, position) => [
    { org, event, version: undefined, hash: leafHash(texts[position] as string) },
    ...(versions[position] ?? []).map((version): Leaf => {
      const reference = `${typeName(version.type)}/${version.id}/_history/${version.version}`;
      const text = versionLeafText({ org: name, reference, stored: stored[next] });
      next += 1;
      return { org, event, version, hash: leafHash(text) };
    }),
  ]);
}

async function insertLeaves(tx: Transaction, start: number, leaves: readonly Leaf[]): Promise<void> {
  await tx.query({
    name: 'insert-leaves',
    text: `insert into log_leaf (index, org, event, type, id, version, hash)
      select * from unnest($1::bigint[], $2::int[], $3::uuid[], $4::smallint[], $5::text[], $6::int[], $7::bytea[])`,
    values: [
      leaves.map((_, position) => start + position), leaves.map(({ org }) => org), leaves.map(({ event }) => event), leaves.map(({ version }) => version?.type ?? null),
      leaves.map(({ version }) => version?.id ?? null), leaves.map(({ version }) => version?.version ?? null), leaves.map((leaf) => leaf.hash),
    ],
  });
}

async function insertSubtrees(tx: Transaction, subtrees: readonly FullSubtree[]): Promise<void> {
  if (subtrees.length === 0) return;
  await tx.query(
    'insert into log_subtree (height, position, root) select * from unnest($1::smallint[], $2::bigint[], $3::bytea[])',
    [subtrees.map(({ height }) => height), subtrees.map(({ position }) => position), subtrees.map(({ root }) => root)],
  );
}

export interface Sequenced {
  events: number;
  size: number;
}

/** One batch of events; undefined while another server has the lease. Fewer than EVENTS_AT_ONCE: nothing more can be had. */
export async function sequenceLeaves(tx: Transaction, wait = false): Promise<Sequenced | undefined> {
  const state = await holdState(tx, wait);
  if (state === undefined) return undefined;
  const { events, reached } = await nextEvents(tx, state);
  const leaves = await leavesOf(tx, events);
  const full: FullSubtree[] = [];
  const head = appendLeaves(state.head, leaves.map((leaf) => leaf.hash), (subtree) => { if (subtree.height >= SUBTREE_HEIGHT_MIN) full.push(subtree); });
  if (leaves.length > 0) await insertLeaves(tx, state.head.size, leaves);
  await insertSubtrees(tx, full);
  if (leaves.length > 0 || reached.writtenIn !== state.writtenIn) await writeState(tx, { ...state, ...reached, head });
  return { events: events.length, size: head.size };
}
