// /admin over HTTP: who may, what each answer says, what it changes and for whom, and that each access is recorded.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { SHIPPED_POLICY, type PolicyRule } from '../../src/access/policy.ts';
import { documentReference, fhirClient, type Answer, type Call, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment, type TokenOptions } from '../support/start-muniment.ts';

let server: TestMuniment;
let second: TestMuniment;
let operator: FhirClient;

beforeAll(async () => {
  server = await startMuniment();
  second = await server.startSecond();
  operator = await as({});
});
afterAll(async () => {
  await second.stop();
  await server.stop();
});

const as = async (options: TokenOptions, at = server): Promise<FhirClient> => fhirClient(at.fhirBase, await at.token(options));
const admin = (client: FhirClient, path: string, { body, headers = {}, ...call }: Call = {}): Promise<Answer> => client.call(`${new URL(client.base).origin}/admin/${path}`, {
  ...call, ...(body === undefined ? {} : { body: JSON.stringify(body) }), headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
});
const freshName = (): string => `org-${randomUUID().slice(0, 8)}`;
const CLERK: PolicyRule[] = (['read', 'search'] as const).map((action) => ({ role: 'clerk', category: 'lab', action, effect: 'permit' }));
const ADMIN: PolicyRule[] = SHIPPED_POLICY.rules.filter(({ role }) => role === 'admin');
const putPolicy = (client: FhirClient, version: number, rules: unknown, more: Call = {}): Promise<Answer> =>
  admin(client, 'policy', { method: 'PUT', body: { rules, reason: 'Clerks read laboratory reports' }, ...more, headers: { 'if-match': `W/"${version}"`, ...more.headers } });
const lab = (): Record<string, unknown> => documentReference({ category: [{ coding: [{ system: 'https://muniment.example/fhir/CodeSystem/document-category', code: 'lab' }] }] });

