// Includes and compartments read by index under row-level security, however large the tables are.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { typeNumber, type ResourceType } from '../../src/fhir/resource-type.ts';
import { readIncluded } from '../../src/resources/read-included.ts';
import { searchSource, type SearchMatch } from '../../src/resources/search-source.ts';
import { compartmentClauses } from '../../src/search/compartment.ts';
import { indexHash } from '../../src/search/index-hash.ts';
import { parseIncludes } from '../../src/search/parse-include.ts';
import { parseSearch } from '../../src/search/parse-search.ts';
import { SEARCH_PARAMETERS } from '../../src/search/search-parameters.ts';
import type { Statement, Transaction } from '../../src/database/database.ts';
import { createDatabase } from '../support/start-muniment.ts';

const ROWS = 20_000;
const BASE = 'http://localhost/fhir';
let owner: pg.Client;
let app: pg.Client;

beforeAll(async () => {
  const url = await createDatabase();
  [owner, app] = [new pg.Client({ connectionString: url }), new pg.Client({ connectionString: url })];
  await owner.connect();
  await app.connect();
  const parameter = (name: string): number => SEARCH_PARAMETERS.DocumentReference.find((one) => one.name === name)?.number ?? 0;
  const hash = (key: string): string => indexHash(key).toString();
  await owner.query(`insert into resource (org, type, id, version, last_updated, method, body, status, patient)
    select 1, $1, 'd' || n, 1, timestamptz '2024-01-01' + n * interval '1 second', 'POST', '{"resourceType":"DocumentReference","relatesTo":[{"target":{"reference":"DocumentReference/d' || n - 1 || '"}}]}', 'current', 'p' || n % 500
    from generate_series(1, $2::int) n`, [typeNumber('DocumentReference'), ROWS]);
  await owner.query(`insert into search_reference (org, type, param, hash, last_updated, id)
    select 1, $1, $2, n, timestamptz '2024-01-01' + n * interval '1 second', 'd' || n from generate_series(1, $3::int) n`, [typeNumber('DocumentReference'), parameter('relatesto'), ROWS]);
  for (const [name, step] of [['subject', 500], ['author', 700]] as const) {
    await owner.query(`insert into search_reference (org, type, param, hash, last_updated, id)
      select 1, $1, $2, $3::bigint + n % $4::int, timestamptz '2024-01-01' + n * interval '1 second', 'd' || n from generate_series(1, $5::int) n`,
      [typeNumber('DocumentReference'), parameter(name), hash('Patient/p0'), step, ROWS]);
  }
  await owner.query(`insert into search_reference (org, type, param, hash, last_updated, id)
    select 1, $1, $2, h, timestamptz '2024-01-01' + n * interval '1 second', 'd' || n from unnest($3::bigint[]) h, generate_series(1000, 1002) n`,
    [typeNumber('DocumentReference'), parameter('relatesto'), Array.from({ length: 20 }, (_, n) => hash(`DocumentReference/d${n * 10 + 1}`))]);
  await owner.query(`insert into access_event (org, id, recorded, layout, body, leaf, action, outcome, request_id, write)
    select 1, ('018cc251-' || lpad(to_hex(n / 65536), 4, '0') || '-7' || lpad(to_hex(n % 4096), 3, '0') || '-8000-' || lpad(to_hex(n), 12, '0'))::uuid, now(), 1, '{"action":"R","agent":{},"entities":[],"id":"x","interaction":"read","layout":1,"observer":"o","org":"one","outcome":0,"recorded":"2024-01-01T00:00:00.000Z","request":{"method":"GET","url":"x"},"requestId":"x","status":200}', decode(repeat('00', 32), 'hex'), 'R', 0, 'x', n % 100 = 0
    from generate_series(1, $1::int) n`, [ROWS]);
  await owner.query(`insert into access_entity (org, reference, role, event) select org, 'DocumentReference/d' || (row_number() over (order by id)) % 200, 2, id from access_event`);
  await owner.query('analyze');
  // As the server's own connections have it.
  await app.query(`set role muniment_app; set app.org = '1'; set plan_cache_mode = force_generic_plan; set enable_seqscan = off; set enable_bitmapscan = off; set enable_hashjoin = off; set enable_mergejoin = off`);
}, 120_000);
afterAll(async () => {
  await app.end();
  await owner.end();
});

