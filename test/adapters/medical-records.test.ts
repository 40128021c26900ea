// Medical records with drawings over HTTP: drafts, the final word, and the document that stands for each.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash, randomUUID } from 'node:crypto';
import { fhirClient, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment, type TokenOptions } from '../support/start-muniment.ts';

let server: TestMuniment;
let admin: FhirClient;
let root: string;
const as = async (options: TokenOptions): Promise<FhirClient> => fhirClient(server.fhirBase, await server.token(options));

beforeAll(async () => {
  server = await startMuniment();
  admin = await as({});
  root = server.fhirBase.replace(/\/fhir$/, '');
});
afterAll(() => server.stop());

const RECORDS = '/api/medical-records';
const send = (client: FhirClient, method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> =>
  client.call(`${root}${path}`, { method, ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }), headers: { 'content-type': 'application/json', ...headers } });

const drawing = (): Record<string, unknown> => ({
  lines: [{ tool: 'pen', points: [100, 200, 150, 250], color: '#000000', strokeWidth: 3 }],
  shapes: [{ id: 'shape-1', type: 'circle', x: 100, y: 100, radius: 50, color: '#FF0000', strokeWidth: 2 }],
  stageSize: { width: 800, height: 600 },
});
const form = { chief_complaint: 'Knee pain', vital_signs: { bp: '120/80', pulse: '72' }, notes: '' };
const record = (more: Record<string, unknown> = {}): Record<string, unknown> => ({ appointment_id: 123, template_id: 45, patient_id: `p-${randomUUID()}`, drawing_data: drawing(), form_data: form, ...more });

async function made(body = record(), client = admin): Promise<Answer> {
  const answer = await send(client, 'POST', RECORDS, body);
  expect(answer.status).toBe(201);
  return answer;
}

