import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash, randomUUID } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { documentReference, fhirClient, media, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

let server: TestMuniment;
let client: FhirClient;

beforeAll(async () => {
  server = await startMuniment({ BODY_BYTES_MAX: '1MiB', INLINE_BYTES_MAX: '256KiB' });
  client = fhirClient(server.fhirBase, await server.token());
});
afterAll(() => server.stop());

async function kept(): Promise<string> {
  const [row] = await server.sql<{ counts: string }>(`select (select count(*) from resource) || ' resources, ' || (select count(*) from content where state in ('staging', 'live')) || ' contents' as counts`);
  return row?.counts ?? '';
}

describe('create', () => {
  it('answers 201 with a versioned Location, an ETag and the resource, its data moved to a Binary', async () => {
    const created = await client.post('DocumentReference', documentReference());
    expect(created.status).toBe(201);
    expect(created.headers.get('etag')).toBe('W/"1"');
    expect(created.headers.get('location')).toBe(`${client.base}/DocumentReference/${created.json.id}/_history/1`);
    expect(new Date(created.headers.get('last-modified') ?? '').getTime()).toBe(Math.floor(Date.parse(created.json.meta.lastUpdated) / 1_000) * 1_000);
    const { attachment } = created.json.content[0];
    expect(attachment.data).toBeUndefined();
    expect(attachment.size).toBe(13);
    expect(attachment.hash).toBe(createHash('sha1').update('A short note.').digest('base64'));
    expect(attachment.extension[0].extension[1].valueString).toBe(createHash('sha256').update('A short note.').digest('base64'));
    expect((await client.get(attachment.url)).text).toBe('A short note.');
  });

  it('ignores the id and the meta of the client, and keeps digits, order and tags', async () => {
    const text = `{"resourceType":"Media","id":"mine","meta":{"versionId":"99","lastUpdated":"2001-01-01T00:00:00Z","tag":[{"code":"t"}]},"status":"completed","duration":12.50,"content":{"contentType":"text/plain","url":"https://elsewhere.example/x","title":"é"},"extension":[{"url":"urn:x","valueDecimal":0.010}]}`;
    const created = await client.post('Media', text, { 'content-type': 'application/fhir+json; charset=utf-8' });
    expect(created.status).toBe(201);
    expect(created.json.id).not.toBe('mine');
    expect(created.json.meta).toMatchObject({ versionId: '1', tag: [{ code: 't' }] });
    expect(created.text).toContain('"duration":12.50,"content"');
    expect(created.text).toContain('"valueDecimal":0.010');
    expect((await client.get(`Media/${created.json.id}`)).text).toBe(created.text);
  });

  it.each([
    ['minimal', '', 201],
    ['representation', 'DocumentReference', 201],
    ['OperationOutcome', 'OperationOutcome', 201],
  ])('Prefer: return=%s decides the body, not the headers', async (wish, type, status) => {
    const created = await client.post('DocumentReference', documentReference(), { prefer: `return=${wish}` });
    expect(created.status).toBe(status);
    expect(created.headers.get('location')).toContain('/_history/1');
    expect(created.json?.resourceType ?? '').toBe(type);
  });

  it.each([
    ['size', { size: 12 }],
    ['hash', { hash: createHash('sha1').update('other').digest('base64') }],
    ['a SHA-256 as hash', { hash: createHash('sha256').update('A short note.').digest('base64') }],
    ['alternate-hash', { extension: [{ url: 'http://hl7.org/fhir/StructureDefinition/alternate-hash', extension: [{ url: 'algorithm', valueCoding: { code: 'SHA-256' } }, { url: 'hash', valueString: createHash('sha256').update('x').digest('base64') }] }] }],
  ])('a wrong claim in %s is 422 at its place, and nothing is kept', async (_what, claim) => {
    const before = await kept();
    const refused = await client.post('DocumentReference', documentReference({ content: [{ attachment: { contentType: 'text/plain', data: Buffer.from('A short note.').toString('base64'), ...claim } }] }));
    expect(refused.status).toBe(422);
    expect(refused.json.issue[0].details.coding[0].code).toBe('claim-mismatch');
    expect(refused.json.issue[0].expression[0]).toMatch(/^DocumentReference\.content\[0\]\.attachment\./);
    expect(await kept()).toBe(before);
  });

  it('an alternate-hash that names SHA-256 and no digest gives way to the one of the bytes', async () => {
    const extension = [{ url: 'http://hl7.org/fhir/StructureDefinition/alternate-hash', extension: [{ url: 'algorithm', valueCoding: { code: 'SHA-256' } }, { url: 'value', valueString: 'made up' }] }];
    const { status, json } = await client.post('DocumentReference', documentReference({ content: [{ attachment: { contentType: 'text/plain', data: Buffer.from('A short note.').toString('base64'), extension } }] }));
    expect(status).toBe(201);
    expect(json.content[0].attachment.extension).toHaveLength(1);
    expect(json.content[0].attachment.extension[0].extension[1]).toEqual({ url: 'hash', valueString: createHash('sha256').update('A short note.').digest('base64') });
  });

  it('a body over the limit is 413 before it is read, announced or not, and inline data has a limit of its own', async () => {
    const before = await kept();
    const large = JSON.stringify(documentReference({ description: 'x'.repeat(1_200_000) }));
    const announced = await client.post('DocumentReference', large, { 'content-type': 'application/fhir+json' });
    const inline = await client.post('DocumentReference', documentReference({ content: [{ attachment: { contentType: 'text/plain', data: Buffer.alloc(300_000, 65).toString('base64') } }] }));
    const bomb = await client.post('DocumentReference', gzipSync(large), { 'content-type': 'application/fhir+json', 'content-encoding': 'gzip' });
    expect([announced.status, inline.status, bomb.status]).toEqual([413, 413, 413]);
    for (const answer of [announced, inline, bomb]) expect(answer.json.issue[0].code).toBe('too-long');
    expect(await kept()).toBe(before);
  });

  it('takes a compressed body', async () => {
    const created = await client.post('DocumentReference', gzipSync(JSON.stringify(documentReference())), { 'content-type': 'application/fhir+json', 'content-encoding': 'gzip' });
    expect(created.status).toBe(201);
  });

  it('a masterIdentifier is taken once among live documents, and is free again after the deletion', async () => {
    const masterIdentifier = { system: 'urn:ietf:rfc:3986', value: `urn:uuid:${randomUUID()}` };
    const first = await client.post('DocumentReference', documentReference({ masterIdentifier }));
    const second = await client.post('DocumentReference', documentReference({ masterIdentifier }));
    expect([first.status, second.status]).toEqual([201, 409]);
    expect(second.json.issue[0].code).toBe('duplicate');
    expect((await client.delete(`DocumentReference/${first.json.id}`)).status).toBe(204);
    expect((await client.post('DocumentReference', documentReference({ masterIdentifier }))).status).toBe(201);
  });

  it('of many at once with one masterIdentifier one is made, and the others with their own are made too', async () => {
    const masterIdentifier = { system: 'urn:m', value: randomUUID() };
    const answers = await Promise.all(Array.from({ length: 12 }, (_, n) => client.post('DocumentReference', documentReference(n % 2 === 0 ? { masterIdentifier } : {}))));
    const contested = answers.filter((_, n) => n % 2 === 0).map((answer) => answer.status).sort();
    expect(contested).toEqual([201, 409, 409, 409, 409, 409]);
    expect(answers.filter((_, n) => n % 2 === 1).every((answer) => answer.status === 201)).toBe(true);
  });
});

describe('data beside a url', () => {
  const data = Buffer.from('the same').toString('base64');
  const attached = (attachment: object): object => documentReference({ content: [{ attachment: { contentType: 'text/plain', ...attachment } }] });

  it('is a link when both are the same bytes; other bytes and another server are 422, and nothing is kept', async () => {
    const { json } = await client.post('Binary', 'the same', { 'content-type': 'text/plain' });
    const before = await kept();
    for (const attachment of [{ data: Buffer.from('another').toString('base64'), url: `Binary/${json.id}` }, { data, url: 'https://elsewhere.example/x' }]) {
      const refused = await client.post('DocumentReference', attached(attachment));
      expect([refused.status, refused.json.issue[0].details.coding[0].code]).toEqual([422, 'claim-mismatch']);
    }
    expect(await kept()).toBe(before);
    const created = await client.post('DocumentReference', attached({ data, url: `Binary/${json.id}` }));
    expect([created.status, created.json.content[0].attachment.url, created.json.content[0].attachment.data]).toEqual([201, `${client.base}/Binary/${json.id}`, undefined]);
  });
});

describe('If-None-Exist', () => {
  it('creates where nothing matches, answers the one match, and refuses several', async () => {
    const value = randomUUID();
    const identifier = [{ system: 'urn:e', value }];
    const headers = { 'if-none-exist': `identifier=urn:e|${value}` };
    const first = await client.post('DocumentReference', documentReference({ identifier }), headers);
    const again = await client.post('DocumentReference', documentReference({ identifier }), headers);
    expect([first.status, again.status, again.json.id]).toEqual([201, 200, first.json.id]);
    await client.post('DocumentReference', documentReference({ identifier }));
    expect((await client.post('DocumentReference', documentReference({ identifier }), headers)).status).toBe(412);
    expect((await client.post('DocumentReference', documentReference(), { 'if-none-exist': 'foo=bar' })).status).toBe(400);
  });

  it('of twenty at once makes one', async () => {
    const value = randomUUID();
    const answers = await Promise.all(Array.from({ length: 20 }, () => client.post('DocumentReference', documentReference({ identifier: [{ system: 'urn:e', value }] }), { 'if-none-exist': `identifier=urn:e|${value}` })));
    expect(answers.map((answer) => answer.status).sort()).toEqual([...Array.from({ length: 19 }, () => 200), 201]);
  });
});

describe('Idempotency-Key', () => {
  it('the same request has the same answer, another body is 422, and a failed first one leaves the key free', async () => {
    const key = { 'idempotency-key': randomUUID() };
    const document = documentReference();
    const first = await client.post('DocumentReference', document, key);
    const again = await client.post('DocumentReference', document, key);
    expect([first.status, again.status, again.text]).toEqual([201, 201, first.text]);
    expect((await client.post('DocumentReference', documentReference(), key)).status).toBe(422);
    const other = { 'idempotency-key': randomUUID() };
    expect((await client.post('DocumentReference', { ...documentReference(), status: 'no' }, other)).status).toBe(422);
    expect((await client.post('DocumentReference', documentReference(), other)).status).toBe(201);
  });

  it('of many at once one runs, and raw bytes are told apart by their digest', async () => {
    const key = { 'idempotency-key': randomUUID(), 'content-type': 'text/plain' };
    const answers = await Promise.all(Array.from({ length: 6 }, () => client.post('Binary', 'the bytes', key)));
    const made = new Set(answers.filter((answer) => answer.status === 201).map((answer) => answer.json.id));
    expect(made.size).toBe(1);
    expect(answers.every((answer) => answer.status === 201 || answer.status === 409)).toBe(true);
    expect((await client.post('Binary', 'other bytes', key)).status).toBe(422);
  });
});

describe('update', () => {
  it('makes a version, refuses a stale If-Match, and takes each form of the current one', async () => {
    const { json } = await client.post('DocumentReference', documentReference());
    const path = `DocumentReference/${json.id}`;
    const second = await client.put(path, { ...json, description: 'two' }, { 'if-match': 'W/"1"' });
    expect([second.status, second.headers.get('etag')]).toEqual([200, 'W/"2"']);
    expect((await client.put(path, { ...json, description: 'three' }, { 'if-match': 'W/"1"' })).status).toBe(412);
    expect((await client.put(path, { ...json, description: 'three' }, { 'if-match': '"2"' })).status).toBe(200);
    expect((await client.put(path, { ...json, description: 'four' }, { 'if-match': '3' })).status).toBe(200);
    expect((await client.put(path, { ...json, description: 'five' }, { 'if-none-match': '*' })).status).toBe(412);
    const history = await client.get(`${path}/_history`);
    expect(history.json.total).toBe(4);
    expect(history.json.entry.map((entry: { request: { method: string } }) => entry.request.method)).toEqual(['PUT', 'PUT', 'PUT', 'POST']);
    expect((await client.get(`${path}/_history/1`)).json.description).toBeUndefined();
  });

  it('a repeated identical PUT makes no new version, inline data or not', async () => {
    const id = randomUUID();
    const document = { ...documentReference(), id };
    expect((await client.put(`DocumentReference/${id}`, document)).status).toBe(201);
    const again = await client.put(`DocumentReference/${id}`, document);
    expect([again.status, again.headers.get('etag')]).toEqual([200, 'W/"1"']);
    expect((await client.put(`DocumentReference/${id}`, again.json)).headers.get('etag')).toBe('W/"1"');
    // Neither the order of properties nor the format says anything.
    const turned = { ...Object.fromEntries(Object.entries(again.json).reverse()), content: again.json.content.map(({ attachment }: { attachment: object }) => ({ attachment: Object.fromEntries(Object.entries(attachment).reverse()) })) };
    expect((await client.put(`DocumentReference/${id}`, turned)).headers.get('etag')).toBe('W/"1"');
    const xml = await client.get(`DocumentReference/${id}`, { accept: 'application/fhir+xml' });
    const fromXml = await client.call(`DocumentReference/${id}`, { method: 'PUT', headers: { 'content-type': 'application/fhir+xml' }, body: xml.text });
    expect([fromXml.status, fromXml.headers.get('etag')]).toEqual([200, 'W/"1"']);
    expect((await client.put(`DocumentReference/${id}`, { ...turned, description: 'new' })).headers.get('etag')).toBe('W/"2"');
  });

  it('without the id of the URL in its body is 400', async () => {
    expect((await client.put('DocumentReference/here', documentReference())).status).toBe(400);
    expect((await client.put('DocumentReference/here', { ...documentReference(), id: 'there' })).status).toBe(400);
  });

  it('of twenty at once with one If-Match lets one through', async () => {
    const { json } = await client.post('Media', media());
    const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => client.put(`Media/${json.id}`, { ...json, reasonCode: [{ text: String(n) }] }, { 'if-match': 'W/"1"' })));
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, ...Array.from({ length: 19 }, () => 412)]);
  });

  it('of twenty at once to a new id creates it once, and all are versions', async () => {
    const id = randomUUID();
    const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => client.put(`DocumentReference/${id}`, { ...documentReference(), id, description: String(n) })));
    expect(answers.map((answer) => answer.status).sort()).toEqual([...Array.from({ length: 19 }, () => 200), 201]);
    expect((await client.get(`DocumentReference/${id}/_history?_count=100`)).json.total).toBe(20);
  });
});

