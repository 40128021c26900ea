// Leaves with the rows that they are leaves of, a page at a time.
import type { AccessEvent } from '../audit/access-event.ts';
import { subtypeOf, type AccessIndex } from '../audit/access-index.ts';
import type { ReadEvent } from '../audit/shaped-event.ts';
import type { Transaction } from '../database/database.ts';
import { typeName } from '../fhir/resource-type.ts';
import { makeTexts, type KeptText } from './event-texts.ts';
import type { VersionKey } from './read-versions.ts';

export const LEAVES_AT_ONCE = 2_048;

export interface LeafRow {
  index: number;
  org: number;
  organisation: string | null;
  event: string;
  type: number | null;
  id: string | null;
  version: number | null;
  hash: Buffer;
  /** The same, hexadecimal. */
  digest: string;
  /** The text of the event; empty where its row is there and no text can be made of it, null where the row is not there. */
  body: string | null;
  /** What of the text columns and index rows are made of; undefined where it is no event of that row's id, instant and organisation. */
  told: () => AccessEvent | ReadEvent | undefined;
  /** What searches go by, one text. */
  columns: string | null;
}

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

/** The leaves from `start` on, LEAVES_AT_ONCE places of them at most. */
export async function readLeaves(tx: Transaction, start: number): Promise<LeafRow[]> {
  const [names, { rows }] = await Promise.all([organisationNames(tx), tx.query<PageRow>({ name: 'verify-leaves', text: LEAVES, values: [start, start + LEAVES_AT_ONCE] })]);
  const leaves = rows.map(({ place, id, parts, columns }) => {
    const [index, org, event, digest, type, version, shape, instant] = place.split(' ') as [string, string, string, string, string, string, string, string];
    return { index: Number(index), org: Number(org), event, digest, id, parts, columns, type: Number(type), version: Number(version), shape: shape === '-' ? null : shape, instant: instant === '-' ? null : Number(instant) };
  });
  const texts = await makeTexts(tx, leaves satisfies KeptText[]);
  return leaves.map(({ index, org, event, digest, id, type, version, parts, columns }, at) => {
    const made = texts[at];
    const body = parts === null ? null : made?.text ?? '';
    return {
      index, org, organisation: names.get(org) ?? null, event, type: id === null ? null : type, id, version: id === null ? null : version, hash: Buffer.from(digest, 'hex'), digest, body, columns,
      told() {
        if (made === undefined) return undefined;
        const { recorded, shape, text } = made;
        const said = shape?.event?.({ id: event, recorded }, parts ?? '') ?? parse(text);
        return said?.id === event && said.org === names.get(org) && said.recorded === recorded ? said : undefined;
      },
    };
  });
}
