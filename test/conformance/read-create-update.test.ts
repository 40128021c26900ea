// read, vread, create and update, with the headers that carry versions.
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { documentReference, fhirClient, media, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { exchange, requestHead } from '../support/raw-http.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';
import { expectOutcome, expectStatus, FJ } from './expectations.ts';
import { row } from './row.ts';

let server: TestMuniment;
let client: FhirClient;
let token: string;

beforeAll(async () => {
  server = await startMuniment();
  token = await server.token();
  client = fhirClient(server.fhirBase, token);
});
afterAll(() => server.stop());

const create = async (changes: Record<string, unknown> = {}): Promise<Record<string, any>> => (await client.post('DocumentReference', documentReference(changes))).json; // eslint-disable-line @typescript-eslint/no-explicit-any -- as answered
const put = (resource: Record<string, unknown>, headers: Record<string, string> = {}): Promise<Answer> => client.put(`DocumentReference/${resource['id'] as string}`, resource, headers);
const versionsOf = async (id: string): Promise<number> => (await client.get(`DocumentReference/${id}/_history`)).json.total;

async function twiceInOneSecond(): Promise<[Answer, Answer]> {
  for (;;) {
    const first = await client.post('DocumentReference', documentReference());
    const second = await put({ ...first.json, description: 'second' });
    if (first.headers.get('last-modified') === second.headers.get('last-modified')) return [first, second];
  }
}

describe('read', () => {
  row('RD-01', async () => {
    for (const [type, resource] of [['DocumentReference', documentReference()], ['Media', media()], ['List', { resourceType: 'List', status: 'current', mode: 'working' }]] as const) {
      const { id } = (await client.post(type, resource)).json;
      const answer = await client.get(`${type}/${id}`);
      expectStatus(answer, 200);
      expect(answer.json).toMatchObject({ resourceType: type, id, meta: { versionId: '1' } });
      expect(answer.headers.get('etag')).toBe('W/"1"');
      expect(new Date(answer.headers.get('last-modified') ?? '').getTime()).toBe(Math.floor(Date.parse(answer.json.meta.lastUpdated) / 1_000) * 1_000);
      expect(answer.headers.get('content-type')).toContain(FJ);
    }
  });

  row('RD-02', async () => {
    expectOutcome(await client.get(`DocumentReference/${randomUUID()}`), 404, 'not-found');
    const { id } = await create();
    await client.delete(`DocumentReference/${id}`);
    expectOutcome(await client.get(`DocumentReference/${id}`), 410, 'deleted');
    expectOutcome(await client.get(`Media/${id}`), 404, 'not-found');
  });

  row('RD-03', async () => {
    const first = await create({ description: 'first' });
    expectStatus(await put({ ...first, description: 'second' }), 200);
    const old = await client.get(`DocumentReference/${first.id}/_history/1`);
    expectStatus(old, 200);
    expect(old.json).toEqual(first);
    expect(old.headers.get('etag')).toBe('W/"1"');
    expect((await client.get(`DocumentReference/${first.id}/_history/2`)).json.description).toBe('second');
    await client.delete(`DocumentReference/${first.id}`);
    expectOutcome(await client.get(`DocumentReference/${first.id}/_history/3`), 410, 'deleted');
    expectStatus(await client.get(`DocumentReference/${first.id}/_history/1`), 200);
    for (const version of ['999', 'abc', '0', '-1', '1.0', '01', '99999999999999999999', '4']) expectOutcome(await client.get(`DocumentReference/${first.id}/_history/${version}`), 404);
    expectOutcome(await client.get(`DocumentReference/${randomUUID()}/_history/1`), 404);
  });

  row('RD-04', async () => {
    const { id } = await create();
    for (const tag of ['W/"1"', '"1"', '1', '"9", W/"1"', 'W/"7","1"', '*']) {
      const raw = await exchange(server.fhirBase, [requestHead('GET', `/fhir/DocumentReference/${id}`, [['Authorization', `Bearer ${token}`], ['If-None-Match', tag], ['Connection', 'close']])]);
      expect({ tag, status: raw.status, body: raw.body, etag: raw.headers['etag'] }).toEqual({ tag, status: 304, body: '', etag: 'W/"1"' });
      expect(raw.headers['content-length'] ?? '0').toBe('0');
    }
    for (const tag of ['W/"2"', '"11"', 'x', '']) expectStatus(await client.get(`DocumentReference/${id}`, tag === '' ? {} : { 'if-none-match': tag }), 200);
    expect((await client.get(`DocumentReference/${id}/_history/1`, { 'if-none-match': 'W/"1"' })).status).toBe(304);
  });

  row('RD-05', async () => {
    const { id, meta } = await create();
    const made = Date.parse(meta.lastUpdated);
    const since = (ms: number): Promise<Answer> => client.get(`DocumentReference/${id}`, { 'if-modified-since': new Date(ms).toUTCString() });
    expect((await since(made + 2_000)).status).toBe(304);
    expect((await since(made - 2_000)).status).toBe(200);
    expect((await since(Math.floor(made / 1_000) * 1_000)).status).toBe(304);
    // Two versions of one second have one Last-Modified: who holds the first must get the second.
    const [first, second] = await twiceInOneSecond();
    expect(first.headers.get('last-modified')).toBe(second.headers.get('last-modified'));
    const held = await client.get(`DocumentReference/${first.json.id}`, { 'if-modified-since': first.headers.get('last-modified') ?? '' });
    expect([held.status, held.json?.meta.versionId]).toEqual([200, '2']);
    expect((await client.get(`DocumentReference/${id}`, { 'if-modified-since': 'not a date' })).status).toBe(200);
    expect((await client.get(`DocumentReference/${id}`, { 'if-modified-since': new Date(made + 2_000).toUTCString(), 'if-none-match': 'W/"9"' })).status).toBe(200);
    expect((await client.get(`DocumentReference/${id}`, { 'if-modified-since': new Date(made - 2_000).toUTCString(), 'if-none-match': 'W/"1"' })).status).toBe(304);
  });

  row('RD-06', async () => {
    const { id } = await create({ text: { status: 'generated', div: '<div xmlns="http://www.w3.org/1999/xhtml">Shown</div>' }, description: 'D' });
    const subsetted = (answer: Answer): boolean => JSON.stringify(answer.json.meta?.tag ?? []).includes('SUBSETTED');
    const get = (query: string): Promise<Answer> => client.get(`DocumentReference/${id}?${query}`);
    const text = await get('_summary=text');
    expectStatus(text, 200);
    expect(Object.keys(text.json).sort()).toEqual(['content', 'id', 'meta', 'resourceType', 'status', 'text']);
    expect(subsetted(text)).toBe(true);
    expect(text.json.meta.tag).toContainEqual(expect.objectContaining({ system: 'http://terminology.hl7.org/CodeSystem/v3-ObservationValue', code: 'SUBSETTED' }));
    const summary = await get('_summary=true');
    expect(summary.json).toMatchObject({ id, status: 'current', description: 'D' });
    expect(summary.json.text).toBeUndefined();
    expect(subsetted(summary)).toBe(true);
    const data = await get('_summary=data');
    expect(data.json.text).toBeUndefined();
    expect(data.json.author).toBeDefined();
    expect(subsetted(data)).toBe(true);
    const whole = await get('_summary=false');
    expect(subsetted(whole)).toBe(false);
    expect(whole.json.text).toBeDefined();
    const elements = await get('_elements=description');
    expect(Object.keys(elements.json).sort()).toEqual(['content', 'description', 'id', 'meta', 'resourceType', 'status']);
    expect(subsetted(elements)).toBe(true);
    expect(elements.headers.get('etag')).toBe('W/"1"');
    expectOutcome(await get('_summary=nonsense'), 400, 'invalid');
    expect(subsetted(await client.get(`DocumentReference/${id}`))).toBe(false);
  });

  row('RD-07', async () => {
    const whole = await create();
    const tag = { system: 'http://terminology.hl7.org/CodeSystem/v3-ObservationValue', code: 'SUBSETTED' };
    expectOutcome(await put({ ...whole, meta: { ...whole.meta, tag: [tag] }, description: 'x' }), 422, 'business-rule');
    expectOutcome(await client.post('DocumentReference', documentReference({ meta: { tag: [tag] } })), 422, 'business-rule');
    expect(await versionsOf(whole.id)).toBe(1);
  });

  row('RD-08', async () => {
    const own = await create({ description: 'ours' });
    const stranger = fhirClient(server.fhirBase, await server.token({ org: 'another-clinic' }));
    for (const path of [`DocumentReference/${own.id}`, `DocumentReference/${own.id}/_history/1`, `DocumentReference/${own.id}/_history`]) expectOutcome(await stranger.get(path), 404, 'not-found');
    expect((await stranger.get(`DocumentReference?_id=${own.id}`)).json.total).toBe(0);
    const theirs = await stranger.put(`DocumentReference/${own.id}`, documentReference({ id: own.id, description: 'theirs' }));
    expectStatus(theirs, 201);
    expect((await client.get(`DocumentReference/${own.id}`)).json).toEqual(own);
    expect((await stranger.get(`DocumentReference/${own.id}`)).json.description).toBe('theirs');
  });
});

describe('create', () => {
  row('CR-01', async () => {
    for (const [type, resource] of [['DocumentReference', documentReference()], ['Media', media()], ['List', { resourceType: 'List', status: 'current', mode: 'working' }]] as const) {
      const created = await client.post(type, resource);
      expectStatus(created, 201);
      const location = created.headers.get('location') ?? '';
      expect(location).toMatch(new RegExp(`^${server.fhirBase}/${type}/[A-Za-z0-9.-]{1,64}/_history/1$`));
      const read = await client.get(location);
      expectStatus(read, 200);
      expect(read.json.id).toBe(created.json.id);
    }
  });

  row('CR-02', async () => {
    const created = await client.post('DocumentReference', documentReference());
    expect(created.headers.get('etag')).toBe(`W/"${created.json.meta.versionId}"`);
    expect(new Date(created.headers.get('last-modified') ?? '').getTime()).toBe(Math.floor(Date.parse(created.json.meta.lastUpdated) / 1_000) * 1_000);
  });

  row('CR-03', async () => {
    const created = await client.post('DocumentReference', documentReference({ id: 'abc' }));
    expectStatus(created, 201);
    expect(created.json.id).not.toBe('abc');
    expectOutcome(await client.get('DocumentReference/abc'), 404);
    const again = await client.post('DocumentReference', documentReference({ id: created.json.id }));
    expectStatus(again, 201);
    expect(again.json.id).not.toBe(created.json.id);
  });

  row('CR-04', async () => {
    expectOutcome(await client.post('DocumentReference', media()), 400, 'invalid');
    expectOutcome(await client.post('Media', documentReference()), 400, 'invalid');
    expectOutcome(await client.post('DocumentReference', { ...documentReference(), resourceType: undefined }), 400);
    expectOutcome(await client.post('DocumentReference', { ...documentReference(), resourceType: 'Nonsense' }), 400, 'invalid');
    const { id } = await create();
    expectOutcome(await client.put(`DocumentReference/${id}`, { ...media(), id }), 400, 'invalid');
  });

  row('CR-05', async () => {
    const wish = (prefer: string | undefined): Promise<Answer> => client.post('DocumentReference', documentReference(), prefer === undefined ? {} : { prefer });
    for (const [prefer, type] of [[undefined, 'DocumentReference'], ['return=representation', 'DocumentReference'], ['return=OperationOutcome', 'OperationOutcome'], ['handling=strict, return=OperationOutcome', 'OperationOutcome'], ['nonsense, return=representation', 'DocumentReference'], ['return=nonsense', 'DocumentReference']] as const) {
      const answer = await wish(prefer);
      expectStatus(answer, 201);
      expect({ prefer, type: answer.json?.resourceType }).toEqual({ prefer, type });
    }
    for (const prefer of ['return=minimal', 'return="minimal"', 'handling=lenient, return=minimal', 'return=minimal, handling=strict']) {
      const minimal = await wish(prefer);
      expectStatus(minimal, 201);
      expect({ prefer, length: minimal.bytes.length }).toEqual({ prefer, length: 0 });
      for (const name of ['location', 'etag', 'last-modified']) expect({ prefer, name, there: minimal.headers.has(name) }).toEqual({ prefer, name, there: true });
    }
    const resource = await create();
    const updated = await put({ ...resource, description: 'x' }, { prefer: 'return=minimal' });
    expect([updated.status, updated.bytes.length, updated.headers.get('etag')]).toEqual([200, 0, 'W/"2"']);
    expectOutcome(await client.post('DocumentReference', documentReference({ status: undefined }), { prefer: 'return=minimal' }), 422, 'required');
    expectOutcome(await client.get('DocumentReference/unknown', { prefer: 'return=minimal' }), 404);
  });

  row('CR-06', async () => {
    const answer = await client.post('DocumentReference', documentReference({ docStatus: 'draft', custodian: { reference: 'Patient/1' }, content: [{ attachment: { data: 'QQ==' } }, { format: { code: 'x' } }] }));
    expectOutcome(answer, 422);
    const places = answer.json.issue.map((issue: { expression?: string[] }) => issue.expression?.[0] ?? '');
    for (const place of ['DocumentReference.docStatus', 'DocumentReference.custodian', 'DocumentReference.content[0].attachment', 'DocumentReference.content[1].attachment']) expect(places.some((one: string) => one.startsWith(place))).toBe(true);
  });

  row('CR-07', async () => {
    const slash = await client.post('DocumentReference/', documentReference());
    expectStatus(slash, 201);
    expect(slash.headers.get('location')).toMatch(/DocumentReference\/[^/]+\/_history\/1$/);
    expectStatus(await client.get('DocumentReference/?_count=1'), 200);
    expectStatus(await client.post('DocumentReference?_pretty=true', documentReference()), 201);
  });

  row('CR-08', async () => {
    const { id } = await create();
    const answer = await client.post(`DocumentReference/${id}`, documentReference());
    expectOutcome(answer, 405, 'not-supported');
    expect(answer.headers.get('allow')).toContain('PUT');
  });
});

describe('update', () => {
  row('UP-01', async () => {
    const resource = await create();
    const updated = await put({ ...resource, description: 'changed' });
    expectStatus(updated, 200);
    expect(updated.headers.get('etag')).toBe('W/"2"');
    expect(updated.headers.has('last-modified')).toBe(true);
    expect(updated.json).toMatchObject({ id: resource.id, description: 'changed', meta: { versionId: '2' } });
    expectOutcome(await client.put(`DocumentReference/${resource.id}`, { ...resource, id: undefined }), 400, 'invalid');
    expectOutcome(await client.put(`DocumentReference/${resource.id}`, { ...resource, id: 'other' }), 400, 'invalid');
    expect(await versionsOf(resource.id)).toBe(2);
  });

  row('UP-02', async () => {
    const id = `client-${randomUUID()}`;
    const created = await put(documentReference({ id }));
    expectStatus(created, 201);
    expect(created.headers.get('location')).toBe(`${server.fhirBase}/DocumentReference/${id}/_history/1`);
    expect(created.json.id).toBe(id);
    expectStatus(await client.get(`DocumentReference/${id}`), 200);
  });

  row('UP-03', async () => {
    const resource = await create();
    let version = 1;
    for (const tag of [(v: number) => `W/"${v}"`, (v: number) => `"${v}"`, (v: number) => `${v}`, (v: number) => `W/"77", W/"${v}"`]) {
      expectOutcome(await put({ ...resource, description: `stale ${version}` }, { 'if-match': tag(version + 40) }), 412, 'conflict');
      expectStatus(await put({ ...resource, description: `good ${version}` }, { 'if-match': tag(version) }), 200);
      expectOutcome(await put({ ...resource, description: `late ${version}` }, { 'if-match': tag(version) }), 412, 'conflict');
      version += 1;
      expect(await versionsOf(resource.id)).toBe(version);
    }
    for (const tag of ['', 'W/', '""', 'W/"1']) {
      const answer = await put({ ...resource, description: 'odd' }, { 'if-match': tag });
      expect({ tag, refused: tag === '' || [400, 412].includes(answer.status) }).toEqual({ tag, refused: true });
    }
  });

  row('UP-05', async () => {
    const id = randomUUID();
    expectOutcome(await put(documentReference({ id }), { 'if-match': 'W/"1"' }), 412, 'conflict');
    expectOutcome(await put(documentReference({ id }), { 'if-match': '*' }), 412, 'conflict');
    expectOutcome(await client.get(`DocumentReference/${id}`), 404);
    expectStatus(await put(documentReference({ id }), { 'if-none-match': '*' }), 201);
    expectOutcome(await put(documentReference({ id }), { 'if-none-match': '*' }), 412);
    expectStatus(await put(documentReference({ id }), { 'if-match': '*' }), 200);
    expect(await versionsOf(id)).toBe(2);
  });

  row('UP-06', async () => {
    const resource = await create();
    const updated = await put({ ...resource, description: 'x', meta: { versionId: '77', lastUpdated: '1999-01-01T00:00:00Z' } }, { 'if-match': 'W/"1"' });
    expectStatus(updated, 200);
    expect(updated.json.meta.versionId).toBe('2');
    expect(Date.parse(updated.json.meta.lastUpdated)).toBeGreaterThan(Date.parse('2020-01-01'));
  });

  row('UP-07', async () => {
    const resource = await create();
    expectStatus(await client.delete(`DocumentReference/${resource.id}`), 204);
    const back = await put({ ...resource, description: 'back' });
    expectStatus(back, 201);
    expect(back.headers.get('etag')).toBe('W/"3"');
    expect(back.headers.get('location')).toMatch(/_history\/3$/);
    expectStatus(await client.get(`DocumentReference/${resource.id}`), 200);
    expectOutcome(await client.get(`DocumentReference/${resource.id}/_history/2`), 410);
  });

  row('UP-08', async () => {
    const resource = await create();
    const requestId = randomUUID();
    const same = await put(resource, { 'x-request-id': requestId });
    expectStatus(same, 200);
    expect(same.headers.get('etag')).toBe('W/"1"');
    expect(await versionsOf(resource.id)).toBe(1);
    expect(await client.auditOf(requestId)).toHaveLength(1);
    const spaced = await client.put(`DocumentReference/${resource.id}`, JSON.stringify(resource, null, 2), { 'content-type': FJ });
    expect(spaced.headers.get('etag')).toBe('W/"1"');
  });

  row('UP-09', async () => {
    const resource = await create();
    const answers = await Promise.all(Array.from({ length: 20 }, (_value, at) => put({ ...resource, description: `writer ${at}` }, { 'if-match': 'W/"1"' })));
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, ...Array.from({ length: 19 }, () => 412)]);
    expect(await versionsOf(resource.id)).toBe(2);
    const winner = answers.find((answer) => answer.status === 200);
    expect((await client.get(`DocumentReference/${resource.id}`)).json).toEqual(winner?.json);
  });

  row('UP-10', async () => {
    const resource = await create();
    const moved = { ...resource, subject: { reference: `Patient/${randomUUID()}` } };
    const refused = await client.call(`DocumentReference/${resource.id}`, { method: 'PUT', body: moved, token: await server.token({ roles: ['practitioner'] }) });
    expectOutcome(refused, 422, 'business-rule');
    expect(refused.json.issue[0].expression).toEqual(['DocumentReference.subject']);
    expectStatus(await put(moved), 200);
    const masterIdentifier = { system: 'urn:ietf:rfc:3986', value: `urn:uuid:${randomUUID()}` };
    await create({ masterIdentifier });
    expectOutcome(await put({ ...moved, masterIdentifier }), 409, 'duplicate');
  });
});