describe('delete', () => {
  it('hides the newest version, keeps the older ones, and can be undone by a PUT that goes on counting', async () => {
    const { json } = await client.post('DocumentReference', documentReference());
    const path = `DocumentReference/${json.id}`;
    expect((await client.delete(path, { 'if-match': 'W/"9"' })).status).toBe(412);
    expect((await client.delete(path)).status).toBe(204);
    expect((await client.delete(path)).status).toBe(204);
    expect((await client.get(path)).status).toBe(410);
    expect((await client.get(`${path}/_history/2`)).status).toBe(410);
    expect((await client.get(`${path}/_history/1`)).status).toBe(200);
    expect((await client.get(`DocumentReference?_id=${json.id}`)).json.total).toBe(0);
    const back = await client.put(path, json);
    expect([back.status, back.headers.get('etag')]).toEqual([201, 'W/"3"']);
    const methods = (await client.get(`${path}/_history`)).json.entry.map((entry: { request: { method: string }; resource?: object }) => [entry.request.method, entry.resource !== undefined]);
    expect(methods).toEqual([['PUT', true], ['DELETE', false], ['POST', true]]);
    expect((await client.delete(`DocumentReference/${randomUUID()}`)).status).toBe(204);
  });
});

describe('organisations', () => {
  it("another organisation's document is unknown: 404, no search finds it, and its id can be taken", async () => {
    const { json } = await client.post('DocumentReference', documentReference());
    const foreign = fhirClient(server.fhirBase, await server.token({ org: 'elsewhere' }));
    expect((await foreign.get(`DocumentReference/${json.id}`)).status).toBe(404);
    expect((await foreign.get(`DocumentReference?_id=${json.id}`)).json.total).toBe(0);
    expect((await foreign.get(json.content[0].attachment.url)).status).toBe(404);
    expect((await foreign.delete(`DocumentReference/${json.id}`)).status).toBe(204);
    expect((await foreign.post('DocumentReference', documentReference({ content: [{ attachment: { contentType: 'text/plain', url: json.content[0].attachment.url } }] }))).status).toBe(422);
    expect((await client.get(`DocumentReference/${json.id}`)).status).toBe(200);
  });
});
