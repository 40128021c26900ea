// Patient/[id]/$disclosures as an auditor sees it: whom the patient's data was shown to, whole, and only to whoever may know.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { inflateSync } from 'node:zlib';
import { PDFDocument } from 'pdf-lib';
import { printDisclosuresPdf } from '../../src/operations/disclosures-pdf.ts';
import { printDisclosuresCsv } from '../../src/operations/disclosures-csv.ts';
import { documentReference, fhirClient, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

/** The text of all pages, as their contents have it. */
function pdfText(bytes: Buffer): string {
  const streams: string[] = [];
  for (let at = bytes.indexOf('stream\n'); at >= 0; at = bytes.indexOf('stream\n', bytes.indexOf('endstream', at) + 10)) streams.push(inflateSync(bytes.subarray(at + 7, bytes.indexOf('\nendstream', at))).toString('latin1'));
  return streams.join('\n');
}

/* eslint-disable @typescript-eslint/no-explicit-any -- rendered resources */

let server: TestMuniment;
let auditor: FhirClient;
let doctor: FhirClient;
let document: any;
let patient: string;

beforeAll(async () => {
  server = await startMuniment();
  auditor = fhirClient(server.fhirBase, await server.token({ roles: ['auditor'], user: 'Practitioner/auditor' }));
  doctor = fhirClient(server.fhirBase, await server.token({ roles: ['practitioner'], user: 'Practitioner/doctor', client: 'ward-app' }));
  document = (await doctor.post('DocumentReference', documentReference())).json;
  patient = document.subject.reference;
  await doctor.get(`DocumentReference/${document.id}`);
  await doctor.get(document.content[0].attachment.url);
  await doctor.get(`DocumentReference?patient=${patient}`);
  await doctor.get(`DocumentReference?patient=${patient}&status=superseded`);
  await doctor.get(`DocumentReference/${document.id}/_history/9`);
  await doctor.get(`DocumentReference/${(await doctor.post('DocumentReference', documentReference())).json.id}`);
});
afterAll(() => server.stop());

const ask = (query = '', headers: Record<string, string> = {}): Promise<Answer> => auditor.get(`${patient}/$disclosures${query}`, headers);

describe('$disclosures', () => {
  it('answers each read and search that showed something of the patient, newest first, and nothing else', async () => {
    const { status, json } = await ask();
    expect([status, json.type, json.total]).toEqual([200, 'searchset', 3]);
    expect(json.entry.map(({ resource }: any) => resource.subtype[0].code)).toEqual(['search-type', 'read', 'read']);
    for (const { resource } of json.entry) {
      expect(JSON.stringify(resource.entity)).toContain(`"${patient}"`);
      expect(resource.agent.find(({ requestor }: any) => requestor === true).who.reference).toBe('Practitioner/doctor');
    }
  });

  it('takes a period by GET and by POST; what is no date, or ends before it begins, is 400', async () => {
    const today = new Date().toISOString().slice(0, 10);
    const bodied = (name: string, value: string): object => ({ resourceType: 'Parameters', parameter: [{ name, valueDate: value }] });
    expect((await ask(`?start=${today}&end=${today}`)).json.total).toBe(3);
    expect((await ask('?end=2020')).json).toMatchObject({ total: 0, link: [{ relation: 'self', url: `${server.fhirBase}/${patient}/$disclosures?end=2020` }] });
    expect((await auditor.post(`${patient}/$disclosures`, bodied('end', '2020-01-01'))).json.total).toBe(0);
    expect((await auditor.post(`${patient}/$disclosures`, bodied('start', today))).json.total).toBe(3);
    for (const query of ['?start=yesterday', '?start=2021&end=2020', '?start=2020&start=2021']) expect([query, (await ask(query)).status]).toEqual([query, 400]);
  });

  it('is a table for whoever asks for one, and JSON inside a batch whatever it says', async () => {
    for (const answer of [await ask('', { accept: 'text/csv' }), await ask('?_format=csv')]) {
      expect(answer.headers.get('content-type')).toBe('text/csv; charset=utf-8; header=present');
      const lines = answer.text.trimEnd().split('\r\n');
      expect(lines).toHaveLength(4);
      expect(lines[0]).toBe('date,recipient,recipient_reference,recipient_issuer,recipient_subject,recipient_roles,client,address,organisation,interaction,disclosed,purpose,request_id,audit_event');
      expect(lines[1]).toContain('ward-app');
    }
    expect((await ask('', { accept: 'image/png' })).status).toBe(406);
    const batch = await auditor.post('', { resourceType: 'Bundle', type: 'batch', entry: [{ request: { method: 'GET', url: `${patient}/$disclosures?_format=csv` } }] });
    expect(batch.json.entry[0].resource).toMatchObject({ resourceType: 'Bundle', total: 3 });
  });

  it('is for roles admin and auditor alone, and that it was read is an access of the patient', async () => {
    const requestId = randomUUID();
    expect((await doctor.get(`${patient}/$disclosures`)).status).toBe(403);
    expect((await auditor.call(`${patient}/$disclosures`, { token: await server.token({ roles: ['auditor'], scope: 'user/DocumentReference.rs' }) })).status).toBe(403);
    const confined = await server.token({ roles: ['auditor'], scope: 'patient/*.rs', patient: patient.split('/')[1] ?? '' });
    expect((await auditor.call(`${patient}/$disclosures`, { token: confined })).status).toBe(403);
    expect((await auditor.call(`${patient}/$disclosures`, { token: await server.token({ roles: ['auditor'], scope: 'user/AuditEvent.rs?type=rest' }) })).status).toBe(403);
    expect((await auditor.call(`${patient}/$disclosures`, { token: await server.token({ roles: ['auditor'], org: 'elsewhere' }) })).json.total).toBe(0);
    await ask('', { 'x-request-id': requestId });
    const [event, ...more] = await auditor.auditOf(requestId);
    expect(more).toEqual([]);
    expect(event).toMatchObject({ action: 'E', outcome: '0', subtype: [{ code: 'operation' }] });
    expect(JSON.stringify(event.entity)).toContain(`"${patient}"`);
    expect((await ask()).json.total).toBe(3);
  });

  it('is declared with its definition, apart from the types while Patient itself is not served', async () => {
    const { json } = await auditor.get('metadata');
    expect(json.rest[0].resource.map(({ type }: any) => type)).not.toContain('Patient');
    expect(json.rest[0].operation).toContainEqual({ name: 'disclosures', definition: 'https://muniment.example/fhir/OperationDefinition/disclosures' });
    expect((await auditor.get('OperationDefinition/disclosures')).status).toBe(200);
  });

  it('is a page for people: no script, nothing from outside, and no text that becomes markup', async () => {
    const sly = fhirClient(server.fhirBase, await server.token({ roles: ['practitioner'], user: 'Practitioner/sly', client: '<img src=x onerror=alert(1)>' }));
    await sly.get(`DocumentReference/${document.id}`);
    for (const answer of [await ask('', { accept: 'text/html,application/xhtml+xml;q=0.9' }), await ask('?_format=html')]) {
      expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
      expect(answer.headers.get('content-security-policy')).toMatch(/^default-src 'none'; style-src 'sha256-/);
      expect(answer.text).toContain(`<h1>Who was shown data of ${patient}</h1>`);
      expect(answer.text.match(/<tr><th scope="row">/g)).toHaveLength(4);
      expect(answer.text).toContain('by &lt;img src=x onerror=alert(1)&gt;');
      expect(answer.text).not.toMatch(/<script|<img| src=x onerror[^&]*>|https?:\/\//);
    }
  });

  it('tells of one document who saw it, also through its bytes, and that asking showed nobody anything', async () => {
    const of = (query = ''): Promise<Answer> => auditor.get(`DocumentReference/${document.id}/$disclosures${query}`);
    const { json } = await of();
    expect(json.link[0].url).toBe(`${server.fhirBase}/DocumentReference/${document.id}/$disclosures`);
    expect(json.entry.map(({ resource }: any) => resource.subtype[0].code)).toEqual(['read', 'search-type', 'read', 'read']);
    expect((await of()).json.total).toBe(4);
    expect((await of('?_format=html')).text).toContain(`<h1>Who saw DocumentReference/${document.id}</h1>`);
    expect((await doctor.get(`DocumentReference/${document.id}/$disclosures`)).status).toBe(403);
    expect((await auditor.get('DocumentReference/unknown/$disclosures')).json.total).toBe(0);
  });

  it('is a document to print that a reader of PDF takes, with one line at least for each disclosure', async () => {
    for (const headers of [{ accept: 'application/pdf' }, {}]) {
      const answer = await fetch(`${server.fhirBase}/${patient}/$disclosures${'accept' in headers ? '' : '?_format=pdf'}`, { headers: { authorization: `Bearer ${await server.token({ roles: ['auditor'] })}`, ...headers } });
      const bytes = Buffer.from(await answer.arrayBuffer());
      expect([answer.status, answer.headers.get('content-type'), answer.headers.get('content-length')]).toEqual([200, 'application/pdf', String(bytes.length)]);
      const read = await PDFDocument.load(bytes, { updateMetadata: false });
      expect([read.getPageCount(), read.getTitle(), read.getProducer()]).toEqual([1, `Who was shown data of ${patient}`, 'Muniment']);
      expect(pdfText(bytes).match(/AuditEvent\//g)).toHaveLength(4);
      // Below all lines, by itself, and not between the names of the columns and what stands below them.
      expect(pdfText(bytes)).toMatch(/ET\nBT [^(]* 36 27 Td \(\s*Asked for at [^)]*, page 1 of 1\) Tj ET$/m);
    }
  });

  it('shows text that a spreadsheet would take for a formula as text', () => {
    const event = { agent: { name: '=HYPERLINK("x")', client: '+1' }, entities: [{ reference: 'Media/1/_history/1', role: 'data' as const }] };
    expect(printDisclosuresCsv([event as never])).toContain(`,"'=HYPERLINK(""x"")",`);
  });

  it('breaks pages between disclosures, up to thousands of them, and writes what the font lacks as its number', async () => {
    const event = { agent: { name: '李 (Łukasz) — “x”', purposeOfUse: ['TREAT'] }, recorded: '2026-03-04T10:20:30.456Z', id: 'e1', interaction: 'read', entities: [{ reference: 'Media/1/_history/1', role: 'data' }] };
    const bytes = printDisclosuresPdf({ subject: { reference: 'Patient/1', role: 'patient' }, organisation: 'demo', from: event.recorded, until: event.recorded, asked: event.recorded, events: Array.from({ length: 2_000 }, () => event as never) });
    const read = await PDFDocument.load(bytes, { updateMetadata: false });
    expect(read.getPageCount()).toBe(Math.ceil(2_000 / Math.floor(53 / 3)));
    const text = pdfText(bytes);
    expect(text.match(/AuditEvent\/e1/g)).toHaveLength(2_000);
    expect(text).toContain('[U+674E] \\([U+0141]ukasz\\) \x97 \x93x\x94');
  });
});
