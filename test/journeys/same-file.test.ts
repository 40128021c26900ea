// One file on every way in (inventory C08): what is kept, shown, recorded and mirrored does not tell by which one it came.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash, randomUUID } from 'node:crypto';
import { documentsClient, formOf, somePdf, type DocumentsClient } from '../support/documents-client.ts';
import { eventually } from '../support/eventually.ts';
import { fhirClient, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

const HAPI = process.env['TEST_HAPI_URL'];
const FORM_WAYS = ['POST /documents', 'POST /documents/upload', 'POST /documents/bulk'];
const TYPE = 'application/pdf';
const TITLE = 'Discharge summary';
/** As long as any other, so that nothing has another length by it. */
const somePatient = (): string => `same-${randomUUID()}`;

let server: TestMuniment;
let fhir: FhirClient;
let documents: DocumentsClient;
let root: string;
const bytes = somePdf();
const sha256 = createHash('sha256').update(bytes).digest();

beforeAll(async () => {
  server = await startMuniment(HAPI === undefined ? {} : { MIRROR_BASE_URL: HAPI });
  fhir = fhirClient(server.fhirBase, await server.token());
  documents = documentsClient(fhir);
  root = server.fhirBase.replace(/\/fhir$/, '');
});
afterAll(() => server.stop());

function expected(answer: Answer, status: number): Answer {
  if (answer.status !== status) throw new Error(`${answer.status}: ${answer.text}`);
  return answer;
}

const graphql = async (query: string, variables: object): Promise<any> => { // eslint-disable-line @typescript-eslint/no-explicit-any -- as the client's answers
  const { json } = await fhir.call(`${root}/graphql`, { method: 'POST', body: JSON.stringify({ query, variables }), headers: { 'content-type': 'application/json' } });
  if (json.errors !== undefined) throw new Error(JSON.stringify(json.errors));
  return json.data;
};

/** The document that /documents makes of a file, for the ways on which the client writes it. */
const written = (patient: string, attachment: object): object => ({
  resourceType: 'DocumentReference', status: 'current',
  category: [{ coding: [{ system: 'https://muniment.example/fhir/CodeSystem/document-category', code: 'lab' }] }],
  subject: { reference: `Patient/${patient}` }, date: new Date().toISOString(), author: [{ reference: 'Practitioner/demo' }],
  content: [{ attachment: { contentType: TYPE, ...attachment } }],
});
const overBinary = async (patient: string, binary: string): Promise<string> =>
  expected(await fhir.post('DocumentReference', written(patient, { title: TITLE, url: `Binary/${binary}` })), 201).json.id;

/** Each answers the id of the DocumentReference that it made. */
const WAYS: Record<string, (patient: string) => Promise<string>> = {
  'FHIR, the bytes raw': async (patient) => overBinary(patient, expected(await fhir.post('Binary', bytes, { 'content-type': TYPE }), 201).json.id),
  'FHIR, the bytes in a Binary of JSON': async (patient) => overBinary(patient, expected(await fhir.post('Binary', { resourceType: 'Binary', contentType: TYPE, data: bytes.toString('base64') }), 201).json.id),
  'FHIR, the bytes in attachment.data': async (patient) => expected(await fhir.post('DocumentReference', written(patient, { title: TITLE, data: bytes.toString('base64') })), 201).json.id,
  ...Object.fromEntries(FORM_WAYS.map((way) => [way, async (patient: string) => {
    const path = way.slice('POST /documents'.length);
    const { json } = expected(await documents.postForm(path, formOf([{ bytes, name: TITLE, field: path === '/bulk' ? 'files' : 'file' }], { patient_id: patient, category: 'lab' })), 201);
    return (json.files?.[0] ?? json).id as string;
  }])),
  async 'a resumable upload'(patient) {
    const metadata = Object.entries({ filename: TITLE, filetype: TYPE, patient_id: patient, category: 'lab' }).map(([name, value]) => `${name} ${Buffer.from(value).toString('base64')}`).join(',');
    const tus = { 'tus-resumable': '1.0.0' };
    const begun = expected(await fhir.call(`${root}/uploads`, { method: 'POST', headers: { ...tus, 'upload-length': String(bytes.length), 'upload-metadata': metadata } }), 201);
    const ended = expected(await fhir.call(begun.headers.get('location') ?? '', { method: 'PATCH', body: bytes, headers: { ...tus, 'upload-offset': '0', 'content-type': 'application/offset+octet-stream' } }), 204);
    return ended.headers.get('content-location')?.split('/').at(-1) ?? '';
  },
  async 'a signed upload URL'(patient) {
    const { json } = expected(await fhir.post(`Binary/${randomUUID()}/$signed-url`, { resourceType: 'Parameters', parameter: [{ name: 'method', valueCode: 'PUT' }, { name: 'content-type', valueCode: TYPE }, { name: 'sha-256', valueString: sha256.toString('hex') }] }), 200);
    const url = (json.parameter as { name: string; valueUrl?: string }[]).find(({ name }) => name === 'url')?.valueUrl ?? '';
    const put = expected(await fhir.call(url, { method: 'PUT', body: bytes, token: null, headers: { 'content-type': TYPE } }), 201);
    return overBinary(patient, /Binary\/([^/]+)/.exec(put.headers.get('location') ?? '')?.[1] ?? '');
  },
  async 'GraphQL'(patient) {
    const { uploadFile: file } = await graphql(`mutation ($data: Upload!) { uploadFile(data: $data, filename: "${TITLE}", contentType: "${TYPE}") { storagePath hashSha256 } }`, { data: bytes.toString('base64') });
    const { resourceType: _type, ...resource } = written(patient, { title: TITLE, url: file.storagePath, hash: `sha256:${file.hashSha256}` }) as Record<string, unknown>;
    return (await graphql('mutation ($resource: DocumentReferenceInput!) { createDocumentReference(resource: $resource) { id } }', { resource })).createDocumentReference.id;
  },
};

interface Made {
  id: string;
  patient: string;
  binary: string;
}

const made = new Map<string, Made>();
/** What is of this one document alone, as the same words for all; moments are told apart from nothing. */
const told = (value: unknown, { id, patient, binary }: Made): unknown => JSON.parse(
  JSON.stringify(value).replaceAll(id, 'DOCUMENT').replaceAll(patient, 'PATIENT').replaceAll(binary, 'BINARY')
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)/g, 'MOMENT').replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'UUID'),
);

