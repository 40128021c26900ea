// An organisation's own policy and settings at the doorway: they hold for it alone, on every path, and on every server within 5 s.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { Action, Category, PolicyRule } from '../../src/access/policy.ts';
import { documentReference, fhirClient, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment, type TokenOptions } from '../support/start-muniment.ts';

let server: TestMuniment;
let second: TestMuniment;

const CATEGORIES = 'https://muniment.example/fhir/CodeSystem/document-category';
const inCategories = (...codes: string[]): Record<string, unknown> => documentReference({ category: codes.map((code) => ({ coding: [{ system: CATEGORIES, code }] })) });
const as = async (options: TokenOptions, at = server): Promise<FhirClient> => fhirClient(at.fhirBase, await at.token(options));
type Effect = PolicyRule['effect'];
const rules = (role: string, effect: Effect) => (category: Category, ...actions: Action[]): PolicyRule[] => actions.map((action) => ({ role, category, action, effect }));
const [permit, deny] = [rules('clerk', 'permit'), rules('clerk', 'deny')];

/** As another server would change it: this one learns of it by reading again. */
async function setPolicy(org: string, rules: PolicyRule[]): Promise<void> {
  await server.sql(`with changed as (insert into policy_version (org, version, changed_at, changed_by, reason)
      select o.id, coalesce((select max(version) from policy_version v where v.org = o.id), 0) + 1, now(), 'test', 'test' from organisation o where name = $1 returning org, version)
    insert into policy_rule (org, version, role, category, action, effect)
    select org, version, rule.* from changed, unnest($2::text[], $3::text[], $4::text[], $5::text[]) as rule`,
  [org, ...(['role', 'category', 'action', 'effect'] as const).map((column) => rules.map((rule) => rule[column]))]);
}

