// What is due for review is read by its index under row-level security, however much is kept that is not due.
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import pg from 'pg';
import type { Statement, Transaction } from '../../src/database/database.ts';
import { PLAN_ONCE } from '../../src/database/plans.ts';
import { listDue, START_OF_LIST, type DueDocument, type RetentionCursor } from '../../src/resources/retention.ts';
import type { RetentionProfile } from '../../src/resources/retention-profiles.ts';
import { createDatabase } from '../support/start-muniment.ts';

const ROWS = 20_000;
const NOW = Date.parse('2026-01-01T00:00:00Z');
let owner: pg.Client;
let app: pg.Client;

beforeAll(async () => {
  const url = await createDatabase();
  [owner, app] = [new pg.Client({ connectionString: url }), new pg.Client({ connectionString: url })];
  await owner.connect();
  await app.connect();
  const add = (prefix: string, type: number, retention: string | null, last: string, count: number): Promise<unknown> => owner.query(
    `insert into resource (org, type, id, version, last_updated, method, body, retention)
      select 1, $1, $2 || n, 1, $3::timestamptz + n * interval '1 second', 'POST', '{"resourceType":"DocumentReference","meta":{"tag":[{"system":"https://muniment.example/fhir/CodeSystem/retention-class","code":"' || coalesce($4, 'none') || '"}]}}', $4 from generate_series(1, $5::int) n`,
    [type, prefix, last, retention, count]);
  // None of these is due: kept for good, kept for longer, young, or bytes that go with their documents.
  await add('permanent', 3, 'permanent', '2001-01-01', ROWS);
  await add('mental', 3, 'mental-health', '2010-01-01', ROWS);
  await add('young', 3, 'clinical', '2020-01-01', ROWS);
  await add('linked', 1, null, '2010-01-01', ROWS);
  // These are: fifty by the class of their own, and bytes that nobody took up.
  await add('over', 3, 'clinical', '2011-01-01', 50);
  await add('loose', 1, 'unlinked', '2015-01-01', 5);
  await owner.query('analyze');
  await app.query(['role = muniment_app', "app.org = '1'", ...PLAN_ONCE].map((setting) => `set ${setting}`).join('; '));
}, 120_000);
afterAll(async () => {
  await app.end();
  await owner.end();
});

interface Page { due: DueDocument[]; next: RetentionCursor | undefined; plan: string }

async function page(profile: RetentionProfile, after: RetentionCursor, limit = 20): Promise<Page> {
  let plan = '';
  const query = async (statement: string | Statement, given: unknown[] = []): Promise<unknown> => {
    const { text, values = [] } = typeof statement === 'string' ? { text: statement, values: given } : statement;
    if (text.includes('last_activity')) plan = (await app.query<{ 'QUERY PLAN': string }>(`explain (analyze, timing off, summary off, buffers off) ${text}`, [...values])).rows.map((row) => row['QUERY PLAN']).join('\n');
    return app.query(text, [...values]);
  };
  return { ...await listDue({ query } as unknown as Transaction, 1, profile, { now: NOW, after, limit }), plan };
}

function scanned(plan: string): number {
  return Math.max(0, ...[...plan.matchAll(/Scan.*?actual rows=([\d.]+).*? loops=(\d+)/g)].map(([, rows, loops]) => Number(rows) * Number(loops)));
}

it.each<[RetentionProfile, string[]]>([
  // By seven years the class mental-health is clinical, and its documents are over as well.
  ['uk', ['over', 'loose']], ['seven-years', ['mental', 'over', 'loose']],
])('under %s each page reads few rows by the index, and the pages hold what is due and nothing else, the oldest first', async (profile, prefixes) => {
  const seen: DueDocument[] = [];
  for (let after: RetentionCursor | undefined = START_OF_LIST, pages = 0; after !== undefined && pages < 5; pages += 1) {
    const { due, next, plan } = await page(profile, after);
    expect(plan).toContain('resource_retention');
    expect({ plan, few: scanned(plan) <= 200, seq: plan.includes('Seq Scan') }).toEqual({ plan, few: true, seq: false });
    seen.push(...due);
    after = next;
  }
  expect(new Set(seen.map(({ reference }) => reference)).size).toBe(seen.length);
  expect(seen.map(({ lastActivity }) => lastActivity)).toEqual(seen.map(({ lastActivity }) => lastActivity).sort((one, other) => one - other));
  for (const { reference } of seen) expect(prefixes.some((prefix) => reference.includes(`/${prefix}`))).toBe(true);
  if (profile === 'uk') expect(seen).toHaveLength(55);
});