/** Runs what `work` asks for, and keeps the plan of each statement. */
async function plansOf(work: (tx: Transaction) => Promise<unknown>): Promise<string[]> {
  const plans: string[] = [];
  const query = async (statement: string | Statement, given?: unknown[]): Promise<{ rows: unknown[]; rowCount: number }> => {
    const { text, values } = typeof statement === 'string' ? { text: statement, values: given ?? [] } : { text: statement.text, values: statement.values ?? [] };
    if (text.startsWith('set ')) { await app.query(text); return { rows: [], rowCount: 0 }; }
    const explained = await app.query<{ 'QUERY PLAN': string }>({ text: `explain (analyze, timing off, summary off, buffers off) ${text}`, values: [...values] });
    plans.push(explained.rows.map((row) => row['QUERY PLAN']).join('\n'));
    return app.query({ text, values: [...values] }) as never;
  };
  await app.query('begin');
  try {
    await work({ query, last: () => { /* Nothing is written. */ }, flush: async () => { /* So there is nothing to wait for. */ } } as unknown as Transaction);
  } finally { await app.query('rollback'); }
  return plans;
}

const scanned = (plan: string): number => Math.max(0, ...[...plan.matchAll(/Scan.*?actual rows=(\d+).*? loops=(\d+)/g)].map(([, rows, loops]) => Number(rows) * Number(loops)));
const match = (type: ResourceType, id: string): SearchMatch => ({ type, id, version: 1, patient: null, text: `{"resourceType":"${type}","relatesTo":[{"target":{"reference":"DocumentReference/d${Number(id.slice(1)) - 1}"}}]}`, keyset: { value: 0, id } });
const scope = { org: 1, fhirBase: BASE, restriction: () => ({ kind: 'none' as const }), outsideTypes: [] };

describe('a page of twenty', () => {
  const page = Array.from({ length: 20 }, (_, n) => match('DocumentReference', `d${n * 10 + 1}`));
  it.each([
    ['_include', 'DocumentReference:relatesto', ['resource_pkey']],
    ['_revinclude', 'DocumentReference:relatesto', ['search_reference_pkey', 'resource_newest']],
    ['_revinclude', 'AuditEvent:entity', ['access_entity_pkey', 'access_event_pkey']],
    ['_revinclude', 'Provenance:target', ['resource_pkey', 'resource_history_', 'access_entity_pkey']],
  ] as const)('%s=%s reads by index what it shows', async (name, text, indexes) => {
    const { includes } = parseIncludes([{ name, iterate: false, text }], ['DocumentReference']);
    const plans = await plansOf((tx) => readIncluded(tx, page, includes, scope));
    expect(plans.length).toBeGreaterThan(0);
    const all = plans.join('\n');
    for (const index of indexes) expect(all).toContain(index);
    expect(all).not.toContain('Seq Scan');
    for (const plan of plans) expect([plan, scanned(plan) <= 2_000]).toEqual([plan, true]);
  });

  it('of a compartment begins at its references', async () => {
    const parsed = parseSearch('DocumentReference', [], BASE, true);
    const source = searchSource('DocumentReference', { ...parsed, anyOf: [compartmentClauses('DocumentReference', { type: 'Patient', id: 'p0' })] }, { org: 1, restriction: { kind: 'none' }, fhirBase: BASE });
    const counted = await plansOf((tx) => source.count(tx, true));
    expect(counted.at(-1)).toContain('search_reference_pkey');
    let found = 0;
    const plans = await plansOf(async (tx) => { found = (await source.page(tx, undefined, false)).length; });
    expect(found).toBe(21);
    expect(plans.at(-1)).toContain('search_reference_pkey');
    for (const plan of plans) expect([plan, scanned(plan) <= 500]).toEqual([plan, true]);
  });
});
