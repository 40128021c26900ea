// An app that was launched for one patient asks for everything that it may not have, by each way in. What is hidden from it must be
// told like what is not there: status, text and headers but for the ids that it sent itself.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import sharp from 'sharp';
import { documentReference, fhirClient, type Answer, type Call, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

const SECRET = `told-to-nobody-${randomUUID().slice(0, 8)}`;
const CATEGORY = 'https://muniment.example/fhir/CodeSystem/document-category';
const NOTHING = randomUUID();

let server: TestMuniment;
let root: string;
let admin: FhirClient;
let apps: { name: string; client: FhirClient }[];
const ids = { document: '', binary: '', list: '', annotation: '', own: '', record: '' };

const about = (patient: string, more: object = {}): Record<string, unknown> => documentReference({
  subject: { reference: `Patient/${patient}` }, category: [{ coding: [{ system: CATEGORY, code: 'lab' }] }], author: undefined,
  content: [{ attachment: { contentType: 'text/plain', data: Buffer.from(`${SECRET} ${randomUUID()}`).toString('base64') } }], ...more,
});
const parameters = (values: Record<string, string> = {}): object => ({ resourceType: 'Parameters', parameter: Object.entries(values).map(([name, value]) => ({ name, valueString: value })) });

beforeAll(async () => {
  server = await startMuniment();
  root = server.fhirBase.replace(/\/fhir$/, '');
  admin = fhirClient(server.fhirBase, await server.token());
  const made = async (path: string, body: object, headers: Record<string, string> = {}): Promise<Answer['json']> => {
    const { status, json, text } = await admin.call(path.startsWith('/') ? `${root}${path}` : path, { method: 'POST', body: Buffer.from(JSON.stringify(body)), headers: { 'content-type': 'application/fhir+json', ...headers } });
    expect([status, status < 300 ? '' : text]).toEqual([status, '']);
    return json;
  };
  const document = await made('DocumentReference', about('p2', { description: SECRET, identifier: [{ system: 'urn:y', value: SECRET }] }));
  const own = await made('DocumentReference', about('p1', { relatesTo: [{ code: 'appends', target: { reference: `DocumentReference/${document.id}` } }] }));
  const list = await made('List', { resourceType: 'List', status: 'current', mode: 'working', title: SECRET, subject: { reference: 'Patient/p2' }, entry: [document, own].map(({ id }) => ({ item: { reference: `DocumentReference/${id}` } })) });
  const annotation = await made(`/documents/${document.id}/annotations`, { type: 'marker', content: { text: SECRET, coordinates: { x: 0.1, y: 0.2, width: 0.3, height: 0.4 } } }, { 'content-type': 'application/json' });
  const record = await made('/api/medical-records', { appointment_id: 1, patient_id: 'p2', drawing_data: {}, form_data: { notes: SECRET } }, { 'content-type': 'application/json' });
  Object.assign(ids, { document: document.id, binary: document.content[0].attachment.url.split('/').at(-1), list: list.id, annotation: annotation.id, own: own.id, record: String(record.id) });
  const image = await sharp({ create: { width: 64, height: 64, channels: 3, background: '#369' } }).jpeg().toBuffer();
  expect((await admin.call(`${root}/profiles/patient/p2/image`, { method: 'PUT', body: image, headers: { 'content-type': 'image/jpeg' } })).status).toBe(201);
  const app = async (name: string, options: Parameters<TestMuniment['token']>[0]): Promise<{ name: string; client: FhirClient }> => ({ name, client: fhirClient(server.fhirBase, await server.token({ client: 'hostile-app', ...options })) });
  apps = await Promise.all([
    app('a doctor’s app', { scope: 'patient/*.cruds', patient: 'p1', user: 'Practitioner/ann' }),
    app('a patient’s app', { scope: 'patient/*.cruds', patient: 'p1', user: 'Patient/p1', roles: [] }),
    app('an app of some documents', { scope: `patient/DocumentReference.cruds?category=${CATEGORY}|lab patient/List.cruds patient/Binary.cruds patient/Media.cruds`, patient: 'p1', user: 'Practitioner/ann' }),
  ]);
});
afterAll(() => server.stop());

const JSON_PATCH = { 'content-type': 'application/json-patch+json' };
const PLAIN = { 'content-type': 'application/json' };
const MARKER = { type: 'marker', content: { text: 'x', coordinates: { x: 0.1, y: 0.2, width: 0.3, height: 0.4 } } };

type Ask = [method: string, path: string, body?: unknown, headers?: Record<string, string>];

/** Requests about what is hidden; `hidden` stands for its id. */
function asks(): Record<string, { hidden: string; asked: Ask[] }> {
  const { document, binary, list, annotation, own, record } = ids;
  const mine = (more: object = {}): object => about('p1', more);
  const bundle = (type: string, ...entry: object[]): object => ({ resourceType: 'Bundle', type, entry });
  return {
    document: { hidden: document, asked: [
      ...['', '/_history', '/_history/1', '/_history/7', '/$validate', '/$disclosures'].map((end): Ask => ['GET', `DocumentReference/${document}${end}`]),
      ...[{}, { 'if-match': 'W/"1"' }, { 'if-none-match': '*' }].map((headers): Ask => ['PUT', `DocumentReference/${document}`, { ...mine(), id: document }, headers]),
      ['PUT', `DocumentReference/${document}`, { ...about('p2'), id: document }],
      ['PATCH', `DocumentReference/${document}`, [{ op: 'replace', path: '/status', value: 'superseded' }], JSON_PATCH],
      ['DELETE', `DocumentReference/${document}`], ['DELETE', `DocumentReference/${document}`, undefined, { 'if-match': 'W/"1"' }],
      ['POST', `DocumentReference/${document}/$signed-url`, parameters()], ['POST', `DocumentReference/${document}/$signed-url`, parameters({ method: 'PUT' })], ['POST', `DocumentReference/${document}/$revoke-url`, parameters({ grant: randomUUID() })],
      ['POST', 'Binary', 'bytes', { 'x-security-context': `DocumentReference/${document}`, 'content-type': 'text/plain' }],
      ['POST', 'DocumentReference', mine({ relatesTo: [{ code: 'replaces', target: { reference: `DocumentReference/${document}` } }] })],
      ['POST', 'List', { resourceType: 'List', status: 'current', mode: 'working', subject: { reference: 'Patient/p1' }, entry: [{ item: { reference: `DocumentReference/${document}` } }] }],
      ['POST', '', bundle('batch', { request: { method: 'GET', url: `DocumentReference/${document}` } }, { request: { method: 'DELETE', url: `DocumentReference/${document}` } })],
      ['POST', '', bundle('transaction', { request: { method: 'PUT', url: `DocumentReference/${document}` }, resource: { ...mine(), id: document } })],
      ['GET', `/documents/${document}`], ['GET', `/documents/${document}/download`], ['GET', `/documents/${document}/thumbnail`], ['DELETE', `/documents/${document}`], ['GET', `/documents/${document}/annotations`],
      ['POST', `/documents/${document}/annotations`, MARKER, PLAIN], ['POST', '/graphql', { query: `{ documentReference(id:"${document}") { id } }` }, PLAIN],
    ] },
    annotation: { hidden: annotation, asked: [
      ['GET', `/documents/${own}/annotations/${annotation}`], ['PUT', `/documents/${own}/annotations/${annotation}`, MARKER, PLAIN], ['PATCH', `/documents/${own}/annotations/${annotation}`, { page_number: 2 }, PLAIN], ['DELETE', `/documents/${own}/annotations/${annotation}`],
    ] },
    binary: { hidden: binary, asked: [
      ['GET', `Binary/${binary}`], ['GET', `Binary/${binary}/_history`], ['GET', `Binary/${binary}/_history/1`], ['PUT', `Binary/${binary}`, 'bytes', { 'content-type': 'text/plain' }],
      ['DELETE', `Binary/${binary}`], ['DELETE', `Binary/${binary}`, undefined, { 'if-match': 'W/"1"' }], ['POST', `Binary/${binary}/$signed-url`, parameters()], ['POST', `Binary/${binary}/$signed-url`, parameters({ method: 'PUT' })],
      ['POST', 'DocumentReference', mine({ content: [{ attachment: { contentType: 'text/plain', url: `Binary/${binary}` } }] })],
    ] },
    list: { hidden: list, asked: [
      ['GET', `List/${list}`], ['PUT', `List/${list}`, { resourceType: 'List', id: list, status: 'current', mode: 'working', subject: { reference: 'Patient/p1' } }], ['DELETE', `List/${list}`], ['GET', `DocumentReference?_list=${list}`], ['GET', `DocumentReference?_has:List:item:_id=${list}`],
    ] },
    record: { hidden: record, asked: [
      ['GET', `/api/medical-records/${record}`], ['PATCH', `/api/medical-records/${record}/draft`, { form_data: { a: 1 } }, PLAIN], ['POST', `/api/medical-records/${record}/finalise`],
    ] },
    identifier: { hidden: SECRET, asked: [
      ['GET', `DocumentReference?identifier=urn:y|${SECRET}`], ['GET', `DocumentReference?relatesto.identifier=urn:y|${SECRET}`], ['DELETE', `DocumentReference?identifier=urn:y|${SECRET}`], ['PATCH', `DocumentReference?identifier=urn:y|${SECRET}`, [{ op: 'replace', path: '/status', value: 'superseded' }], JSON_PATCH],
    ] },
    patient: { hidden: 'p2', asked: ['GET', 'DELETE'].map((method): Ask => [method, '/profiles/patient/p2/image']) },
  };
}

const send = (client: FhirClient, [method, path, body, headers = {}]: Ask): Promise<Answer> => client.call(path.startsWith('/') ? `${root}${path}` : path, {
  method, headers, ...(body === undefined ? {} : { body: typeof body === 'string' ? body : Buffer.from(JSON.stringify(body)) }),
  ...(body === undefined || typeof body === 'string' || headers['content-type'] !== undefined ? {} : { headers: { ...headers, 'content-type': 'application/fhir+json' } }),
} satisfies Call);

const told = ({ status, text, headers }: Answer, id: string): string =>
  [status, headers.get('etag'), headers.get('location'), headers.get('www-authenticate'), text].join(' ').replaceAll(id, 'ID').replaceAll(/profile-[0-9a-f]{40}/g, 'IMAGE').replaceAll(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|"\d{4}-\d\d-\d\dT[^"]*"/g, '…');

describe('an app of one patient', () => {
  it.each(['document', 'annotation', 'binary', 'list', 'record', 'identifier', 'patient'])('is told of a hidden %s what it is told of none', async (kind) => {
    const { hidden, asked } = asks()[kind] as { hidden: string; asked: Ask[] };
    const nothing = kind === 'record' ? '99999' : NOTHING;
    const differing: string[] = [];
    for (const { name, client } of apps) {
      for (const ask of asked) {
        const other = JSON.parse(JSON.stringify(ask).replaceAll(hidden, nothing)) as Ask;
        const [found, none] = [told(await send(client, ask), hidden), told(await send(client, other.map((one) => one ?? undefined) as Ask), nothing)];
        if (found !== none) differing.push(`${name}: ${ask[0]} ${ask[1]}\n${found}\n${none}`);
        if (found.includes(SECRET)) differing.push(`${name}: ${ask[0]} ${ask[1]} shows it: ${found}`);
      }
    }
    expect(differing).toEqual([]);
  }, 120_000);

  it('puts no image of another patient in a place, whether one is there or not', async () => {
    const image = await sharp({ create: { width: 64, height: 64, channels: 3, background: '#963' } }).jpeg().toBuffer();
    for (const { name, client } of apps) {
      const answers = await Promise.all(['p2', NOTHING].map((patient) => client.call(`${root}/profiles/patient/${patient}/image`, { method: 'PUT', body: image, headers: { 'content-type': 'image/jpeg' } })));
      expect([name, ...answers.map(({ status }) => status)]).toEqual([name, 404, 404]);
      expect(told(answers[0] as Answer, 'p2')).toBe(told(answers[1] as Answer, NOTHING));
    }
  });

  it('sees nothing of the other patient in any search, history, include or GraphQL field', async () => {
    const { own, document, list } = ids;
    const searches = [
      'DocumentReference?_count=100', 'DocumentReference?patient=p2', 'DocumentReference?patient:not=p1', `DocumentReference?_id=${own}&_include=*&_include:iterate=*&_revinclude=DocumentReference:relatesto&_revinclude=List:item&_revinclude=Provenance:target`,
      `DocumentReference?description=${SECRET}`, 'DocumentReference?relatesto:DocumentReference.patient=p2', 'DocumentReference?_has:List:item:patient=p2', 'DocumentReference/_history', '_history', '?_type=DocumentReference,Media,List', 'Patient/p2/DocumentReference', 'Media', 'List', 'List?item.patient=p2',
    ];
    for (const { name, client } of apps) {
      for (const path of searches) {
        const { status, json, text } = await client.get(path);
        const shown = ((json?.entry ?? []) as { resource?: { id?: string } }[]).map(({ resource }) => resource?.id);
        expect([name, path, [200, 400, 403].includes(status), shown.includes(document) || shown.includes(list), text.includes(`"${SECRET}"`) || text.includes('"Patient/p2"')]).toEqual([name, path, true, false, false]);
        if (/relatesto:|_has|item\./.test(path)) expect([name, path, shown.filter((id) => id === own)]).toEqual([name, path, []]);
      }
      const { json } = await send(client, ['POST', '/graphql', { query: '{ documentReferences(patient:"p2") { total items { id } } all: documentReferences { items { id description } } }' }, PLAIN]);
      expect([name, json.data.documentReferences.items, JSON.stringify(json).includes(SECRET)]).toEqual([name, [], false]);
    }
  }, 120_000);

  it('attaches no bytes to another patient’s document, also where it may read no document', async () => {
    const uploader = fhirClient(server.fhirBase, await server.token({ scope: 'patient/Binary.cruds', patient: 'p1', user: 'Practitioner/ann', client: 'hostile-app' }));
    const statuses = await Promise.all([ids.document, NOTHING].map(async (id) => (await uploader.post('Binary', 'bytes', { 'content-type': 'text/plain', 'x-security-context': `DocumentReference/${id}` })).status));
    expect(statuses).toEqual([422, 422]);
  });

  it('learns of its user’s signed URLs those alone that it made itself, and revokes no other', async () => {
    const doctor = { user: 'Practitioner/ann', roles: ['admin'] };
    const wide = fhirClient(server.fhirBase, await server.token({ ...doctor, client: 'record' }));
    const signed = (await wide.post(`DocumentReference/${ids.document}/$signed-url`, parameters())).json.parameter as { name: string; valueUrl?: string; valueId?: string }[];
    const [url, grant] = [signed.find(({ name }) => name === 'url')?.valueUrl ?? '', signed.find(({ name }) => name === 'grant')?.valueId ?? ''];
    const app = apps[0]?.client as FhirClient;
    const nobody = fhirClient(server.fhirBase, await server.token({ ...doctor, scope: 'openid', client: 'record-of-nothing' }));
    for (const client of [app, nobody]) {
      expect((await client.get('$grants')).text).not.toContain(ids.document);
      for (const named of [{ url }, { grant }]) for (const operation of ['$revoke-url', '$refresh-url']) expect((await client.post(`DocumentReference/${ids.document}/${operation}`, parameters(named))).status).toBe(404);
    }
    expect((await fetch(url)).status).toBe(200);
    expect((await app.post(`DocumentReference/${ids.own}/$signed-url`, parameters())).status).toBe(200);
    expect((await app.get('$grants')).json.parameter).toHaveLength(1);
    expect((await wide.get('$grants')).text).toContain(ids.document);
  });

  it('has changed nothing of it after all that', async () => {
    for (const path of [`DocumentReference/${ids.document}`, `List/${ids.list}`, `Binary/${ids.binary}/_history`, `DocumentReference/${ids.annotation}`]) {
      const { status, json } = await admin.get(path);
      expect([path, status, json.meta?.versionId ?? json.total]).toEqual([path, 200, path.startsWith('Binary') ? 1 : '1']);
    }
    expect((await admin.call(`${root}/api/medical-records/${ids.record}`)).json).toMatchObject({ form_data: { notes: SECRET } });
  });
});
