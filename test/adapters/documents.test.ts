// The customer's documents API over HTTP (seeds 000 and 004; inventory rows 5 to 10, 14, 90 to 96).
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { rename } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
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

const upload = (fields: Record<string, string | undefined>, bytes: Buffer = somePdf(), name = 'scan.pdf'): Promise<Answer> => documents.postForm('', formOf([{ bytes, name }], fields));
const problemOf = ({ status, headers, json }: Answer): unknown => ({ status, type: headers.get('content-type'), code: json.code });
const contentRows = (): Promise<{ state: string }[]> => server.sql(`select state from content where state = 'staging'`);

describe('an upload', () => {
  it('of /documents/upload answers the five fields of the proof of concept', async () => {
    const bytes = somePdf();
    const answer = await documents.postForm('/upload', formOf([{ bytes, name: 'letter.pdf' }], { patient_id: 'p1' }));
    expect(answer.status).toBe(201);
    expect(answer.json).toEqual({ id: expect.any(String), filename: 'letter.pdf', size: bytes.length, upload_date: expect.stringMatching(/^\d{4}-/), patient_id: 'p1' });
    expect(answer.headers.get('location')).toBe(`${documents.base}/${answer.json.id}`);
  });

  it('of /documents answers the document with all its fields, which FHIR shows as its elements', async () => {
    const bytes = somePdf();
    const { json, status } = await upload({ patient_id: 'p2', encounter_id: 'e2', title: 'Blood count', category: 'lab' }, bytes, 'lab.pdf');
    expect(status).toBe(201);
    const resource = (await fhir.get(`DocumentReference/${json.id}`)).json;
    expect(json).toEqual({
      id: resource.id, patient_id: 'p2', encounter_id: 'e2', title: 'Blood count', category: 'lab', content_type: 'application/pdf', url: resource.content[0].attachment.url,
      file_size: bytes.length, thumbnail_url: null, filename: 'lab.pdf', size: bytes.length, upload_date: resource.date, signed_url: expect.any(String), expires_at: expect.any(String),
    });
    expect(resource).toMatchObject({
      status: 'current', subject: { reference: 'Patient/p2' }, context: { encounter: [{ reference: 'Encounter/e2' }] }, author: [{ reference: 'Practitioner/demo' }],
      category: [{ coding: [{ system: 'https://muniment.example/fhir/CodeSystem/document-category', code: 'lab' }] }],
      content: [{ attachment: { title: 'Blood count', size: bytes.length } }],
    });
    const { signed_url: _url, expires_at: _end, ...shown } = json;
    expect((await documents.call(`/${json.id}`)).json).toEqual(shown);
  });

  it('of /documents answers a signed URL of an hour, which opens the bytes and stands in the record of the upload; null for who may not lend', async () => {
    const [bytes, requestId] = [somePdf(), randomUUID()];
    const { json } = await documents.postForm('', formOf([{ bytes }], { patient_id: 'p-lent' }), { 'x-request-id': requestId });
    const minutes = (Date.parse(json.expires_at) - Date.now()) / 60_000;
    expect([minutes > 58, minutes <= 60]).toEqual([true, true]);
    const opened = await fhir.call(json.signed_url, { token: null });
    expect([opened.status, opened.bytes.equals(bytes)]).toEqual([200, true]);
    const grants = (await fhir.get('$grants')).json.parameter as { part: { name: string; valueId?: string }[] }[];
    const ids = grants.flatMap(({ part }) => part.flatMap(({ name, valueId }) => (name === 'grant' && valueId !== undefined ? [valueId] : [])));
    const [event, ...others] = await fhir.auditOf(requestId);
    expect([others, ids.some((id) => JSON.stringify(event.entity).includes(`urn:uuid:${id}`))]).toEqual([[], true]);
    const writer = documentsClient(fhirClient(server.fhirBase, await server.token({ scope: 'user/DocumentReference.c user/Binary.c' })));
    const blind = await writer.postForm('', formOf([{ bytes: somePdf() }], { patient_id: 'p-lent' }));
    expect([blind.status, blind.json.signed_url, blind.json.expires_at]).toEqual([201, null, null]);
  });

  it('takes the fields behind the file as well, and in metadata as JSON', async () => {
    const form = formOf([{ bytes: somePdf() }]);
    form.append('metadata', JSON.stringify({ patient_id: 'p3', category: 'referral' }));
    expect((await documents.postForm('', form)).json).toMatchObject({ patient_id: 'p3', category: 'referral' });
  });

  it('is recorded as one create with its Provenance, which names document and Binary', async () => {
    const requestId = randomUUID();
    const { json } = await documents.postForm('', formOf([{ bytes: somePdf() }], { patient_id: 'p4' }), { 'x-request-id': requestId });
    const events = await fhir.auditOf(requestId);
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({ action: 'C', outcome: '0' });
    expect(JSON.stringify(events[0].entity)).toContain(`DocumentReference/${json.id}/_history/1`);
    expect((await fhir.get(`Provenance?target=DocumentReference/${json.id}`)).json.entry[0].resource.target).toHaveLength(2);
  });

  it('with the same Idempotency-Key takes effect once, whatever boundary the form has; another form is 422', async () => {
    const key = { 'idempotency-key': randomUUID() };
    const [bytes, patient] = [somePdf(), randomUUID()];
    const first = await documents.postForm('', formOf([{ bytes }], { patient_id: patient }), key);
    const again = await documents.postForm('', formOf([{ bytes }], { patient_id: patient }), key);
    expect([again.status, again.json]).toEqual([201, first.json]);
    expect((await documents.call(`?patient_id=${patient}`)).json).toHaveLength(1);
    expect(problemOf(await documents.postForm('', formOf([{ bytes: somePdf() }], { patient_id: patient }), key))).toMatchObject({ status: 422, code: 'idempotency-mismatch' });
  });

  it('of 40 MiB streams through, and comes back byte for byte', async () => {
    const bytes = Buffer.alloc(40 * 1024 * 1024, randomUUID());
    bytes.write('%PDF-1.4\n');
    const { json, status } = await upload({ patient_id: 'p5' }, bytes);
    expect(status).toBe(201);
    const back = await documents.call(`/${json.id}/download`);
    expect(back.bytes.equals(bytes)).toBe(true);
  });
});

