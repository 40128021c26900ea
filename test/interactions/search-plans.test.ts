// Includes and compartments read by index under row-level security, however large the tables are.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import type { Restriction, RestrictionBranch } from '../../src/access/restriction.ts';
import { typeNumber, type ResourceType } from '../../src/fhir/resource-type.ts';
import { readIncluded } from '../../src/resources/read-included.ts';
import { searchSource, type SearchMatch } from '../../src/resources/search-source.ts';
import { compartmentClauses } from '../../src/search/compartment.ts';
import { indexHash, tokenKeys } from '../../src/search/index-hash.ts';
import { parseIncludes } from '../../src/search/parse-include.ts';
import { parseSearch } from '../../src/search/parse-search.ts';
import { SEARCH_PARAMETERS } from '../../src/search/search-parameters.ts';
import type { Statement, Transaction } from '../../src/database/database.ts';
import { PLAN_ONCE } from '../../src/database/plans.ts';
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
    select 1, $1, 'd' || n, 1, timestamptz '2024-01-01' + n * interval '1 second', 'POST', '{"resourceType":"DocumentReference",' || case when n % 300 = 0 then '"category":[{"coding":[{"code":"insurance"}]}],' else '' end || '"relatesTo":[{"target":{"reference":"DocumentReference/d' || n - 1 || '"}}]}', 'current', 'p' || n % 500
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
  await owner.query(`insert into access_event (org, id, recorded, layout, parts, action, subtype, outcome, request_id, write)
    select 1, ('018cc251-' || lpad(to_hex(n / 65536), 4, '0') || '-7' || lpad(to_hex(n % 4096), 3, '0') || '-8000-' || lpad(to_hex(n), 12, '0'))::uuid, now(), 1, '{"action":"R","agent":{},"entities":[],"id":"x","interaction":"read","layout":1,"observer":"o","org":"one","outcome":0,"recorded":"2024-01-01T00:00:00.000Z","request":{"method":"GET","url":"x"},"requestId":"x","status":200}', 'R', 'read', 0, 'x', n % 100 = 0
    from generate_series(1, $1::int) n`, [ROWS]);
  await owner.query(`insert into access_entity (org, reference, role, event) select org, 'DocumentReference/d' || (row_number() over (order by id)) % 200, 2, id from access_event`);
  for (const [key, every] of [['urn:common|common', 1], ['urn:rare|rare', 400], ['urn:insurance|insurance', 300]] as const) {
    await owner.query(`insert into search_token (org, type, param, hash, last_updated, id)
      select 1, $1, $2, h, timestamptz '2024-01-01' + n * interval '1 second', 'd' || n from unnest($3::bigint[]) h, generate_series(1, $4::int) n where n % $5::int = 0`,
      [typeNumber('DocumentReference'), parameter('category'), tokenKeys(key.split('|')[0], key.split('|')[1] as string).map(hash), ROWS, every]);
  }
  await owner.query('analyze');
  // As the server's own connections have it.
  await app.query(['role = muniment_app', "app.org = '1'", ...PLAN_ONCE].map((setting) => `set ${setting}`).join('; '));
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
/** What was looked at and did not fit, beside it. */
const inVain = (plan: string): number => Math.max(0, ...[...plan.matchAll(/Rows Removed by Filter: (\d+)/g)].map(([, rows]) => Number(rows)));
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

describe('a search of a caller who is confined', () => {
  const category = (code: string): RestrictionBranch => ({ filter: [['category', `urn:${code}|${code}`]] });
  const patient = (id: string): RestrictionBranch => ({ patient: id });
  const search = (restriction: Restriction, query = ''): ReturnType<typeof searchSource> =>
    searchSource('DocumentReference', parseSearch('DocumentReference', [...new URLSearchParams(query)], BASE, true), { org: 1, restriction, fhirBase: BASE });
  const within = (...anyOf: RestrictionBranch[]): Restriction => ({ kind: 'within', anyOf });

  it.each<[string, Restriction, string, number]>([
    ['to a patient begins in their compartment', within(patient('p0')), 'search_reference_pkey', 500],
    ['to a granular scope begins at its codes', within(category('rare')), 'search_token_pkey', 500],
    ['to a granular scope that holds for much goes through its codes in the order of time', within(category('common')), 'search_token_pkey', 500],
    ['to a patient and a granular scope begins at the fewer', within({ ...patient('p0'), ...category('common') }), 'search_reference_pkey', 2_000],
    ['to categories of a role begins at their codes', { kind: 'within', anyOf: [{}], categories: { permitted: ['insurance'], denied: [] } }, 'search_token_pkey', 500],
    ['to what patients do not withhold goes in the order of time', { kind: 'within', anyOf: [{}], withheld: [{ patients: new Set(['p1', 'p2']), when: { kind: 'always' } }, { patients: new Set(['p3']), when: { kind: 'label', codes: [{ code: 'R' }] } }] }, 'resource_newest', 500],
  ])('%s', async (_what, restriction, index, rows) => {
    let found = 0;
    const plans = await plansOf(async (tx) => { found = (await search(restriction).page(tx, undefined, false)).length; });
    expect(found).toBeGreaterThan(0);
    expect(plans.at(-1)).toContain(index);
    expect(plans.join('\n')).not.toContain('Seq Scan');
    for (const plan of plans) expect([plan, scanned(plan) <= rows, inVain(plan) <= 500]).toEqual([plan, true, true]);
  });

  it.each<[string, Restriction]>([
    ['two patients', within(patient('p0'), patient('p1'))],
    ['a patient and a granular scope', within(patient('p0'), category('rare'))],
    ['two granular scopes', within(category('rare'), category('insurance'))],
  ])('to a union of %s asks the index for each branch, and looks at no document in vain', async (_what, restriction) => {
    let found = 0;
    const plans = await plansOf(async (tx) => { found = (await search(restriction).page(tx, undefined, false)).length; });
    expect(found).toBe(21);
    expect(plans.join('\n')).not.toContain('Seq Scan');
    for (const plan of plans) expect([plan, scanned(plan) <= 2_000, inVain(plan) <= 500]).toEqual([plan, true, true]);
    const counted = await plansOf((tx) => search(restriction).count(tx, true));
    for (const plan of counted) expect([plan, scanned(plan) <= 2_000, inVain(plan) <= 500]).toEqual([plan, true, true]);
  });

  it('by patient, whatever else is asked, begins at that patient', async () => {
    const plans = await plansOf((tx) => search(within(category('common')), 'patient=p7').page(tx, undefined, false));
    for (const plan of plans) expect([plan, scanned(plan) <= 500]).toEqual([plan, true]);
  });
});
