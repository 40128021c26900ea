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

const TEXT = { 'content-type': 'text/plain' };
const code = (answer: Answer): [number, string] => [answer.status, answer.json.issue[0].details.coding[0].code];
const created = async (bytes: string, headers: Record<string, string> = TEXT): Promise<string> => `Binary/${(await client.post('Binary', bytes, headers)).json.id}`;
const linking = (url: string): Record<string, unknown> => documentReference({ content: [{ attachment: { contentType: 'text/plain', url } }] });

describe('update of Binary', () => {
  it('new bytes of another type are the next version; the old one is read as it was', async () => {
    const path = await created('first');
    const requestId = randomUUID();
    const updated = await client.put(path, '<a>second</a>', { 'content-type': 'application/xml', 'if-match': 'W/"1"', 'x-request-id': requestId });
    expect([updated.status, updated.headers.get('etag'), updated.headers.get('location')]).toEqual([200, 'W/"2"', `${client.base}/${path}/_history/2`]);
    const [now, then] = [await client.get(path), await client.get(`${path}/_history/1`)];
    expect([now.text, now.headers.get('content-type')]).toEqual(['<a>second</a>', 'application/xml']);
    expect([then.status, then.text, then.headers.get('content-type')]).toEqual([200, 'first', 'text/plain']);
    expect(then.headers.get('etag')).toMatch(/^"1\./);
    const form = await client.get(`${path}/_history/1`, { accept: 'application/fhir+json' });
    expect(form.json).toMatchObject({ resourceType: 'Binary', meta: { versionId: '1' }, contentType: 'text/plain', data: Buffer.from('first').toString('base64') });
    const [event] = await client.auditOf(requestId);
    expect(event).toMatchObject({ action: 'U', subtype: [{ code: 'update' }] });
    expect(JSON.stringify(event.entity)).toContain(`${path}/_history/2`);
  });

  it('the same by FHIR form, whose id is that of the URL', async () => {
    const path = await created('first');
    const id = path.split('/')[1];
    const resource = { resourceType: 'Binary', id, contentType: 'text/plain', data: Buffer.from('second').toString('base64') };
    expect((await client.put(path, resource)).headers.get('etag')).toBe('W/"2"');
    expect((await client.get(path)).text).toBe('second');
    expect(code(await client.put(path, { ...resource, id: 'other' }))).toEqual([400, 'id-mismatch']);
    const { id: _id, ...without } = resource;
    expect(code(await client.put(path, without))).toEqual([400, 'id-mismatch']);
  });

  it('makes an unknown id, no version of the same bytes, and is 412 for another version', async () => {
    const path = `Binary/${randomUUID()}`;
    const made = await client.put(path, 'bytes', TEXT);
    expect([made.status, made.headers.get('location')]).toEqual([201, `${client.base}/${path}/_history/1`]);
    expect((await client.put(path, 'bytes', TEXT)).headers.get('etag')).toBe('W/"1"');
    expect(code(await client.put(path, 'other', { ...TEXT, 'if-match': 'W/"2"' }))).toEqual([412, 'version-mismatch']);
    expect(code(await client.put(path, 'other', { ...TEXT, 'if-none-match': '*' }))).toEqual([412, 'version-mismatch']);
    const raw = (await client.get(path)).headers.get('etag') as string;
    expect((await client.put(path, 'other', { ...TEXT, 'if-match': raw })).status).toBe(200);
  });

  it('of ten at once with If-Match one is made', async () => {
    const path = await created('first');
    const answers = await Promise.all(Array.from({ length: 10 }, (_, number) => client.put(path, `bytes ${number}`, { ...TEXT, 'if-match': 'W/"1"' })));
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, ...Array.from({ length: 9 }, () => 412)]);
  });

  it('what a document uses is 409, until the document is deleted', async () => {
    const path = await created('used');
    const { json } = await client.post('DocumentReference', linking(path));
    expect(code(await client.put(path, 'other', TEXT))).toEqual([409, 'conflict']);
    expect(code(await client.delete(path))).toEqual([409, 'conflict']);
    await client.put(`DocumentReference/${json.id}`, { ...json, content: [{ attachment: { contentType: 'text/plain', url: 'https://elsewhere.example/x' } }] });
    expect(code(await client.delete(path))).toEqual([409, 'conflict']);
    expect((await client.get(path)).text).toBe('used');
    await client.delete(`DocumentReference/${json.id}`);
    expect((await client.delete(path)).status).toBe(204);
  });

  it('changes its security context only for whoever may change both', async () => {
    const { id } = (await client.post('DocumentReference', documentReference())).json;
    const path = await created('bytes', { ...TEXT, 'x-security-context': `DocumentReference/${id}` });
    const some = fhirClient(server.fhirBase, await server.token({ scope: 'user/Binary.cruds user/DocumentReference.rs' }));
    expect((await some.put(path, 'other', TEXT)).status).toBe(403);
    expect((await some.put(path, 'other', { ...TEXT, 'x-security-context': `DocumentReference/${id}` })).status).toBe(200);
    expect((await client.put(path, 'third', TEXT)).status).toBe(200);
    expect((await client.get(path)).headers.get('x-security-context')).toBeNull();
    expect((await client.put(path, 'fourth', { ...TEXT, 'x-security-context': 'DocumentReference/unknown' })).status).toBe(422);
  });

  it('is 404 for somebody who may not read it, and 405 as a patch', async () => {
    const path = await created('mine');
    const other = fhirClient(server.fhirBase, await server.token({ user: 'Practitioner/other', roles: ['practitioner'], scope: 'user/*.cruds' }));
    expect((await other.put(path, 'theirs', TEXT)).status).toBe(404);
    expect((await client.call(path, { method: 'PATCH', body: '[]', headers: { 'content-type': 'application/json-patch+json' } })).status).toBe(405);
    expect((await client.get(path)).text).toBe('mine');
  });
});