describe('a medical record', () => {
  it('is made as a draft, read again, and stands as a preliminary DocumentReference about the appointment', async () => {
    const patient = `p-${randomUUID()}`;
    const body = record({ patient_id: patient });
    const { json, headers } = await made(body);
    expect(headers.get('location')).toBe(`${RECORDS}/${json.id}`);
    expect(json).toMatchObject({ id: expect.any(Number), appointment_id: 123, template_id: 45, status: 'draft', drawing_data: body['drawing_data'], form_data: form, background_file: null, attachment_files: [], created_by_user_id: 'Practitioner/demo' });
    const read = await send(admin, 'GET', `${RECORDS}/${json.id}`);
    expect([read.status, read.headers.get('etag')]).toEqual([200, '"1"']);
    expect(read.json).toEqual(json);
    const document = await admin.get(json.document_reference);
    expect(document.json).toMatchObject({ docStatus: 'preliminary', subject: { reference: `Patient/${patient}` }, identifier: [{ system: 'urn:muniment:medical-record', value: String(json.id) }], context: { related: [{ reference: 'Appointment/123' }] } });
    const found = await admin.get(`DocumentReference?related=Appointment/123&patient=${patient}`);
    expect(found.json.total).toBe(1);
  });

  it('takes autosaves as merge patches that make no version but leave an AuditEvent each', async () => {
    const { json } = await made();
    const requestId = randomUUID();
    const patched = await send(admin, 'PATCH', `${RECORDS}/${json.id}/draft`, { form_data: { chief_complaint: null, assessment: 'Tendinitis' } }, { 'x-request-id': requestId, 'if-match': '"1"' });
    expect([patched.status, patched.headers.get('etag')]).toEqual([200, '"2"']);
    expect(patched.json.form_data).toEqual({ vital_signs: { bp: '120/80', pulse: '72' }, notes: '', assessment: 'Tendinitis' });
    expect(patched.json.drawing_data).toEqual(json.drawing_data);
    expect((await admin.get(json.document_reference)).json.meta.versionId).toBe('1');
    const [event, ...others] = await admin.auditOf(requestId);
    expect(others).toEqual([]);
    expect(event).toMatchObject({ action: 'U', outcome: '0' });
    expect(event.entity.map(({ what }: { what?: { reference?: string } }) => what?.reference)).toContain(`${json.document_reference}/_history/1`);
    expect((await send(admin, 'PATCH', `${RECORDS}/${json.id}/draft`, { form_data: {} }, { 'if-match': '"1"' })).status).toBe(412);
  });

  it('loses none of many autosaves at once', async () => {
    const { json } = await made();
    const answers = await Promise.all(Array.from({ length: 12 }, (_, at) => send(admin, 'PATCH', `${RECORDS}/${json.id}/draft`, { form_data: { [`field_${at}`]: at } })));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    const { json: last, headers } = await send(admin, 'GET', `${RECORDS}/${json.id}`);
    expect(Object.keys(last.form_data).filter((name) => name.startsWith('field_'))).toHaveLength(12);
    expect(headers.get('etag')).toBe('"13"');
  });

  it('is final once: the drawing and the form are Binaries under their SHA-256, and nothing changes any more', async () => {
    const { json } = await made();
    await send(admin, 'PATCH', `${RECORDS}/${json.id}/draft`, { form_data: { chief_complaint: 'Better' } });
    const final = await send(admin, 'POST', `${RECORDS}/${json.id}/finalise`);
    expect([final.status, final.json.status]).toEqual([200, 'final']);
    const { json: document } = await admin.get(json.document_reference);
    expect(document).toMatchObject({ docStatus: 'final', meta: { versionId: '2' } });
    const [first, second] = document.content.map(({ attachment }: { attachment: { url: string } }) => attachment);
    const bytes = (await admin.get(first.url, { accept: '*/*' })).bytes;
    expect(JSON.parse(bytes.toString())).toEqual(json.drawing_data);
    const sha256 = createHash('sha256').update(bytes).digest();
    expect(['base64', 'hex'].some((form) => JSON.stringify(first).includes(sha256.toString(form as 'hex')))).toBe(true);
    expect(JSON.parse((await admin.get(second.url, { accept: '*/*' })).text)).toMatchObject({
      resourceType: 'QuestionnaireResponse', status: 'completed', questionnaire: expect.stringMatching(/\/Questionnaire\/45$/),
      item: expect.arrayContaining([
        { linkId: 'chief_complaint', text: 'chief_complaint', answer: [{ valueString: 'Better' }] },
        { linkId: 'vital_signs', text: 'vital_signs', item: expect.arrayContaining([{ linkId: 'vital_signs.bp', text: 'bp', answer: [{ valueString: '120/80' }] }]) },
      ]),
    });
    expect((await send(admin, 'PATCH', `${RECORDS}/${json.id}/draft`, { form_data: {} })).status).toBe(409);
    const again = await send(admin, 'POST', `${RECORDS}/${json.id}/finalise`);
    expect([again.status, again.json]).toEqual([200, final.json]);
    expect((await admin.get(json.document_reference)).json.meta.versionId).toBe('2');
  });

  it('is listed by the shapes that it holds, by appointment and by patient, page by page', async () => {
    const patient = `p-${randomUUID()}`;
    const ids: number[] = [];
    for (const type of ['circle', 'text', 'circle', 'circle']) {
      const shape = type === 'text' ? { id: 's', type, x: 1, y: 1, text: 'Hello' } : { id: 's', type, x: 1, y: 1, radius: 2 };
      ids.push((await made(record({ patient_id: patient, drawing_data: { ...drawing(), shapes: [shape] } }))).json.id);
    }
    const idsOf = ({ json }: Answer): number[] => json.medical_records.map(({ id }: { id: number }) => id);
    expect(idsOf(await send(admin, 'GET', `${RECORDS}?patient_id=${patient}&shape-type=circle`))).toEqual([ids[3], ids[2], ids[0]]);
    const first = await send(admin, 'GET', `${RECORDS}?patient_id=${patient}&_count=3`);
    expect(idsOf(first)).toEqual([ids[3], ids[2], ids[1]]);
    const second = await send(admin, 'GET', first.json.next);
    expect([idsOf(second), second.json.next]).toEqual([[ids[0]], null]);
    for (const query of ['shape-type=star', 'before=x', '_count=0', 'colour=red']) expect((await send(admin, 'GET', `${RECORDS}?${query}`)).status).toBe(400);
  });

  it('answers the queries of its own tables as they are written', async () => {
    const { json } = await made();
    const rows = await server.sql<{ id: string }>(`SELECT * FROM medical_records WHERE drawing_data->'shapes' @> '[{"type": "circle"}]'`);
    expect(rows.map(({ id }) => Number(id))).toContain(json.id);
    expect(Object.keys(rows[0] ?? {})).toEqual(['id', 'appointment_id', 'template_id', 'drawing_data', 'form_data', 'created_by_user_id', 'updated_by_user_id', 'created_at', 'updated_at']);
  });
});