async function sameOnAllWays(look: (one: Made, way: string) => Promise<unknown>): Promise<void> {
  const [[first, one], ...others] = [...made] as [[string, Made], ...[string, Made][]];
  const wanted = told(await look(one, first), one);
  expect(wanted).not.toEqual([]);
  for (const [way, other] of others) expect([way, told(await look(other, way), other)]).toEqual([way, wanted]);
}

describe('the same file on every way in', () => {
  beforeAll(async () => {
    for (const [way, upload] of Object.entries(WAYS)) {
      const patient = somePatient();
      const id = await upload(patient);
      const { json } = expected(await fhir.get(`DocumentReference/${id}`), 200);
      made.set(way, { id, patient, binary: json.content[0].attachment.url.split('/').at(-1) });
    }
  });

  it('is one document to FHIR, with its size, hash and digest, and one to /documents', async () => {
    await sameOnAllWays(async ({ id }) => (await fhir.get(`DocumentReference/${id}`)).json);
    await sameOnAllWays(async ({ id }) => (await documents.call(`/${id}`)).json);
    await sameOnAllWays(async ({ patient }) => (await documents.call(`?patient_id=${patient}&category=lab`)).json);
  });

  it('leaves the same rows: content, versions, uses and index', async () => {
    await sameOnAllWays(({ binary }) => server.sql(
      `select c.state, c.store, c.store_version, regexp_replace(c.key, '[0-9a-f-]{36}', 'KEY') as key, c.size, c.sha256, c.sha1, c.chunk_bytes, c.chunk_digests, c.declared_type, c.sniffed_type, c.creator, c.scan_verdict, c.quarantine_reason
         from content c join resource r on r.org = c.org and r.content = c.id where r.id = $1`, [binary],
    ));
    await sameOnAllWays(({ id, binary }) => server.sql(
      `select type, id, version, deleted, body::jsonb as body, creator, patient, status, master_identifier, present, words from resource where id in ($1, $2) order by type`, [id, binary],
    ));
    await sameOnAllWays(({ id }) => server.sql('select type, version from attachment_use where id = $1', [id]));
    // What was once a part of the resumable upload is condemned; nothing is under way, and nothing else is left.
    expect(await server.sql(`select 1 from content where state not in ('live', 'condemned')`)).toEqual([]);
  });

  it('gives the same bytes with the same digest on every way out', async () => {
    await sameOnAllWays(async ({ binary, id }, way) => {
      const [raw, download] = [expected(await fhir.get(`Binary/${binary}`), 200), expected(await documents.call(`/${id}/download`), 200)];
      for (const answer of [raw, download]) expect([way, answer.bytes.equals(bytes)]).toEqual([way, true]);
      return [raw, download].map(({ headers }) => ['etag', 'content-type', 'repr-digest', 'content-disposition'].map((name) => headers.get(name)));
    });
  });

  it('is found in the record as one creation by the same person, with the same Provenance', async () => {
    await sameOnAllWays(async ({ id }) => {
      const { json } = await fhir.get(`AuditEvent?entity=DocumentReference/${id}&action=C`);
      return (json.entry as { resource: Record<string, unknown> }[]).map(({ resource: { agent, action, outcome, entity } }) => ({ agent: (agent as { requestor: boolean; who: object }[]).map(({ requestor, who }) => ({ requestor, who })), action, outcome, entity: (entity as { what?: { reference?: string } }[]).flatMap(({ what }) => what?.reference ?? []).filter((reference) => /^(DocumentReference|Patient)\//.test(reference)).sort() }));
    });
    await sameOnAllWays(async ({ id }) => {
      const { json } = await fhir.get(`Provenance?target=DocumentReference/${id}&_count=100`);
      return (json.entry as { resource: Record<string, unknown> }[]).filter(({ resource }) => JSON.stringify(resource['activity']).includes('"CREATE"')).map(({ resource: { activity, agent } }) => ({ activity, agent }));
    });
  });

  (HAPI === undefined ? it.skip : it)('is the same at HAPI', async () => {
    await eventually(() => server.sql('select 1 from outbox'), (rows) => rows.length === 0, 120_000);
    await sameOnAllWays(async ({ id }) => {
      const response = await fetch(`${HAPI}/DocumentReference/${id}`, { headers: { accept: 'application/fhir+json', 'cache-control': 'no-cache' } });
      expect(response.status).toBe(200);
      return response.json();
    });
  }, 150_000);
});
