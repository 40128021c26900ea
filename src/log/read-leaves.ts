// Leaves with the rows that they are leaves of, a page at a time.
import type { AccessEvent } from '../audit/access-event.ts';
import { subtypeOf, type AccessIndex } from '../audit/access-index.ts';
import type { ReadEvent } from '../audit/shaped-event.ts';
import type { Transaction } from '../database/database.ts';
import { typeName } from '../fhir/resource-type.ts';
import { makeText, readShapes, type KeptText, type Shapes } from '../search/event-texts.ts';
import type { VersionKey } from './read-versions.ts';

export const LEAVES_AT_ONCE = 2_048;

export type VersionRow = LeafRow & { type: number; id: string; version: number };

export const isVersion = (row: LeafRow): row is VersionRow => row.version !== null;
export const nameOf = ({ type, id, version }: VersionKey): string => `${typeName(type)}/${id}/_history/${version}`;
export const organisationOf = ({ organisation, org }: LeafRow): string => organisation ?? String(org);

const UNIT = '\u001f';

// One text of what has a form of its own, since each column costs by itself; what may hold anything has a column.
const PLACE = `concat_ws(' ', l.index, l.org, l.event, encode(l.hash, 'hex'), coalesce(l.type, 0), coalesce(l.version, 0), coalesce(e.shape::text, '-'), coalesce((extract(epoch from e.recorded) * 1000)::bigint::text, '-'))`;
const COLUMNS = `concat_ws(chr(31), e.layout, e.action, e.outcome, e.request_id, coalesce(e.agent_user, '-'), coalesce(e.agent_subject, '-'), coalesce(e.agent_client, '-'), e.write, e.subtype)`;

const LEAVES = `select ${PLACE} as place, l.id, e.parts, case when e.id is not null then ${COLUMNS} end as columns
  from log_leaf l
  left join access_event e on l.version is null and e.org = l.org and e.id = l.event
  where l.index >= $1 and l.index < $2 order by l.index`;

interface PageRow {
  place: string;
  id: string | null;
  parts: string | null;
  columns: string | null;
}

function parse(body: string): AccessEvent | undefined {
  try { return JSON.parse(body) as AccessEvent; } catch { return undefined; }
}

/** What `columns` must be for an event. */
export function columnsOf({ action, layout, outcome, requestId, ...event }: AccessEvent | ReadEvent, { agentUser = '-', agentSubject = '-', agentClient = '-' }: AccessIndex): string {
  const wrote = 'write' in event && event.write !== undefined;
  return [layout, action, outcome, requestId, agentUser, agentSubject, agentClient, wrote ? 't' : 'f', subtypeOf({ action, interaction: event.interaction })].join(UNIT);
}

async function organisationNames(tx: Transaction): Promise<Map<number, string>> {
  const { rows } = await tx.query<{ id: number; name: string }>({ name: 'leaf-organisations', text: 'select id, name from organisation' });
  return new Map(rows.map(({ id, name }) => [id, name]));
}

/** A leaf and what the row behind it keeps. Texts are made when they are looked at: those of a whole page would outlive the look. */
export class LeafRow implements KeptText {
  readonly index: number;
  readonly org: number;
  readonly organisation: string | null;
  readonly event: string;
  readonly type: number | null;
  readonly id: string | null;
  readonly version: number | null;
  /** Hexadecimal. */
  readonly digest: string;
  readonly shape: string | null;
  readonly parts: string | null;
  readonly instant: number | null;
  /** What searches go by, one text. */
  readonly columns: string | null;
  shapes: Shapes = new Map();

  constructor({ place, id, parts, columns }: PageRow, names: ReadonlyMap<number, string>) {
    const [index, org, event = '', digest = '', type, version, shape = '-', instant] = place.split(' ');
    this.index = Number(index);
    this.org = Number(org);
    this.organisation = names.get(this.org) ?? null;
    this.event = event;
    this.type = id === null ? null : Number(type);
    this.id = id;
    this.version = id === null ? null : Number(version);
    this.digest = digest;
    this.shape = shape === '-' ? null : shape;
    this.parts = parts;
    this.instant = instant === '-' ? null : Number(instant);
    this.columns = columns;
  }

  get hash(): Buffer { return Buffer.from(this.digest, 'hex'); }

  /** Whether the row of the event is there. */
  get isKept(): boolean { return this.parts !== null; }

  /** The text of the event; empty where its row is there and no text can be made of it, null where the row is not there. */
  get body(): string | null { return this.parts === null ? null : makeText(this.shapes, this)?.text ?? ''; }

  /** The text, and what columns and index rows are made of: undefined where it is no event of this id, instant and organisation. */
  read(): { text: string; told: () => AccessEvent | ReadEvent | undefined } {
    const made = makeText(this.shapes, this);
    if (made === undefined) return { text: '', told: () => undefined };
    const { recorded, shape, text } = made;
    return {
      text,
      told: () => {
        const said = shape?.event?.({ id: this.event, recorded }, this.parts ?? '') ?? parse(text);
        return said?.id === this.event && said.org === this.organisation && said.recorded === recorded ? said : undefined;
      },
    };
  }
}

/** The leaves from `start` on, LEAVES_AT_ONCE places of them at most. */
export async function readLeaves(tx: Transaction, start: number): Promise<LeafRow[]> {
  const [names, { rows }] = await Promise.all([organisationNames(tx), tx.query<PageRow>({ name: 'verify-leaves', text: LEAVES, values: [start, start + LEAVES_AT_ONCE] })]);
  const leaves = rows.map((row) => new LeafRow(row, names));
  const shapes = await readShapes(tx, leaves);
  for (const leaf of leaves) leaf.shapes = shapes;
  return leaves;
}
