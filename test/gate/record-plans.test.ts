// Searches of the record by what is rare in it: each is read by an index under row-level security, and stays so however
// long the record gets.
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import pg from 'pg';
import type { Statement, Transaction } from '../../src/database/database.ts';
import { PLAN_ONCE } from '../../src/database/plans.ts';
import { searchSource } from '../../src/resources/search-source.ts';
import { parseSearch } from '../../src/search/parse-search.ts';
import type { RecordType } from '../../src/search/record-type.ts';
import { createDatabase } from '../support/start-muniment.ts';

const ROWS = 40_000;
const BASE = 'http://localhost/fhir';
let owner: pg.Client;
let app: pg.Client;

beforeAll(async () => {
  const url = await createDatabase();
  [owner, app] = [new pg.Client({ connectionString: url }), new pg.Client({ connectionString: url })];
  await owner.connect();
  await app.connect();
  // One row of two thousand is a deletion, a failure, of a rare user, client and subject; all others are reads by one.
  await owner.query(`insert into access_event (org, id, recorded, layout, parts, action, subtype, outcome, request_id, agent_user, agent_client, agent_subject, write)
    select 1, ('018cc251-' || lpad(to_hex(n / 65536), 4, '0') || '-7' || lpad(to_hex(n % 4096), 3, '0') || '-8000-' || lpad(to_hex(n), 12, '0'))::uuid, now(), 1,
      '{"action":"' || case when rare then 'D' else 'R' end || '","agent":{},"entities":[],"interaction":"' || case when rare then 'delete' else 'read' end || '","targets":["x"]}',
      case when rare then 'D' else 'R' end, case when rare then 'delete' else 'read' end, case when rare then 8 else 0 end, 'r' || n,
      case when rare then 'Practitioner/rare' else 'Practitioner/busy' end, case when rare then 'rare-app' else 'busy-app' end, case when rare then 'rare-subject' else 'busy-subject' end, rare
    from (select n, n % 2000 = 77 as rare from generate_series(1, $1::int) n) one`, [ROWS]);
  await owner.query(`insert into access_entity (org, reference, role, event) select e.org, r.reference, r.role, e.id from access_event e, lateral (values
    ('DocumentReference/' || substr(e.id::text, 30), 2), (case when e.write then 'Patient/rare' else 'Patient/busy' end, 1), (case when e.write then 'Practitioner/author' else 'Practitioner/busy' end, 3), (case when e.write then 'Media/source' else 'Media/busy' end, 4)) r (reference, role)`);
  await owner.query('analyze');
  // As the server's own connections have it.
  await app.query(['role = muniment_app', "app.org = '1'", ...PLAN_ONCE].map((setting) => `set ${setting}`).join('; '));
}, 120_000);
afterAll(async () => {
  await app.end();
  await owner.end();
});

/** The plans of a page of the search, as it was run. */
async function plansOf(type: RecordType, query: string): Promise<string> {
  const plans: string[] = [];
  const run = async (statement: string | Statement): Promise<{ rows: unknown[]; rowCount: number }> => {
    const { text, values = [] } = typeof statement === 'string' ? { text: statement } : statement;
    if (text.startsWith('set ')) { await app.query(text); return { rows: [], rowCount: 0 }; }
    const explained = await app.query<{ 'QUERY PLAN': string }>({ text: `explain (analyze, timing off, summary off, buffers off) ${text}`, values: [...values] });
    plans.push(explained.rows.map((row) => row['QUERY PLAN']).join('\n'));
    return { rows: [], rowCount: 0 };
  };
  const source = searchSource(type, parseSearch(type, new URLSearchParams(query), BASE, true), { org: 1, restriction: { kind: 'none' }, fhirBase: BASE });
  await app.query('begin');
  try {
    await source.page({ query: run } as unknown as Transaction, undefined, false);
  } finally { await app.query('rollback'); }
  return plans.join('\n');
}

/** Rows that the busiest scan went through, those that a filter took away included. */
function scanned(plan: string): number {
  const lines = plan.split('\n');
  return Math.max(0, ...lines.flatMap((line, at) => {
    const [, rows, loops] = /Scan.*?actual rows=([\d.]+).*? loops=(\d+)/.exec(line) ?? [];
    if (rows === undefined) return [];
    const removed = lines.slice(at + 1, at + 8).map((next) => /Rows Removed by Filter: (\d+)/.exec(next)?.[1]).find((one) => one !== undefined);
    return [(Number(rows) + Number(removed ?? 0)) * Number(loops)];
  }));
}

it.each<[RecordType, string, RegExp]>([
  ['AuditEvent', 'action=D', /access_event_subtype/],
  ['AuditEvent', 'action=C,D', /access_event_subtype/],
  ['AuditEvent', 'outcome=8', /access_event_outcome/],
  ['AuditEvent', 'outcome:not=0', /access_event_outcome/],
  ['AuditEvent', 'subtype=delete', /access_event_subtype/],
  ['AuditEvent', 'request-id=r123', /access_event_request/],
  ['AuditEvent', 'entity.identifier=r123', /access_event_request/],
  ['AuditEvent', 'agent=Practitioner/rare', /access_event_user/],
  ['AuditEvent', 'agent=rare-app', /access_event_client/],
  ['AuditEvent', 'agent.identifier=rare-app', /access_event_client/],
  ['AuditEvent', 'agent.identifier=rare-subject', /access_event_subject/],
  ['AuditEvent', 'entity=Patient/rare', /access_entity_pkey/],
  ['AuditEvent', 'patient=rare', /access_entity_pkey/],
  ['AuditEvent', 'agent=Practitioner/rare&action=D', /access_event_(user|subtype)/],
  ['AuditEvent', 'patient=rare&entity-type=1&agent-name=x', /access_entity_pkey/],
  ['AuditEvent', 'agent=Practitioner/busy', /access_event/],
  ['AuditEvent', 'entity=Patient/busy', /access_ent/],
  ['AuditEvent', 'patient=busy', /access_ent/],
  ['AuditEvent', 'type=rest', /access_event_pkey/],
  ['AuditEvent', 'site=unknown', /access_event/],
  ['Provenance', 'agent=Practitioner/author', /access_entity_pkey/],
  ['Provenance', 'agent=Practitioner/rare', /access_event_user/],
  ['Provenance', 'entity=Media/source', /access_entity_pkey/],
  ['Provenance', 'patient=rare', /access_entity_pkey/],
  ['Provenance', 'target=AuditEvent/018cc251-0000-7001-8000-000000000001', /access_event_pkey/],
])('%s?%s reads few rows, by an index', async (type, query, index) => {
  const plan = await plansOf(type, query);
  expect(plan).toMatch(index);
  expect({ query, few: scanned(plan) <= 200, plan }).toEqual({ query, few: true, plan });
});