describe('the policy of an organisation', () => {
  it('is the shipped one until it is replaced; a change holds here at once and on another server within 5 s, and for no other organisation', async () => {
    const [org, other] = [freshName(), freshName()];
    const [own, clerk, there, elsewhere] = await Promise.all([as({ org }), as({ org, roles: ['clerk'] }), as({ org, roles: ['clerk'] }, second), as({ org: other, roles: ['clerk'] })]);
    const { json: { id } } = await own.post('DocumentReference', lab());
    expect([(await clerk.get(`DocumentReference/${id}`)).status, (await there.get('DocumentReference')).status, (await elsewhere.get('DocumentReference')).status]).toEqual([403, 403, 403]);
    const before = await admin(own, 'policy');
    expect([before.status, before.headers.get('etag'), before.headers.get('content-type'), before.headers.get('cache-control')]).toEqual([200, 'W/"0"', expect.stringContaining('application/json'), 'no-store']);
    expect(before.json).toMatchObject({ organisation: org, version: 0, shipped: true, rules: SHIPPED_POLICY.rules });
    const replaced = await putPolicy(own, 0, [...ADMIN, ...CLERK]);
    expect([replaced.status, replaced.headers.get('etag')]).toEqual([200, 'W/"1"']);
    expect(replaced.json).toMatchObject({ version: 1, change: { version: 1, reason: 'Clerks read laboratory reports', by: { fhirUser: 'Practitioner/demo', client: 'muniment-cli' } } });
    expect((await clerk.get(`DocumentReference/${id}`)).status).toBe(200);
    const start = performance.now();
    while ((await there.get(`DocumentReference/${id}`)).status !== 200) {
      expect(performance.now() - start).toBeLessThan(5_000);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect((await elsewhere.get('DocumentReference')).status).toBe(403);
    expect((await admin(await as({ org: other }), 'policy')).json.version).toBe(0);
    expect((await admin(own, 'policy/versions')).json.versions).toMatchObject([{ version: 1, reason: 'Clerks read laboratory reports' }]);
    expect((await admin(own, 'policy/versions/0')).json.rules).toEqual(SHIPPED_POLICY.rules);
    expect((await admin(own, 'policy/versions/1')).json.rules).toHaveLength(ADMIN.length + 2);
    expect((await admin(own, 'policy/versions/2')).status).toBe(404);
    expect((await admin(await as({ org: other }), 'policy/versions/1')).status).toBe(404);
  });

  it('is replaced by whoever names its version and says why; of two at one moment one wins', async () => {
    const own = await as({ org: freshName() });
    expect(await putPolicy(own, 0, ADMIN, { headers: { 'if-match': 'W/"3"' } })).toMatchObject({ status: 412, json: { code: 'version-mismatch' } });
    const without = await admin(own, 'policy', { method: 'PUT', body: { rules: ADMIN, reason: 'x' } });
    expect([without.status, without.json.code, without.headers.get('etag'), without.headers.get('content-type')]).toEqual([400, 'if-match-required', 'W/"0"', expect.stringContaining('application/problem+json')]);
    expect(await admin(own, 'policy', { method: 'PUT', body: { rules: ADMIN }, headers: { 'if-match': 'W/"0"' } })).toMatchObject({ status: 422, json: { code: 'required', errors: [{ expression: 'reason' }] } });
    const both = await Promise.all([putPolicy(own, 0, ADMIN), putPolicy(own, 0, CLERK)]);
    expect(both.map(({ status }) => status).sort()).toEqual([200, 412]);
    expect((await admin(own, 'policy/versions')).json.versions).toHaveLength(1);
    const now = (await admin(own, 'policy')).json;
    expect(await putPolicy(own, 1, [...now.rules].reverse())).toMatchObject({ status: 200, json: { version: 1 } });
  });

  it('cannot lock its administrators out', async () => {
    const own = await as({ org: freshName() });
    expect((await putPolicy(own, 0, [])).status).toBe(200);
    expect((await own.get('DocumentReference')).status).toBe(403);
    expect((await putPolicy(own, 1, ADMIN)).status).toBe(200);
    expect((await own.get('DocumentReference')).status).toBe(200);
  });

  it.each([
    ['no rules', { reason: 'x' }, 422, 'rules'],
    ['rules that are no list', { rules: {}, reason: 'x' }, 400, 'rules'],
    ['a rule without role', { rules: [{ category: '*', action: 'read', effect: 'permit' }], reason: 'x' }, 422, 'rules[0].role'],
    ['an unknown action', { rules: [...ADMIN, { role: 'a', category: '*', action: 'fly', effect: 'permit' }], reason: 'x' }, 422, `rules[${ADMIN.length}].action`],
    ['an unknown category', { rules: [{ role: 'a', category: 'x', action: 'read', effect: 'permit' }], reason: 'x' }, 422, 'rules[0].category'],
    ['an unknown effect', { rules: [{ role: 'a', category: '*', action: 'read', effect: 'maybe' }], reason: 'x' }, 422, 'rules[0].effect'],
    ['a member that is none', { rules: [{ role: 'a', category: '*', action: 'read', effect: 'permit', when: 'noon' }], reason: 'x' }, 400, 'rules[0].when'],
    ['a role with a comma', { rules: [{ role: 'a,b', category: '*', action: 'read', effect: 'permit' }], reason: 'x' }, 400, 'rules[0].role'],
    ['a number as role', { rules: [{ role: 1.50, category: '*', action: 'read', effect: 'permit' }], reason: 'x' }, 400, 'rules[0].role'],
    ['an empty reason', { rules: [], reason: ' ' }, 400, 'reason'],
    ['too many rules', { rules: Array.from({ length: 2_001 }, (_, at) => ({ role: `r${at}`, category: '*', action: 'read', effect: 'permit' })), reason: 'x' }, 422, 'rules'],
    ['a further member', { rules: [], reason: 'x', force: true }, 400, 'force'],
  ])('refuses %s with the place', async (_title, body, status, place) => {
    const answer = await admin(operator, 'policy', { method: 'PUT', body, headers: { 'if-match': 'W/"0"' } });
    expect([answer.status, answer.json.errors?.map(({ expression }: { expression: string }) => expression)]).toEqual([status, [place]]);
    expect((await admin(operator, 'policy')).json.version).toBe(0);
  });

  it('refuses what is no JSON with 400 and what is declared as another type with 415', async () => {
    const send = (text: string, type: string): Promise<Answer> => operator.call(`${new URL(operator.base).origin}/admin/policy`, { method: 'PUT', body: text, headers: { 'content-type': type, 'if-match': 'W/"0"' } });
    expect([(await send('{', 'application/json')).status, (await send('[]', 'application/json')).status, (await send('{}', 'text/plain')).status]).toEqual([400, 400, 415]);
  });
});

describe('$explain', () => {
  it('says which rule decides, of the policy in force, of a draft, and of scopes', async () => {
    const ask = (body: object): Promise<Answer> => admin(operator, 'policy/$explain', { method: 'POST', body });
    expect((await ask({ as: 'nurse', can: 'delete', category: 'lab' })).json).toMatchObject({ organisation: 'demo', roles: ['nurse'], permitted: 'no', policyVersion: 0, categories: [{ category: 'lab', permitted: false, rules: [] }] });
    expect((await ask({ as: ['nurse', 'clerk'], can: 'read', category: 'lab', rules: CLERK })).json).toMatchObject({ permitted: 'yes', draft: true, categories: [{ rules: [CLERK[0]] }] });
    expect((await ask({ as: 'nurse', can: 'read', scope: 'user/Media.rs user/*.sr' })).json).toMatchObject({ permitted: 'no', scopes: [{ granted: false }, { granted: false }] });
    const nora = await as({ roles: ['nurse'], user: 'Practitioner/nora' });
    expect((await nora.get('DocumentReference')).status).toBe(200);
    expect((await ask({ as: 'Practitioner/nora', can: 'write' })).json).toMatchObject({ user: 'Practitioner/nora', roles: ['nurse'], permitted: 'yes' });
    expect((await Promise.all([ask({ as: 'nurse', can: 'fly' }), ask({ as: 'nurse' }), ask({ as: 7, can: 'read' }), ask({ as: 'Practitioner/unseen', can: 'read' }), ask({ as: 'nurse', can: 'read', category: '*' })])).map(({ status }) => status)).toEqual([422, 422, 400, 422, 422]);
  });
});

describe('organisations', () => {
  it('are opened, configured, disabled and enabled, and nothing of them is deleted', async () => {
    const name = freshName();
    const opened = await admin(operator, 'organisations', { method: 'POST', body: { name, title: 'Northern Clinic' } });
    expect([opened.status, opened.headers.get('location'), opened.headers.get('etag')]).toEqual([201, `/admin/organisations/${name}`, 'W/"1"']);
    expect(opened.json).toMatchObject({ name, title: 'Northern Clinic', disabled: false, requireIfMatch: false });
    expect(await admin(operator, 'organisations', { method: 'POST', body: { name } })).toMatchObject({ status: 409, json: { code: 'conflict' } });
    const client = await as({ org: name });
    const { json: { id } } = await client.post('DocumentReference', lab());
    const set = (body: object, headers: Record<string, string> = {}): Promise<Answer> => admin(operator, `organisations/${name}`, { method: 'PATCH', body, headers });
    expect((await set({ requireIfMatch: true })).json).toMatchObject({ requireIfMatch: true, title: 'Northern Clinic', revision: 2 });
    expect((await client.delete(`DocumentReference/${id}`)).status).toBe(400);
    const disabled = await set({ disabled: true });
    expect(disabled.json).toMatchObject({ disabled: true, disabledSince: expect.stringMatching(/^\d{4}-/), revision: 3 });
    expect(await client.get(`DocumentReference/${id}`)).toMatchObject({ status: 403, json: { issue: [{ details: { coding: [{ code: 'organisation-disabled' }] } }] } });
    expect(await admin(client, 'policy')).toMatchObject({ status: 403, json: { code: 'organisation-disabled' } });
    expect((await set({ disabled: true })).json.revision).toBe(3);
    expect((await set({ disabled: false, title: null }, { 'if-match': 'W/"2"' })).status).toBe(412);
    const enabled = await set({ disabled: false, title: null }, { 'if-match': disabled.headers.get('etag') ?? '' });
    expect([enabled.status, enabled.json.disabled, enabled.json.title, enabled.json.disabledSince]).toEqual([200, false, undefined, undefined]);
    expect((await client.get(`DocumentReference/${id}`)).status).toBe(200);
    expect((await admin(operator, `organisations/${name}`)).json).toEqual(enabled.json);
    expect((await admin(operator, `organisations/${freshName()}`)).status).toBe(404);
  });

  it('have the preset of media types and no quota until the operator says otherwise; null takes a bound away', async () => {
    const name = freshName();
    const quota = { quotaBytes: 10_000_000_000_000, quotaCount: 0 };
    expect((await admin(operator, 'organisations', { method: 'POST', body: { name, ...quota } })).json).toMatchObject({ allowedTypes: 'clinical', ...quota });
    const set = (body: object): Promise<Answer> => admin(operator, `organisations/${name}`, { method: 'PATCH', body });
    const changed = await set({ allowedTypes: ['application/PDF', 'image/*'], quotaCount: null });
    expect(changed.json).toMatchObject({ allowedTypes: ['application/pdf', 'image/*'], quotaBytes: quota.quotaBytes, revision: 2 });
    expect(changed.json).not.toHaveProperty('quotaCount');
    expect((await set({ allowedTypes: ['application/pdf', 'image/*'] })).json.revision).toBe(2);
    expect((await set({ allowedTypes: 'clinical', quotaBytes: null })).json).toEqual({ name, created: expect.any(String), disabled: false, requireIfMatch: false, directUrls: false, allowedTypes: 'clinical', retention: 'uk', revision: 3 });
  });

  it('are spoken for by tokens of the issuers that they list alone; a refusal stands in their record', async () => {
    const name = freshName();
    const client = await as({ org: name });
    const issuer = 'https://muniment.example/development-issuer';
    expect((await client.get('DocumentReference')).status).toBe(200);
    const set = (issuers: unknown): Promise<Answer> => admin(operator, `organisations/${name}`, { method: 'PATCH', body: { issuers } });
    expect((await set(['https://issuer.example'])).json.issuers).toEqual(['https://issuer.example']);
    const requestId = randomUUID();
    const refused = await client.get('DocumentReference', { 'x-request-id': requestId });
    expect([refused.status, refused.json.issue[0].details.coding[0].code, refused.headers.get('www-authenticate')]).toEqual([401, 'token-invalid', expect.stringContaining('invalid_token')]);
    expect((await admin(client, 'policy')).status).toBe(401);
    expect((await set(['https://issuer.example', issuer])).status).toBe(200);
    expect((await client.auditOf(requestId)).map(({ outcome }: { outcome: string }) => outcome)).toEqual(['4']);
    expect((await set(null)).json).not.toHaveProperty('issuers');
    expect(await admin(operator, 'organisations/demo', { method: 'PATCH', body: { issuers: ['https://issuer.example'] } })).toMatchObject({ status: 422, json: { code: 'business-rule', errors: [{ expression: 'issuers' }] } });
  });

  it.each([
    ['allowedTypes', 'everything', 422, 'allowedTypes'], ['allowedTypes', [], 400, 'allowedTypes'], ['allowedTypes', ['pdf'], 400, 'allowedTypes[0]'], ['allowedTypes', [7], 400, 'allowedTypes'],
    ['quotaBytes', -1, 400, 'quotaBytes'], ['quotaBytes', '5', 400, 'quotaBytes'], ['quotaCount', 1.5, 400, 'quotaCount'], ['quotaCount', 2 ** 60, 400, 'quotaCount'],
    ['issuers', [], 400, 'issuers'], ['issuers', ['a b'], 400, 'issuers[0]'], ['issuers', 'https://issuer.example', 400, 'issuers'],
  ])('refuse %s %j with the place', async (member, value, status, place) => {
    const answer = await admin(operator, 'organisations/demo', { method: 'PATCH', body: { [member]: value } });
    expect([answer.status, answer.json.errors?.[0].expression]).toEqual([status, place]);
  });

  it('are listed in pages by name', async () => {
    const names = await Promise.all(Array.from({ length: 5 }, async () => (await admin(operator, 'organisations', { method: 'POST', body: { name: `zz-${randomUUID()}` } })).json.name as string));
    const found: string[] = [];
    let path: string | undefined = 'organisations?_count=2&after=zz';
    while (path !== undefined) {
      const { json } = await admin(operator, path);
      expect(json.organisations.length).toBeLessThanOrEqual(2);
      found.push(...json.organisations.map(({ name }: { name: string }) => name));
      path = json.next?.replace('/admin/', '');
    }
    expect(found).toEqual([...names].sort());
    expect((await admin(operator, 'organisations?_count=0')).status).toBe(400);
  });

  it.each([
    ['no name', {}, 422], ['a path as name', { name: '../x' }, 400], ['a number as title', { name: 'n1', title: 7 }, 400], ['text for true', { name: 'n1', requireIfMatch: 'yes' }, 400], ['a further member', { name: 'n1', quota: 1 }, 400],
  ])('are not opened with %s', async (_title, body, status) => {
    expect((await admin(operator, 'organisations', { method: 'POST', body })).status).toBe(status);
  });

  it('leave the one of the operator open', async () => {
    expect(await admin(operator, 'organisations/demo', { method: 'PATCH', body: { disabled: true } })).toMatchObject({ status: 422, json: { code: 'business-rule' } });
    expect((await operator.get('DocumentReference?_count=1')).status).toBe(200);
  });
});

const ROWS: [method: string, path: string, body: object | undefined, operators: boolean][] = [
  ['GET', 'organisations', undefined, true], ['POST', 'organisations', { name: 'n' }, true], ['GET', 'organisations/demo', undefined, true], ['PATCH', 'organisations/demo', { title: 'x' }, true],
  ['GET', 'policy', undefined, false], ['PUT', 'policy', { rules: [], reason: 'x' }, false], ['GET', 'policy/versions', undefined, false], ['GET', 'break-glass', undefined, false], ['GET', 'policy/versions/0', undefined, false], ['POST', 'policy/$explain', { as: 'nurse', can: 'read' }, false],
];

describe.each(ROWS)('%s /admin/%s', (method, path, body, operators) => {
  const ask = (client: FhirClient, headers: Record<string, string> = {}): Promise<Answer> => admin(client, path, { method, ...(body === undefined ? {} : { body }), headers });

  it('is for role admin with a scope on Organization, at the operator where it is theirs', async () => {
    const org = freshName();
    const refused = [
      await as({ roles: ['practitioner', 'auditor'] }), await as({ scope: 'patient/*.cruds', patient: 'p' }), await as({ scope: 'user/DocumentReference.cruds' }), await as({ roles: [], scope: 'system/*.cruds' }),
      ...(method === 'GET' || path.endsWith('explain') ? [] : [await as({ scope: 'user/Organization.r' })]),
      ...(operators ? [await as({ org })] : []),
    ];
    const answers = await Promise.all(refused.map((client) => ask(client)));
    expect(answers.map(({ status, json }) => [status, json.code])).toEqual(answers.map(() => [403, 'forbidden']));
    expect((await admin(operator, path, { method, token: null, ...(body === undefined ? {} : { body }) })).status).toBe(401);
  });

  it('leaves one AuditEvent that names what was touched, refused or not', async () => {
    const requestId = randomUUID();
    const answer = await ask(operator, { 'x-request-id': requestId });
    const events = await operator.auditOf(requestId);
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({ subtype: [{ code: 'operation' }], outcome: answer.status < 400 ? '0' : '4' });
    if (answer.status >= 400) return;
    const named = events[0].entity.map(({ what }: { what?: { identifier?: { system?: string } } }) => what?.identifier?.system);
    if (path !== 'break-glass') expect(named).toContain(operators ? 'urn:muniment:organisation' : 'urn:muniment:policy');
    const provenance = await operator.get(`Provenance/${events[0].id}`);
    expect(provenance.json.target).toEqual([{ reference: `AuditEvent/${events[0].id}` }]);
  });

  it('answers no other origin', async () => {
    const answer = await ask(operator, { origin: 'https://elsewhere.example' });
    expect([...answer.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([]);
  });
});

it('changes of a policy are found in the record by the organisation', async () => {
  const org = freshName();
  const own = await as({ org });
  const requestId = randomUUID();
  expect((await putPolicy(own, 0, ADMIN, { headers: { 'x-request-id': requestId } })).status).toBe(200);
  expect((await putPolicy(own, 1, [...ADMIN, ...CLERK])).status).toBe(200);
  const [second, first] = await changesOf(own, `urn:muniment:policy|${org}`);
  expect(first).toMatchObject({ what: `${org}/_history/1`, user: 'Practitioner/demo', note: 'Policy changed: Clerks read laboratory reports' });
  expect(first?.before).toMatchObject({ version: 0, rules: expect.arrayContaining(['permit practitioner * write', 'permit billing insurance read']) });
  expect(first?.before?.['rules']).not.toContain('permit admin * read');
  expect(first?.after).toEqual({ version: 1, rules: [] });
  expect(second).toMatchObject({ what: `${org}/_history/2`, before: { version: 1, rules: [] }, after: { version: 2, rules: ['permit clerk lab read', 'permit clerk lab search'] } });
});

it('changes of an organisation are found in the record with who, what was before and what is after; what changed nothing is none', async () => {
  const name = freshName();
  await admin(operator, 'organisations', { method: 'POST', body: { name, title: 'Northern Clinic', quotaBytes: 5 } });
  const set = (body: object): Promise<Answer> => admin(operator, `organisations/${name}`, { method: 'PATCH', body });
  expect((await set({ issuers: ['https://one.example'], quotaBytes: null })).json.revision).toBe(2);
  expect((await set({ issuers: ['https://one.example'] })).json.revision).toBe(2);
  expect((await set({ disabled: true })).json.revision).toBe(3);
  const changes = await changesOf(operator, `urn:muniment:organisation|${name}`);
  expect(changes.map(({ what, user }) => [what, user])).toEqual([3, 2, 1].map((revision) => [`${name}/_history/${revision}`, 'Practitioner/demo']));
  expect(changes.map(({ before, after }) => ({ before, after }))).toEqual([
    { before: { disabled: false, disabledSince: null }, after: { disabled: true, disabledSince: expect.stringMatching(/^\d{4}-/) } },
    { before: { issuers: null, quotaBytes: 5 }, after: { issuers: ['https://one.example'], quotaBytes: null } },
    { before: undefined, after: { name, title: 'Northern Clinic', disabled: false, requireIfMatch: false, directUrls: false, allowedTypes: 'clinical', quotaBytes: 5, retention: 'uk' } },
  ]);
});

interface Change { what: string; user: string; note: string | undefined; before: Record<string, unknown> | undefined; after: Record<string, unknown> | undefined }

/** What the record says was changed of it, newest first; accesses that changed nothing are left out. */
async function changesOf(client: FhirClient, identifier: string): Promise<Change[]> {
  const found = await client.get(`AuditEvent?entity:identifier=${encodeURIComponent(identifier)}&_sort=-date`);
  const entries = (found.json.entry ?? []) as { resource: { agent: { who?: { reference?: string } }[]; outcomeDesc?: string; entity: { what?: { identifier?: { value: string } }; detail?: { type: string; valueString: string }[] }[] } }[];
  return entries.flatMap(({ resource: { agent, entity, outcomeDesc } }) => entity.flatMap(({ what, detail = [] }): Change[] => {
    const text = (type: string): Record<string, unknown> | undefined => { const found = detail.find((one) => one.type === type); return found === undefined ? undefined : JSON.parse(found.valueString) as Record<string, unknown>; };
    const after = text('after');
    return after === undefined ? [] : [{ what: what?.identifier?.value ?? '', user: agent.map(({ who }) => who?.reference).find((reference) => reference !== undefined) ?? '', note: outcomeDesc, before: text('before'), after }];
  }));
}

it('what is not below /admin is 404, another method 405 with Allow', async () => {
  expect(await admin(operator, 'nothing')).toMatchObject({ status: 404 });
  const answer = await admin(operator, 'policy', { method: 'DELETE' });
  expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'GET, HEAD, PUT, OPTIONS']);
});
