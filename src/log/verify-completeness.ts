// The other direction: rows that have no leaf. What was committed a moment ago waits for its leaf and is none of them.
import type { AccessEvent } from '../audit/access-event.ts';
import type { Transaction } from '../database/database.ts';
import { typeName } from '../fhir/resource-type.ts';
import type { Findings } from './findings.ts';
import type { LogState } from './log-state.ts';
import { versionsOf } from './sequence-leaves.ts';
import type { CheckedLeaves } from './verify-leaves.ts';

const NAMED_MAX = 1_000;
const EVENTS_AT_ONCE = 1_000;

async function count(tx: Transaction, text: string, values: unknown[] = []): Promise<number> {
  return Number((await tx.query<{ n: string }>(text, values)).rows[0]?.n ?? 0);
}

const WAITING = '(e.written_in, e.id) > ($1::text::xid8, $2::uuid)';

/** Events that wait for their leaf; those that were passed over are said. */
export async function findEventsWithoutLeaf(tx: Transaction, { writtenIn, event }: LogState, present: number, findings: Findings): Promise<number> {
  const all = await count(tx, 'select count(*) as n from access_event');
  const waiting = await count(tx, `select count(*) as n from access_event e where ${WAITING} and not exists (select from log_leaf l where l.org = e.org and l.event = e.id and l.version is null)`, [writtenIn, event]);
  if (all === present + waiting) return waiting;
  const { rows } = await tx.query<{ id: string; organisation: string | null; org: number }>(
    `select e.id, e.org, o.name as organisation from access_event e left join organisation o on o.id = e.org
      where not ${WAITING} and not exists (select from log_leaf l where l.org = e.org and l.event = e.id and l.version is null) order by e.written_in, e.id limit ${NAMED_MAX}`,
    [writtenIn, event],
  );
  for (const row of rows) findings.add({ kind: 'event-without-leaf', what: `AuditEvent/${row.id} has no leaf: it was not recorded by a server`, reference: `AuditEvent/${row.id}`, organisation: row.organisation ?? String(row.org) });
  return waiting;
}

interface VersionRow { org: number; organisation: string | null; type: number; id: string; version: number }

const LACKING = (table: string): string => `select v.org, o.name as organisation, v.type, v.id, v.version from ${table} v left join organisation o on o.id = v.org
  where not exists (select from log_leaf l where l.org = v.org and l.type = v.type and l.id = v.id and l.version = v.version and l.version is not null)`;

const keyOf = ({ org, type, id, version }: Pick<VersionRow, 'org' | 'type' | 'id' | 'version'>): string => `${org}/${type}/${id}/${version}`;

/** The versions that events name whose leaves are still to come. */
async function* waitingVersions(tx: Transaction, state: LogState): AsyncGenerator<string> {
  for (let { writtenIn, event } = state; ;) {
    const { rows } = await tx.query<{ id: string; org: number; written_in: string; body: string }>(
      `select e.id, e.org, e.written_in::text, e.body from access_event e where ${WAITING} and e.write and e.outcome = 0 order by e.written_in, e.id limit ${EVENTS_AT_ONCE}`, [writtenIn, event],
    );
    for (const { org, body } of rows) yield* versionsOf(org, JSON.parse(body) as AccessEvent).map(keyOf);
    const last = rows.at(-1);
    if (last === undefined) return;
    [writtenIn, event] = [last.written_in, last.id];
  }
}

export async function findVersionsWithoutLeaf(tx: Transaction, state: LogState, { versions }: Pick<CheckedLeaves, 'versions'>, findings: Findings): Promise<void> {
  const all = await count(tx, 'select (select count(*) from resource) + (select count(*) from resource_history) as n');
  if (all === versions) return;
  const { rows } = await tx.query<VersionRow>(`${LACKING('resource')} union all ${LACKING('resource_history')}`);
  const lacking = new Map(rows.map((row) => [keyOf(row), row]));
  for await (const key of waitingVersions(tx, state)) lacking.delete(key);
  for (const { organisation, org, type, id, version } of lacking.values()) {
    const reference = `${typeName(type)}/${id}/_history/${version}`;
    findings.add({ kind: 'version-without-leaf', what: `${reference} has no leaf: no write that was recorded made it`, reference, organisation: organisation ?? String(org) });
  }
}
