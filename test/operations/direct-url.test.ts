// Signed URLs in mode direct, on a real MinIO: what the store gives and takes itself, and what is still asked and recorded here.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { documentReference, fhirClient, type Answer, type Call, type FhirClient } from '../support/fhir-client.ts';
import { minioEnvironment, startMuniment, type TestMuniment } from '../support/start-muniment.ts';

/* eslint-disable @typescript-eslint/no-explicit-any -- rendered resources */

const minio = minioEnvironment();
if (minio === undefined) process.stderr.write('Left out: direct URLs (no TEST_S3_ENDPOINT)\n');
const direct = { ...minio, STORAGE_DIRECT_ENDPOINT: minio?.STORAGE_ENDPOINT ?? '', STORAGE_DIRECT_MINIO: 'acknowledged' };

const TEXT = 'The bytes of a document, from the store itself.';
const parametersOf = (values: Record<string, unknown>): object => ({
  resourceType: 'Parameters', parameter: Object.entries(values).map(([name, value]) => ({ name, [typeof value === 'number' ? 'valuePositiveInt' : 'valueString']: value })),
});

(minio === undefined ? describe.skip : describe)('a signed URL in mode direct', () => {
  let server: TestMuniment;
  let admin: FhirClient;
  let doctor: FhirClient;

  beforeAll(async () => {
    server = await startMuniment(direct);
    admin = fhirClient(server.fhirBase, await server.token());
    doctor = fhirClient(server.fhirBase, await server.token({ roles: ['practitioner'], user: 'Practitioner/doctor' }));
    await allow(true);
  });
  afterAll(() => server.stop());

  async function allow(directUrls: boolean): Promise<void> {
    const answer = await admin.call(server.fhirBase.replace(/fhir$/, 'admin/organisations/demo'), { method: 'PATCH', body: JSON.stringify({ directUrls }), headers: { 'content-type': 'application/json' } });
    expect([answer.status, answer.json.directUrls]).toEqual([200, directUrls]);
  }
  async function newDocument(overrides: Record<string, unknown> = {}): Promise<{ id: string; binary: string; patient: string }> {
    const attachment = { contentType: 'text/plain', data: Buffer.from(TEXT).toString('base64'), title: 'Note' };
    const { json } = await doctor.post('DocumentReference', documentReference({ content: [{ attachment }], ...overrides }));
    return { id: json.id, binary: json.content[0].attachment.url.split('/').at(-1), patient: json.subject.reference };
  }
  async function sign(path: string, values: Record<string, unknown> = {}): Promise<{ url: string; grant: string }> {
    const answer = await doctor.post(`${path}/$signed-url`, parametersOf({ mode: 'direct', ...values }));
    expect([answer.status, answer.text]).toEqual([200, expect.any(String)]);
    return Object.fromEntries(answer.json.parameter.map(({ name, ...value }: any) => [name, Object.values(value)[0]])) as { url: string; grant: string };
  }
  /** Without any token and without following. */
  const open = (url: string, call: Call = {}): Promise<Answer> => doctor.call(url, { ...call, token: null, redirect: 'manual' });
  const ofStore = (answer: Answer): string => answer.headers.get('location') ?? '';
  const put = (url: string, body: Buffer, headers: Record<string, string> = {}): Promise<Answer> => open(url, { method: 'PUT', body, headers: { 'content-type': 'text/plain', ...headers } });
  const intoStore = (url: string, body: Buffer, headers: Record<string, string> = { 'content-type': 'text/plain' }): Promise<number> => fetch(url, { method: 'PUT', body, headers }).then(({ status }) => status);

  it('is one below /files that leads to the store for a minute, recorded before, with what the record cannot say', async () => {
    const { id, binary, patient } = await newDocument();
    for (const path of [`DocumentReference/${id}`, `Binary/${binary}`]) {
      const { url, grant } = await sign(path, { disposition: 'inline' });
      expect(url).toMatch(/\/files\/[\w-]{72}$/);
      const requestId = randomUUID();
      const led = await open(url, { headers: { 'x-request-id': requestId, range: 'bytes=0-3' } });
      expect([led.status, led.text, led.headers.get('cache-control')]).toEqual([307, '', 'private, no-store']);
      const to = new URL(ofStore(led));
      expect([to.origin, to.searchParams.get('X-Amz-Expires')]).toEqual([minio?.STORAGE_ENDPOINT, '60']);
      expect(to.search).not.toContain(minio?.STORAGE_ACCESS_KEY);
      const shown = await fetch(to, { headers: { range: 'bytes=4-8' } });
      expect([shown.status, await shown.text(), shown.headers.get('content-type'), shown.headers.get('content-disposition'), shown.headers.get('cache-control')]).toEqual([206, TEXT.slice(4, 9), 'text/plain', 'inline; filename="Note.txt"', 'private, no-store']);
      const [event, ...more] = await admin.auditOf(requestId);
      expect([more, event.outcome, event.subtype[0].code]).toEqual([[], '0', 'read']);
      expect(JSON.stringify(event)).toContain('whether it was used, how often and from where is not known here');
      for (const text of [patient, `Binary/${binary}/_history/1`, `DocumentReference/${id}/_history/1`, `urn:uuid:${grant}`]) expect(JSON.stringify(event)).toContain(text);
      expect(JSON.stringify(event)).not.toContain('X-Amz');
    }
  });

  it('shows the digest of the whole by HEAD, which stays here, and gives no more than the one object to read', async () => {
    const { binary } = await newDocument();
    const { url } = await sign(`Binary/${binary}`);
    const head = await open(url, { method: 'HEAD' });
    expect([head.status, head.headers.get('repr-digest'), head.headers.get('content-length')]).toEqual([200, `sha-256=:${createHash('sha256').update(TEXT).digest('base64')}:`, String(TEXT.length)]);
    const to = ofStore(await open(url));
    expect(await intoStore(to, Buffer.from('other'))).toBe(403);
    const elsewhere = new URL(to);
    elsewhere.pathname = elsewhere.pathname.replace(/.$/, (last) => (last === '0' ? '1' : '0'));
    expect((await fetch(elsewhere)).status).toBe(403);
    expect((await fetch(to, { method: 'DELETE' })).status).toBe(403);
    expect((await open(url, { headers: { 'if-none-match': head.headers.get('etag') ?? '' } })).status).toBe(304);
  });

  it('counts how often it led there, and ends like any other', async () => {
    const { binary } = await newDocument();
    const counted = await sign(`Binary/${binary}`, { uses: 1 });
    expect([(await open(counted.url)).status, (await open(counted.url)).status]).toEqual([307, 410]);
    const { url, grant } = await sign(`Binary/${binary}`);
    expect((await doctor.get('$grants')).json.parameter.find(({ part }: any) => part[0].valueId === grant).part).toContainEqual({ name: 'mode', valueCode: 'direct' });
    const fresh = await doctor.post(`Binary/${binary}/$refresh-url`, parametersOf({ grant }));
    expect((await open(url)).status).toBe(410);
    expect((await open(fresh.json.parameter[0].valueUrl)).status).toBe(307);
  });

  it('is refused where nobody could hold to what was asked, and where the organisation does not allow it', async () => {
    const path = `Binary/${(await newDocument()).binary}/$signed-url`;
    const ask = async (values: Record<string, unknown>): Promise<[number, string]> => {
      const { status, json } = await doctor.post(path, parametersOf(values));
      return [status, json.issue?.[0].details.coding[0].code];
    };
    expect(await ask({ 'mode': 'direct', 'allowed-ip': '10.0.0.0/8' })).toEqual([400, 'invalid-parameter']);
    expect(await ask({ mode: 'direct', method: 'PUT', uses: 2 })).toEqual([400, 'invalid-parameter']);
    expect(await ask({ mode: 'fast' })).toEqual([400, 'invalid-parameter']);
    await allow(false);
    try {
      expect(await ask({ mode: 'direct' })).toEqual([403, 'forbidden']);
      expect((await ask({ mode: 'server' }))[0]).toBe(200);
    } finally { await allow(true); }
  });

  it('gives the bytes itself once the organisation no longer allows it, and of a document that is labelled restricted', async () => {
    const { binary, id } = await newDocument();
    const { url } = await sign(`DocumentReference/${id}`);
    await allow(false);
    try {
      const shown = await open(url);
      expect([shown.status, shown.text]).toEqual([200, TEXT]);
    } finally { await allow(true); }
    expect((await open(url)).status).toBe(307);
    const { json } = await doctor.get(`DocumentReference/${id}`);
    json.meta.security = [{ system: 'http://terminology.hl7.org/CodeSystem/v3-Confidentiality', code: 'R' }];
    expect((await doctor.put(`DocumentReference/${id}`, json)).status).toBe(200);
    for (const lent of [url, (await sign(`Binary/${binary}`)).url]) expect([(await open(lent)).status, (await open(lent)).text]).toEqual([200, TEXT]);
  });

  describe('for PUT', () => {
    it('leads to the store for these bytes alone, which are nothing until they were read back and hashed here', async () => {
      const fresh = `scan-${randomUUID()}`;
      const bytes = Buffer.concat([Buffer.from('A scan. '), randomBytes(3_000_000).toString('hex')].map((part) => Buffer.from(part)));
      const { url, grant } = await sign(`Binary/${fresh}`, { 'method': 'PUT', 'sha-256': createHash('sha256').update(bytes).digest('hex') });
      expect((await open(url, { method: 'POST' })).status).toBe(409);
      const [first, second] = [randomUUID(), randomUUID()];
      const led = await put(url, bytes, { 'x-request-id': first });
      expect(led.status).toBe(307);
      expect([await intoStore(ofStore(led), bytes.subarray(1)), await intoStore(ofStore(led), bytes, { 'content-type': 'text/html' })]).toEqual([403, 403]);
      expect(await intoStore(ofStore(led), bytes)).toBe(200);
      expect([400, 403]).toContain((await fetch(ofStore(led))).status);
      expect((await doctor.get(`Binary/${fresh}`)).status).toBe(404);
      const ended = await open(url, { method: 'POST', headers: { 'x-request-id': second } });
      expect([ended.status, ended.headers.get('location')]).toEqual([201, `${server.fhirBase}/Binary/${fresh}/_history/1`]);
      const kept = await doctor.get(`Binary/${fresh}`);
      expect([kept.headers.get('content-type'), createHash('sha256').update(kept.text).digest('hex')]).toEqual(['text/plain', createHash('sha256').update(bytes).digest('hex')]);
      expect((await open(url, { method: 'POST' })).status).toBe(410);
      const [asked, made] = [await admin.auditOf(first), await admin.auditOf(second)];
      expect([asked.length, asked[0].outcome, made.length, made[0].subtype[0].code]).toEqual([1, '0', 1, 'create']);
      expect(JSON.stringify(made[0])).toContain(grant);
      const [row] = await server.sql<{ key: string; state: string }>('select key, state from content where id = $1', [grant]);
      expect(row).toEqual({ key: `inbox/${grant.replaceAll('-', '')}`, state: 'condemned' });
    });

    it('keeps nothing of bytes that are other than agreed, of another type, or sent behind the end', async () => {
      const bytes = Buffer.from('exactly these');
      const agreed = { 'method': 'PUT', 'content-type': 'text/plain', 'size': bytes.length, 'sha-256': createHash('sha256').update(bytes).digest('hex') };
      const fresh = `scan-${randomUUID()}`;
      const { url } = await sign(`Binary/${fresh}`, agreed);
      expect([(await put(url, Buffer.from('less'))).status, (await put(url, bytes, { 'content-type': 'application/pdf' })).status]).toEqual([422, 415]);
      expect(await intoStore(ofStore(await put(url, bytes)), Buffer.from('exactly those'))).toBe(200);
      const requestId = randomUUID();
      const refused = await open(url, { method: 'POST', headers: { 'x-request-id': requestId } });
      expect([refused.status, refused.json.code, (await admin.auditOf(requestId)).length]).toEqual([400, 'digest-mismatch', 1]);
      expect((await open(url, { method: 'POST' })).json.code).toBe('conflict');
      expect((await doctor.get(`Binary/${fresh}`)).status).toBe(404);
      expect(await intoStore(ofStore(await put(url, bytes)), bytes)).toBe(200);
      expect((await open(url, { method: 'POST', body: 'x' })).status).toBe(400);
      expect((await open(url, { method: 'POST' })).status).toBe(201);

      const program = Buffer.concat([Buffer.from('7f454c46020101000000000000000000', 'hex'), randomBytes(2_000)]);
      const scan = await sign(`Binary/scan-${randomUUID()}`, { method: 'PUT' });
      expect(await intoStore(ofStore(await put(scan.url, program)), program)).toBe(200);
      expect((await open(scan.url, { method: 'POST' })).status).toBe(415);
      const late = await sign(`Binary/scan-${randomUUID()}`, { method: 'PUT' });
      const led = ofStore(await put(late.url, bytes));
      expect([await intoStore(led, bytes), (await open(late.url, { method: 'POST' })).status, await intoStore(led, Buffer.from('something else'.slice(0, bytes.length)))]).toEqual([200, 201, 200]);
      expect((await open(late.url, { method: 'POST' })).status).toBe(410);
    });

    it('takes the bytes itself once the organisation no longer allows it; a POST is for nothing else', async () => {
      const { url } = await sign(`Binary/scan-${randomUUID()}`, { method: 'PUT' });
      await allow(false);
      try {
        expect((await put(url, Buffer.from('taken here'))).status).toBe(201);
      } finally { await allow(true); }
      const plain = await sign(`Binary/scan-${randomUUID()}`, { method: 'PUT', mode: 'server' });
      expect((await open(plain.url, { method: 'POST' })).status).toBe(403);
      expect((await put(plain.url, Buffer.from('here as well'))).status).toBe(201);
    });
  });
});

(minio === undefined ? describe.skip : describe)('a server for direct URLs', () => {
  it('does not start on MinIO unless its hole is acknowledged, on a store without sessions, or where no session is given', async () => {
    const { STORAGE_DIRECT_MINIO: _word, ...unsaid } = direct;
    await expect(startMuniment(unsaid)).rejects.toThrow('STORAGE_DIRECT_MINIO=acknowledged');
    await expect(startMuniment({ ...direct, STORAGE_TYPE: 'r2' })).rejects.toThrow('STORAGE_TYPE=s3 or minio');
    await expect(startMuniment({ ...direct, STORAGE_STS_ENDPOINT: 'http://127.0.0.1:9' })).rejects.toThrow('STORAGE_DIRECT_ENDPOINT needs sessions');
  });
});