describe('five ways in', () => {
  it('leave identical rows: raw Binary and document, inline data, /documents, /documents/upload', async () => {
    const bytes = somePdf();
    const patient = randomUUID();
    const base = {
      resourceType: 'DocumentReference', status: 'current', category: [{ coding: [{ system: 'https://muniment.example/fhir/CodeSystem/document-category', code: 'other' }] }],
      subject: { reference: `Patient/${patient}` }, date: '2026-01-01T00:00:00.000Z', author: [{ reference: 'Practitioner/demo' }],
    };
    const attachment = { contentType: 'application/pdf', title: 'same.pdf' };
    const binary = await fhir.post('Binary', bytes, { 'content-type': 'application/pdf' });
    const raw = await fhir.post('DocumentReference', { ...base, content: [{ attachment: { ...attachment, url: `Binary/${binary.json.id}` } }] });
    const inline = await fhir.post('DocumentReference', { ...base, content: [{ attachment: { ...attachment, data: bytes.toString('base64') } }] });
    const posted = await upload({ patient_id: patient }, bytes, 'same.pdf');
    const put = await documents.postForm('/upload', formOf([{ bytes, name: 'same.pdf' }], { patient_id: patient }));
    const rows = await Promise.all([raw, inline, posted, put].map(async ({ json }) => rowsOf(json.id)));
    for (const row of rows.slice(1)) expect(row).toEqual(rows[0]);
  });

  /** All that is kept of a document, without what is new each time: ids, instants, keys. */
  async function rowsOf(id: string): Promise<unknown> {
    const [document] = await server.sql<Record<string, unknown>>('select * from resource where id = $1', [id]);
    const [use] = await server.sql<{ binary: string }>('select "binary" from attachment_use where id = $1', [id]);
    const [binary] = await server.sql<Record<string, unknown>>('select * from resource where id = $1', [use?.binary]);
    const [content] = await server.sql<Record<string, unknown>>('select * from content where id = $1', [binary?.['content']]);
    const tokens = await server.sql<{ hash: string }>('select param, hash from search_token where id = $1 order by param, hash', [id]);
    expect(tokens.length).toBeGreaterThan(2);
    const plain = (row: Record<string, unknown> | undefined): unknown => JSON.parse(JSON.stringify(row ?? {}).replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'id').replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'instant'));
    const { id: _row, key: _key, event: _event, store_version: _version, ...kept } = content ?? {};
    return { document: plain({ ...document, event: undefined, date_lo: undefined, date_hi: undefined }), binary: plain({ ...binary, event: undefined }), content: plain(kept), tokens };
  }
});

