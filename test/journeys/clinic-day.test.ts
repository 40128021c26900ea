// A day at a clinic over the customer's own APIs, and the trail of each thing found again in the evening (seeds 000 to 004).
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import sharp from 'sharp';
import { documentsClient, formOf, somePdf, type DocumentsClient } from '../support/documents-client.ts';
import { eventually } from '../support/eventually.ts';
import { fhirClient, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

const HAPI = process.env['TEST_HAPI_URL'];
const DOCTOR = 'Practitioner/dr-shaw';
const patient = `day-${randomUUID()}`;
const visit = { patient_id: patient, encounter_id: 'visit-1' };

let server: TestMuniment;
let doctor: FhirClient;
let billing: FhirClient;
let auditor: FhirClient;
let documents: DocumentsClient;
let root: string;

beforeAll(async () => {
  server = await startMuniment(HAPI === undefined ? {} : { MIRROR_BASE_URL: HAPI });
  const as = async (user: string, roles: string[]): Promise<FhirClient> => fhirClient(server.fhirBase, await server.token({ user, roles, client: roles[0] ?? '' }));
  doctor = await as(DOCTOR, ['practitioner']);
  billing = await as('Practitioner/till', ['billing']);
  auditor = await as('Practitioner/auditor', ['auditor']);
  documents = documentsClient(doctor);
  root = server.fhirBase.replace(/\/fhir$/, '');
});
afterAll(() => server.stop());

const expected = (answer: Answer, status: number): Answer => {
  if (answer.status !== status) throw new Error(`${answer.status}: ${answer.text}`);
  return answer;
};
const send = (method: string, path: string, body?: unknown, type = 'application/json'): Promise<Answer> =>
  doctor.call(`${root}${path}`, { method, ...(body === undefined ? {} : { body: Buffer.isBuffer(body) ? body : JSON.stringify(body), headers: { 'content-type': type } }) });
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** What the day left, by the name that people would ask for it with. */
const left = new Map<string, string>();

describe('a day at the clinic', () => {
  it('begins with five pages from another hospital, scanned in one go', async () => {
    const pages = Array.from({ length: 5 }, () => somePdf());
    const form = formOf(pages.map((bytes, at) => ({ bytes, name: `page-${at + 1}.pdf`, field: 'files' })), { ...visit, category: 'referral' });
    const { json } = expected(await documents.postForm('/bulk', form), 201);
    expect(json).toMatchObject({ success: true, total: 5, succeeded: 5, failed: 0 });
    for (const [at, { id }] of (json.files as { id: string }[]).entries()) {
      left.set(`page ${at + 1}`, `DocumentReference/${id}`);
      expect((await documents.call(`/${id}/download`)).bytes.equals(pages[at] ?? Buffer.alloc(0))).toBe(true);
    }
    expect((await documents.call(`?patient_id=${patient}&category=referral&encounter_id=visit-1`)).json.map(({ filename }: { filename: string }) => filename).sort()).toEqual([1, 2, 3, 4, 5].map((at) => `page-${at}.pdf`));
  });

  it('a photo of the skin comes with what the camera wrote: kept as it was taken, shown small, upright and without it', async () => {
    const photo = await sharp({ create: { width: 900, height: 400, channels: 3, background: '#b87' } }).withExif({ IFD0: { Artist: 'Camera of ward 3' }, IFD3: { GPSLatitude: '51/1 30/1 0/1' } }).withMetadata({ orientation: 6 }).jpeg().toBuffer();
    const { json } = expected(await documents.postForm('', formOf([{ bytes: photo, name: 'arm.jpg', type: 'image/jpeg' }], { ...visit, category: 'photo' })), 201);
    left.set('photo', `DocumentReference/${json.id}`);
    expect((await documents.call(`/${json.id}/download`)).bytes.equals(photo)).toBe(true);
    const { json: shown } = await eventually(() => documents.call(`/${json.id}`), ({ json: one }) => one.thumbnail_url !== null);
    const small = await doctor.call(shown.thumbnail_url, { token: null });
    const { width = 0, height = 0, exif } = await sharp(small.bytes).metadata();
    expect([small.status, height > width, exif]).toEqual([200, true, undefined]);
    // The till sees insurance papers, and no skin.
    expect((await billing.call(`${root}/documents/${json.id}`)).status).toBe(403);
    expect((await billing.call(`${root}/documents/${json.id}/download`)).status).toBe(403);
    expect((await billing.call(`${root}/documents?patient_id=${patient}`)).json).toEqual([]);
  });

  it('a signed consent is lent to the theatre’s network alone', async () => {
    const consent = somePdf();
    const { json } = expected(await documents.postForm('/upload', formOf([{ bytes: consent, name: 'consent.pdf' }], { ...visit, category: 'consent' })), 201);
    expect(Object.keys(json).sort()).toEqual(['filename', 'id', 'patient_id', 'size', 'upload_date']);
    left.set('consent', `DocumentReference/${json.id}`);
    const lend = async (...ranges: string[]): Promise<string> => {
      const answer = expected(await doctor.post(`DocumentReference/${json.id}/$signed-url`, { resourceType: 'Parameters', parameter: [{ name: 'expires-in', valueInteger: 15 }, ...ranges.map((valueString) => ({ name: 'allowed-ip', valueString }))] }), 200);
      return (answer.json.parameter as { name: string; valueUrl?: string }[]).find(({ name }) => name === 'url')?.valueUrl ?? '';
    };
    const elsewhere = await doctor.call(await lend('192.0.2.0/24', '2001:db8::/32'), { token: null });
    expect([elsewhere.status, elsewhere.headers.get('content-type'), elsewhere.json.code]).toEqual([403, 'application/problem+json', 'forbidden']);
    const here = await doctor.call(await lend('127.0.0.0/8', '::1/128'), { token: null, headers: { 'x-request-id': 'consent-in-theatre' } });
    expect([here.status, here.bytes.equals(consent)]).toEqual([200, true]);
    const [event] = await auditor.auditOf('consent-in-theatre');
    expect(event).toMatchObject({ action: 'R', outcome: '0' });
    expect(JSON.stringify(event.agent)).toContain(DOCTOR);
  });

  it('a drawing over a template is saved while it is made, and finalised once', async () => {
    const template = somePdf();
    const encoded = new Response(formOf([{ bytes: template, name: 'knee.pdf' }]));
    const { json: background } = expected(await doctor.call(`${root}/api/patients/${patient}/files`, { method: 'POST', body: Buffer.from(await encoded.arrayBuffer()), headers: { 'content-type': encoded.headers.get('content-type') ?? '' } }), 201);
    const stage = { stageSize: { width: 800, height: 600 }, backgroundType: 'pdf', backgroundFileId: background.id, pdfPageNumber: 1, pdfNumPages: 1 };
    const { json: record } = expected(await send('POST', '/api/medical-records', { appointment_id: 123, patient_id: patient, drawing_data: { lines: [], shapes: [], ...stage }, form_data: { chief_complaint: 'Knee pain' } }), 201);
    left.set('drawing', record.document_reference);
    const lines = [1, 2, 3].map((at) => ({ tool: 'pen', points: [at, at, at + 9, at + 9], color: '#000000', strokeWidth: 3 }));
    for (let at = 1; at <= lines.length; at += 1) expected(await send('PATCH', `/api/medical-records/${record.id}/draft`, { drawing_data: { lines: lines.slice(0, at) } }), 200);
    expect((await doctor.get(record.document_reference)).json).toMatchObject({ docStatus: 'preliminary', meta: { versionId: '1' } });
    expected(await send('POST', `/api/medical-records/${record.id}/finalise`), 200);
    expect((await send('PATCH', `/api/medical-records/${record.id}/draft`, { form_data: {} })).status).toBe(409);
    const { json: shown } = expected(await send('GET', `/api/medical-records/${record.id}`), 200);
    expect((await doctor.call(shown.background_file.s3_url, { token: null })).bytes.equals(template)).toBe(true);
    const { json: document } = await doctor.get(record.document_reference);
    expect(document).toMatchObject({ docStatus: 'final', relatesTo: [{ code: 'transforms' }] });
    expect((await doctor.get(document.content[0].attachment.url, { accept: '*/*' })).json.lines).toEqual(lines);
    expect((await doctor.get(`DocumentReference?related=Appointment/123&patient=${patient}`)).json.total).toBe(1);
  });

  it('the photo gets a marker', async () => {
    const photo = left.get('photo')?.split('/')[1] ?? '';
    const { json } = expected(await send('POST', `/documents/${photo}/annotations`, { type: 'marker', content: { text: 'Grown since May', coordinates: { x: 0.4, y: 0.4, width: 0.1, height: 0.1 } } }), 201);
    expect(json.created_by).toBe(DOCTOR);
    left.set('annotation', `DocumentReference/${json.id}`);
    expect((await documents.call(`/${photo}/annotations`)).json).toEqual([json]);
  });

  it('the desk takes the patient’s picture', async () => {
    const face = await sharp({ create: { width: 700, height: 900, channels: 3, background: '#fca' } }).png().toBuffer();
    const { json } = expected(await send('PUT', `/profiles/patient/${patient}/image`, face, 'image/png'), 201);
    left.set('avatar', json.media);
    const small = expected(await doctor.call(json.avatar_url), 200);
    expect(await sharp(small.bytes).metadata()).toMatchObject({ width: 96, height: 96, format: 'jpeg' });
  });

  it('radiology sends a slice by GraphQL', async () => {
    const slice = Buffer.concat([Buffer.alloc(128), Buffer.from('DICM'), randomBytes(300_000)]);
    const ask = async (query: string, variables: object = {}): Promise<Record<string, Record<string, string>>> => {
      const { json } = await send('POST', '/graphql', { query, variables });
      expect(json.errors).toBeUndefined();
      return json.data;
    };
    const { uploadFile: file } = await ask('mutation ($data: Upload!) { uploadFile(data: $data, filename: "knee.dcm", contentType: "application/dicom", security: { accessWindow: "15m" }) { url storagePath hashSha256 } }', { data: slice.toString('base64') });
    expect(file?.['hashSha256']).toBe(sha256(slice));
    const { createMedia: media } = await ask(`mutation ($url: String) { createMedia(resource: { status: "completed", subject: { reference: "Patient/${patient}" }, content: { contentType: "application/dicom", url: $url, height: 512, width: 512, frames: 1 }, device: { identifier: { system: "urn:oid:1.2.840.10008.2.6.1", value: "CT-Scanner-789" } }, note: { text: "Left knee" } }) { id } }`, { url: file?.['storagePath'] });
    left.set('imaging file', `Media/${media?.['id']}`);
    const part = await fetch(file?.['url'] ?? '', { headers: { range: 'bytes=128-131' } });
    expect([part.status, await part.text()]).toEqual([206, 'DICM']);
  });

  it('in the evening the trail of each is found: who made it, when it was seen, and its Provenance', async () => {
    expect([...left.keys()]).toHaveLength(11);
    for (const [what, reference] of left) {
      const { json: events } = await auditor.get(`AuditEvent?entity=${reference}&_count=100`);
      const found = (events.entry as { resource: { action: string; outcome: string; recorded: string; agent: { who: { reference?: string } }[] } }[]).map(({ resource }) => resource);
      const [creation, ...others] = found.filter(({ action, outcome }) => action === 'C' && outcome === '0');
      expect([what, others, creation?.agent.map(({ who }) => who.reference)]).toEqual([what, [], expect.arrayContaining([DOCTOR])]);
      expect([what, creation?.recorded]).toEqual([what, found.map(({ recorded }) => recorded).sort()[0]]);
      const { json: provenance } = await doctor.get(`Provenance?target=${reference}&_count=100`);
      const made = (provenance.entry as { resource: { activity: unknown; agent: unknown } }[]).filter(({ resource }) => JSON.stringify(resource.activity).includes('"CREATE"'));
      expect([what, made.length, JSON.stringify(made[0]?.resource.agent).includes(DOCTOR)]).toEqual([what, 1, true]);
    }
    // Whoever was refused stands there as well, and one search tells all that was done about the patient.
    const { json: till } = await auditor.get('AuditEvent?agent=Practitioner/till&_sort=date');
    expect(till.entry.map(({ resource }: { resource: { outcome: string } }) => resource.outcome)).toEqual(['4', '4', '0']);
    const { json: all } = await auditor.get(`AuditEvent?patient=Patient/${patient}&action=C&_count=100`);
    expect(all.total).toBeGreaterThanOrEqual(left.size);
  });

  (HAPI === undefined ? it.skip : it)('and HAPI holds each, with the patient’s photo', async () => {
    await eventually(() => server.sql('select 1 from outbox'), (rows) => rows.length === 0, 120_000);
    const at = async (path: string): Promise<{ status: number; json: Record<string, unknown> }> => {
      const response = await fetch(`${HAPI}/${path}`, { headers: { 'accept': 'application/fhir+json', 'cache-control': 'no-cache' } });
      return { status: response.status, json: await response.json() as Record<string, unknown> };
    };
    for (const [what, reference] of left) expect([what, (await at(reference)).status]).toEqual([what, 200]);
    expect((await at(`Patient/${patient}`)).json['photo']).toMatchObject([{ contentType: 'image/jpeg' }]);
  }, 150_000);
});
