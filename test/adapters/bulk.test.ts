// Bulk uploads over HTTP (seed 000; inventory row 13, C10): all or none with a report of each file, or each by itself.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { documentsClient, formOf, somePdf, type DocumentsClient, type SentFile } from '../support/documents-client.ts';
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

const pdfs = (count: number): SentFile[] => Array.from({ length: count }, (_, at) => ({ name: `page-${at}.pdf`, bytes: somePdf(), field: 'files' }));
const broken: SentFile = { name: 'program.pdf', bytes: Buffer.from('\x7fELF and more'), field: 'files' };
const bulk = (files: readonly SentFile[], fields: Record<string, string>, path = '/bulk', headers: Record<string, string> = {}): Promise<Answer> => documents.postForm(path, formOf(files, fields), headers);
const listed = async (patient: string): Promise<{ filename: string }[]> => (await documents.call(`?patient_id=${patient}&_count=1000`)).json;
const staged = (): Promise<unknown[]> => server.sql(`select id from content where state = 'staging'`);

describe('a bulk upload', () => {
  it('of five pages makes five documents, told one by one, with one event each beside its own', async () => {
    const patient = randomUUID();
    const requestId = randomUUID();
    const answer = await bulk(pdfs(5), { patient_id: patient, category: 'referral' }, '/bulk', { 'x-request-id': requestId });
    expect(answer.status).toBe(201);
    expect(answer.json).toMatchObject({ success: true, total: 5, succeeded: 5, failed: 0 });
    expect(answer.json.files.map(({ index, filename, status, category }: Record<string, unknown>) => [index, filename, status, category])).toEqual([0, 1, 2, 3, 4].map((at) => [at, `page-${at}.pdf`, 'succeeded', 'referral']));
    expect(await listed(patient)).toHaveLength(5);
    expect((await fhir.auditOf(requestId)).map(({ action }) => action).sort()).toEqual(['C', 'C', 'C', 'C', 'C', 'E']);
  });

  it('with one file that fails makes none, and says of each what became of it', async () => {
    const patient = randomUUID();
    const requestId = randomUUID();
    const [first, second] = pdfs(2) as [SentFile, SentFile];
    const answer = await bulk([first, broken, second], { patient_id: patient }, '/bulk', { 'x-request-id': requestId });
    expect([answer.status, answer.headers.get('content-type')]).toEqual([415, 'application/problem+json']);
    expect(answer.json).toMatchObject({ code: 'media-type', success: false, total: 3, succeeded: 0, failed: 1, allowedTypes: expect.arrayContaining(['application/pdf']) });
    expect(answer.json.files.map(({ status, code }: Record<string, unknown>) => [status, code])).toEqual([['rolled-back', undefined], ['failed', 'media-type'], ['rolled-back', undefined]]);
    expect(await listed(patient)).toEqual([]);
    expect(await staged()).toEqual([]);
    expect((await fhir.auditOf(requestId)).map(({ outcome }) => outcome)).toEqual(['4', '4', '4', '4']);
  });

  it('with mode=batch keeps what succeeded', async () => {
    const patient = randomUUID();
    const [first, second] = pdfs(2) as [SentFile, SentFile];
    const answer = await bulk([first, broken, second], { patient_id: patient }, '/bulk?mode=batch');
    expect(answer.status).toBe(200);
    expect(answer.json).toMatchObject({ success: false, total: 3, succeeded: 2, failed: 1, files: [{ status: 'succeeded' }, { status: 'failed', code: 'media-type' }, { status: 'succeeded' }] });
    expect(await listed(patient)).toHaveLength(2);
    expect(await staged()).toEqual([]);
  });

  it.each<[string, (objects: object[]) => string[]]>([['repeated', (objects) => objects.map((one) => JSON.stringify(one))], ['one array', (objects) => [JSON.stringify(objects)]]])('takes metadata for each file as %s field', async (_how, texts) => {
    const patient = randomUUID();
    const form = formOf(pdfs(2), { patient_id: patient });
    for (const text of texts([{ category: 'lab', title: 'One' }, { category: 'photo', title: 'Two' }])) form.append('metadata', text);
    const { json } = await documents.postForm('/bulk', form);
    expect(json.files).toMatchObject([{ category: 'lab', title: 'One', filename: 'page-0.pdf', patient_id: patient }, { category: 'photo', title: 'Two' }]);
  });

  it('leaves the rows that a single upload leaves', async () => {
    const bytes = somePdf();
    const patient = randomUUID();
    const single = await documents.postForm('', formOf([{ bytes, name: 'same.pdf' }], { patient_id: patient }));
    const many = await bulk([{ bytes, name: 'same.pdf', field: 'files' }], { patient_id: patient });
    const rows = await Promise.all([single.json.id, many.json.files[0].id].map(async (id: string) => {
      const { id: _id, meta: _meta, date: _date, content: [{ attachment: { url, ...attachment } }], ...rest } = (await fhir.get(`DocumentReference/${id}`)).json;
      const { json: binary } = await fhir.get(`Binary/${url.split('/').at(-1)}`, { accept: 'application/fhir+json' });
      const [content] = await server.sql(`select c.size, c.sha256, c.sha1, c.state, c.declared_type, c.sniffed_type from content c join resource r on r.content = c.id where r.id = $1`, [url.split('/').at(-1)]);
      return { rest, attachment, data: binary.data, contentType: binary.contentType, content };
    }));
    expect(rows[1]).toEqual(rows[0]);
  });

  it('with the same Idempotency-Key takes effect once, in both modes', async () => {
    for (const mode of ['transaction', 'batch']) {
      const patient = randomUUID();
      const files = pdfs(3);
      const key = { 'idempotency-key': randomUUID() };
      const first = await bulk(files, { patient_id: patient }, `/bulk?mode=${mode}`, key);
      const again = await bulk(files, { patient_id: patient }, `/bulk?mode=${mode}`, key);
      expect([again.status, again.headers.get('content-type'), again.json]).toEqual([first.status, 'application/json; charset=utf-8', first.json]);
      expect(await listed(patient)).toHaveLength(3);
      expect((await bulk(pdfs(3), { patient_id: patient }, `/bulk?mode=${mode}`, key)).status).toBe(422);
    }
  });

  it('of 100 files is one commit', async () => {
    const patient = randomUUID();
    const { json } = await bulk(pdfs(100), { patient_id: patient });
    expect(json).toMatchObject({ success: true, total: 100 });
    const ids = json.files.map(({ id }: { id: string }) => id);
    expect(await server.sql('select distinct xmin::text from resource where id = any($1)', [ids])).toHaveLength(1);
  });

  it('tells its progress by server-sent events to whoever asks, and the answer last', async () => {
    const answer = await bulk(pdfs(3), { patient_id: randomUUID() }, '/bulk', { accept: 'text/event-stream' });
    expect(answer.headers.get('content-type')).toBe('text/event-stream');
    const events = answer.text.trim().split('\n\n').map((event) => [/^event: (.*)$/m.exec(event)?.[1], JSON.parse(/^data: (.*)$/m.exec(event)?.[1] ?? '')]);
    expect(events.map(([name]) => name)).toEqual(['progress', 'progress', 'progress', 'result']);
    expect(events[0]?.[1]).toMatchObject({ filename: expect.stringMatching(/^page-/), status: 'received' });
    expect(events[3]?.[1]).toMatchObject({ success: true, total: 3 });
  });

  it('tells nothing before the record says that it is under way, and nothing at all where that cannot be recorded', async () => {
    const under = 'The request is under way, and how far it is is told';
    const requestId = randomUUID();
    const form = new Response(formOf([...pdfs(1), ...pdfs(1)], { patient_id: randomUUID() }));
    const whole = Buffer.from(await form.arrayBuffer());
    // The second file never comes: what is told until then was recorded already.
    const half = async function* (): AsyncGenerator<Buffer> { yield whole.subarray(0, whole.length - 100); await new Promise(() => { /* The client hangs. */ }); };
    const end = new AbortController();
    const response = await fetch(`${documents.base}/bulk`, {
      method: 'POST', body: half(), duplex: 'half', signal: end.signal,
      headers: { 'authorization': `Bearer ${await server.token()}`, 'content-type': form.headers.get('content-type') ?? '', 'accept': 'text/event-stream', 'x-request-id': requestId },
    } as unknown as RequestInit);
    const events = await fhir.auditOf(requestId);
    expect(events.map((event: { outcomeDesc?: string }) => event.outcomeDesc)).toEqual([under]);
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    end.abort();
    await server.sql('alter table access_event rename to access_event_away');
    try {
      const unrecorded = await bulk(pdfs(2), { patient_id: randomUUID() }, '/bulk', { accept: 'text/event-stream' });
      expect(unrecorded.text).not.toContain('event: progress');
      expect(unrecorded.status).toBe(503);
    } finally {
      await server.sql('alter table access_event_away rename to access_event');
    }
  });

  it('that fails tells so as the last event; one that never began is an ordinary problem', async () => {
    const failed = await bulk([...pdfs(1), broken], { patient_id: randomUUID() }, '/bulk', { accept: 'text/event-stream' });
    expect(JSON.parse(/event: error\ndata: (.*)\n\n$/.exec(failed.text)?.[1] ?? '{}')).toMatchObject({ status: 415, code: 'media-type', files: [{ status: 'rolled-back' }, { status: 'failed' }] });
    const refused = await documents.call('/bulk', { method: 'POST', token: null, headers: { accept: 'text/event-stream' } });
    expect([refused.status, refused.headers.get('content-type')]).toEqual([401, 'application/problem+json']);
  });

  it.each<[string, () => SentFile[], Record<string, string>, string, number, string]>([
    ['501 files', () => pdfs(501), { patient_id: 'p' }, '', 413, 'too-many-entries'],
    ['no files', () => [], { patient_id: 'p' }, '', 400, 'malformed-form'],
    ['files in another field', () => [{ bytes: somePdf(), field: 'file' }], { patient_id: 'p' }, '', 400, 'malformed-form'],
    ['metadata for more files than there are', () => pdfs(2), { metadata: '[{},{},{}]' }, '', 400, 'malformed-form'],
    ['metadata that is no object', () => pdfs(1), { metadata: '[1]' }, '', 400, 'malformed-form'],
    ['no patient', () => pdfs(2), {}, '', 400, 'malformed-form'],
    ['another mode', () => pdfs(1), { patient_id: 'p' }, '?mode=some', 400, 'invalid-parameter'],
  ])('with %s is refused, recorded, and leaves nothing', async (_what, files, fields, query, status, code) => {
    const requestId = randomUUID();
    const answer = await bulk(files(), fields, `/bulk${query}`, { 'x-request-id': requestId });
    expect([answer.status, answer.json.code]).toEqual([status, code]);
    expect((await fhir.auditOf(requestId)).length).toBeGreaterThan(0);
    expect(await staged()).toEqual([]);
  });

  it('needs the right to create documents, and a patient\'s token files for that patient alone', async () => {
    const as = async (options: Parameters<TestMuniment['token']>[0]): Promise<DocumentsClient> => documentsClient(fhirClient(server.fhirBase, await server.token(options)));
    expect((await (await as({ scope: 'user/*.rs' })).postForm('/bulk', formOf(pdfs(1), { patient_id: 'p' }))).status).toBe(403);
    const mixed = formOf(pdfs(2));
    mixed.append('metadata', JSON.stringify([{ patient_id: 'me' }, { patient_id: 'other' }]));
    const own = await as({ scope: 'patient/*.cruds', patient: 'me', user: 'Patient/me', roles: [] });
    const refused = await own.postForm('/bulk', mixed);
    expect([refused.status, refused.json.files.map(({ status }: { status: string }) => status)]).toEqual([403, ['rolled-back', 'failed']]);
    expect(await listed('me')).toEqual([]);
  });
});
