// FHIR XML over HTTP, white space, gzip: what goes in and comes out in another form is the same.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { parseJson, printJson, type JsonObject } from '../../src/fhir/json.ts';
import { printXml } from '../../src/fhir/print-xml.ts';
import { readXml } from '../../src/fhir/read-xml.ts';
import { documentReference, fhirClient, media, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

const FX = 'application/fhir+xml';
const XML = { 'accept': FX, 'content-type': FX };

let server: TestMuniment;
let client: FhirClient;
let token: string;

beforeAll(async () => {
  server = await startMuniment();
  token = await server.token();
  client = fhirClient(server.fhirBase, token);
});
afterAll(() => server.stop());

const xmlOf = (resource: object): string => printXml(parseJson(JSON.stringify(resource)) as JsonObject);

const idOf = (resource: JsonObject): string => String(resource['id']);

function expectXml(answer: Answer, status: number, type: string): JsonObject {
  expect([answer.status, answer.headers.get('content-type')]).toEqual([status, `${FX}; charset=utf-8`]);
  const resource = readXml(answer.text);
  expect(resource['resourceType']).toBe(type);
  return resource;
}

describe('FHIR XML', () => {
  it('creates, updates, patches and reads the same resource as JSON, digit by digit', async () => {
    const nasty = '{"resourceType":"Media","extension":[{"url":"urn:d","valueDecimal":1e2},{"url":"urn:e","valueDecimal":0.010}],"status":"completed","_status":{"id":"s"},"subject":{"reference":"Patient/1"},"duration":12.50,"content":{"contentType":"text/plain","url":"https://elsewhere.example/x","title":"a\\n<b>&\\t"}}';
    const created = await client.post('Media', printXml(parseJson(nasty) as JsonObject), XML);
    const id = idOf(expectXml(created, 201, 'Media'));
    const json = await client.get(`Media/${id}`);
    expect(json.text).toContain('"duration":12.50');
    for (const part of ['"valueDecimal":1e2', '"valueDecimal":0.010', '"_status":{"id":"s"}', '"title":"a\\n<b>&\\t"']) expect(json.text).toContain(part);
    const xml = await client.get(`Media/${id}`, { accept: FX });
    expect(xml.text).toContain('<duration value="12.50"/>');
    expect(printJson(readXml(xml.text))).toBe(json.text);
    expect(xml.headers.get('etag')).toBe(json.headers.get('etag'));
    const updated = await client.put(`Media/${id}`, xml.text.replace('12.50', '12.500'), { ...XML, 'if-match': 'W/"1"' });
    expect(expectXml(updated, 200, 'Media')['id']).toBe(id);
    const patch = { resourceType: 'Parameters', parameter: [{ name: 'operation', part: [{ name: 'type', valueCode: 'replace' }, { name: 'path', valueString: 'Media.status' }, { name: 'value', valueCode: 'in-progress' }] }] };
    const patched = await client.call(`Media/${id}`, { method: 'PATCH', body: xmlOf(patch), headers: XML });
    expect(expectXml(patched, 200, 'Media')['status']).toBe('in-progress');
    expect((await client.get(`Media/${id}/_history/2`)).text).toContain('"duration":12.500');
  });

  it('answers searches, histories, metadata and errors, of the record too', async () => {
    const { json } = await client.post('DocumentReference', documentReference());
    const found = expectXml(await client.get(`DocumentReference?_id=${json.id}`, { accept: FX }), 200, 'Bundle');
    expect((found['entry'] as JsonObject[]).map((entry) => (entry['resource'] as JsonObject)['id'])).toEqual([json.id]);
    expectXml(await client.get(`DocumentReference/${json.id}/_history`, { accept: FX }), 200, 'Bundle');
    expectXml(await client.call('metadata', { token: null, headers: { accept: FX } }), 200, 'CapabilityStatement');
    expectXml(await client.call('$versions', { token: null, headers: { accept: FX } }), 200, 'Parameters');
    expectXml(await client.get(`AuditEvent?entity=DocumentReference/${json.id}`, { accept: FX }), 200, 'Bundle');
    const outcome = expectXml(await client.get('DocumentReference/unknown?_format=xml'), 404, 'OperationOutcome');
    expect((outcome['issue'] as JsonObject[])[0]?.['code']).toBe('not-found');
    expectXml(await client.call('DocumentReference', { token: null, headers: { accept: FX } }), 401, 'OperationOutcome');
    expectXml(await client.get('Foo/1', { accept: FX }), 404, 'OperationOutcome');
    expectXml(await client.post('DocumentReference', '{', { ...XML, 'content-type': 'application/fhir+json' }), 400, 'OperationOutcome');
    expectXml(await client.call('metadata?mode=odd', { token: null, headers: { accept: FX } }), 400, 'OperationOutcome');
    expectXml(await client.post('DocumentReference', documentReference(), { accept: FX, prefer: 'return=OperationOutcome' }), 201, 'OperationOutcome');
  });

  it('answers a search by POST as its form says', async () => {
    const search = async (form: string): Promise<Answer> => client.post('DocumentReference/_search', form, { 'content-type': 'application/x-www-form-urlencoded' });
    expectXml(await search('_format=xml&status=current&_count=1'), 200, 'Bundle');
    expect((await search('_format=application/fhir+xml&_pretty=true&_count=1')).text).toMatch(/^<Bundle [^>]*>\n/);
    expect((await search('_format=ttl&_count=1')).json.resourceType).toBe('Bundle');
  });

  it('a transaction and its answer are Bundles in XML too', async () => {
    const bundle = { resourceType: 'Bundle', type: 'transaction', entry: [{ fullUrl: 'urn:uuid:c757873d-ec9a-4326-a141-556f43239520', resource: media({ content: { contentType: 'text/plain', url: 'https://elsewhere.example/x' } }), request: { method: 'POST', url: 'Media' } }] };
    const answer = expectXml(await client.post('', xmlOf(bundle), XML), 200, 'Bundle');
    const { response } = (answer['entry'] as JsonObject[])[0] as { response: JsonObject };
    expect([answer['type'], response['status'], response['etag']]).toEqual(['transaction-response', expect.stringMatching(/^201/), 'W/"1"']);
  });

  it.each([
    ['wrong order', (xml: string) => xml.replace(/(<status [^>]*>)(.*)(<subject>.*<\/subject>)/, '$3$2$1'), 'DocumentReference.type'],
    ['an unknown element', (xml: string) => xml.replace('<status', '<foo value="x"/><status'), 'DocumentReference'],
    ['another namespace', (xml: string) => xml.replace('hl7.org/fhir', 'hl7.org/FHIR'), undefined],
    ['a document type', (xml: string) => `<!DOCTYPE a [<!ENTITY x SYSTEM "http://127.0.0.1:1/">]>${xml}`, undefined],
    ['a truncated document', (xml: string) => xml.slice(0, -10), 'DocumentReference'],
    ['a latin-1 declaration', (xml: string) => `<?xml version="1.0" encoding="latin1"?>${xml}`, undefined],
  ])('with %s is 400 with the place', async (_what, spoil, expression) => {
    const answer = await client.post('DocumentReference', spoil(xmlOf(documentReference())), { 'content-type': FX });
    expect([answer.status, answer.json.issue[0].code, answer.json.issue[0].details.coding[0].code, answer.json.issue[0].expression?.[0]]).toEqual([400, 'structure', 'malformed-xml', expression]);
    expect(answer.json.issue[0].diagnostics).toMatch(/line \d+, column \d+/);
  });

  it('takes prefixes, a byte order mark and generic types; another charset is 415', async () => {
    const xml = xmlOf(documentReference());
    const prefixed = xml.replaceAll(/<(\/?)([A-Za-z])/g, '<$1f:$2').replace('xmlns=', 'xmlns:f=');
    expect((await client.post('DocumentReference', `\ufeff<?xml version="1.0" encoding="UTF-8"?>${prefixed}`, { 'content-type': 'text/xml' })).status).toBe(201);
    for (const type of ['application/xml', 'application/xml+fhir', 'application/fhir+xml; charset=utf-8; fhirVersion=4.0']) expect((await client.post('DocumentReference', xml, { 'content-type': type })).status).toBe(201);
    for (const type of ['application/fhir+xml; charset=utf-16', 'application/fhir+xml; fhirVersion=5.0', 'application/xml-patch+xml']) expect((await client.post('DocumentReference', xml, { 'content-type': type })).status).toBe(415);
  });
});

describe('Binary in XML', () => {
  it('answers bytes of any size in base64, with their length known before', async () => {
    for (const size of [0, 1, 2, 3, 70_001]) {
      const bytes = randomBytes(size);
      const { json } = await client.post('Binary', bytes, { 'content-type': 'application/octet-stream', 'x-security-context': 'Patient/1' });
      const answer = await client.get(`Binary/${json.id}`, { accept: FX });
      const binary = expectXml(answer, 200, 'Binary');
      expect(Buffer.from((binary['data'] as string | undefined) ?? '', 'base64').equals(bytes)).toBe(true);
      expect([binary['contentType'], binary['securityContext']]).toEqual(['application/octet-stream', { reference: 'Patient/1' }]);
      const head = await client.call(`Binary/${json.id}`, { method: 'HEAD', headers: { accept: FX } });
      expect([head.headers.get('content-length'), head.headers.get('etag')]).toEqual([String(answer.bytes.length), answer.headers.get('etag')]);
    }
  });

  it('a FHIR body that is a Binary is unwrapped, any other is content as it was sent', async () => {
    const wrapped = await client.post('Binary', xmlOf({ resourceType: 'Binary', contentType: 'text/plain', data: Buffer.from('hello').toString('base64') }), XML);
    const id = idOf(expectXml(wrapped, 201, 'Binary'));
    expect([(await client.get(`Binary/${id}`)).text, (await client.get(`Binary/${id}`)).headers.get('content-type')]).toEqual(['hello', 'text/plain']);
    const other = '<Patient xmlns="http://hl7.org/fhir"><newInAnotherVersion value="x"/></Patient>';
    const kept = await client.post('Binary', other, { 'content-type': FX });
    expect((await client.get(`Binary/${kept.json.id}`)).text).toBe(other);
    expect((await client.post('Binary', '<Patient', { 'content-type': FX })).status).toBe(400);
  });
});

describe('Binary', () => {
  it('is read by its version as it is read without, in all three forms', async () => {
    const { json } = await client.post('Binary', 'hello', { 'content-type': 'text/plain' });
    for (const accept of ['*/*', 'application/fhir+json', FX]) {
      const [now, then] = [await client.get(`Binary/${json.id}`, { accept }), await client.get(`Binary/${json.id}/_history/1`, { accept })];
      expect([then.status, then.text, then.headers.get('content-type'), then.headers.get('etag')]).toEqual([200, now.text, now.headers.get('content-type'), now.headers.get('etag')]);
      expect((await client.get(`Binary/${json.id}/_history/1`, { accept, 'if-none-match': now.headers.get('etag') ?? '' })).status).toBe(304);
    }
    for (const version of ['2', '0', 'x']) expect((await client.get(`Binary/${json.id}/_history/${version}`)).status).toBe(404);
  });

  it('shows its data in a part of it only when asked, and the bytes whole', async () => {
    const { json } = await client.post('Binary', 'hello', { 'content-type': 'text/plain' });
    const part = async (query: string, accept = 'application/fhir+json'): Promise<Answer> => client.get(`Binary/${json.id}?${query}`, { accept });
    for (const query of ['_summary=true', '_summary=text', '_elements=contentType']) {
      const { json: shown } = await part(query);
      expect([query, shown.data, shown.contentType, shown.meta.tag[0].code]).toEqual([query, undefined, 'text/plain', 'SUBSETTED']);
    }
    for (const query of ['_summary=data', '_elements=data']) expect([query, (await part(query)).json.data]).toEqual([query, 'aGVsbG8=']);
    expect(readXml((await part('_summary=true', FX)).text)['data']).toBeUndefined();
    expect((await part('_summary=true', '*/*')).text).toBe('hello');
  });
});

describe('_pretty', () => {
  it('puts each element on a line of its own, in JSON and XML, and changes nothing else', async () => {
    const { json } = await client.post('Media', media({ text: { status: 'generated', div: '<div xmlns="http://www.w3.org/1999/xhtml">a <b>b</b> <i>c</i></div>' } }));
    const [plain, pretty, xml] = [await client.get(`Media/${json.id}`), await client.get(`Media/${json.id}?_pretty=true`), await client.get(`Media/${json.id}?_pretty=true&_format=xml`)];
    expect(pretty.text.split('\n').length).toBeGreaterThan(10);
    expect(xml.text.split('\n').length).toBeGreaterThan(10);
    expect(pretty.json).toEqual(plain.json);
    expect(readXml(xml.text)).toEqual(plain.json);
    expect(plain.text).not.toContain('\n');
  });
});

describe('gzip', () => {
  it('compresses FHIR for who accepts it, by GET and HEAD, and nothing small; bytes never', async () => {
    const { json } = await client.post('DocumentReference', documentReference({ description: 'x'.repeat(2_000) }));
    for (const target of [`DocumentReference/${json.id}`, `DocumentReference?_id=${json.id}`, `DocumentReference/${json.id}?_format=xml`, 'metadata']) {
      const packed = await rawGet(target, 'gzip');
      const plain = await rawGet(target, 'identity');
      expect([target, packed.headers.get('content-encoding'), plain.headers.get('content-encoding')]).toEqual([target, 'gzip', null]);
      expect(packed.headers.get('etag')).toBe(plain.headers.get('etag'));
      expect(packed.headers.get('vary')).toMatch(/Accept-Encoding/);
      const head = await client.call(target, { method: 'HEAD', headers: { 'accept-encoding': 'gzip' } });
      expect(head.headers.get('content-length')).toBe(packed.headers.get('content-length'));
    }
    expect((await rawGet('DocumentReference/unknown', 'gzip')).headers.get('content-encoding')).toBeNull();
    const binary = await client.post('Binary', Buffer.alloc(5_000, 65), { 'content-type': 'text/plain' });
    expect((await rawGet(`Binary/${binary.json.id}`, 'gzip')).headers.get('content-encoding')).toBeNull();
  });

  const rawGet = async (target: string, encoding: string): Promise<Answer> => client.get(target, { 'accept-encoding': encoding });

  it('what a compressed answer unpacks to is the answer', async () => {
    const { json } = await client.post('DocumentReference', documentReference({ description: 'ä'.repeat(2_000) }));
    const plain = await client.get(`DocumentReference/${json.id}`, { 'accept-encoding': 'identity' });
    const packed = await new Promise<Buffer>((resolve, reject) => {
      const call = request(`${server.fhirBase}/DocumentReference/${json.id}`, { headers: { 'authorization': `Bearer ${token}`, 'accept-encoding': 'gzip' } }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => resolve(Buffer.concat(chunks)));
      });
      call.on('error', reject).end();
    });
    expect(gunzipSync(packed).toString('utf8')).toBe(plain.text);
  });
});

describe('Prefer: respond-async', () => {
  it('is passed over, or 400 where the client says that it means it', async () => {
    const plain = await client.get('DocumentReference?_count=1', { prefer: 'respond-async' });
    expect([plain.status, plain.headers.get('preference-applied')]).toEqual([200, null]);
    expect((await client.get('DocumentReference?_count=1', { prefer: 'respond-async, handling=strict' })).status).toBe(400);
  });
});
