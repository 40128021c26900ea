import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { documentReference, fhirClient, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

let server: TestMuniment;
let client: FhirClient;

beforeAll(async () => {
  server = await startMuniment();
  client = fhirClient(server.fhirBase, await server.token());
});
afterAll(() => server.stop());

const SYSTEM = 'urn:conditional';
const newValue = (): string => randomUUID();
const about = (value: string, overrides: Record<string, unknown> = {}): Record<string, unknown> => documentReference({ identifier: [{ system: SYSTEM, value }], ...overrides });
const criteria = (value: string): string => `DocumentReference?identifier=${SYSTEM}|${value}`;
const count = async (value: string): Promise<number> => (await client.get(`${criteria(value)}&_total=accurate`)).json.total;
const code = (answer: Answer): [number, string] => [answer.status, answer.json.issue[0].details.coding[0].code];

async function twins(): Promise<string> {
  const value = newValue();
  await client.post('DocumentReference', about(value));
  await client.post('DocumentReference', about(value));
  return value;
}

describe('conditional create', () => {
  it('takes its criteria with and without a question mark, type and base: all mean the same resource', async () => {
    const value = newValue();
    const first = await client.post('DocumentReference', about(value), { 'if-none-exist': `identifier=${SYSTEM}|${value}` });
    expect(first.status).toBe(201);
    for (const form of [`?identifier=${SYSTEM}|${value}`, criteria(value), `${client.base}/${criteria(value)}`, `identifier=${encodeURIComponent(`${SYSTEM}|${value}`)}`]) {
      const again = await client.post('DocumentReference', about(value), { 'if-none-exist': form });
      expect([form, again.status, again.json.id]).toEqual([form, 200, first.json.id]);
    }
    expect(await count(value)).toBe(1);
  });

  it.each(['', '?', 'identifier=', 'foo=bar', 'identifier=a&foo=bar', 'status=current&identifier=', '_count=1', 'Media?identifier=x', 'identifier:nonsense=x'])('criteria %p that are empty or not understood are 400, and nothing is made', async (header) => {
    const value = newValue();
    const refused = await client.post('DocumentReference', about(value), { 'if-none-exist': header });
    expect(refused.status).toBe(400);
    expect(await count(value)).toBe(0);
  });

  it.each(['identifier=VALUE', 'identifier:of-type=a|b|VALUE', 'patient.identifier=VALUE', '_id=VALUE'])('a condition in the URL (%p) is 400 and nothing is made, alone and in a Bundle', async (query) => {
    const value = newValue();
    const path = `DocumentReference?${query.replace('VALUE', value)}`;
    const alone = await client.post(path, about(value));
    expect([...code(alone), alone.json.issue[0].diagnostics]).toEqual([400, 'invalid-parameter', expect.stringContaining('travels in If-None-Exist')]);
    const entry = { resource: about(value), request: { method: 'POST', url: path } };
    expect(code(await client.post('', { resourceType: 'Bundle', type: 'transaction', entry: [entry] }))).toEqual([400, 'invalid-parameter']);
    const batch = await client.post('', { resourceType: 'Bundle', type: 'batch', entry: [entry] });
    expect(batch.json.entry[0].response.status).toMatch(/^400/);
    expect(await count(value)).toBe(0);
    const formed = await client.post('DocumentReference?_format=json&_pretty=true', about(value));
    expect(formed.status).toBe(201);
  });

  it('fifty at once are one 201 and forty-nine 200 of the same resource', async () => {
    const value = newValue();
    const answers = await Promise.all(Array.from({ length: 50 }, () => client.post('DocumentReference', about(value), { 'if-none-exist': `identifier=${SYSTEM}|${value}` })));
    expect(answers.map((answer) => answer.status).sort()).toEqual([...Array.from({ length: 49 }, () => 200), 201]);
    expect(new Set(answers.map((answer) => answer.json.id)).size).toBe(1);
    expect(await count(value)).toBe(1);
  });
});

describe('conditional update', () => {
  it('without a match it creates: a new id, or the one of the body', async () => {
    const [value, other, id] = [newValue(), newValue(), randomUUID()];
    const requestId = randomUUID();
    const created = await client.put(criteria(value), about(value), { 'x-request-id': requestId });
    expect(created.status).toBe(201);
    expect(created.headers.get('location')).toBe(`${client.base}/DocumentReference/${created.json.id}/_history/1`);
    expect((await client.get(`DocumentReference/${created.json.id}/_history`)).json.entry[0].request).toEqual({ method: 'POST', url: 'DocumentReference' });
    expect((await client.auditOf(requestId))[0]).toMatchObject({ action: 'C', subtype: [{ code: 'create' }] });
    const named = await client.put(criteria(other), about(other, { id }));
    expect([named.status, named.json.id]).toEqual([201, id]);
    expect((await client.get(`DocumentReference/${id}/_history`)).json.entry[0].request).toEqual({ method: 'PUT', url: `DocumentReference/${id}` });
  });

  it('with one match it updates that, whether the body has its id or none; another id is 400', async () => {
    const value = newValue();
    const { id } = (await client.post('DocumentReference', about(value))).json;
    const requestId = randomUUID();
    const updated = await client.put(criteria(value), about(value, { description: 'two' }), { 'x-request-id': requestId });
    expect([updated.status, updated.json.id, updated.headers.get('etag')]).toEqual([200, id, 'W/"2"']);
    expect((await client.auditOf(requestId))[0]).toMatchObject({ action: 'U', subtype: [{ code: 'update' }] });
    expect((await client.put(criteria(value), about(value, { id, description: 'three' }))).headers.get('etag')).toBe('W/"3"');
    expect(code(await client.put(criteria(value), about(value, { id: randomUUID() })))).toEqual([400, 'id-mismatch']);
    expect(code(await client.put(criteria(value), about(value), { 'if-match': 'W/"1"' }))).toEqual([412, 'version-mismatch']);
    expect((await client.get(`DocumentReference/${id}/_history`)).json.entry[0].request).toEqual({ method: 'PUT', url: `DocumentReference/${id}` });
  });

  it('several matches are 412, an id that exists elsewhere 409, criteria that mean nothing 400', async () => {
    const value = await twins();
    const { id } = (await client.post('DocumentReference', about(newValue()))).json;
    expect(code(await client.put(criteria(value), about(value)))).toEqual([412, 'multiple-matches']);
    expect(code(await client.put(criteria(newValue()), about(newValue(), { id })))).toEqual([409, 'conflict']);
    for (const path of ['DocumentReference', 'DocumentReference?', 'DocumentReference?foo=bar', 'DocumentReference?identifier=', 'DocumentReference?_format=json']) {
      expect([path, (await client.put(path, about(newValue()))).status]).toEqual([path, 400]);
    }
    expect(await count(value)).toBe(2);
  });

  it('creates inside a transaction too, where links lead to it', async () => {
    const value = newValue();
    const fullUrl = `urn:uuid:${randomUUID()}`;
    const answer = await client.post('', { resourceType: 'Bundle', type: 'transaction', entry: [
      { fullUrl, request: { method: 'PUT', url: criteria(value) }, resource: about(value) },
      { request: { method: 'POST', url: 'List' }, resource: { resourceType: 'List', status: 'current', mode: 'working', entry: [{ item: { reference: fullUrl } }] } },
    ] });
    expect([answer.status, answer.json.entry?.map((entry: { response: { status: string } }) => entry.response.status.slice(0, 3))]).toEqual([200, ['201', '201']]);
    const list = await client.get(answer.json.entry[1].response.location);
    expect((await client.get(list.json.entry[0].item.reference)).json.identifier[0].value).toBe(value);
  });

  it('twenty at once make one resource', async () => {
    const value = newValue();
    const answers = await Promise.all(Array.from({ length: 20 }, (_, number) => client.put(criteria(value), about(value, { subject: { reference: 'Patient/p' }, description: `n${number}` }))));
    expect(answers.filter((answer) => answer.status === 201)).toHaveLength(1);
    expect(answers.filter((answer) => answer.status === 200)).toHaveLength(19);
    expect(await count(value)).toBe(1);
  });
});

describe('conditional delete', () => {
  it('deletes the one match; none is 204 as well, several are 412', async () => {
    const value = newValue();
    const { id } = (await client.post('DocumentReference', about(value))).json;
    const pair = await twins();
    expect((await client.delete(criteria(value))).status).toBe(204);
    expect((await client.get(`DocumentReference/${id}`)).status).toBe(410);
    expect((await client.delete(criteria(value))).status).toBe(204);
    expect(code(await client.delete(criteria(pair)))).toEqual([412, 'multiple-matches']);
    expect(await count(pair)).toBe(2);
  });

  it('never means everything', async () => {
    const value = newValue();
    await client.post('DocumentReference', about(value));
    expect((await client.delete('DocumentReference')).status).toBe(412);
    for (const query of ['foo=bar', 'identifier=', '_count=1', 'status=']) expect([query, (await client.delete(`DocumentReference?${query}`)).status]).toEqual([query, 400]);
    expect(await count(value)).toBe(1);
  });
});

describe('conditional patch', () => {
  const patch = (path: string, headers: Record<string, string> = {}): Promise<Answer> =>
    client.call(path, { method: 'PATCH', body: '[{"op":"replace","path":"/status","value":"superseded"}]', headers: { 'content-type': 'application/json-patch+json', ...headers } });

  it('patches the one match; none is 404, several are 412', async () => {
    const value = newValue();
    const { id } = (await client.post('DocumentReference', about(value))).json;
    const patched = await patch(criteria(value));
    expect([patched.status, patched.json.id, patched.json.status]).toEqual([200, id, 'superseded']);
    expect(code(await patch(criteria(newValue())))).toEqual([404, 'not-found']);
    expect(code(await patch(criteria(await twins())))).toEqual([412, 'multiple-matches']);
    expect((await patch('DocumentReference')).status).toBe(400);
  });
});

describe('what a condition tells needs the right to search', () => {
  it('a scope without s is 403 for each of them, and nothing changes', async () => {
    const value = newValue();
    await client.post('DocumentReference', about(value));
    const writing = fhirClient(server.fhirBase, await server.token({ scope: 'user/*.crud' }));
    const answers = [
      await writing.post('DocumentReference', about(value), { 'if-none-exist': `identifier=${SYSTEM}|${value}` }),
      await writing.put(criteria(value), about(value)),
      await writing.delete(criteria(value)),
      await writing.call(criteria(value), { method: 'PATCH', body: '[]', headers: { 'content-type': 'application/json-patch+json' } }),
    ];
    expect(answers.map((answer) => answer.status)).toEqual([403, 403, 403, 403]);
    expect(await count(value)).toBe(1);
  });

  it('another organisation has no matches here', async () => {
    const value = newValue();
    const { id } = (await client.post('DocumentReference', about(value))).json;
    const stranger = fhirClient(server.fhirBase, await server.token({ org: 'elsewhere' }));
    expect((await stranger.delete(criteria(value))).status).toBe(204);
    expect((await stranger.put(criteria(value), about(value))).status).toBe(201);
    expect((await client.get(`DocumentReference/${id}`)).status).toBe(200);
  });
});

it('the CapabilityStatement tells which conditions there are', async () => {
  const { json } = await client.get('metadata');
  const types = new Map<string, object>(json.rest[0].resource.map((one: { type: string }) => [one.type, one]));
  for (const type of ['DocumentReference', 'Media', 'List']) expect(types.get(type)).toMatchObject({ conditionalCreate: true, conditionalUpdate: true, conditionalDelete: 'single' });
  expect(types.get('Binary')).toMatchObject({ conditionalCreate: false, conditionalUpdate: false, conditionalDelete: 'not-supported' });
});
