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

const PDF = Buffer.from('%PDF-1.4\nx-ray report\n%%EOF');
const PNG = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');

async function sendForm(path: string, fields: Record<string, string>, files: readonly (readonly [string, Buffer, string, string])[], client = admin): Promise<Answer> {
  const data = new FormData();
  for (const [name, value] of Object.entries(fields)) data.append(name, value);
  for (const [field, bytes, name, type] of files) data.append(field, new Blob([new Uint8Array(bytes)], { type }), name);
  const encoded = new Request('http://localhost', { method: 'POST', body: data });
  return client.call(`${root}${path}`, { method: 'POST', body: Buffer.from(await encoded.arrayBuffer()), headers: { 'content-type': encoded.headers.get('content-type') ?? '' } });
}

const formFields = (patient: string): Record<string, string> => ({ appointment_id: '77', patient_id: patient, drawing_data: JSON.stringify(drawing()), form_data: JSON.stringify(form) });

describe('the files of a medical record', () => {
  it('are uploaded for a patient, known by a number, and drawn upon', async () => {
    const patient = `p-${randomUUID()}`;
    const file = await sendForm(`/api/patients/${patient}/files`, {}, [['file', PDF, 'template.pdf', 'application/pdf']]);
    expect([file.status, file.json]).toEqual([201, expect.objectContaining({ id: expect.any(Number), patient_id: patient, file_name: 'template.pdf', file_type: 'application/pdf', file_size: PDF.length, s3_url: expect.stringMatching(/^http/) })]);
    const { json } = await made(record({ patient_id: patient, drawing_data: { ...drawing(), backgroundType: 'pdf', backgroundFileId: file.json.id } }));
    expect(json.background_file).toMatchObject({ id: file.json.id, file_name: 'template.pdf', file_type: 'application/pdf' });
    const read = await send(admin, 'GET', `${RECORDS}/${json.id}`);
    expect((await admin.get(read.json.background_file.s3_url, { accept: '*/*' })).bytes).toEqual(PDF);
    const [event, ...more] = await admin.auditOf(read.headers.get('x-request-id') ?? '');
    expect(more).toEqual([]);
    const grant = /urn:muniment:signed-url","value":"([0-9a-f-]{36})"/.exec(JSON.stringify(event))?.[1];
    expect(JSON.stringify(event)).toContain(file.json.document_reference);
    const used = await admin.get(read.json.background_file.s3_url, { accept: '*/*' });
    expect(JSON.stringify(await admin.auditOf(used.headers.get('x-request-id') ?? ''))).toContain(`urn:uuid:${grant}`);
    const reader = await as({ roles: ['read-only'] });
    expect((await send(reader, 'GET', `${RECORDS}/${json.id}`)).json.background_file.s3_url).toMatch(/\/fhir\/Binary\/[^/]+$/);
    const document = await admin.get(json.document_reference);
    expect(document.json.relatesTo).toEqual([{ code: 'transforms', target: { reference: file.json.document_reference } }]);
    const other = await sendForm(`/api/patients/another/files`, {}, [['file', PDF, 'a.pdf', 'application/pdf']]);
    for (const id of [other.json.id, 999_999]) {
      const refused = await send(admin, 'POST', RECORDS, record({ patient_id: patient, drawing_data: { ...drawing(), backgroundFileId: id } }));
      expect([refused.status, refused.json.code]).toEqual([422, 'reference-target']);
      expect((await send(admin, 'PATCH', `${RECORDS}/${json.id}/draft`, { drawing_data: { backgroundFileId: id } })).status).toBe(422);
    }
    const without = await send(admin, 'PATCH', `${RECORDS}/${json.id}/draft`, { drawing_data: { backgroundFileId: null } });
    expect(without.status).toBe(200);
    expect((await send(admin, 'GET', `${RECORDS}/${json.id}`)).json.background_file).toBeNull();
  });

  it('may be of a media type as long as those of office documents, which the views hold in full', async () => {
    const type = 'application/vnd.openxmlformats-officedocument.wordprocessingml.document';
    const { status, json } = await sendForm('/api/patients/p-word/files', {}, [['file', Buffer.from('no signature at all'), 'letter.docx', type]]);
    expect([status, json.file_type, type.length > 50]).toEqual([201, type, true]);
    expect(await server.sql('select file_type from patient_files where id = $1', [json.id])).toEqual([{ file_type: type }]);
  });

  it('come with the record in a form, all in one transaction and one record of the access', async () => {
    const patient = `p-${randomUUID()}`;
    const { status, json, headers } = await sendForm(RECORDS, formFields(patient), [['background_file', PDF, 'template.pdf', 'application/pdf'], ['attachment_files', PNG, 'xray.png', 'image/png'], ['attachment_files[]', PNG, 'photo.png', 'image/png']]);
    expect(status).toBe(201);
    expect(json).toMatchObject({ appointment_id: 77, background_file: { file_name: 'template.pdf' }, attachment_files: [{ file_name: 'xray.png', file_type: 'image/png' }, { file_name: 'photo.png' }] });
    expect(json.drawing_data.backgroundFileId).toBe(json.background_file.id);
    const events = await admin.auditOf(headers.get('x-request-id') ?? '');
    const whats = events.flatMap(({ entity }) => entity.map(({ what }: { what?: { reference?: string; identifier?: { system?: string } } }) => what ?? {}));
    expect([events.length, events[0].action]).toEqual([1, 'C']);
    expect(whats.filter(({ reference = '' }) => reference.startsWith('DocumentReference/'))).toHaveLength(4);
    expect(whats.filter(({ identifier }) => identifier?.system === 'urn:muniment:signed-url')).toHaveLength(3);
    for (const { s3_url: url } of [json.background_file, ...json.attachment_files]) expect((await fetch(url)).status).toBe(200);
    const saved = await send(admin, 'PATCH', `${RECORDS}/${json.id}/draft`, { form_data: { notes: 'better' } });
    expect([saved.json.background_file.s3_url, saved.json.attachment_files.length]).toEqual([expect.stringMatching(/\/fhir\/Binary\/[^/]+$/), 2]);
    const final = await send(admin, 'POST', `${RECORDS}/${json.id}/finalise`);
    expect([final.status, (await fetch(final.json.background_file.s3_url)).status, (await admin.auditOf(final.headers.get('x-request-id') ?? '')).length]).toEqual([200, 200, 1]);
    const again = await send(admin, 'POST', `${RECORDS}/${json.id}/finalise`);
    expect([again.status, again.json.attachment_files.length]).toEqual([200, 2]);
    const document = (await admin.get(json.document_reference)).json;
    expect(document).toMatchObject({ docStatus: 'final', relatesTo: [{ code: 'transforms' }] });
    expect(document.context.related).toHaveLength(3);
    const rows = await server.sql<{ file_role: string }>('select file_role from medical_record_files where medical_record_id = $1', [json.id]);
    expect(rows.map(({ file_role: role }) => role).sort()).toEqual(['attachment', 'attachment', 'background']);
  });

  it('leave nothing behind when the record is refused', async () => {
    const count = async (): Promise<unknown> => server.sql(`select (select count(*) from resource) as resources, (select count(*) from patient_file) as files, (select count(*) from content where state = 'staging') as staging`);
    const before = await count();
    const wrong = await sendForm(RECORDS, { ...formFields('p'), drawing_data: '{"lines":[{}]}' }, [['background_file', PDF, 'template.pdf', 'application/pdf']]);
    expect([wrong.status, wrong.json.errors[0].expression]).toEqual([400, 'drawing_data.lines[0].tool']);
    expect((await sendForm(RECORDS, formFields('p'), [['background_file', PDF, 'a.pdf', 'application/pdf'], ['background_file', PDF, 'b.pdf', 'application/pdf']])).status).toBe(400);
    expect((await sendForm(RECORDS, formFields('p'), [['background_file', PNG, 'a.pdf', 'application/pdf']])).status).toBe(415);
    expect((await sendForm(RECORDS, { ...formFields('p'), colour: 'red' }, [])).status).toBe(400);
    expect(await count()).toEqual(before);
  });

  it('are taken from what the demonstration kept in a browser', async () => {
    const patient = `p-${randomUUID()}`;
    const state = {
      ...drawing(), appointment_id: 5, patient_id: patient, backgroundImageDataUrl: `data:image/png;base64,${PNG.toString('base64')}`, pdfFileName: 'form.pdf', pdfFileDataUrl: `data:application/pdf;base64,${PDF.toString('base64')}`,
      pdfPageNumber: 1, pdfNumPages: 5, savedAt: '2025-12-10T10:00:00Z',
    };
    const { status, json } = await send(admin, 'POST', `${RECORDS}/$import-saved-state`, state);
    expect(status).toBe(201);
    expect(json).toMatchObject({ background_file: { file_name: 'form.pdf', file_type: 'application/pdf' }, attachment_files: [{ file_type: 'image/png' }], drawing_data: { backgroundType: 'pdf', pdfNumPages: 5, lines: state['lines' as keyof typeof state] } });
    const image = await send(admin, 'POST', `${RECORDS}/$import-saved-state`, { ...state, pdfFileDataUrl: null, pdfFileName: null, pdfNumPages: null });
    expect(image.json).toMatchObject({ background_file: { file_type: 'image/png' }, attachment_files: [], drawing_data: { backgroundType: 'image' } });
    expect((await send(admin, 'POST', `${RECORDS}/$import-saved-state`, { ...state, pdfFileDataUrl: 'data:,x' })).status).toBe(400);
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