describe('who may have a medical record', () => {
  it('is judged by its document: another patient is 404, another category 403, another organisation 404, without a token 401', async () => {
    const { json } = await made(record({ patient_id: 'p1' }));
    const path = `${RECORDS}/${json.id}`;
    const ofP2 = await as({ scope: 'patient/*.cruds', patient: 'p2' });
    expect((await send(ofP2, 'GET', path)).status).toBe(404);
    expect((await send(ofP2, 'PATCH', `${path}/draft`, { form_data: {} })).status).toBe(404);
    expect((await send(ofP2, 'POST', `${path}/finalise`)).status).toBe(404);
    expect((await send(ofP2, 'GET', `${RECORDS}?patient_id=p1`)).json.medical_records).toEqual([]);
    expect((await send(await as({ roles: ['billing'] }), 'GET', path)).status).toBe(403);
    expect((await send(await as({ roles: ['read-only'] }), 'POST', RECORDS, record())).status).toBe(403);
    expect((await send(await as({ org: 'elsewhere' }), 'GET', path)).status).toBe(404);
    const anonymous = await admin.call(`${root}${path}`, { token: null });
    expect([anonymous.status, anonymous.headers.get('content-type'), anonymous.json.code]).toEqual([401, 'application/problem+json', 'login-required']);
    expect(anonymous.headers.get('www-authenticate')).toContain('Bearer');
  });

  it('of a launch belongs to the patient of the launch where it names none, and may name no other', async () => {
    const ofP3 = await as({ scope: 'patient/*.cruds', patient: 'p3' });
    const { patient_id: _none, ...body } = record();
    expect((await made(body, ofP3)).json.patient_id).toBe('p3');
    expect((await send(ofP3, 'POST', RECORDS, record({ patient_id: 'p4' }))).status).toBe(403);
  });
});

describe('a body that is wrong', () => {
  const shapeOf = (shape: object): Record<string, unknown> => ({ drawing_data: { ...drawing(), shapes: [shape] } });
  it.each([
    ['without an appointment', { appointment_id: undefined }, 'appointment_id'],
    ['with a member that is not known', { colour: 'red' }, 'colour'],
    ['with a tool that is none', { drawing_data: { lines: [{ tool: 'brush', points: [1, 2], color: '#000000', strokeWidth: 1 }] } }, 'drawing_data.lines[0].tool'],
    ['with half a point', { drawing_data: { lines: [{ tool: 'pen', points: [1, 2, 3], color: '#000000', strokeWidth: 1 }] } }, 'drawing_data.lines[0].points'],
    ['with a colour that is none', { drawing_data: { lines: [{ tool: 'pen', points: [1, 2], color: 'red', strokeWidth: 1 }] } }, 'drawing_data.lines[0].color'],
    ['with a circle without its radius', shapeOf({ id: 'a', type: 'circle', x: 1, y: 1 }), 'drawing_data.shapes[0].radius'],
    ['with a shape that is none', shapeOf({ id: 'a', type: 'star', x: 1, y: 1 }), 'drawing_data.shapes[0].type'],
    ['with a page past the last', { drawing_data: { pdfPageNumber: 6, pdfNumPages: 5 } }, 'drawing_data.pdfPageNumber'],
    ['with a file in its form', { form_data: { a: `data:image/png;base64,${'A'.repeat(2_000)}` } }, 'form_data.a'],
  ])('%s is 400 with the place of the fault, and nothing is kept', async (_name, more, place) => {
    const before = await server.sql<{ count: string }>('select count(*) from medical_record');
    const { status, json, headers } = await send(admin, 'POST', RECORDS, record(more));
    expect([status, headers.get('content-type')]).toEqual([400, 'application/problem+json']);
    expect(json.errors.map(({ expression }: { expression: string }) => expression)).toContain(place);
    expect(await server.sql('select count(*) from medical_record')).toEqual(before);
  });

  it('is 400 where it is no JSON, 415 where it is no JSON at all, 413 where a draft would be over 16 MiB', async () => {
    expect((await send(admin, 'POST', RECORDS, '{"appointment_id":')).status).toBe(400);
    expect((await send(admin, 'POST', RECORDS, '[]')).status).toBe(400);
    for (const text of ['x\\u0000y', 'x\\u000by', 'x\\ud800y']) expect((await send(admin, 'POST', RECORDS, `{"appointment_id":1,"form_data":{"a":"${text}"}}`)).status).toBe(400);
    expect((await send(admin, 'POST', RECORDS, 'x', { 'content-type': 'text/plain' })).status).toBe(415);
    const { json } = await made();
    const big = { drawing_data: { shapes: Array.from({ length: 170 }, (_, at) => ({ id: `s${at}`, type: 'text', x: 0, y: 0, text: 'x'.repeat(99_999) })) } };
    expect((await send(admin, 'PATCH', `${RECORDS}/${json.id}/draft`, big)).status).toBe(413);
    expect((await send(admin, 'GET', `${RECORDS}/${json.id}`)).headers.get('etag')).toBe('"1"');
  });

  it('is told of a path or method that does not exist, and each refusal is recorded', async () => {
    const requestId = randomUUID();
    expect((await send(admin, 'DELETE', `${RECORDS}/1`, undefined, { 'x-request-id': requestId })).status).toBe(405);
    expect(await admin.auditOf(requestId)).toHaveLength(1);
    expect((await send(admin, 'GET', `${RECORDS}/0`)).status).toBe(404);
    expect((await send(admin, 'GET', `${RECORDS}/abc`)).status).toBe(404);
    expect((await send(admin, 'GET', `${RECORDS}/1/other`)).status).toBe(404);
  });
});
