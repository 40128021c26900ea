// What an operator allows an organisation, held on every way in: media types by resource type, bytes and contents; and the
// word of an administrator that sets the types aside.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes, randomUUID } from 'node:crypto';
import { documentReference, fhirClient, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

const PDF = Buffer.from('%PDF-1.4\n%%EOF\n');
const PNG = Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex');
const HTML = Buffer.from('<!doctype html><script>alert(1)</script>');
let server: TestMuniment;
let second: TestMuniment;
let operator: FhirClient;

beforeAll(async () => {
  server = await startMuniment();
  second = await server.startSecond();
  operator = fhirClient(server.fhirBase, await server.token());
});
afterAll(async () => {
  await second.stop();
  await server.stop();
});

const origin = (): string => server.fhirBase.replace(/\/fhir$/, '');

/** An organisation with these limits, and its administrator. */
async function opened(limits: object, at = server, roles = ['admin']): Promise<FhirClient & { org: string }> {
  const org = `org-${randomUUID().slice(0, 8)}`;
  const made = await operator.call(`${origin()}/admin/organisations`, { method: 'POST', body: JSON.stringify({ name: org, ...limits }), headers: { 'content-type': 'application/json' } });
  expect([made.status, made.json]).toEqual([201, expect.objectContaining(limits)]);
  return { ...fhirClient(at.fhirBase, await at.token({ org, roles })), org };
}

const inline = (contentType: string, bytes: Buffer): object => documentReference({ content: [{ attachment: { contentType, data: bytes.toString('base64') } }] });
const codeOf = ({ status, json }: Answer): unknown => [status, json?.code ?? json?.issue?.[0]?.details?.coding?.[0]?.code];

/** Each way in with these bytes: its status, and its code where it refuses. */
async function everyWay(client: FhirClient, contentType: string, bytes: Buffer, more: Record<string, string> = {}): Promise<Record<string, unknown>> {
  const form = new FormData();
  form.set('patient_id', randomUUID());
  form.set('file', new Blob([bytes], { type: contentType }), 'file.bin');
  const multipart = new Request('http://x', { method: 'POST', body: form });
  const multipartType = multipart.headers.get('content-type') ?? '';
  const multipartBody = Buffer.from(await multipart.arrayBuffer());
  const metadata = `filetype ${Buffer.from(contentType).toString('base64')}`;
  const tus = { 'tus-resumable': '1.0.0', 'upload-length': String(bytes.length), 'content-type': 'application/offset+octet-stream', ...more };
  const query = 'mutation($d: Upload!, $t: String!) { uploadFile(data: $d, filename: "f", contentType: $t) { id } }';
  const graphql = await client.call(`${origin()}/graphql`, { method: 'POST', body: JSON.stringify({ query, variables: { d: bytes.toString('base64'), t: contentType } }), headers: { 'content-type': 'application/json', ...more } });
  return {
    raw: codeOf(await client.post('Binary', bytes, { 'content-type': contentType, ...more })),
    fhir: codeOf(await client.post('Binary', { resourceType: 'Binary', contentType, data: bytes.toString('base64') }, more)),
    inline: codeOf(await client.post('DocumentReference', inline(contentType, bytes), more)),
    transaction: codeOf(await client.post('', { resourceType: 'Bundle', type: 'transaction', entry: [{ resource: inline(contentType, bytes), request: { method: 'POST', url: 'DocumentReference' } }] }, more)),
    multipart: codeOf(await client.call(`${origin()}/documents`, { method: 'POST', body: multipartBody, headers: { 'content-type': multipartType, ...more } })),
    tus: codeOf(await client.call(`${origin()}/uploads`, { method: 'POST', body: bytes, headers: { ...tus, 'upload-metadata': metadata } })),
    graphql: graphql.json.errors === undefined ? 'done' : [graphql.json.errors[0].extensions.status, graphql.json.errors[0].extensions.code],
  };
}

const REFUSED = [415, 'media-type'];

describe('the media types of an organisation', () => {
  it('hold on every way in, declared and found', async () => {
    const client = await opened({ allowedTypes: 'pdf-only' });
    const all = { raw: REFUSED, fhir: REFUSED, inline: REFUSED, transaction: REFUSED, multipart: REFUSED, tus: REFUSED, graphql: REFUSED };
    expect(await everyWay(client, 'image/png', PNG)).toEqual(all);
    expect(await everyWay(client, 'application/pdf', PNG)).toEqual(all);
    const taken = await everyWay(client, 'application/pdf', PDF);
    expect(taken).toEqual({ raw: [201, undefined], fhir: [201, undefined], inline: [201, undefined], transaction: [200, undefined], multipart: [201, undefined], tus: [201, undefined], graphql: 'done' });
  });

  it('hold for a PUT to a signed URL, and for a new version of a Binary', async () => {
    const client = await opened({ allowedTypes: 'pdf-only' });
    const { json: { id } } = await client.post('Binary', PDF, { 'content-type': 'application/pdf' });
    const signed = await client.post(`Binary/${id}/$signed-url`, { resourceType: 'Parameters', parameter: [{ name: 'method', valueCode: 'PUT' }] });
    const url = (signed.json.parameter as { name: string; valueUrl?: string }[]).find(({ name }) => name === 'url')?.valueUrl ?? '';
    const put = (type: string, bytes: Buffer): Promise<Answer> => client.call(url, { method: 'PUT', body: bytes, headers: { 'content-type': type }, token: null });
    const refused = await put('image/png', PNG);
    expect([refused.status, refused.json.allowedTypes]).toEqual([415, ['application/pdf']]);
    expect((await put('application/pdf', Buffer.concat([PDF, PDF]))).status).toBe(200);
    expect((await client.put(`Binary/${id}`, PNG, { 'content-type': 'image/png' })).status).toBe(415);
  });

  it('may differ for a resource type, by link as inline', async () => {
    const client = await opened({ allowedTypesOf: { DocumentReference: 'pdf-only', Media: ['image/*'] } });
    const { json: { id } } = await client.post('Binary', PNG, { 'content-type': 'image/png' });
    expect((await client.post('DocumentReference', inline('image/png', PNG))).status).toBe(415);
    const linked = await client.post('DocumentReference', documentReference({ content: [{ attachment: { contentType: 'image/png', url: `Binary/${id}` } }] }));
    expect([linked.status, linked.json.issue[0].expression]).toEqual([415, ['DocumentReference.content[0].attachment.url']]);
    const media = { resourceType: 'Media', status: 'completed', subject: { reference: 'Patient/1' }, content: { contentType: 'image/png', url: `Binary/${id}` } };
    expect((await client.post('Media', media)).status).toBe(201);
    expect((await client.post('DocumentReference', inline('application/pdf', PDF))).status).toBe(201);
  });

  it('are set aside by an administrator who says why, and the record has the reason', async () => {
    const client = await opened({ allowedTypes: 'pdf-only' });
    const why = { 'x-type-override': 'Referral of 4 May has photographs' };
    expect(await everyWay(client, 'image/png', PNG, why)).toEqual({ raw: [201, undefined], fhir: [201, undefined], inline: [201, undefined], transaction: [200, undefined], multipart: [201, undefined], tus: [201, undefined], graphql: 'done' });
    const requestId = randomUUID();
    await client.post('Binary', PNG, { 'content-type': 'image/png', 'x-request-id': requestId, ...why });
    expect((await client.auditOf(requestId)).map(({ outcome, outcomeDesc }) => [outcome, outcomeDesc])).toEqual([['0', 'The allowed types were set aside: Referral of 4 May has photographs']]);
    const unused = randomUUID();
    await client.post('Binary', PDF, { 'content-type': 'application/pdf', 'x-request-id': unused, ...why });
    expect((await client.auditOf(unused)).map(({ outcomeDesc }) => outcomeDesc)).toEqual([undefined]);
    expect((await client.post('Binary', Buffer.from('\x7fELF\x02\x01\x01', 'latin1'), { 'content-type': 'image/png', ...why })).status).toBe(415);
    expect((await client.post('Binary', PNG, { 'content-type': 'image/png', 'x-type-override': ' ' })).status).toBe(400);
  });

  it('are set aside by nobody else', async () => {
    const client = await opened({ allowedTypes: 'pdf-only' });
    const practitioner = fhirClient(server.fhirBase, await server.token({ org: client.org, roles: ['practitioner'] }));
    expect((await practitioner.post('Binary', PNG, { 'content-type': 'image/png', 'x-type-override': 'I want to' })).status).toBe(403);
  });

  it('are refused with their place when they are none', async () => {
    for (const [limits, expression] of [[{ allowedTypes: 'everything' }, 'allowedTypes'], [{ allowedTypesOf: { List: 'pdf-only' } }, 'allowedTypesOf'], [{ allowedTypesOf: { Media: ['png'] } }, 'allowedTypesOf.Media[0]'], [{ allowedTypesOf: [] }, 'allowedTypesOf']] as const) {
      const answer = await operator.call(`${origin()}/admin/organisations`, { method: 'POST', body: JSON.stringify({ name: `x-${randomUUID()}`, ...limits }), headers: { 'content-type': 'application/json' } });
      expect([answer.status >= 400 && answer.status < 423, answer.json.errors?.[0]?.expression]).toEqual([true, expression]);
    }
  });
});

describe('what a browser would run', () => {
  it('is saved, never shown, though the signed URL asks for inline', async () => {
    const dispositionOf = async (type: string, bytes: Buffer): Promise<string | undefined> => {
      const { json: { id } } = await operator.post('Binary', bytes, { 'content-type': type });
      const signed = await operator.post(`Binary/${id}/$signed-url`, { resourceType: 'Parameters', parameter: [{ name: 'disposition', valueCode: 'inline' }] });
      const url = (signed.json.parameter as { name: string; valueUrl?: string }[]).find(({ name }) => name === 'url')?.valueUrl ?? '';
      const { headers } = await operator.call(url, { token: null });
      expect([headers.get('x-content-type-options'), (headers.get('content-security-policy') ?? '').includes("default-src 'none'")]).toEqual(['nosniff', true]);
      return headers.get('content-disposition')?.split(';')[0];
    };
    const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>');
    const xml = Buffer.from('<?xml version="1.0"?><a/>');
    for (const [type, bytes] of [['text/html; charset=utf-8', HTML], ['TEXT/HTML', HTML], ['application/xhtml+xml', HTML], ['image/svg+xml', svg], ['text/xml', xml], ['application/xml', xml], ['application/cda+xml', xml]] as const) {
      expect([type, await dispositionOf(type, bytes)]).toEqual([type, 'attachment']);
    }
    expect([await dispositionOf('application/pdf', PDF), await dispositionOf('image/png', PNG)]).toEqual(['inline', 'inline']);
  });
});

describe('the quota of an organisation', () => {
  it('of bytes refuses on every way in what would go over it, before the bytes where their length is told; what fits is taken', async () => {
    const client = await opened({ quotaBytes: 1_000 });
    const refused = [413, 'quota'];
    expect(await everyWay(client, 'application/octet-stream', randomBytes(1_001))).toEqual({ raw: refused, fhir: refused, inline: refused, transaction: refused, multipart: refused, tus: refused, graphql: refused });
    expect((await server.sql(`select 1 from content c join organisation o on o.id = c.org where o.name = $1 and state in ('live', 'quarantined')`, [client.org])).length).toBe(0);
    expect((await client.post('Binary', randomBytes(600), { 'content-type': 'application/octet-stream' })).status).toBe(201);
    expect((await client.post('Binary', randomBytes(401), { 'content-type': 'application/octet-stream' })).status).toBe(413);
    expect((await client.post('Binary', randomBytes(400), { 'content-type': 'application/octet-stream' })).status).toBe(201);
    expect((await client.post('DocumentReference', documentReference({ content: [{ attachment: { contentType: 'text/plain', url: 'https://elsewhere.example/x' } }] }))).status).toBe(201);
  });

  it('counts what was there before it was set', async () => {
    const client = await opened({});
    for (let index = 0; index < 3; index += 1) await client.post('Binary', randomBytes(100), { 'content-type': 'application/octet-stream' });
    const patched = await operator.call(`${origin()}/admin/organisations/${client.org}`, { method: 'PATCH', body: JSON.stringify({ quotaCount: 4 }), headers: { 'content-type': 'application/json' } });
    expect(patched.status).toBe(200);
    expect((await client.post('Binary', randomBytes(10), { 'content-type': 'application/octet-stream' })).status).toBe(201);
    expect(codeOf(await client.post('Binary', randomBytes(10), { 'content-type': 'application/octet-stream' }))).toEqual([413, 'quota']);
  });

  it('is not exceeded by any number of uploads at once, on two servers', async () => {
    const here = await opened({ quotaBytes: 5_000, quotaCount: 20 });
    const there = fhirClient(second.fhirBase, await second.token({ org: here.org }));
    const answers = await Promise.all(Array.from({ length: 40 }, (_, index) => (index % 2 === 0 ? here : there).post('Binary', randomBytes(700), { 'content-type': 'application/octet-stream' })));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(7);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201, 413]));
    const [held] = await server.sql<{ bytes: number; count: number }>(`select sum(size)::int as bytes, count(*)::int as count from content c join organisation o on o.id = c.org where o.name = $1 and published_at is not null`, [here.org]);
    expect(held).toEqual({ bytes: 4_900, count: 7 });
  });
});
