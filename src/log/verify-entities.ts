// The rows that the record is searched by, against the texts of their events: each that a text demands, and no other.
import { indexAccess } from '../audit/access-index.ts';
import type { Transaction } from '../database/database.ts';
import type { Findings } from './findings.ts';

const UNIT = '\u001f';
const NAMED_MAX = 1_000;
/** Ids are of one stretch while they are no further apart. A transaction that took long has its event in another one. */
const STRETCH_MS = 2_000;

/** What stands beside an event in the index, one text: how many rows, then their roles and references. */
export type EntityRows = string;

export const NO_ENTITIES: EntityRows = '0';

/** The first 48 bits of a UUIDv7 (RFC 9562 5.7). */
const instantOf = (id: string): number => Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);

function stretches(ids: readonly string[]): { from: string[]; to: string[] } {
  const ordered = [...ids].sort();
  const [from, to]: [string[], string[]] = [[], []];
  let before = Number.NEGATIVE_INFINITY;
  for (const id of ordered) {
    const instant = instantOf(id);
    if (instant - before > STRETCH_MS) {
      from.push(id);
      to.push(id);
    } else to[to.length - 1] = id;
    before = instant;
  }
  return { from, to };
}

export const entityKey = (org: number, event: string): string => `${org} ${event}`;

/** By `entityKey`: the rows of these events, and of whatever else lies between them. */
export async function readEntities(tx: Transaction, events: readonly string[]): Promise<Map<string, EntityRows>> {
  if (events.length === 0) return new Map();
  const { from, to } = stretches(events);
  const { rows } = await tx.query<{ key: string; text: string }>({
    name: 'verify-entities',
    text: `select x.org || ' ' || x.event as key, count(*) || chr(31) || string_agg(x.role || ' ' || x.reference, chr(31) order by x.role, x.reference) as text
      from unnest($1::uuid[], $2::uuid[]) s (lo, hi) join access_entity x on x.event >= s.lo and x.event <= s.hi group by x.org, x.event`,
    values: [from, to],
  });
  return new Map(rows.map(({ key, text }) => [key, text]));
}

/** True when the rows are those that the text of the event demands. */
export function hasItsEntities({ entities }: ReturnType<typeof indexAccess>, found: EntityRows): boolean {
  let text = String(entities.length);
  for (const { reference, role } of entities) text += `${UNIT}${role} ${reference}`;
  if (text === found) return true;
  // The database orders bytes, which differs from the order of the event and from that of UTF-16.
  const sorted = (list: string): string => list.split(UNIT).sort().join(UNIT);
  return text.length === found.length && sorted(text) === sorted(found);
}

/** The events that wait for their leaf have rows already; those of no event at all are said. */
export async function findEntitiesWithoutEvent(tx: Transaction, findings: Findings): Promise<void> {
  const { rows } = await tx.query<{ org: number; organisation: string | null; event: string; reference: string }>(
    `select x.org, o.name as organisation, x.event, x.reference from access_entity x left join organisation o on o.id = x.org
      where not exists (select from access_event e where e.org = x.org and e.id = x.event) limit ${NAMED_MAX}`,
  );
  for (const { org, organisation, event, reference } of rows) {
    findings.add({ kind: 'index-changed', what: `The record is searched by ${reference} for AuditEvent/${event}, which is not there`, reference: `AuditEvent/${event}`, organisation: organisation ?? String(org) });
  }
}
