// Annotations over HTTP (seed 000; inventory rows 19 and 20): made, read, listed, changed, deleted, and confined as their document.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { documentsClient, formOf, somePdf, type DocumentsClient } from '../support/documents-client.ts';
import { fhirClient, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

let server: TestMuniment;
let fhir: FhirClient;
let documents: DocumentsClient;

beforeAll(async () => {
  server = await startMuniment();
  fhir = fhirClient(server.fhirBase, await server.token());
  documents = documentsClient(fhir);
});
afterAll(() => server.stop());

const MARKER = { type: 'marker', content: { text: 'Fracture', coordinates: { x: 0.1, y: 0.2, width: 0.3, height: 0.4 } }, page_number: 2 };
const newDocument = async (fields: Record<string, string> = {}): Promise<string> => (await documents.postForm('', formOf([{ bytes: somePdf() }], { patient_id: randomUUID(), category: 'imaging', ...fields }))).json.id;
const send = (method: string, path: string, body: unknown, headers: Record<string, string> = {}, token?: string): Promise<Answer> =>
  documents.call(path, { method, body: Buffer.from(JSON.stringify(body) ?? '{'), headers: { 'content-type': 'application/json', ...headers }, ...(token === undefined ? {} : { token }) });
const annotate = async (document: string, body: unknown = MARKER): Promise<Answer> => send('POST', `/${document}/annotations`, body);
const tokenFor = (options: Parameters<TestMuniment['token']>[0]): Promise<string> => server.token(options);

describe('an annotation', () => {
  it('is made, read and listed, by whoever the token names', async () => {
    const document = await newDocument();
    const made = await annotate(document, { ...MARKER, created_by: 'Practitioner/forged' });
    expect(made.status).toBe(201);
    expect(made.json).toEqual({ id: expect.any(String), document_id: document, ...MARKER, created_by: 'Practitioner/demo', created_at: expect.any(String), updated_at: expect.any(String), version: 1 });
    expect(made.headers.get('location')).toBe(`${documents.base}/${document}/annotations/${made.json.id}`);
    expect(made.headers.get('etag')).toBe('W/"1"');
    const read = await documents.call(`/${document}/annotations/${made.json.id}`);
    expect([read.status, read.json, read.headers.get('etag')]).toEqual([200, made.json, 'W/"1"']);
    expect((await documents.call(`/${document}/annotations/${made.json.id}`, { headers: { 'if-none-match': 'W/"1"' } })).status).toBe(304);
    expect((await documents.call(`/${document}/annotations`)).json).toEqual([made.json]);
  });

  it('is for FHIR a document that appends the other, about the same patient, with a Web Annotation as its bytes', async () => {
    const document = await newDocument({ patient_id: 'p1', encounter_id: 'e1' });
    const { json } = await annotate(document);
    const resource = (await fhir.get(`DocumentReference/${json.id}`)).json;
    expect(resource).toMatchObject({
      status: 'current', subject: { reference: 'Patient/p1' }, author: [{ reference: 'Practitioner/demo' }], context: { encounter: [{ reference: 'Encounter/e1' }] },
      category: [{ coding: [{ code: 'annotation' }] }, { coding: [{ code: 'imaging' }] }], relatesTo: [{ code: 'appends', target: { reference: `DocumentReference/${document}` } }],
    });
    const bytes = await fhir.get(resource.content[0].attachment.url, { accept: '*/*' });
    expect(bytes.headers.get('content-type')).toBe('application/ld+json; profile="http://www.w3.org/ns/anno.jsonld"');
    expect(bytes.json).toMatchObject({ type: 'Annotation', target: { source: `${server.fhirBase}/DocumentReference/${document}` } });
  });

  it.each([
    ['a drawing', { type: 'drawing', content: { path: 'M0.1 0.1 L0.5 0.5', source_size: { width: 800, height: 600 } } }],
    ['a text', { type: 'text', content: { text: 'Grüße, 你好' } }],
    ['a highlight', { type: 'highlight', content: { text: 'see this', quote: 'no evidence of' }, page_number: 1 }],
  ])('may be %s', async (_what, body) => {
    expect((await annotate(await newDocument(), body)).json).toMatchObject(body);
  });

  it('is changed by PUT and PATCH under its ETag; who made it and when stays', async () => {
    const document = await newDocument();
    const { json: made } = await annotate(document);
    const path = `/${document}/annotations/${made.id}`;
    const other = await tokenFor({ user: 'Practitioner/second', roles: ['practitioner'] });
    const put = await send('PUT', path, { type: 'text', content: { text: 'Healed' } }, { 'if-match': 'W/"1"' }, other);
    expect([put.status, put.json]).toEqual([200, { id: made.id, document_id: document, type: 'text', content: { text: 'Healed' }, created_by: 'Practitioner/demo', created_at: made.created_at, updated_at: expect.any(String), version: 2 }]);
    expect((await send('PUT', path, MARKER, { 'if-match': 'W/"1"' })).status).toBe(412);
    const patched = await send('PATCH', path, { content: { quote: 'fracture' }, page_number: 4 }, { 'content-type': 'application/merge-patch+json', 'if-match': 'W/"2"' });
    expect([patched.status, patched.json]).toMatchObject([200, { type: 'text', content: { text: 'Healed', quote: 'fracture' }, page_number: 4, version: 3 }]);
    expect((await send('PATCH', path, { page_number: null })).json).not.toHaveProperty('page_number');
    expect((await documents.call(path)).json).toMatchObject({ version: 4, created_by: 'Practitioner/demo' });
    expect((await fhir.get(`DocumentReference/${made.id}/_history`)).json.total).toBe(4);
  });

  it('of what is on the way is not undone: of two changes at once both are there, or one is refused', async () => {
    const document = await newDocument();
    const { json } = await annotate(document);
    const path = `/${document}/annotations/${json.id}`;
    const answers = await Promise.all(Array.from({ length: 6 }, (_, at) => send('PATCH', path, { page_number: at + 10 })));
    const done = answers.filter(({ status }) => status === 200);
    expect(answers.every(({ status }) => status === 200 || status === 409)).toBe(true);
    expect((await documents.call(path)).json.version).toBe(1 + done.length);
  });

  it('is deleted, and gone from the list', async () => {
    const document = await newDocument();
    const { json } = await annotate(document);
    const path = `/${document}/annotations/${json.id}`;
    expect((await documents.call(path, { method: 'DELETE', token: await tokenFor({ roles: ['practitioner'] }) })).status).toBe(403);
    const gone = await documents.call(path, { method: 'DELETE' });
    expect([gone.status, gone.json]).toEqual([200, { success: true }]);
    expect((await documents.call(path)).status).toBe(410);
    expect((await documents.call(`/${document}/annotations`)).json).toEqual([]);
  });

  it('takes effect once under one Idempotency-Key', async () => {
    const document = await newDocument();
    const key = { 'idempotency-key': randomUUID() };
    const first = await send('POST', `/${document}/annotations`, MARKER, key);
    const again = await send('POST', `/${document}/annotations`, MARKER, key);
    expect([again.status, again.json]).toEqual([201, first.json]);
    expect((await documents.call(`/${document}/annotations`)).json).toHaveLength(1);
  });

  it('is recorded: a create of document and Binary, and reads that name it', async () => {
    const document = await newDocument();
    const [made, seen] = [randomUUID(), randomUUID()];
    const { json } = await send('POST', `/${document}/annotations`, MARKER, { 'x-request-id': made });
    await documents.call(`/${document}/annotations`, { headers: { 'x-request-id': seen } });
    const reference = `DocumentReference/${json.id}/_history/1`;
    expect((await fhir.auditOf(made)).map(({ action, entity }) => [action, JSON.stringify(entity).includes(reference)])).toEqual([['C', true]]);
    expect(JSON.stringify(await fhir.auditOf(seen))).toContain(reference);
  });
});

describe('annotations', () => {
  it('are listed page by page, of their document alone', async () => {
    const [document, neighbour] = [await newDocument(), await newDocument()];
    for (let at = 0; at < 5; at += 1) await annotate(document, { type: 'text', content: { text: `Note ${at}` } });
    await annotate(neighbour);
    const seen: string[] = [];
    let url: string | undefined = `/${document}/annotations?_count=2`;
    while (url !== undefined) {
      const page: Answer = await documents.call(url);
      seen.push(...page.json.map(({ content }: { content: { text: string } }) => content.text));
      url = /<([^>]+)>; rel="next"/.exec(page.headers.get('link') ?? '')?.[1];
    }
    expect(seen).toEqual([4, 3, 2, 1, 0].map((at) => `Note ${at}`));
    const [{ id }] = (await documents.call(`/${neighbour}/annotations`)).json;
    expect((await documents.call(`/${document}/annotations/${id}`)).status).toBe(404);
  });

  it('are no documents in the list of documents, with a patient and without', async () => {
    const patient = randomUUID();
    const document = await newDocument({ patient_id: patient });
    const { json } = await annotate(document);
    expect((await documents.call(`?patient_id=${patient}`)).json.map(({ id }: { id: string }) => id)).toEqual([document]);
    expect((await documents.call('?_count=1000')).json.map(({ id }: { id: string }) => id)).not.toContain(json.id);
  });

  it('stay with a document that was replaced', async () => {
    const document = await newDocument();
    const { json } = await annotate(document);
    const { id: _id, meta: _meta, ...old } = (await fhir.get(`DocumentReference/${document}`)).json;
    const newer = await fhir.post('DocumentReference', { ...old, relatesTo: [{ code: 'replaces', target: { reference: `DocumentReference/${document}` } }] });
    expect(newer.status).toBe(201);
    expect((await documents.call(`/${document}/annotations`)).json).toEqual([json]);
    expect((await documents.call(`/${newer.json.id}/annotations`)).json).toEqual([]);
  });

  it('follow their document: hidden with it from another patient, forbidden with its category', async () => {
    const document = await newDocument({ patient_id: 'p5', category: 'photo' });
    const { json } = await annotate(document);
    const stranger = await tokenFor({ scope: 'patient/*.cruds', patient: 'p6', user: 'Patient/p6', roles: [] });
    const billing = await tokenFor({ roles: ['billing'] });
    const own = await tokenFor({ scope: 'patient/*.cruds', patient: 'p5', user: 'Patient/p5', roles: [] });
    for (const path of [`/${document}/annotations`, `/${document}/annotations/${json.id}`]) {
      expect([path, (await documents.call(path, { token: stranger })).status, (await documents.call(path, { token: billing })).status, (await documents.call(path, { token: own })).status]).toEqual([path, 404, 403, 200]);
      expect((await documents.call(path, { token: await tokenFor({ org: 'other' }) })).status).toBe(404);
    }
    expect((await send('POST', `/${document}/annotations`, MARKER, {}, stranger)).status).toBe(404);
    expect((await send('PUT', `/${document}/annotations/${json.id}`, MARKER, {}, stranger)).status).toBe(404);
    expect((await send('POST', `/${document}/annotations`, MARKER, {}, billing)).status).toBe(403);
    expect((await send('POST', `/${document}/annotations`, MARKER, {}, own)).status).toBe(201);
  });

  it.each<[string, unknown, Record<string, string>, number, string]>([
    ['no JSON', undefined, {}, 400, 'malformed-json'],
    ['another type of body', MARKER, { 'content-type': 'text/plain' }, 415, 'media-type'],
    ['a type of its own', { ...MARKER, type: 'circle' }, {}, 422, 'code-invalid'],
    ['a place off the page', { type: 'marker', content: { coordinates: { x: 2, y: 0 } } }, {}, 400, 'invalid-value'],
    ['a body that is too long', { type: 'text', content: { text: 'x'.repeat(300_000) } }, {}, 413, 'too-long'],
  ])('with %s are refused and recorded', async (_what, body, headers, status, code) => {
    const document = await newDocument();
    const requestId = randomUUID();
    const answer = await send('POST', `/${document}/annotations`, body, { 'x-request-id': requestId, ...headers });
    expect([answer.status, answer.headers.get('content-type'), answer.json.code]).toEqual([status, 'application/problem+json', code]);
    expect((await fhir.auditOf(requestId)).map(({ outcome }) => outcome)).toEqual(['4']);
    expect((await documents.call(`/${document}/annotations`)).json).toEqual([]);
  });

  it('of a document that is not there are 404, of a deleted one 410, of an annotation 422', async () => {
    const document = await newDocument();
    const { json } = await annotate(document);
    expect((await annotate('nowhere')).status).toBe(404);
    expect((await annotate(json.id)).status).toBe(422);
    await documents.call(`/${document}`, { method: 'DELETE' });
    expect((await annotate(document)).status).toBe(410);
    expect((await documents.call(`/${document}/annotations`)).status).toBe(410);
  });
});
