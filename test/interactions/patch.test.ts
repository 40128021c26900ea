import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { documentReference, fhirClient, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

let server: TestMuniment;
let client: FhirClient;

beforeAll(async () => {
  server = await startMuniment();
  client = fhirClient(server.fhirBase, await server.token());
});
afterAll(() => server.stop());

const JSON_PATCH = 'application/json-patch+json';

function patch(path: string, operations: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  return client.call(path, { method: 'PATCH', body: JSON.stringify(operations), headers: { 'content-type': JSON_PATCH, ...headers } });
}

function fhirPathPatch(path: string, ...operations: [type: string, place: string, value?: object][]): Promise<Answer> {
  const parameter = operations.map(([type, place, value]) => ({ name: 'operation', part: [{ name: 'type', valueCode: type }, { name: 'path', valueString: place }, ...(value === undefined ? [] : [{ name: 'value', ...value }])] }));
  return client.call(path, { method: 'PATCH', body: { resourceType: 'Parameters', parameter } });
}

async function made(overrides: Record<string, unknown> = {}): Promise<string> {
  return `DocumentReference/${(await client.post('DocumentReference', documentReference(overrides))).json.id}`;
}

const versionOf = async (path: string): Promise<string> => (await client.get(path)).json.meta.versionId;

describe('patch', () => {
  it('a JSON Patch makes the next version, answers it with its ETag, and stands as PATCH in the history', async () => {
    const path = await made();
    const requestId = randomUUID();
    const patched = await patch(path, [{ op: 'test', path: '/status', value: 'current' }, { op: 'replace', path: '/status', value: 'superseded' }, { op: 'add', path: '/category/-', value: { text: 'more' } }], { 'if-match': 'W/"1"', 'x-request-id': requestId });
    expect(patched.status).toBe(200);
    expect(patched.headers.get('etag')).toBe('W/"2"');
    expect(patched.headers.get('location')).toBe(`${client.base}/${path}/_history/2`);
    expect(patched.json).toMatchObject({ status: 'superseded', meta: { versionId: '2' } });
    expect(patched.json.category).toHaveLength(2);
    expect((await client.get(path)).text).toBe(patched.text);
    expect((await client.get(`${path}/_history`)).json.entry[0]).toMatchObject({ request: { method: 'PATCH', url: path }, response: { status: '200' } });
    const [event] = await client.auditOf(requestId);
    expect(event).toMatchObject({ action: 'U', subtype: [{ code: 'patch' }] });
    expect(JSON.stringify(event.entity)).toContain(`${path}/_history/2`);
    const provenance = await client.get(`Provenance?target=${path}`);
    const written = provenance.json.entry.map((entry: { resource: { activity: { coding: { code: string }[] } } }) => entry.resource).find((one: { activity: { coding: { code: string }[] } }) => one.activity.coding[0]?.code === 'UPDATE');
    expect(written).toMatchObject({ entity: expect.arrayContaining([{ role: 'revision', what: { reference: `${path}/_history/1` } }]) });
  });

  it('a FHIRPath Patch changes the one element that its path names', async () => {
    const path = await made();
    const patched = await fhirPathPatch(path, ['replace', 'DocumentReference.status', { valueCode: 'superseded' }], ['replace', 'DocumentReference.type.coding.first().display', { valueString: 'Another' }]);
    expect(patched.status).toBe(200);
    expect(patched.json).toMatchObject({ status: 'superseded', type: { coding: [{ display: 'Another', code: '34133-9' }] } });
  });

  it('digits and order of what it does not touch survive', async () => {
    const text = '{"resourceType":"Media","status":"completed","duration":12.50,"_deviceName":{"extension":[{"url":"urn:x","valueDecimal":0.010}]},"deviceName":"d","content":{"contentType":"text/plain","url":"https://elsewhere.example/x"}}';
    const created = await client.post('Media', text, { 'content-type': 'application/fhir+json' });
    const patched = await patch(`Media/${created.json.id}`, [{ op: 'replace', path: '/deviceName', value: 'e' }]);
    expect(patched.text).toContain('"duration":12.50,"_deviceName":{"extension":[{"url":"urn:x","valueDecimal":0.010}]},"deviceName":"e"');
  });

  it('a patch that changes nothing makes no version', async () => {
    const path = await made();
    const patched = await fhirPathPatch(path, ['replace', 'DocumentReference.status', { valueCode: 'current' }], ['delete', 'DocumentReference.docStatus']);
    expect([patched.status, patched.headers.get('etag'), await versionOf(path)]).toEqual([200, 'W/"1"', '1']);
  });

  it.each([
    ['minimal', undefined],
    ['representation', 'DocumentReference'],
    ['OperationOutcome', 'OperationOutcome'],
  ])('Prefer: return=%s decides the body', async (wish, type) => {
    const patched = await patch(await made(), [{ op: 'add', path: '/description', value: 'x' }], { prefer: `return=${wish}` });
    expect([patched.status, patched.json?.resourceType]).toEqual([200, type]);
  });

  it('generated narrative goes when data changes, and stays when it does not or when a person wrote it', async () => {
    const div = '<div xmlns="http://www.w3.org/1999/xhtml">A note</div>';
    const generated = await made({ text: { status: 'generated', div } });
    expect((await patch(generated, [{ op: 'add', path: '/meta/tag', value: [{ code: 't' }] }])).json.text.div).toBe(div);
    expect((await patch(generated, [{ op: 'add', path: '/description', value: 'x' }])).json.text).toBeUndefined();
    const written = await made({ text: { status: 'additional', div } });
    expect((await patch(written, [{ op: 'add', path: '/description', value: 'x' }])).json.text.div).toBe(div);
  });

  it('inline data moves to a Binary, and a link to a Binary is checked', async () => {
    const path = await made();
    const data = Buffer.from('more bytes').toString('base64');
    const patched = await patch(path, [{ op: 'add', path: '/content/-', value: { attachment: { contentType: 'text/plain', data } } }]);
    expect(patched.status).toBe(200);
    const { attachment } = patched.json.content[1];
    expect(attachment).toMatchObject({ size: 10 });
    expect(attachment.data).toBeUndefined();
    expect((await client.get(attachment.url)).text).toBe('more bytes');
    const unknown = await patch(path, [{ op: 'add', path: '/content/-', value: { attachment: { contentType: 'text/plain', url: `Binary/${randomUUID()}` } } }]);
    expect([unknown.status, unknown.json.issue[0].details.coding[0].code]).toEqual([422, 'unknown-binary']);
  });

  it('patches of one resource at the same moment are all there, each over the one before', async () => {
    const path = await made({ category: [{ text: 'first' }] });
    const answers = await Promise.all(Array.from({ length: 12 }, (_, number) => patch(path, [{ op: 'add', path: '/category/-', value: { text: `c${number}` } }])));
    expect(answers.map((answer) => answer.status)).toEqual(Array.from({ length: 12 }, () => 200));
    const { json } = await client.get(path);
    expect(json.meta.versionId).toBe('13');
    expect(new Set(json.category.map((one: { text: string }) => one.text)).size).toBe(13);
  });
});

describe('what is refused, and leaves nothing', () => {
  it.each([
    ['a failing test', [{ op: 'test', path: '/status', value: 'superseded' }], 422, 'patch-failed'],
    ['a path that is not there', [{ op: 'remove', path: '/nothing' }], 422, 'patch-failed'],
    ['an invalid result', [{ op: 'replace', path: '/status', value: 'draft' }], 422, 'code-invalid'],
    ['an unknown element', [{ op: 'add', path: '/colour', value: 'red' }], 422, 'structure'],
    ['a required element taken away', [{ op: 'remove', path: '/status' }], 422, 'required'],
    ['another id', [{ op: 'replace', path: '/id', value: 'other' }], 422, 'patch-failed'],
    ['another type', [{ op: 'replace', path: '/resourceType', value: 'Media' }], 422, 'patch-failed'],
    ['another version', [{ op: 'replace', path: '/meta/versionId', value: '7' }], 422, 'patch-failed'],
    ['another instant', [{ op: 'replace', path: '/meta/lastUpdated', value: '2020-01-01T00:00:00Z' }], 422, 'patch-failed'],
    ['no array', { op: 'remove', path: '/status' }, 400, 'structure'],
    ['an unknown operation', [{ op: 'spam', path: '/status' }], 400, 'structure'],
  ])('%s', async (_what, operations, status, code) => {
    const path = await made();
    const refused = await patch(path, operations);
    expect([refused.status, refused.json.issue[0].details.coding[0].code]).toEqual([status, code]);
    expect(await versionOf(path)).toBe('1');
  });

  it('a body that is not JSON is 400; other formats are 415 with Accept-Patch', async () => {
    const path = await made();
    const broken = await client.call(path, { method: 'PATCH', body: '[{', headers: { 'content-type': JSON_PATCH } });
    const xml = await client.call(path, { method: 'PATCH', body: '<diff/>', headers: { 'content-type': 'application/xml-patch+xml' } });
    const merge = await client.call(path, { method: 'PATCH', body: '{}', headers: { 'content-type': 'application/merge-patch+json' } });
    const resource = await client.call(path, { method: 'PATCH', body: documentReference() });
    expect([broken.status, xml.status, merge.status, resource.status]).toEqual([400, 415, 415, 400]);
    for (const refused of [xml, merge]) expect(refused.headers.get('accept-patch')).toContain(JSON_PATCH);
  });

  it('If-Match of another version is 412, an unknown id 404, a deleted one 410, a Binary 405', async () => {
    const path = await made();
    const operations = [{ op: 'add', path: '/description', value: 'x' }];
    const binary = await client.post('Binary', 'some text', { 'content-type': 'text/plain' });
    const answers = [
      await patch(path, operations, { 'if-match': 'W/"2"' }),
      await patch(`DocumentReference/${randomUUID()}`, operations),
      await patch(`Binary/${binary.json.id}`, operations),
    ];
    await client.delete(path);
    answers.push(await patch(path, operations));
    expect(answers.map((answer) => answer.status)).toEqual([412, 404, 405, 410]);
  });

  it('needs the right to update', async () => {
    const path = await made();
    const reading = fhirClient(server.fhirBase, await server.token({ scope: 'user/*.rs' }));
    const refused = await reading.call(path, { method: 'PATCH', body: '[]', headers: { 'content-type': JSON_PATCH } });
    expect(refused.status).toBe(403);
  });
});

describe('List', () => {
  it('is created, read, updated, patched, found, told and deleted like a document', async () => {
    const patient = `Patient/${randomUUID()}`;
    const list = { resourceType: 'List', status: 'current', mode: 'working', subject: { reference: patient }, entry: [{ item: { reference: 'DocumentReference/1' } }] };
    const created = await client.post('List', list);
    expect([created.status, created.headers.get('location')]).toEqual([201, `${client.base}/List/${created.json.id}/_history/1`]);
    const path = `List/${created.json.id}`;
    expect((await client.put(path, { ...list, id: created.json.id, title: 'Folder' })).status).toBe(200);
    expect((await fhirPathPatch(path, ['replace', 'List.status', { valueCode: 'retired' }])).status).toBe(200);
    expect((await client.get(`List?patient=${patient}&status=retired`)).json.entry.map((entry: { fullUrl: string }) => entry.fullUrl)).toEqual([`${client.base}/${path}`]);
    expect((await client.post('List', { ...list, mode: 'sometimes' })).status).toBe(422);
    expect((await client.delete(path)).status).toBe(204);
    expect((await client.get(path)).status).toBe(410);
    expect((await client.get(`${path}/_history`)).json.entry.map((entry: { request: { method: string } }) => entry.request.method)).toEqual(['DELETE', 'PATCH', 'PUT', 'POST']);
    expect((await client.get(`${path}/_history/1`)).json.entry).toHaveLength(1);
  });

  it('is refused to a client whose scope names another type', async () => {
    const other = fhirClient(server.fhirBase, await server.token({ scope: 'user/DocumentReference.cruds' }));
    expect((await other.get('List')).status).toBe(403);
  });
});

it('the CapabilityStatement names the formats of a patch', async () => {
  const { json } = await client.get('metadata');
  expect(json.patchFormat).toEqual([JSON_PATCH, 'application/fhir+json', 'application/fhir+xml']);
  const types = json.rest[0].resource.filter((one: { interaction: { code: string }[] }) => one.interaction.some(({ code }) => code === 'patch')).map((one: { type: string }) => one.type);
  expect(types).toEqual(['DocumentReference', 'Media', 'List']);
});
