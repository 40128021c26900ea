// Patient/[id]/$disclosures as an auditor sees it: whom the patient's data was shown to, whole, and only to whoever may know.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { printDisclosuresCsv } from '../../src/operations/disclosures-csv.ts';
import { documentReference, fhirClient, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

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
    expect((await ask('', { accept: 'text/html' })).status).toBe(406);
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

  it('shows text that a spreadsheet would take for a formula as text', () => {
    const event = { agent: { name: '=HYPERLINK("x")', client: '+1' }, entities: [{ reference: 'Media/1/_history/1', role: 'data' as const }] };
    expect(printDisclosuresCsv([event as never])).toContain(`,"'=HYPERLINK(""x"")",`);
  });
});
