// batch and transaction (R4 http.html 3.1.0.11) over HTTP: all or nothing, links between entries, every entry in the record.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash, randomUUID } from 'node:crypto';
import { documentReference, fhirClient, media, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

type Entry = Record<string, unknown>;

let server: TestMuniment;
let client: FhirClient;
beforeAll(async () => {
  server = await startMuniment();
  client = fhirClient(server.fhirBase, await server.token());
});
afterAll(async () => { await server.stop(); });

const bundle = (type: string, ...entry: Entry[]): object => ({ resourceType: 'Bundle', type, ...(entry.length === 0 ? {} : { entry }) });
const post = (type: string, resource: object, more: Entry = {}): Entry => ({ ...more, resource, request: { method: 'POST', url: type, ...more['request'] as object } });
const request = (method: string, url: string, more: object = {}): Entry => ({ request: { method, url, ...more } });
const put = (url: string, resource: object, more: object = {}): Entry => ({ resource, request: { method: 'PUT', url, ...more } });
const binary = (text: string): object => ({ resourceType: 'Binary', contentType: 'text/plain', data: Buffer.from(text).toString('base64') });
const urn = (): string => `urn:uuid:${randomUUID()}`;
const pointing = (url: string, more: object = {}): object => ({ ...documentReference(), content: [{ attachment: { contentType: 'text/plain', url } }], ...more });
const statuses = (json: { entry?: { response: { status: string } }[] }): string[] => (json.entry ?? []).map(({ response }) => response.status.slice(0, 3));
const idOf = (entry: { response: { location: string } }): string => entry.response.location.split('/_history/')[0]?.split('/').at(-1) ?? '';
async function made(resource: object = documentReference(), type = 'DocumentReference'): Promise<string> {
  const answer = await client.post(type, resource);
  expect(answer.status).toBe(201);
  return answer.json.id;
}
const count = async (): Promise<number> => Number((await server.sql<{ n: string }>('select count(*) as n from resource where not deleted'))[0]?.n);

describe('a transaction', () => {
  it('creates documents with their bytes and rewrites every link to them, but no canonical', async () => {
    const [bytes, first, second] = [urn(), urn(), urn()];
    const answer = await client.post('', bundle('transaction',
      post('DocumentReference', pointing(bytes, {
        relatesTo: [{ code: 'appends', target: { reference: second } }],
        extension: [{ url: 'https://example.org/uri', valueUri: first }, { url: 'https://example.org/canonical', valueCanonical: first }],
        text: { status: 'generated', div: `<div xmlns="http://www.w3.org/1999/xhtml"><a href="${second}">next</a></div>` },
      }), { fullUrl: first }),
      post('Binary', binary('the bytes'), { fullUrl: bytes }),
      post('DocumentReference', documentReference(), { fullUrl: second }),
    ));
    expect([answer.status, answer.json.type, statuses(answer.json)]).toEqual([200, 'transaction-response', ['201', '201', '201']]);
    const [document, content, other] = answer.json.entry.map(idOf) as [string, string, string];
    const { json } = await client.get(`DocumentReference/${document}`);
    expect(json.content[0].attachment.url).toBe(`${server.fhirBase}/Binary/${content}`);
    expect(json.content[0].attachment.hash).toBe(createHash('sha1').update('the bytes').digest('base64'));
    expect(json.relatesTo[0].target.reference).toBe(`DocumentReference/${other}`);
    expect(json.extension.map((one: { valueUri?: string; valueCanonical?: string }) => one.valueUri ?? one.valueCanonical)).toEqual([`DocumentReference/${document}`, first]);
    expect(json.text.div).toContain(`href="DocumentReference/${other}"`);
    expect((await client.get(`Binary/${content}`, { accept: '*/*' })).text).toBe('the bytes');
    expect((await client.get(`DocumentReference?relatesto=DocumentReference/${other}`)).json.entry.map((entry: { resource: { id: string } }) => entry.resource.id)).toEqual([document]);
    for (const [at, entry] of answer.json.entry.entries()) {
      expect([at, entry.response.etag, Number.isFinite(Date.parse(entry.response.lastModified))]).toEqual([at, 'W/"1"', true]);
    }
  });

  it('leaves one event for itself and one for each entry, all with the request id', async () => {
    const id = await made();
    const requestId = randomUUID();
    await client.post('', bundle('transaction', post('DocumentReference', documentReference()), request('GET', `DocumentReference/${id}`), request('DELETE', `DocumentReference/${await made()}`)), { 'x-request-id': requestId });
    const events = await client.auditOf(requestId);
    expect(events.map((event) => event.subtype[0].code).sort()).toEqual(['create', 'delete', 'read', 'transaction']);
    expect(events.map((event) => event.outcome)).toEqual(['0', '0', '0', '0']);
  });

  it('does what its entries ask in R4\'s order, whatever order they came in', async () => {
    const [read, changed, removed] = [await made(), await made(), await made()];
    const identifier = [{ system: 'urn:test', value: randomUUID() }];
    const entries = [
      request('GET', `DocumentReference?identifier=urn:test|${identifier[0]?.value}`),
      request('GET', `DocumentReference/${changed}`),
      put(`DocumentReference/${changed}`, { ...documentReference(), id: changed, description: 'changed' }),
      post('DocumentReference', { ...documentReference(), identifier }),
      request('DELETE', `DocumentReference/${removed}`),
      request('GET', `DocumentReference/${read}`),
    ];
    const { json, status } = await client.post('', bundle('transaction', ...entries));
    expect([status, statuses(json)]).toEqual([200, ['200', '200', '200', '201', '204', '200']]);
    // What reads sees what the others did.
    expect(json.entry[0].resource.entry).toHaveLength(1);
    expect(json.entry[1].resource.description).toBe('changed');
    expect((await client.get(`DocumentReference/${removed}`)).status).toBe(410);
  });

  it('does nothing at all when one entry fails, and tells each entry\'s problem with its place', async () => {
    const before = await count();
    const requestId = randomUUID();
    const answer = await client.post('', bundle('transaction',
      post('Binary', binary('lost'), { fullUrl: 'urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0' }),
      post('DocumentReference', { ...documentReference(), status: 'nonsense' }),
      put('DocumentReference/none', { ...documentReference(), id: 'other' }),
      post('DocumentReference', pointing('urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0')),
    ), { 'x-request-id': requestId });
    expect([answer.status, answer.json.resourceType]).toEqual([422, 'OperationOutcome']);
    const places = answer.json.issue.flatMap((issue: { expression: string[] }) => issue.expression);
    expect(places).toEqual(['Bundle.entry[1].resource.status', 'Bundle.entry[2].resource.id']);
    expect(await count()).toBe(before);
    const events = await client.auditOf(requestId);
    expect(events.map((event) => [event.subtype[0].code, event.outcome]).sort()).toEqual([['create', '4'], ['create', '4'], ['create', '4'], ['transaction', '4'], ['update', '4']]);
    const live = await server.sql<{ n: string }>("select count(*) as n from content where state = 'live' and id not in (select content from resource where content is not null)");
    expect(live[0]?.n).toBe('0');
  });

  it('rolls back what it did when a precondition fails late', async () => {
    const id = await made();
    const before = await count();
    const answer = await client.post('', bundle('transaction', post('DocumentReference', documentReference()), put(`DocumentReference/${id}`, { ...documentReference(), id }, { ifMatch: 'W/"7"' })));
    expect([answer.status, answer.json.issue[0].code, answer.json.issue[0].expression]).toEqual([412, 'conflict', ['Bundle.entry[1]']]);
    expect(await count()).toBe(before);
    expect((await client.get(`DocumentReference/${id}`)).json.meta.versionId).toBe('1');
  });

  it('refuses a second masterIdentifier as a whole', async () => {
    const masterIdentifier = { system: 'urn:ietf:rfc:3986', value: `urn:oid:1.2.${Date.now()}` };
    await made({ ...documentReference(), masterIdentifier });
    const before = await count();
    const answer = await client.post('', bundle('transaction', post('DocumentReference', documentReference()), post('DocumentReference', { ...documentReference(), masterIdentifier })));
    expect([answer.status, answer.json.issue[0].code]).toEqual([409, 'duplicate']);
    expect(await count()).toBe(before);
  });

  it('finds by ifNoneExist what is there, and links go to it', async () => {
    const identifier = { system: 'urn:test', value: randomUUID() };
    const existing = await made({ ...documentReference(), identifier: [identifier] });
    const place = urn();
    const answer = await client.post('', bundle('transaction',
      post('DocumentReference', { ...documentReference(), identifier: [identifier] }, { fullUrl: place, request: { ifNoneExist: `identifier=urn:test|${identifier.value}` } }),
      post('DocumentReference', { ...documentReference(), relatesTo: [{ code: 'signs', target: { reference: place } }] }),
    ));
    expect([answer.status, statuses(answer.json)]).toEqual([200, ['200', '201']]);
    expect(idOf(answer.json.entry[0])).toBe(existing);
    expect(answer.json.entry[1].resource.relatesTo[0].target.reference).toBe(`DocumentReference/${existing}`);
  });

  it('resolves a conditional reference to what is stored or created with it; none or several fail it', async () => {
    const [stored, fresh] = [randomUUID(), randomUUID()];
    const identified = (value: string): object => ({ ...documentReference(), identifier: [{ system: 'urn:test', value }] });
    const target = await made(identified(stored));
    const appending = (value: string): Entry => post('DocumentReference', { ...documentReference(), relatesTo: [{ code: 'appends', target: { reference: `DocumentReference?identifier=urn:test|${value}` } }] });
    const answer = await client.post('', bundle('transaction', appending(stored), appending(fresh), post('DocumentReference', identified(fresh))));
    expect([answer.status, statuses(answer.json)]).toEqual([200, ['201', '201', '201']]);
    expect(answer.json.entry.slice(0, 2).map((entry: { resource: { relatesTo: { target: { reference: string } }[] } }) => entry.resource.relatesTo[0]?.target.reference)).toEqual([`DocumentReference/${target}`, `DocumentReference/${idOf(answer.json.entry[2])}`]);
    const none = await client.post('', bundle('transaction', appending(randomUUID())));
    expect([none.status, none.json.issue[0].expression]).toEqual([422, ['Bundle.entry[0].resource.relatesTo[0].target.reference']]);
    await made(identified(stored));
    expect((await client.post('', bundle('transaction', appending(stored)))).status).toBe(412);
  });

  it.each([
    ['a link to no entry', () => [post('DocumentReference', pointing('urn:uuid:e8c2b7a0-6c53-4f3c-9d0a-0e4f5a6b7c8d'))], 422, 'Bundle.entry[0].resource.content[0].attachment.url'],
    ['one resource twice', () => [put('DocumentReference/twice', { ...documentReference(), id: 'twice' }), request('DELETE', 'DocumentReference/twice')], 400, 'Bundle.entry[1].request.url'],
    ['a body that is missing', () => [request('POST', 'DocumentReference')], 400, 'Bundle.entry[0].resource'],
    ['an entry without request', () => [{ resource: documentReference() }], 400, 'Bundle.entry[0]'],
    ['an unknown method', () => [request('LINK', 'DocumentReference/1')], 422, 'Bundle.entry[0].request.method'],
    ['one fullUrl twice', () => [post('DocumentReference', documentReference(), { fullUrl: 'urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e1' }), post('DocumentReference', documentReference(), { fullUrl: 'urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e1' })], 422, 'Bundle'],
    ['a fullUrl of one version', () => [post('DocumentReference', documentReference(), { fullUrl: 'http://example.org/DocumentReference/1/_history/1' })], 422, 'Bundle.entry[0]'],
    ['an unknown type', () => [request('GET', 'Foo/1')], 404, 'Bundle.entry[0]'],
    ['a write to the record', () => [post('AuditEvent', { resourceType: 'AuditEvent' })], 403, 'Bundle.entry[0]'],
  ] as const)('with %s is refused', async (_what, entries, status, place) => {
    const answer = await client.post('', bundle('transaction', ...entries()));
    expect([answer.status, answer.json.issue[0].expression]).toEqual([status, [place]]);
  });

  it('with resources of types that are not kept here names each of them, by what it asked for', async () => {
    const before = await count();
    const patient = { resourceType: 'Patient' };
    const answer = await client.post('', bundle('transaction',
      post('DocumentReference', documentReference()),
      post('Patient', patient, { request: { ifNoneExist: 'identifier=urn:test|1' } }),
      put('Patient/123', { ...patient, id: '123' }),
      put('Patient?identifier=urn:test|1', patient),
      request('DELETE', 'Patient?identifier=urn:test|1'),
      post('DiagnosticReport', { resourceType: 'DiagnosticReport' }),
      post('DocumentReference', documentReference({ status: 'no' })),
    ));
    const told = answer.json.issue.map((issue: { details: { coding: { code: string }[] }; expression: string[] }) => `${issue.expression[0]} ${issue.details.coding[0]?.code}`);
    expect(told).toEqual([...[1, 2, 3, 4, 5].map((n) => `Bundle.entry[${n}] unknown-type`), 'Bundle.entry[6].resource.status code-invalid']);
    expect(await count()).toBe(before);
  });

  it('with an entry that the token does not grant is 403, and nothing is kept', async () => {
    const before = await count();
    const narrow = await server.token({ scope: 'user/DocumentReference.cruds' });
    const answer = await client.call('', { method: 'POST', body: bundle('transaction', post('DocumentReference', documentReference()), post('Media', media())), token: narrow });
    expect([answer.status, answer.json.issue[0].code, answer.json.issue[0].expression]).toEqual([403, 'forbidden', ['Bundle.entry[1]']]);
    expect(await count()).toBe(before);
  });

  it('answers bodies as Prefer asks', async () => {
    const minimal = await client.post('', bundle('transaction', post('DocumentReference', documentReference())), { prefer: 'return=minimal' });
    expect([minimal.json.entry[0].resource, minimal.json.entry[0].response.etag]).toEqual([undefined, 'W/"1"']);
    const outcome = await client.post('', bundle('transaction', post('DocumentReference', documentReference())), { prefer: 'return=OperationOutcome' });
    expect([outcome.json.entry[0].resource, outcome.json.entry[0].response.outcome.resourceType]).toEqual([undefined, 'OperationOutcome']);
  });

  it('repeated with its Idempotency-Key gets the same answer and makes nothing new', async () => {
    const key = randomUUID();
    const body = bundle('transaction', post('DocumentReference', documentReference()), post('Binary', binary('once')));
    const first = await client.post('', body, { 'idempotency-key': key });
    const before = await count();
    const again = await client.post('', body, { 'idempotency-key': key });
    expect([again.status, again.text]).toEqual([200, first.text]);
    expect(await count()).toBe(before);
    expect((await client.post('', bundle('transaction'), { 'idempotency-key': key })).status).toBe(422);
  });

  it('of no entries is answered by none', async () => {
    expect((await client.post('', bundle('transaction'))).json).toEqual({ resourceType: 'Bundle', type: 'transaction-response' });
  });

  it('keeps to its bound of entries, and to the types of Bundle that are requests', async () => {
    const many = await client.post('', bundle('transaction', ...Array.from({ length: 1_001 }, () => request('GET', 'DocumentReference/1'))));
    expect([many.status, many.json.issue[0].code]).toEqual([413, 'too-costly']);
    for (const type of ['collection', 'document', 'searchset']) expect([type, (await client.post('', bundle(type))).status]).toEqual([type, 422]);
    expect((await client.post('', { resourceType: 'Patient' })).status).toBe(400);
  });

  it('reads a Binary as a resource with its bytes', async () => {
    const { json } = await client.post('', bundle('transaction', post('Binary', binary('in the answer'), { fullUrl: urn() })));
    const read = await client.post('', bundle('transaction', request('GET', `Binary/${idOf(json.entry[0])}`)));
    expect(Buffer.from(read.json.entry[0].resource.data, 'base64').toString()).toBe('in the answer');
  });
});

describe('a batch', () => {
  it('answers each entry by itself, in order, and records each', async () => {
    const id = await made();
    const requestId = randomUUID();
    const narrow = await server.token({ scope: 'user/DocumentReference.cruds user/AuditEvent.rs' });
    const answer = await client.call('', {
      method: 'POST', token: narrow, headers: { 'x-request-id': requestId },
      body: bundle('batch', request('GET', `DocumentReference/${id}`), post('Media', media()), request('GET', 'DocumentReference/unknown'), post('DocumentReference', documentReference()), request('GET', 'Foo'), request('PUT', `DocumentReference/${id}`)),
    });
    // An entry that cannot be understood makes the Bundle wrong.
    expect(answer.status).toBe(400);
    const good = await client.call('', {
      method: 'POST', token: narrow, headers: { 'x-request-id': requestId },
      body: bundle('batch', request('GET', `DocumentReference/${id}`), post('Media', media()), request('GET', 'DocumentReference/unknown'), post('DocumentReference', documentReference()), request('GET', 'Foo'), request('GET', 'DocumentReference?_count=1')),
    });
    expect([good.status, good.json.type, statuses(good.json)]).toEqual([200, 'batch-response', ['200', '403', '404', '201', '404', '200']]);
    expect(good.json.entry[1].response.outcome.issue[0].code).toBe('forbidden');
    expect(good.json.entry[0].fullUrl).toBe(`${server.fhirBase}/DocumentReference/${id}`);
    expect(good.json.entry[5].resource.type).toBe('searchset');
    const events = await client.auditOf(requestId);
    expect(events.filter((event) => event.subtype[0].code === 'batch').map((event) => event.outcome)).toEqual(['0']);
    expect(events.filter((event) => event.subtype[0].code === 'create').map((event) => event.outcome).sort()).toEqual(['0', '4']);
  });

  it('lets no entry refer to another', async () => {
    const place = urn();
    const { json, status } = await client.post('', bundle('batch', post('DocumentReference', documentReference(), { fullUrl: place }), post('DocumentReference', { ...documentReference(), relatesTo: [{ code: 'appends', target: { reference: place } }] })));
    expect([status, statuses(json)]).toEqual([200, ['201', '400']]);
  });

  it('repeated with its Idempotency-Key makes nothing new', async () => {
    const key = randomUUID();
    const body = bundle('batch', post('DocumentReference', documentReference()), post('DocumentReference', documentReference()));
    const first = await client.post('', body, { 'idempotency-key': key });
    const before = await count();
    expect((await client.post('', body, { 'idempotency-key': key })).text).toBe(first.text);
    expect(await count()).toBe(before);
  });
});

describe('an Idempotency-Key', () => {
  it('on a POST that makes nothing is free again: the same search is answered twice', async () => {
    const call = { method: 'POST', body: '_count=1', headers: { 'content-type': 'application/x-www-form-urlencoded', 'idempotency-key': randomUUID() } };
    expect([(await client.call('DocumentReference/_search', call)).status, (await client.call('DocumentReference/_search', call)).status]).toEqual([200, 200]);
  });

  it('of a Bundle shows its answer to the same rights alone', async () => {
    const key = randomUUID();
    const body = bundle('transaction', post('DocumentReference', documentReference()));
    expect((await client.post('', body, { 'idempotency-key': key })).status).toBe(200);
    const narrow = await client.call('', { method: 'POST', body, headers: { 'idempotency-key': key }, token: await server.token({ scope: 'user/Media.r' }) });
    expect([narrow.status, narrow.json.resourceType]).toEqual([422, 'OperationOutcome']);
    expect((await client.call('', { method: 'POST', body, headers: { 'idempotency-key': key }, token: await server.token() })).status).toBe(200);
  });
});

it('declares both in the statement of what works', async () => {
  const { json } = await client.call('metadata', { token: null });
  expect(json.rest[0].interaction.map(({ code }: { code: string }) => code)).toEqual(expect.arrayContaining(['transaction', 'batch']));
});