/** Repeats until the answer has the status, 5 s at most from the change on. */
async function within5s(ask: () => Promise<Answer>, status: number): Promise<number> {
  const start = performance.now();
  for (;;) {
    const sent = performance.now() - start;
    const answer = await ask();
    if (answer.status === status) return sent;
    if (sent > 5_000) throw new Error(`${answer.status} after ${Math.round(sent)} ms: ${answer.text}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

let org: string;
let admin: FhirClient;
let clerk: FhirClient;

beforeAll(async () => {
  server = await startMuniment();
  second = await server.startSecond();
});
afterAll(async () => {
  await second.stop();
  await server.stop();
});
beforeEach(async () => {
  org = `org-${randomUUID().slice(0, 8)}`;
  admin = await as({ org });
  clerk = await as({ org, roles: ['clerk'], user: 'Practitioner/clerk' });
});

const made = async (body: object, client = admin): Promise<string> => {
  const answer = await client.post('DocumentReference', body);
  expect(answer.status).toBe(201);
  return answer.json.id;
};
const ids = ({ json }: Answer): string[] => (json.entry ?? []).map((entry: { resource: { id: string } }) => entry.resource.id).sort();

describe('a policy', () => {
  it('holds for its organisation alone', async () => {
    const elsewhere = `${org}-south`;
    const southAdmin = await as({ org: elsewhere });
    const southClerk = await as({ org: elsewhere, roles: ['clerk'] });
    const [here, there] = [await made(inCategories('lab')), await made(inCategories('lab'), southAdmin)];
    expect([(await clerk.get(`DocumentReference/${here}`)).status, (await southClerk.get(`DocumentReference/${there}`)).status]).toEqual([403, 403]);
    await setPolicy(org, permit('*', 'read', 'search'));
    await within5s(() => clerk.get(`DocumentReference/${here}`), 200);
    expect((await southClerk.get(`DocumentReference/${there}`)).status).toBe(403);
    expect((await southClerk.get('DocumentReference')).status).toBe(403);
    expect((await clerk.get(`DocumentReference/${there}`)).status).toBe(404);
    // Its own says nothing of admin any more; the other organisation's admin has what was shipped.
    expect((await admin.get(`DocumentReference/${here}`)).status).toBe(403);
    expect((await southAdmin.get(`DocumentReference/${there}`)).status).toBe(200);
  });

  it('takes effect on another server within 5 s, while that one serves without a pause', async () => {
    const there = await as({ org, roles: ['clerk'] }, second);
    const id = await made(inCategories('lab'));
    expect((await there.get(`DocumentReference/${id}`)).status).toBe(403);
    await setPolicy(org, permit('*', 'read'));
    await within5s(() => there.get(`DocumentReference/${id}`), 200);
    await setPolicy(org, [...permit('*', 'read'), ...deny('lab', 'read')]);
    await within5s(() => there.get(`DocumentReference/${id}`), 403);
  });

  it('is read again before the next answer by a server that was idle for longer', async () => {
    const there = await as({ org, roles: ['clerk'] }, second);
    const id = await made(inCategories('lab'));
    await setPolicy(org, permit('*', 'read'));
    await within5s(() => there.get(`DocumentReference/${id}`), 200);
    await setPolicy(org, []);
    await new Promise((resolve) => setTimeout(resolve, 5_050));
    expect((await there.get(`DocumentReference/${id}`)).status).toBe(403);
  });
});

describe('categories of a policy', () => {
  it('decide read, bytes, search, totals, writes and deletion document by document, and a deny wins over a permit', async () => {
    const [lab, photo, both, none] = [await made(inCategories('lab')), await made(inCategories('photo')), await made(inCategories('lab', 'photo')), await made(documentReference({ category: undefined }))];
    await setPolicy(org, [...permit('*', 'read', 'search', 'write', 'delete'), ...deny('photo', 'read', 'search', 'write', 'delete'), ...permit('photo', 'read'), ...deny('other', 'delete'),
      ...rules('admin', 'permit')('*', 'read', 'search')]);
    await within5s(() => clerk.get(`DocumentReference/${lab}`), 200);
    const reads = await Promise.all([lab, photo, both, none].map((id) => clerk.get(`DocumentReference/${id}`)));
    expect(reads.map(({ status }) => status)).toEqual([200, 403, 403, 200]);
    const bytes = await Promise.all([lab, photo, both, none].map(async (id) => (await clerk.get(`Binary/${(await admin.get(`DocumentReference/${id}`)).json.content[0].attachment.url.split('/').at(-1)}`)).status));
    expect([bytes[0], bytes[3]]).toEqual([200, 200]);
    expect(bytes[1]).toBeGreaterThanOrEqual(403);
    expect(bytes[2]).toBeGreaterThanOrEqual(403);
    const found = await clerk.get('DocumentReference?_total=accurate');
    expect(ids(found)).toEqual([lab, none].sort());
    expect(found.json.total).toBe(2);
    expect((await clerk.get('DocumentReference?_summary=count')).json.total).toBe(2);
    expect((await clerk.post('DocumentReference', inCategories('photo'))).status).toBe(403);
    expect((await clerk.post('DocumentReference', inCategories('lab', 'photo'))).status).toBe(403);
    expect((await clerk.post('DocumentReference', inCategories('lab'))).status).toBe(201);
    // Out of a permitted category into a denied one, and the other way.
    expect((await clerk.put(`DocumentReference/${lab}`, { ...inCategories('photo'), id: lab, subject: reads[0]?.json.subject })).status).toBe(403);
    expect((await clerk.put(`DocumentReference/${photo}`, { ...inCategories('lab'), id: photo })).status).toBe(403);
    expect([(await clerk.delete(`DocumentReference/${photo}`)).status, (await clerk.delete(`DocumentReference/${none}`)).status, (await clerk.delete(`DocumentReference/${lab}`)).status]).toEqual([403, 403, 204]);
  });

  it('read without search: a document is read and no search is answered', async () => {
    const id = await made(inCategories('lab'));
    await setPolicy(org, permit('lab', 'read'));
    await within5s(() => clerk.get(`DocumentReference/${id}`), 200);
    expect((await clerk.get('DocumentReference')).status).toBe(403);
    expect((await clerk.get(`DocumentReference?_id=${id}`)).status).toBe(403);
  });

  it('the entries of a batch are judged one by one, and its kept answer is good for the same rights alone', async () => {
    const id = await made(inCategories('lab'));
    const batch = { resourceType: 'Bundle', type: 'batch', entry: [{ request: { method: 'GET', url: `DocumentReference/${id}` } }, { resource: inCategories('lab'), request: { method: 'POST', url: 'DocumentReference' } }] };
    await setPolicy(org, permit('*', 'read', 'write'));
    await within5s(() => clerk.get(`DocumentReference/${id}`), 200);
    const statuses = ({ json }: Answer): string[] => json.entry.map((entry: { response: { status: string } }) => entry.response.status.slice(0, 3));
    const first = await clerk.post('', batch, { 'idempotency-key': 'once' });
    expect(statuses(first)).toEqual(['200', '201']);
    expect((await clerk.post('', batch, { 'idempotency-key': 'once' })).text).toBe(first.text);
    await setPolicy(org, permit('*', 'write'));
    await within5s(() => clerk.get(`DocumentReference/${id}`), 403);
    expect((await clerk.post('', batch, { 'idempotency-key': 'once' })).status).toBe(422);
    expect(statuses(await clerk.post('', batch))).toEqual(['403', '201']);
  });
});

describe('a disabled organisation', () => {
  it('is refused on every path with 403, each refusal recorded, and has everything again when it is enabled', async () => {
    const id = await made(inCategories('lab'));
    await server.sql('update organisation set disabled_at = now() where name = $1', [org]);
    await within5s(() => admin.get(`DocumentReference/${id}`), 403);
    const requestId = randomUUID();
    const refused = await Promise.all([
      admin.get(`DocumentReference/${id}`, { 'x-request-id': requestId }), admin.get('DocumentReference'), admin.post('DocumentReference', inCategories('lab')), admin.put(`DocumentReference/${id}`, { ...inCategories('lab'), id }),
      admin.delete(`DocumentReference/${id}`), admin.get('AuditEvent'), admin.get(`DocumentReference/${id}/_history`), admin.get('no-such-path'), admin.post('', { resourceType: 'Bundle', type: 'batch', entry: [] }),
    ]);
    expect(refused.map(({ status, json }) => [status, json.issue[0].details.coding[0].code])).toEqual(refused.map(() => [403, 'organisation-disabled']));
    expect((await (await as({})).get(`DocumentReference/${id}`)).status).toBe(404);
    expect((await admin.call('metadata', { token: null })).status).toBe(200);
    await server.sql('update organisation set disabled_at = null where name = $1', [org]);
    await within5s(() => admin.get(`DocumentReference/${id}`), 200);
    expect(await admin.auditOf(requestId)).toMatchObject([{ outcome: '4' }]);
  });
});

describe('If-Match where an organisation requires it', () => {
  it('is asked for on PUT, PATCH and DELETE of what exists, also in a transaction, and of this organisation alone', async () => {
    const id = await made(inCategories('lab'));
    const path = `DocumentReference/${id}`;
    const body = { ...(await admin.get(path)).json, description: 'again' };
    const patch = { method: 'PATCH', body: JSON.stringify([{ op: 'add', path: '/description', value: 'patched' }]) };
    const json = { 'content-type': 'application/json-patch+json' };
    await server.sql('update organisation set require_if_match = true where name = $1', [org]);
    await within5s(() => admin.put(path, body), 400);
    const refused = [await admin.put(path, body), await admin.call(path, { ...patch, headers: json }), await admin.delete(path),
      await admin.post('', { resourceType: 'Bundle', type: 'transaction', entry: [{ resource: body, request: { method: 'PUT', url: path } }] })];
    expect(refused.map(({ status, json: { issue } }) => [status, issue[0].details.coding[0].code])).toEqual(refused.map(() => [400, 'if-match-required']));
    const tag = refused[0]?.headers.get('etag') ?? '';
    expect(tag).toBe((await admin.get(path)).headers.get('etag'));
    const changed = await admin.put(path, body, { 'if-match': tag });
    expect(changed.status).toBe(200);
    const patched = await admin.call(path, { ...patch, headers: { ...json, 'if-match': changed.headers.get('etag') ?? '' } });
    expect(patched.status).toBe(200);
    expect((await admin.put(path, body, { 'if-match': tag })).status).toBe(412);
    const fresh = `fresh-${randomUUID()}`;
    expect((await admin.put(`DocumentReference/${fresh}`, { ...inCategories('lab'), id: fresh })).status).toBe(201);
    expect((await admin.delete(`DocumentReference/${randomUUID()}`)).status).toBe(204);
    expect((await admin.delete(path, { 'if-match': patched.headers.get('etag') ?? '' })).status).toBe(204);
    const other = await as({ org: `${org}-south` });
    const theirs = await made(inCategories('lab'), other);
    expect((await other.delete(`DocumentReference/${theirs}`)).status).toBe(204);
  });
});