describe('the list', () => {
  let patient: string;
  beforeAll(async () => {
    patient = randomUUID();
    for (const [category, encounter] of [['lab', 'e1'], ['photo', 'e1'], ['lab', 'e2'], ['insurance', undefined], [undefined, undefined]] as const) {
      expect((await upload({ patient_id: patient, category, encounter_id: encounter })).status).toBe(201);
    }
  });
  const listed = async (query: string): Promise<Answer> => documents.call(`?patient_id=${patient}${query}`);

  it('is an array of metadata, newest first, for one patient', async () => {
    const { json, headers } = await listed('');
    expect(json.map((one: { category: string }) => one.category)).toEqual(['other', 'insurance', 'lab', 'photo', 'lab']);
    expect(headers.get('link')).toBeNull();
    expect(JSON.stringify(json)).not.toMatch(/"(storage|key|path|bucket)/);
  });

  it('is answered while the store is away, for it is about what is said of the bytes', async () => {
    const [folder, away] = [join(server.dataDir, 'content'), join(server.dataDir, 'away')];
    await rename(folder, away);
    try {
      const { status, json } = await listed('');
      expect([status, json.length]).toEqual([200, 5]);
      expect((await documents.call(`/${json[0].id}`)).status).toBe(200);
      expect((await documents.call(`/${json[0].id}/download`)).status).toBeGreaterThanOrEqual(500);
    } finally {
      await rename(away, folder);
    }
  });

  it.each([['&category=lab', 2], ['&encounter_id=e1', 2], ['&category=lab&encounter_id=e1', 1], ['&date=ge2020-01-01', 5], ['&date=le2020-01-01', 0], ['&date=ge2020&date=le2999', 5], ['&category=other', 1]])('with %s has %d', async (query, count) => {
    expect((await listed(query)).json).toHaveLength(count);
  });

  it('is read to its end by its next links', async () => {
    const seen: string[] = [];
    let url: string | undefined = `?patient_id=${patient}&_count=2`;
    for (let page = 0; url !== undefined && page < 5; page += 1) {
      const answer: Answer = await documents.call(url);
      seen.push(...answer.json.map((one: { id: string }) => one.id));
      url = /<([^>]+)>; rel="next"/.exec(answer.headers.get('link') ?? '')?.[1];
    }
    expect(new Set(seen).size).toBe(5);
    expect(seen).toHaveLength(5);
  });

  it('refuses a filter that is not offered, rather than answering another question', async () => {
    expect(problemOf(await listed('&patientid=1'))).toEqual({ status: 400, type: 'application/problem+json', code: 'invalid-parameter' });
  });

  it('of billing has insurance alone, of another organisation nothing', async () => {
    const as = async (options: Parameters<TestMuniment['token']>[0]): Promise<unknown[]> => (await documents.call(`?patient_id=${patient}`, { token: await server.token(options) })).json;
    expect(await as({ roles: ['billing'] })).toEqual([expect.objectContaining({ category: 'insurance' })]);
    expect(await as({ org: 'other' })).toEqual([]);
  });
});

describe('one document', () => {
  it('is downloaded whole, by range and by its ETag, under its name', async () => {
    const bytes = somePdf();
    const { json } = await upload({ patient_id: 'p6' }, bytes, 'Röntgen.pdf');
    const whole = await documents.call(`/${json.id}/download`, { headers: { accept: 'text/html' } });
    expect(whole.bytes.equals(bytes)).toBe(true);
    expect(whole.headers.get('content-disposition')).toBe('attachment; filename="Rontgen.pdf"; filename*=UTF-8\'\'R%C3%B6ntgen.pdf');
    const part = await documents.call(`/${json.id}/download`, { headers: { range: 'bytes=0-3' } });
    expect([part.status, part.text]).toEqual([206, '%PDF']);
    expect((await documents.call(`/${json.id}/download`, { headers: { 'if-none-match': whole.headers.get('etag') ?? '' } })).status).toBe(304);
  });

  it('is deleted softly: 410 afterwards, its history stays', async () => {
    const { json } = await upload({ patient_id: 'p7' });
    const gone = await documents.call(`/${json.id}`, { method: 'DELETE' });
    expect([gone.status, gone.json]).toEqual([200, { success: true }]);
    for (const [method, path] of [['GET', ''], ['GET', '/download'], ['DELETE', '']] as const) expect(problemOf(await documents.call(`/${json.id}${path}`, { method }))).toMatchObject({ status: 410, code: 'deleted' });
    expect((await fhir.get(`DocumentReference/${json.id}/_history/1`)).status).toBe(200);
  });

  it.each([['GET', ''], ['GET', '/download'], ['DELETE', '']])('%s of %s that is not known, or another organisation has, is 404', async (method, path) => {
    const { json } = await upload({ patient_id: 'p8' });
    expect(problemOf(await documents.call(`/unknown${path}`, { method }))).toMatchObject({ status: 404, code: 'not-found' });
    expect((await documents.call(`/${json.id}${path}`, { method, token: await server.token({ org: 'other' }) })).status).toBe(404);
  });

  it('is deleted by administrators alone, and hidden from another patient\'s token', async () => {
    const { json } = await upload({ patient_id: 'p9' });
    expect(problemOf(await documents.call(`/${json.id}`, { method: 'DELETE', token: await server.token({ roles: ['practitioner'] }) }))).toMatchObject({ status: 403, code: 'forbidden' });
    const token = await server.token({ scope: 'patient/*.cruds', patient: 'somebody-else', user: 'Patient/somebody-else', roles: [] });
    for (const path of ['', '/download']) expect((await documents.call(`/${json.id}${path}`, { token })).status).toBe(404);
  });

  it('is not uploaded for another patient, nor into a category that the role may not write', async () => {
    const token = await server.token({ scope: 'patient/*.cruds', patient: 'me', user: 'Patient/me', roles: [] });
    const own = documentsClient(fhirClient(server.fhirBase, token));
    expect((await own.postForm('', formOf([{ bytes: somePdf() }], { patient_id: 'me' }))).status).toBe(201);
    expect((await own.postForm('', formOf([{ bytes: somePdf() }], { patient_id: 'p9' }))).status).toBe(403);
    expect(await contentRows()).toEqual([]);
  });
});

describe('bad input', () => {
  const part = (head: string, body: string): string => `--b\r\nContent-Disposition: form-data; ${head}\r\n\r\n${body}\r\n`;
  const file = `--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\nhello\r\n`;
  const patient = part('name="patient_id"', 'bad');
  const fields = (count: number): string => Array.from({ length: count }, (_, at) => part(`name="f${at}"`, 'x')).join('');

  it.each<[string, string, string, number, string]>([
    ['no form at all', 'application/json', '{}', 415, 'media-type'],
    ['a form without a boundary', 'multipart/form-data', '{}', 400, 'malformed-form'],
    ['another boundary than announced', 'multipart/form-data; boundary=other', `${patient}${file}--b--\r\n`, 400, 'malformed-form'],
    ['a form that ends within its file', 'multipart/form-data; boundary=b', `${patient}${file.slice(0, -4)}`, 400, 'malformed-form'],
    ['a part whose header is broken', 'multipart/form-data; boundary=b', `--b\r\n: : :\r\n\r\nx\r\n--b--\r\n`, 400, 'malformed-form'],
    ['an empty body', 'multipart/form-data; boundary=b', '', 400, 'malformed-form'],
    ['10,000 fields', 'multipart/form-data; boundary=b', `${fields(10_000)}${file}--b--\r\n`, 413, 'too-many-entries'],
    ['a field that is too long', 'multipart/form-data; boundary=b', `${part('name="patient_id"', 'x'.repeat(100_000))}${file}--b--\r\n`, 413, 'too-long'],
    ['two files', 'multipart/form-data; boundary=b', `${patient}${file}${file}--b--\r\n`, 413, 'too-many-entries'],
    ['no file', 'multipart/form-data; boundary=b', `${patient}--b--\r\n`, 400, 'malformed-form'],
    ['a file in another field', 'multipart/form-data; boundary=b', `${patient}${file.replace('"file"', '"attachment"')}--b--\r\n`, 400, 'malformed-form'],
    ['no patient', 'multipart/form-data; boundary=b', `${file}--b--\r\n`, 400, 'malformed-form'],
    ['a field twice', 'multipart/form-data; boundary=b', `${patient}${patient}${file}--b--\r\n`, 400, 'malformed-form'],
    ['a patient that is no id', 'multipart/form-data; boundary=b', `${part('name="patient_id"', '../x')}${file}--b--\r\n`, 400, 'malformed-form'],
    ['a category of its own', 'multipart/form-data; boundary=b', `${patient}${part('name="category"', 'annotation')}${file}--b--\r\n`, 422, 'code-invalid'],
    ['a title with control characters', 'multipart/form-data; boundary=b', `${patient}${part('name="title"', 'a\u0007b')}${file}--b--\r\n`, 400, 'malformed-form'],
    ['a name with control characters', 'multipart/form-data; boundary=b', `${patient}${file.replace('a.txt', 'a\u0001.txt')}--b--\r\n`, 400, 'malformed-form'],
    ['metadata that is no JSON', 'multipart/form-data; boundary=b', `${part('name="metadata"', '{')}${file}--b--\r\n`, 400, 'malformed-form'],
    ['a type that is not allowed', 'multipart/form-data; boundary=b', `${patient}${file.replace('text/plain', 'application/x-msdownload')}--b--\r\n`, 415, 'media-type'],
    ['bytes of another type', 'multipart/form-data; boundary=b', `${patient}${file.replace('text/plain', 'image/png').replace('hello', '%PDF-1.4 hello')}--b--\r\n`, 415, 'media-type'],
  ])('%s is refused, recorded, and leaves nothing', async (_what, contentType, body, status, code) => {
    const requestId = randomUUID();
    const [before] = await server.sql<{ count: string }>('select count(*) from resource');
    const answer = await documents.postRaw('', contentType, body, { 'x-request-id': requestId });
    expect(problemOf(answer)).toEqual({ status, type: 'application/problem+json', code });
    expect(answer.json.detail).toEqual(expect.stringMatching(/./));
    if (status === 415) expect(answer.json.allowedTypes).toEqual(expect.arrayContaining([expect.any(String)]));
    expect((await fhir.auditOf(requestId)).map(({ outcome }) => outcome)).toEqual(['4']);
    expect(await server.sql('select count(*) from resource')).toEqual([before]);
    expect(await contentRows()).toEqual([]);
  });

  it.each([['../../etc/passwd.txt', 'passwd.txt'], ['C:\\\\scans\\\\a.txt', 'a.txt'], ['ab\u202Etxt.exe.txt', 'abtxt.exe.txt'], ['über.txt', 'über.txt']])('the name %j becomes %j', async (sent, shown) => {
    const { json, status } = await documents.postRaw('', 'multipart/form-data; boundary=b', `${patient}${file.replace('a.txt', sent)}--b--\r\n`);
    expect([status, json.filename]).toEqual([201, shown]);
  });

  it('of a client that leaves in the middle of its file is recorded, and leaves nothing', async () => {
    const requestId = randomUUID();
    const { port, hostname } = new URL(documents.base);
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    const body = `${patient}${file.slice(0, -2)}${'x'.repeat(10_000)}`;
    socket.write(`POST /documents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${await server.token()}\r\nX-Request-Id: ${requestId}\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: ${body.length + 5_000}\r\n\r\n${body}`);
    await setTimeout(200);
    socket.destroy();
    await setTimeout(300);
    const [event] = await fhir.auditOf(requestId);
    expect(event).toMatchObject({ outcome: '4', outcomeDesc: 'The client ended the transfer before the body was complete' });
    expect(await contentRows()).toEqual([]);
  });

  it('without a token is 401, and with one that may not write 403, as problem documents', async () => {
    expect(problemOf(await documents.call('', { method: 'POST', token: null }))).toEqual({ status: 401, type: 'application/problem+json', code: 'login-required' });
    expect(problemOf(await documents.call('', { method: 'POST', token: await server.token({ scope: 'user/*.rs' }) }))).toMatchObject({ status: 403, code: 'forbidden' });
  });
});
