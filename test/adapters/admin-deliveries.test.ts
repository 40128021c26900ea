// /admin/deliveries over HTTP: what HAPI refused is listed, shown, tried again and given up by an administrator of the organisation,
// and each decision stands in the record with its reason.
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { typeNumber } from '../../src/fhir/resource-type.ts';
import { documentReference, fhirClient, type Answer, type Call, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment, type TokenOptions } from '../support/start-muniment.ts';

let server: TestMuniment;
let org: string;
let own: FhirClient;

beforeAll(async () => {
  server = await startMuniment();
  org = `org-${randomUUID().slice(0, 8)}`;
  own = await as({ org });
});
afterAll(() => server.stop());

const as = async (options: TokenOptions): Promise<FhirClient> => fhirClient(server.fhirBase, await server.token(options));
const admin = (client: FhirClient, path: string, { body, ...call }: Call = {}): Promise<Answer> => client.call(`${new URL(client.base).origin}/admin/deliveries${path}`, {
  ...call, ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
});
const DOCUMENT = typeNumber('DocumentReference');
const REASON = { reason: 'HAPI was mended' };

/** A document of two versions, the first of which HAPI refused. */
async function park(client = own): Promise<string> {
  const { json } = await client.post('DocumentReference', documentReference());
  await client.put(`DocumentReference/${json.id}`, { ...json, description: 'another' });
  await server.sql('update outbox set taken = true where id = $1', [json.id]);
  await server.sql(`insert into mirror_head (org, type, id, lane, shard, state, parked_at, attempts, refusals, last_error) select org, type, id, 1, 1, 'parked', now(), 5, 5, 'HTTP 422: HAPI-1' from resource where id = $1`, [json.id]);
  return `DocumentReference/${json.id}`;
}

it('lists what is parked, page by page, and shows one', async () => {
  const references = (await Promise.all(Array.from({ length: 3 }, () => park()))).sort();
  const first = await admin(own, '?_count=2');
  expect(first).toMatchObject({ status: 200, json: { parked: references.slice(0, 2).map((reference) => ({ reference: `${reference}/_history/1`, attempts: 5, reason: 'HTTP 422: HAPI-1' })) } });
  const second = await admin(own, first.json.next.replace('/admin/deliveries', ''));
  expect(second.json).toEqual({ parked: [expect.objectContaining({ reference: `${references[2]}/_history/1` })] });
  expect(await admin(own, `/${references[0]}`)).toMatchObject({ status: 200, json: { state: 'parked', refusals: 5, pendingVersions: [1, 2], next: null, skipped: [] } });
});

it('tries one again, then all of the organisation and of no other', async () => {
  const [one, two] = [await park(), await park()];
  const elsewhere = await as({ org: `org-${randomUUID().slice(0, 8)}` });
  const theirs = await park(elsewhere);
  expect(await admin(own, `/${one}/$replay`, { body: REASON })).toMatchObject({ status: 200, json: { replayed: 1, references: [`${one}/_history/1`] } });
  expect((await admin(own, `/${one}`)).json).toMatchObject({ state: 'waiting', attempts: 0, refusals: 0, parked: null, next: expect.any(String) });
  expect(await admin(own, `/${one}/$replay`, { body: REASON })).toMatchObject({ status: 404 });
  const all = await admin(own, '/$replay', { body: REASON });
  expect(all.json.references).toContain(`${two}/_history/1`);
  expect((await admin(own, '')).json.parked).toEqual([]);
  expect((await admin(elsewhere, '')).json.parked).toMatchObject([{ reference: `${theirs}/_history/1` }]);
});

it('gives one version up for a reason, and the next one goes ahead', async () => {
  const reference = await park();
  expect(await admin(own, `/${reference}/$skip`, { body: { reason: 'A wrong code, mended in version 2' } })).toMatchObject({ status: 200, json: { skipped: `${reference}/_history/1` } });
  expect((await admin(own, `/${reference}`)).json).toMatchObject({ state: 'waiting', pendingVersions: [2], next: expect.any(String), skipped: [{ version: 1, reason: 'A wrong code, mended in version 2' }] });
  expect((await admin(own, `/${reference}/$skip`, { body: { reason: 'again' } })).status).toBe(404);
});

it('records each decision with its reason and what it was about', async () => {
  const reference = await park();
  await admin(own, `/${reference}/$skip`, { body: { reason: `because ${reference}` } });
  const bodies = await server.sql<{ body: string }>('select e.body from access_event e where strpos(e.body, $1) > 0', [`Delivery given up: because ${reference}`]);
  expect(bodies).toHaveLength(1);
  expect(JSON.parse(bodies[0]!.body)).toMatchObject({ action: 'E', entities: [{ reference: `${reference}/_history/1` }], agent: { user: 'Practitioner/demo' } });
});

it('is for administrators of the organisation, with a reason', async () => {
  const reference = await park();
  for (const outsider of [await as({ org, roles: ['practitioner'] }), await as({ org, scope: 'user/*.rs' })]) expect((await admin(outsider, `/${reference}/$skip`, { body: REASON })).status).toBe(403);
  const stranger = await as({ org: `org-${randomUUID().slice(0, 8)}` });
  for (const [path, call] of [[`/${reference}`, {}], [`/${reference}/$skip`, { body: REASON }], [`/${reference}/$replay`, { body: REASON }]] as const) expect((await admin(stranger, path, call)).status).toBe(404);
  expect(await admin(own, `/${reference}/$skip`, { body: {} })).toMatchObject({ status: 422, json: { code: 'required', errors: [{ expression: 'reason' }] } });
  expect((await admin(own, '/Patient-x/1')).status).toBe(404);
  expect((await admin(own, '?after=x')).status).toBe(400);
  expect((await admin(own, `/${reference}`)).json).toMatchObject({ state: 'parked', pendingVersions: [1, 2] });
});

it('lets the application touch nothing of what is not parked', async () => {
  const { json } = await own.post('DocumentReference', documentReference());
  await server.sql('insert into mirror_head (org, type, id, lane, shard, next_at) select org, type, id, 1, 1, now() from resource where id = $1', [json.id]);
  const [row] = await server.sql<{ id: number }>('select id from organisation where name = $1', [org]);
  const counts = await server.sql<{ count: number }>('select count(*)::int as count from outbox where id = $1', [json.id]);
  const pg = await import('pg');
  const client = new pg.default.Client({ connectionString: server.ownerUrl });
  await client.connect();
  try {
    await client.query(`set role muniment_app; set app.org = '${row?.id}'`);
    expect((await client.query('delete from outbox where id = $1', [json.id])).rowCount).toBe(0);
    expect((await client.query(`update mirror_head set attempts = 9 where type = ${DOCUMENT} and id = $1`, [json.id])).rowCount).toBe(0);
    await expect(client.query('update mirror_head set hapi_version = 9')).rejects.toThrow(/permission denied/);
  } finally {
    await client.end();
  }
  expect(counts).toEqual([{ count: 1 }]);
});
