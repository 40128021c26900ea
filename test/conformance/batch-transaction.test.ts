// Bundles at the base: batch and transaction.
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { createHash, randomUUID } from 'node:crypto';
import { documentReference, fhirClient, media, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';
import { expectOutcome, expectStatus, FX, matches } from './expectations.ts';
import { row } from './row.ts';

/* eslint-disable @typescript-eslint/no-explicit-any -- tests look into answers of any shape */

let server: TestMuniment;
let client: FhirClient;

beforeAll(async () => {
  server = await startMuniment();
  client = fhirClient(server.fhirBase, await server.token());
});
afterAll(() => server.stop());

interface Entry { fullUrl?: string; resource?: object; request?: Record<string, unknown> }
const bundle = (type: string, entry: Entry[]): object => ({ resourceType: 'Bundle', type, ...(entry.length === 0 ? {} : { entry }) });
const send = (type: 'batch' | 'transaction', entry: Entry[], headers: Record<string, string> = {}): Promise<Answer> => client.post('', bundle(type, entry), headers);
const post = (resource: object, more: Record<string, unknown> = {}, fullUrl = `urn:uuid:${randomUUID()}`): Entry => ({ fullUrl, resource, request: { method: 'POST', url: (resource as { resourceType: string }).resourceType, ...more } });
const get = (url: string): Entry => ({ request: { method: 'GET', url } });
const put = (resource: any, more: Record<string, unknown> = {}): Entry => ({ fullUrl: `${server.fhirBase}/${resource.resourceType}/${resource.id}`, resource, request: { method: 'PUT', url: `${resource.resourceType}/${resource.id}`, ...more } });
const remove = (url: string): Entry => ({ request: { method: 'DELETE', url } });
const statuses = (answer: Answer): string[] => answer.json.entry.map((entry: any) => entry.response.status.slice(0, 3));
const foreign = { content: [{ attachment: { contentType: 'text/plain', url: 'https://elsewhere.example/x' } }] };
const create = async (changes: Record<string, unknown> = {}): Promise<any> => (await client.post('DocumentReference', documentReference(changes))).json;
const identified = (value: string): Record<string, unknown> => ({ identifier: [{ system: 'urn:t', value }] });
const urn = (): string => `urn:uuid:${randomUUID()}`;
const idOf = (entry: any): string => entry.response.location.split('/').at(-3);

async function kept(): Promise<string> {
  const [counts] = await server.sql<{ counts: string }>("select (select count(*) from resource) || '/' || (select count(*) from content where state in ('staging', 'live')) as counts");
  return counts?.counts ?? '';
}

describe('bundles at the base', () => {
  row('TX-01', async () => {
    const known = await create();
    for (const type of ['batch', 'transaction'] as const) {
      const entries = [post(documentReference()), put(documentReference({ id: randomUUID() })), get(`DocumentReference/${known.id}`), remove(`DocumentReference/${randomUUID()}`)];
      for (const path of ['', '/']) {
        const answer = await client.call(`${server.fhirBase}${path}`, { method: 'POST', body: bundle(type, path === '' ? entries : [post(documentReference()), ...entries.slice(2)]) });
        expectStatus(answer, 200);
        expect(answer.json).toMatchObject({ resourceType: 'Bundle', type: `${type}-response` });
        if (path === '/') continue;
        expect(statuses(answer)).toEqual(['201', '201', '200', '204']);
        for (const entry of answer.json.entry.slice(0, 2)) {
          expect(entry.response.location).toMatch(new RegExp(`^(${server.fhirBase}/)?DocumentReference/[^/]+/_history/1$`));
          expect(entry.response.etag).toBe('W/"1"');
          expect(entry.response.lastModified).toMatch(/^\d{4}-\d\d-\d\dT/);
          expectStatus(await client.get(entry.response.location.replace(`${server.fhirBase}/`, '')), 200);
        }
        expect(answer.json.entry[2].resource.id).toBe(known.id);
      }
    }
    const minimal = await send('transaction', [post(documentReference())], { prefer: 'return=minimal' });
    expect(minimal.json.entry[0].resource).toBeUndefined();
    const whole = await send('transaction', [post(documentReference())], { prefer: 'return=representation' });
    expect(whole.json.entry[0].resource.resourceType).toBe('DocumentReference');
    const outcome = await send('batch', [post(documentReference())], { prefer: 'return=OperationOutcome' });
    expect(outcome.json.entry[0].response.outcome?.resourceType ?? outcome.json.entry[0].resource?.resourceType).toBe('OperationOutcome');
    const xml = `<Bundle xmlns="http://hl7.org/fhir"><type value="transaction"/><entry><fullUrl value="${urn()}"/><resource><DocumentReference><status value="current"/><content><attachment><url value="https://elsewhere.example/x"/></attachment></content></DocumentReference></resource><request><method value="POST"/><url value="DocumentReference"/></request></entry></Bundle>`;
    const byXml = await client.post('', xml, { 'content-type': FX, 'accept': FX });
    expectStatus(byXml, 200);
    expect(byXml.text).toMatch(/<Bundle xmlns="http:\/\/hl7\.org\/fhir">.*<type value="transaction-response"\/>.*<status value="201/s);
  });

  row('TX-02', async () => {
    const picture = urn();
    const answer = await send('batch', [post(media(), {}, picture), post(documentReference({ ...foreign, context: { related: [{ reference: picture }] } })), post(documentReference({ status: 'nonsense' })), get('DocumentReference/unknown'), post(documentReference())]);
    expectStatus(answer, 200);
    expect(statuses(answer)).toEqual(['201', expect.stringMatching(/^4/), '422', '404', '201']);
    for (const at of [1, 2, 3]) {
      expect(answer.json.entry[at].response.outcome).toMatchObject({ resourceType: 'OperationOutcome', issue: [expect.objectContaining({ severity: expect.stringMatching(/error|fatal/) })] });
      expect(answer.json.entry[at].resource).toBeUndefined();
    }
  });

  row('TX-03', async () => {
    const before = await kept();
    const binary = urn();
    const requestId = randomUUID();
    const answer = await send('transaction', [
      post({ resourceType: 'Binary', contentType: 'text/plain', data: 'QQ==' }, {}, binary),
      post(documentReference({ content: [{ attachment: { contentType: 'text/plain', url: binary } }] })),
      post(documentReference({ status: 'nonsense' })), post(documentReference({ docStatus: 'draft' })),
    ], { 'x-request-id': requestId });
    expectOutcome(answer, 422, 'code-invalid');
    expect(answer.json.issue.length).toBeGreaterThanOrEqual(2);
    const places = answer.json.issue.map((issue: any) => issue.expression?.[0] ?? '');
    expect(places.some((place: string) => place.includes('entry[2]'))).toBe(true);
    expect(places.some((place: string) => place.includes('entry[3]'))).toBe(true);
    expect(await kept()).toBe(before);
    const events = await client.auditOf(requestId);
    expect(events.length).toBeGreaterThan(0);
    expect(events.some((event) => event.outcome !== '0')).toBe(true);
  });

  row('TX-04', async () => {
    for (let turn = 0; turn < 6; turn += 1) {
      const value = randomUUID();
      const gone = await create(identified(value));
      const changed = await create();
      const made = urn();
      const entries: [string, Entry][] = [
        ['delete', remove(`DocumentReference/${gone.id}`)],
        ['post', { fullUrl: made, resource: documentReference({ ...foreign, ...identified(value), description: 'new' }), request: { method: 'POST', url: 'DocumentReference', ifNoneExist: `identifier=urn:t|${value}` } }],
        ['put', put({ ...changed, description: `turn ${turn}`, relatesTo: [{ code: 'appends', target: { reference: made } }] })],
        ['get', get(`DocumentReference?identifier=urn:t|${value}`)],
        ['read', get(`DocumentReference/${changed.id}`)],
      ];
      const shuffled = entries.map((entry, at) => ({ entry, key: (at * 7 + turn * 3) % 5 })).sort((a, b) => a.key - b.key).map(({ entry }) => entry);
      const answer = await send('transaction', shuffled.map(([, entry]) => entry));
      expectStatus(answer, 200);
      const of = (name: string): any => answer.json.entry[shuffled.findIndex(([one]) => one === name)];
      expect({ order: shuffled.map(([name]) => name), statuses: ['delete', 'post', 'put', 'get', 'read'].map((name) => of(name).response.status.slice(0, 3)) }).toMatchObject({ statuses: ['204', '201', '200', '200', '200'] });
      expect(of('get').resource.entry.map((entry: any) => entry.resource.id)).toEqual([idOf(of('post'))]);
      expect(of('read').resource.relatesTo[0].target.reference).toContain(`DocumentReference/${idOf(of('post'))}`);
    }
  });

  row('TX-05', async () => {
    const known = await create();
    for (const entries of [[put({ ...known, description: 'x' }), remove(`DocumentReference/${known.id}`)], [{ ...put({ ...known, description: 'x' }), fullUrl: urn() }, { ...put({ ...known, description: 'y' }), fullUrl: urn() }], [remove(`DocumentReference/${known.id}`), remove(`DocumentReference/${known.id}`)]]) expectOutcome(await send('transaction', entries), 400);
    const value = randomUUID();
    await client.put(`DocumentReference/${known.id}`, { ...known, ...identified(value) });
    expectOutcome(await send('transaction', [{ resource: documentReference(identified(value)), request: { method: 'PUT', url: `DocumentReference?identifier=urn:t|${value}` } }, remove(`DocumentReference/${known.id}`)]), 400);
    expect((await client.get(`DocumentReference/${known.id}`)).json.meta.versionId).toBe('2');
  });

  row('TX-06', async () => {
    const [binary, document, reply, list, picture] = [urn(), urn(), urn(), urn(), urn()];
    const bytes = Buffer.from('the bytes of the transaction');
    const answer = await send('transaction', [
      post({ resourceType: 'List', status: 'current', mode: 'working', entry: [{ item: { reference: document } }, { item: { reference: reply } }], extension: [{ url: 'urn:e', valueUri: document }, { url: 'urn:u', valueUrl: binary }, { url: 'urn:c', valueCanonical: document }, { url: 'urn:s', valueString: document }] }, {}, list),
      post(documentReference({ content: [{ attachment: { contentType: 'text/plain', url: binary, size: bytes.length, hash: createHash('sha1').update(bytes).digest('base64') } }], text: { status: 'generated', div: `<div xmlns="http://www.w3.org/1999/xhtml"><a href="${reply}">reply</a><img src="${binary}" alt="x"/></div>` } }), {}, document),
      post(documentReference({ ...foreign, relatesTo: [{ code: 'appends', target: { reference: document } }], context: { related: [{ reference: picture }] } }), {}, reply),
      post({ resourceType: 'Binary', contentType: 'text/plain', data: bytes.toString('base64') }, {}, binary),
      post(media({ content: { contentType: 'text/plain', url: binary } }), {}, picture),
    ]);
    expectStatus(answer, 200);
    const [listId, documentId, replyId, binaryId, pictureId] = answer.json.entry.map(idOf);
    const readOf = async (path: string): Promise<any> => (await client.get(path)).json;
    const stored = await readOf(`DocumentReference/${documentId}`);
    expect(stored.content[0].attachment.url).toBe(`${server.fhirBase}/Binary/${binaryId}`);
    expect(stored.text.div).toContain(`DocumentReference/${replyId}"`);
    expect(stored.text.div).toContain(`Binary/${binaryId}"`);
    expect((await client.get(`Binary/${binaryId}`)).text).toBe(bytes.toString());
    const storedReply = await readOf(`DocumentReference/${replyId}`);
    expect(storedReply.relatesTo[0].target.reference).toMatch(new RegExp(`DocumentReference/${documentId}$`));
    expect(storedReply.context.related[0].reference).toMatch(new RegExp(`Media/${pictureId}$`));
    expect((await readOf(`Media/${pictureId}`)).content.url).toBe(`${server.fhirBase}/Binary/${binaryId}`);
    const storedList = await readOf(`List/${listId}`);
    expect(storedList.entry.map((entry: any) => entry.item.reference)).toEqual([expect.stringMatching(`DocumentReference/${documentId}$`), expect.stringMatching(`DocumentReference/${replyId}$`)]);
    expect(storedList.extension[0].valueUri).toMatch(new RegExp(`DocumentReference/${documentId}$`));
    expect(storedList.extension[1].valueUrl).toMatch(new RegExp(`Binary/${binaryId}$`));
    expect(storedList.extension[2].valueCanonical).toBe(document);
    expect(storedList.extension[3].valueString).toBe(document);
  });

  row('TX-07', async () => {
    const value = randomUUID();
    const target = await create(identified(value));
    const pointing = (criteria: string): Entry => post(documentReference({ ...foreign, relatesTo: [{ code: 'appends', target: { reference: criteria } }] }));
    const one = await send('transaction', [pointing(`DocumentReference?identifier=urn:t|${value}`)]);
    expectStatus(one, 200);
    expect((await client.get(`DocumentReference/${idOf(one.json.entry[0])}`)).json.relatesTo[0].target.reference).toMatch(new RegExp(`DocumentReference/${target.id}$`));
    const before = await kept();
    expectOutcome(await send('transaction', [pointing(`DocumentReference?identifier=urn:t|${randomUUID()}`)]), 422);
    await create(identified(value));
    const some = await kept();
    expect(some).not.toBe(before);
    expectOutcome(await send('transaction', [pointing(`DocumentReference?identifier=urn:t|${value}`)]), 412, 'multiple-matches');
    expect(await kept()).toBe(some);
  });

  row('TX-08', async () => {
    const known = await create();
    expectOutcome(await send('transaction', [put({ ...known, description: 'x' }, { ifMatch: 'W/"9"' }), post(documentReference())]), 412, 'conflict');
    expect(statuses(await send('batch', [put({ ...known, description: 'x' }, { ifMatch: 'W/"9"' }), post(documentReference())]))).toEqual(['412', '201']);
    expect(statuses(await send('transaction', [put({ ...known, description: 'y' }, { ifMatch: 'W/"1"' })]))).toEqual(['200']);
    expect(statuses(await send('batch', [{ request: { method: 'GET', url: `DocumentReference/${known.id}`, ifNoneMatch: 'W/"2"' } }, { request: { method: 'GET', url: `DocumentReference/${known.id}`, ifNoneMatch: 'W/"1"' } }, { request: { method: 'GET', url: `DocumentReference/${known.id}`, ifModifiedSince: '2999-01-01T00:00:00Z' } }]))).toEqual(['304', '200', '304']);
    const value = randomUUID();
    const conditional = (): Entry => post(documentReference(identified(value)), { ifNoneExist: `identifier=urn:t|${value}` });
    const first = await send('transaction', [conditional()]);
    const second = await send('transaction', [conditional()]);
    expect([statuses(first), statuses(second)]).toEqual([['201'], ['200']]);
    expect(second.json.entry[0].response.location).toBe(first.json.entry[0].response.location);
    expect(second.json.entry[0].response.etag).toBe('W/"1"');
  });

  row('TX-09', async () => {
    const wrong: Entry[] = [{ request: { method: 'POST', url: 'DocumentReference' } }, { request: { method: 'PUT', url: 'DocumentReference/x' } }, { resource: documentReference() }, { resource: documentReference(), request: { method: 'DANCE', url: 'DocumentReference' } }, { resource: documentReference(), request: { method: 'POST' } }, { resource: documentReference(), request: { url: 'DocumentReference' } }, {}];
    for (const entry of wrong) {
      const answer = await send('transaction', [entry]);
      expect({ entry, refused: answer.status >= 400 && answer.status < 500 }).toEqual({ entry, refused: true });
      expectOutcome(answer, answer.status);
    }
    expectOutcome(await send('transaction', wrong.slice(0, 1)), 400);
    expectOutcome(await send('transaction', wrong.slice(2, 3)), 400);
    expect(statuses(await send('batch', [post(documentReference()), get('Nonsense/1'), get('../etc/passwd'), get('https://elsewhere.example/fhir/DocumentReference/1')]))).toEqual(['201', '404', expect.stringMatching(/^4/), expect.stringMatching(/^4/)]);
  });

  row('TX-10', async () => {
    for (const type of ['batch', 'transaction'] as const) {
      const answer = await send(type, []);
      expectStatus(answer, 200);
      expect(answer.json).toMatchObject({ resourceType: 'Bundle', type: `${type}-response` });
      expect(answer.json.entry).toBeUndefined();
    }
  });

  row('TX-11', async () => {
    const known = await create();
    const url = known.content[0].attachment.url as string;
    for (const type of ['batch', 'transaction'] as const) {
      const answer = await send(type, [get(`DocumentReference?_id=${known.id}`), get(`DocumentReference/${known.id}/_history/1`), get(url.slice(server.fhirBase.length + 1)), get(`DocumentReference/${known.id}/_history`), get(`${server.fhirBase}/DocumentReference/${known.id}`), { request: { method: 'HEAD', url: `DocumentReference/${known.id}` } }]);
      expectStatus(answer, 200);
      expect(statuses(answer)).toEqual(['200', '200', '200', '200', '200', '200']);
      const [searched, version, bytes, history, absolute, head] = answer.json.entry;
      expect(searched.resource).toMatchObject({ resourceType: 'Bundle', type: 'searchset', total: 1 });
      expect(version.resource.id).toBe(known.id);
      expect(bytes.resource).toMatchObject({ resourceType: 'Binary', contentType: 'text/plain', data: Buffer.from('A short note.').toString('base64') });
      expect(history.resource.type).toBe('history');
      expect(absolute.resource.id).toBe(known.id);
      expect(head.resource).toBeUndefined();
    }
  });

  row('TX-12', async () => {
    const known = await create();
    const picture = (await client.post('Media', media())).json;
    const narrow = fhirClient(server.fhirBase, await server.token({ scope: 'user/DocumentReference.cruds' }));
    const requestId = randomUUID();
    const answer = await narrow.post('', bundle('batch', [get(`DocumentReference/${known.id}`), get(`Media/${picture.id}`), post(documentReference())]), { 'x-request-id': requestId });
    expectStatus(answer, 200);
    expect(statuses(answer)).toEqual(['200', '403', '201']);
    const events = await client.auditOf(requestId);
    expect(events).toHaveLength(4);
    expect(events.map((event) => event.subtype[0].code).sort()).toEqual(['batch', 'create', 'read', 'read']);
    expect(events.filter((event) => event.outcome !== '0')).toHaveLength(1);
    expectOutcome(await narrow.post('', bundle('transaction', [post(documentReference()), post(media())])), 403, 'forbidden');
  });

  row('TX-13', async () => {
    const twice = urn();
    expectOutcome(await send('transaction', [post(documentReference(), {}, twice), post(documentReference(), {}, twice)]), 422);
    expectOutcome(await send('transaction', [post(documentReference(), {}, `${server.fhirBase}/DocumentReference/1/_history/2`)]), 422);
  });

  row('TX-14', async () => {
    const provenance = { resourceType: 'Provenance', target: [{ reference: 'DocumentReference/x' }], recorded: '2024-01-01T00:00:00Z', agent: [{ who: { display: 'me' } }] };
    const audit = { resourceType: 'AuditEvent', type: { code: 'rest' }, recorded: '2024-01-01T00:00:00Z', agent: [{ requestor: true }], source: { observer: { display: 'me' } } };
    const before = await kept();
    for (const resource of [provenance, audit]) {
      expectOutcome(await send('transaction', [post(documentReference()), post(resource)]), 403);
      expect(statuses(await send('batch', [post(resource)]))).toEqual(['403']);
    }
    expect(await kept()).toBe(before);
  });

  row('TX-15', async () => {
    const before = await kept();
    const many = Array.from({ length: 10_001 }, () => get('DocumentReference/x'));
    for (const type of ['batch', 'transaction'] as const) {
      const answer = await send(type, many);
      expect([413, 422]).toContain(answer.status);
      expectOutcome(answer, answer.status, 'too-costly');
    }
    expect(await kept()).toBe(before);
  });

  row('TX-16', async () => {
    for (const type of ['collection', 'document', 'message', 'searchset', 'history', 'batch-response']) expectOutcome(await client.post('', bundle(type, [])), 422);
    expectOutcome(await client.post('', bundle('nonsense', [])), 422);
    expectOutcome(await client.post('', documentReference()), 400);
    expectOutcome(await client.post('Bundle', bundle('collection', [])), 404, 'not-supported');
    expectOutcome(await client.get('Bundle/1'), 404, 'not-supported');
    expectOutcome(await client.post('', bundle('batch', []), { 'content-type': 'text/plain' }), 415);
  });

  row('PA-09', async () => {
    const known = await create({ docStatus: 'preliminary' });
    const parameters = { resourceType: 'Parameters', parameter: [{ name: 'operation', part: [{ name: 'type', valueCode: 'replace' }, { name: 'path', valueString: 'DocumentReference.docStatus' }, { name: 'value', valueCode: 'final' }] }] };
    for (const type of ['batch', 'transaction'] as const) {
      const own = await create({ docStatus: 'preliminary' });
      const answer = await send(type, [{ fullUrl: urn(), resource: parameters, request: { method: 'PATCH', url: `DocumentReference/${own.id}` } }]);
      expectStatus(answer, 200);
      expect(statuses(answer)).toEqual(['200']);
      expect((await client.get(`DocumentReference/${own.id}`)).json.docStatus).toBe('final');
    }
    expectOutcome(await send('transaction', [{ resource: parameters, request: { method: 'PATCH', url: `DocumentReference/${known.id}`, ifMatch: 'W/"9"' } }]), 412);
    expect(statuses(await send('batch', [{ resource: documentReference(), request: { method: 'PATCH', url: `DocumentReference/${known.id}` } }]))).toEqual([expect.stringMatching(/^4/)]);
    expect(matches(await client.get(`DocumentReference?_id=${known.id}`))).toEqual([known.id]);
  });
});