describe('delete of Binary', () => {
  it('is 204 and 410 from then on; older versions are still read, the id can come again', async () => {
    const path = await created('bytes');
    expect((await client.delete(path, { 'if-match': 'W/"9"' })).status).toBe(412);
    const deleted = await client.delete(path);
    expect([deleted.status, deleted.headers.get('etag')]).toEqual([204, 'W/"2"']);
    expect((await client.delete(path)).status).toBe(204);
    expect([(await client.get(path)).status, (await client.get(`${path}/_history/2`)).status, (await client.get(`${path}/_history/7`)).status]).toEqual([410, 410, 404]);
    expect((await client.get(`${path}/_history/1`)).text).toBe('bytes');
    expect(code(await client.post('DocumentReference', linking(path)))).toEqual([422, 'unknown-binary']);
    expect((await client.put(path, 'again', TEXT)).headers.get('etag')).toBe('W/"3"');
  });

  it('and a link at the same moment: never a document without its bytes', async () => {
    for (let round = 0; round < 8; round += 1) {
      const path = await created(`bytes ${round}`);
      const [link, deletion] = await Promise.all([client.post('DocumentReference', linking(path)), client.delete(path)]);
      const outcome = [link.status, deletion.status].join(' ');
      expect(['201 409', '409 204', '422 204']).toContain(outcome);
      expect((await client.get(path)).status).toBe(link.status === 201 ? 200 : 410);
    }
  });
});

describe('history of Binary', () => {
  it('tells each version without its bytes, which the tag SUBSETTED says', async () => {
    const path = await created('first');
    await client.put(path, 'second', TEXT);
    await client.delete(path);
    const { status, json } = await client.get(`${path}/_history`);
    expect([status, json.total]).toEqual([200, 3]);
    expect(json.entry.map((entry: { request: { method: string }; resource?: { meta: { versionId: string; tag: { code: string }[] }; data?: string } }) => [entry.request.method, entry.resource?.meta.versionId, entry.resource?.meta.tag[0]?.code, entry.resource?.data])).toEqual([
      ['DELETE', undefined, undefined, undefined], ['PUT', '2', 'SUBSETTED', undefined], ['POST', '1', 'SUBSETTED', undefined],
    ]);
  });

  it('belongs to whoever may read it', async () => {
    const path = await created('mine');
    const other = fhirClient(server.fhirBase, await server.token({ user: 'Practitioner/other', roles: ['practitioner'] }));
    expect([(await other.get(`${path}/_history`)).status, (await other.get(`${path}/_history/1`)).status]).toEqual([404, 404]);
    expect((await client.get('Binary/_history')).status).toBe(404);
  });
});
