// Binary: its two representations, headers, ranges, digests, and what a broken transfer leaves behind.
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { documentReference, fhirClient, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { exchange, openSocket, requestHead } from '../support/raw-http.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';
import { expectOutcome, expectStatus, FJ, FX } from './expectations.ts';
import { row } from './row.ts';

let server: TestMuniment;
let client: FhirClient;
let token: string;

beforeAll(async () => {
  server = await startMuniment({ UPLOAD_BYTES_MAX: '64MiB' });
  token = await server.token();
  client = fhirClient(server.fhirBase, token);
});
afterAll(() => server.stop());

const upload = async (bytes: Buffer | string, type: string, headers: Record<string, string> = {}): Promise<string> => {
  const made = await client.post('Binary', bytes, { 'content-type': type, ...headers });
  expectStatus(made, 201);
  return (made.headers.get('location') ?? '').split('/').at(-3) as string;
};
const read = (id: string, headers: Record<string, string> = {}, query = ''): Promise<Answer> => client.get(`Binary/${id}${query}`, headers);
const typeOf = (answer: Answer): string => answer.headers.get('content-type') ?? '';
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('base64');
const contents = async (): Promise<number> => Number((await server.sql<{ n: string }>("select count(*) as n from content where state in ('staging', 'live')"))[0]?.n);

/** What an answer is: raw bytes of this type, or a Binary resource in this format. */
function formOf(answer: Answer): string {
  const type = typeOf(answer).split(';')[0] ?? '';
  if (answer.status !== 200) return String(answer.status);
  if (type === FJ || /^(application|text)\/json$/.test(type)) return answer.json?.resourceType === 'Binary' && answer.json.data !== undefined ? 'json' : `raw ${type}`;
  return answer.text.includes('<Binary xmlns="http://hl7.org/fhir">') ? 'xml' : `raw ${type}`;
}

describe('representations', () => {
  row('BIN-01', async () => {
    const stored: Record<string, string> = { pdf: await upload('%PDF-1.4 bytes', 'application/pdf'), json: await upload('{"a":1}', 'application/json'), xml: await upload('<a/>', 'application/xml'), fhir: await upload('{"resourceType":"Patient"}', FJ) };
    const table: [stored: string, accept: string, format: string, form: string][] = [
      ['pdf', FJ, '', 'json'], ['pdf', FX, '', 'xml'], ['pdf', `application/pdf;q=0.5, ${FJ}`, '', 'json'], ['pdf', `application/pdf, ${FJ};q=0.5`, '', 'raw application/pdf'],
      ['pdf', '*/*', 'json', 'json'], ['pdf', '*/*', 'xml', 'xml'], ['pdf', 'application/pdf', 'application/json', 'json'], ['pdf', '', encodeURIComponent(FX), 'xml'], ['json', '', 'json', 'json'], ['fhir', '', 'json', 'json'],
      ['pdf', '*/*', '', 'raw application/pdf'], ['pdf', '', '', 'raw application/pdf'], ['pdf', 'application/pdf', '', 'raw application/pdf'], ['pdf', 'application/*', '', 'raw application/pdf'], ['pdf', 'text/html, */*;q=0.1', '', 'raw application/pdf'], ['pdf', 'application/octet-stream', '', 'raw application/pdf'],
      ['json', 'application/json', '', 'raw application/json'], ['pdf', 'application/json', '', 'json'], ['pdf', 'text/json', '', 'json'], ['xml', 'application/json', '', 'json'],
      ['xml', 'application/xml', '', 'raw application/xml'], ['pdf', 'application/xml', '', 'xml'], ['pdf', 'text/xml', '', 'xml'], ['json', 'text/xml', '', 'xml'],
      ['pdf', 'image/png', '', '406'], ['pdf', 'text/plain, image/*', '', '406'], ['json', FJ, '', 'json'], ['fhir', '*/*', '', `raw ${FJ}`],
    ];
    for (const [name, accept, format, form] of table) {
      const id = stored[name] as string;
      for (const path of [`Binary/${id}`, `Binary/${id}/_history/1`]) {
        const url = `${path}${format === '' ? '' : `?_format=${format}`}`;
        const headers = accept === '' ? { accept: '*/*' } : { accept };
        const get = await client.get(url, headers);
        expect({ name, accept, format, path: path.slice(-10), form: formOf(get) }).toEqual({ name, accept, format, path: path.slice(-10), form });
        const head = await client.call(url, { method: 'HEAD', headers });
        expect({ name, accept, format, head: [head.status, head.bytes.length, typeOf(head), head.headers.get('content-length')] }).toEqual({ name, accept, format, head: [get.status, 0, typeOf(get), get.headers.get('content-length')] });
      }
    }
    // fetch sends an Accept of its own: none at all goes over a socket.
    const none = await exchange(server.fhirBase, [requestHead('GET', `/fhir/Binary/${stored['pdf']}`, [['Authorization', `Bearer ${token}`], ['Connection', 'close']])]);
    expect([none.status, none.headers['content-type'], none.body]).toEqual([200, 'application/pdf', '%PDF-1.4 bytes']);
  });

  row('BIN-02', async () => {
    const patient = '{"resourceType":"Patient","active":true}';
    const id = await upload(patient, FJ);
    const resource = await read(id, { accept: FJ });
    expect(resource.json).toMatchObject({ resourceType: 'Binary', id, contentType: FJ, data: Buffer.from(patient).toString('base64') });
    expect((await read(id, { accept: '*/*' })).text).toBe(patient);
    const xml = await read(id, { accept: FX });
    expect(xml.text).toContain('<Binary xmlns="http://hl7.org/fhir">');
    expect(xml.text).toContain(Buffer.from(patient).toString('base64'));
  });

  row('BIN-03', async () => {
    const [vendor, vendorXml] = [await upload('{"b":2}', 'application/vnd.xacml+json'), await upload('<v/>', 'application/vnd.acme+xml')];
    expect(formOf(await read(vendor, { accept: 'application/json' }))).toBe('raw application/vnd.xacml+json');
    expect(formOf(await read(vendor, { accept: 'application/xml' }))).toBe('xml');
    expect(formOf(await read(vendorXml, { accept: 'text/xml' }))).toBe('raw application/vnd.acme+xml');
    expect(formOf(await read(vendorXml, { accept: 'application/json' }))).toBe('json');
  });

  row('BIN-04', async () => {
    const context = (await client.post('DocumentReference', documentReference())).json.id;
    const made = await client.post('Binary', 'grüße', { 'content-type': 'text/plain; charset=iso-8859-15; format=flowed', 'x-security-context': `DocumentReference/${context}` });
    expectStatus(made, 201);
    const id = (made.headers.get('location') ?? '').split('/').at(-3) as string;
    const answer = await read(id, { accept: '*/*' });
    expect(typeOf(answer)).toBe('text/plain; charset=iso-8859-15; format=flowed');
    expect(answer.headers.get('etag')).toMatch(/^(W\/)?"1/);
    expect(answer.headers.get('last-modified')).toMatch(/GMT$/);
    expect(answer.headers.get('content-length')).toBe(String(Buffer.byteLength('grüße')));
    expect(answer.headers.get('x-security-context')).toContain(`DocumentReference/${context}`);
    expect(typeOf(await read(await upload('x', 'text/plain'), { accept: '*/*' }))).toBe('text/plain');
  });
});

describe('create', () => {
  row('BIN-05', async () => {
    const large = randomBytes(20 * 1024 * 1024);
    for (const [bytes, type] of [[Buffer.from('%PDF-1.7\nx'), 'application/pdf'], [Buffer.alloc(0), 'text/plain'], [randomBytes(1_000), 'application/octet-stream'], [Buffer.from('--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n'), 'application/octet-stream'], [large, 'application/octet-stream']] as const) {
      const id = await upload(bytes, type);
      const answer = await read(id, { accept: '*/*' });
      expect([sha256(answer.bytes), typeOf(answer)]).toEqual([sha256(bytes), type]);
    }
    const made = await client.post('Binary', 'a', { 'content-type': 'text/plain' });
    expect(made.headers.get('location')).toMatch(new RegExp(`^${server.fhirBase}/Binary/[^/]+/_history/1$`));
    expect(made.headers.get('etag')).toMatch(/"1/);
    expectOutcome(await client.post('Binary', Buffer.from('\x7fELF\x02\x01\x01'), { 'content-type': 'application/octet-stream' }), 415, 'not-supported');
  });

  row('BIN-06', async () => {
    const unwrapped = await client.post('Binary', { resourceType: 'Binary', contentType: 'text/plain', data: Buffer.from('inside').toString('base64') });
    expectStatus(unwrapped, 201);
    const first = await read((unwrapped.headers.get('location') ?? '').split('/').at(-3) as string, { accept: '*/*' });
    expect([first.text, typeOf(first)]).toEqual(['inside', 'text/plain']);
    const patient = '{ "resourceType": "Patient",  "active": true }';
    const kept = await read(await upload(patient, FJ), { accept: '*/*' });
    expect([kept.text, typeOf(kept)]).toEqual([patient, FJ]);
    const byXml = await client.post('Binary', '<Binary xmlns="http://hl7.org/fhir"><contentType value="text/plain"/><data value="QQ=="/></Binary>', { 'content-type': FX });
    expectStatus(byXml, 201);
    expect((await read((byXml.headers.get('location') ?? '').split('/').at(-3) as string, { accept: '*/*' })).text).toBe('A');
    const xmlPatient = '<Patient xmlns="http://hl7.org/fhir"><active value="true"/></Patient>';
    const keptXml = await read(await upload(xmlPatient, FX), { accept: '*/*' });
    expect([keptXml.text, typeOf(keptXml).split(';')[0]]).toEqual([xmlPatient, FX]);
  });

  row('BIN-07', async () => {
    const { id } = (await client.post('DocumentReference', documentReference())).json;
    const reference = `DocumentReference/${id}`;
    const made = await client.post('Binary', 'a', { 'content-type': 'text/plain', 'x-security-context': reference });
    expectStatus(made, 201);
    const resource = await client.get((made.headers.get('location') ?? '').replace(/\/_history.*/, ''), { accept: FJ });
    expect(resource.json.securityContext.reference).toContain(reference);
    const before = await contents();
    expectOutcome(await client.post('Binary', 'a', { 'content-type': 'text/plain', 'x-security-context': `DocumentReference/${randomUUID()}` }), 422, 'value');
    expectOutcome(await client.post('Binary', 'a', { 'content-type': 'text/plain', 'x-security-context': 'not a reference' }), 422, 'value');
    const body = { resourceType: 'Binary', contentType: 'text/plain', data: 'QQ==', securityContext: { reference } };
    expectOutcome(await client.post('Binary', body, { 'x-security-context': 'Patient/other' }), 400);
    expect(await contents()).toBe(before);
    expectStatus(await client.post('Binary', body, { 'x-security-context': reference }), 201);
    expectStatus(await client.post('Binary', body), 201);
  });

  row('BIN-09', async () => {
    expectOutcome(await client.post('Binary', { resourceType: 'Binary', data: 'QQ==' }), 422, 'required');
    for (const contentType of ['pdf', 'text', 'a/b/c', 'text/ plain']) {
      const answer = await client.post('Binary', { resourceType: 'Binary', contentType, data: 'QQ==' });
      expect({ contentType, status: answer.status }).toEqual({ contentType, status: 422 });
    }
    expectOutcome(await client.post('Binary', 'x', { 'content-type': 'pdf' }), 415, 'not-supported');
  });

  row('BIN-10', async () => {
    for (const data of ['QQ', 'QQ=', '!!!!', 'QQ==QQ==', 'Q=Q=', 'QUI\u0000=']) {
      const answer = await client.post('Binary', { resourceType: 'Binary', contentType: 'text/plain', data });
      expect({ data, status: answer.status }).toEqual({ data, status: 400 });
    }
    const spaced = await client.post('Binary', { resourceType: 'Binary', contentType: 'text/plain', data: 'QUJD\r\n REVG\n' });
    expectStatus(spaced, 201);
    expect((await client.get((spaced.headers.get('location') ?? '').replace(/\/_history.*/, ''), { accept: '*/*' })).text).toBe('ABCDEF');
  });

  row('BIN-21', async () => {
    const empty = await client.post('Binary', '', { 'content-type': 'text/plain' });
    expectStatus(empty, 201);
    const answer = await client.get((empty.headers.get('location') ?? '').replace(/\/_history.*/, ''), { accept: '*/*' });
    expect([answer.status, answer.bytes.length, answer.headers.get('content-length')]).toEqual([200, 0, '0']);
    const untyped = await exchange(server.fhirBase, [requestHead('POST', '/fhir/Binary', [['Authorization', `Bearer ${token}`], ['Content-Length', '3'], ['Connection', 'close']]), 'abc']);
    expect(untyped.status).toBe(415);
  });

  row('BIN-22', async () => {
    for (const [headers, status] of [[[['Authorization', 'Bearer nonsense']], 401], [[['Authorization', `Bearer ${token}`], ['Repr-Digest', 'sha-256=:QQ==:']], 400]] as const) {
      const socket = await openSocket(server.fhirBase);
      let text = '';
      socket.on('data', (chunk: Buffer) => { text += chunk.toString('latin1'); });
      socket.on('error', () => { /* The server may close what it refused. */ });
      socket.write(requestHead('POST', '/fhir/Binary', [...headers, ['Content-Type', 'text/plain'], ['Content-Length', '60000000'], ['Expect', '100-continue']]));
      for (let waited = 0; waited < 3_000 && !/HTTP\/1\.1 [2-5]/.test(text); waited += 20) await sleep(20);
      socket.destroy();
      expect(text).toContain(`HTTP/1.1 ${status}`);
      expect(text).not.toContain('100 Continue');
    }
    const tooLarge = await exchange(server.fhirBase, [requestHead('POST', '/fhir/Binary', [['Authorization', `Bearer ${token}`], ['Content-Type', 'text/plain'], ['Content-Length', '1000000000'], ['Expect', '100-continue']])]);
    expect(tooLarge.status).toBe(413);
    expect(tooLarge.text).not.toContain('100 Continue');
  });

  row('BIN-23', async () => {
    const before = await contents();
    const resources = async (): Promise<string | undefined> => (await server.sql<{ n: string }>('select count(*) as n from resource'))[0]?.n;
    const rows = await resources();
    const socket = await openSocket(server.fhirBase);
    socket.on('error', () => { /* Cut on purpose. */ });
    socket.write(requestHead('POST', '/fhir/Binary', [['Authorization', `Bearer ${token}`], ['Content-Type', 'application/octet-stream'], ['Content-Length', '4000000']]));
    socket.write(Buffer.alloc(2_000_000));
    await sleep(300);
    socket.destroy();
    for (let waited = 0; waited < 5_000 && (await server.sql("select 1 from content where state = 'staging'")).length > 0; waited += 50) await sleep(50);
    expect(await resources()).toBe(rows);
    expect(await contents()).toBe(before);
    expectStatus(await client.post('Binary', 'a', { 'content-type': 'text/plain' }), 201);
  });
});

describe('update, history and what is not offered', () => {
  row('BIN-08', async () => {
    const id = await upload('%PDF-1.4 one', 'application/pdf');
    const updated = await client.put(`Binary/${id}`, 'two', { 'content-type': 'text/plain' });
    expectStatus(updated, 200);
    expect(updated.headers.get('location') ?? `/_history/2`).toContain('/_history/2');
    const [now, then] = [await read(id, { accept: '*/*' }), await client.get(`Binary/${id}/_history/1`, { accept: '*/*' })];
    expect([now.text, typeOf(now), then.text, typeOf(then)]).toEqual(['two', 'text/plain', '%PDF-1.4 one', 'application/pdf']);
    const created = await client.put(`Binary/${randomUUID()}`, 'new', { 'content-type': 'text/plain' });
    expectStatus(created, 201);
    expectOutcome(await client.put(`Binary/${id}`, 'three', { 'content-type': 'text/plain', 'if-match': 'W/"1"' }), 412, 'conflict');
    const used = (await client.post('DocumentReference', documentReference())).json.content[0].attachment.url as string;
    expectOutcome(await client.put(used, 'changed', { 'content-type': 'text/plain' }), 409, 'conflict');
    expect((await client.get(used)).text).toBe('A short note.');
  });

  row('BIN-19', async () => {
    const id = await upload('a', 'text/plain');
    const patched = await client.call(`Binary/${id}`, { method: 'PATCH', body: '[]', headers: { 'content-type': 'application/json-patch+json' } });
    expectOutcome(patched, 405, 'not-supported');
    expectOutcome(await client.get(`Binary?_id=${id}`), 405, 'not-supported');
    for (const method of ['PUT', 'DELETE', 'PATCH']) expectOutcome(await client.call(`Binary?_id=${id}`, { method, body: 'a', headers: { 'content-type': 'text/plain' } }), 405, 'not-supported');
  });

  row('BIN-20', async () => {
    const large = randomBytes(8 * 1024 * 1024);
    const id = await upload(large, 'application/octet-stream');
    const history = await client.get(`Binary/${id}/_history`);
    expectStatus(history, 200);
    expect(history.json).toMatchObject({ type: 'history', total: 1 });
    const { resource } = history.json.entry[0];
    expect(resource).toMatchObject({ resourceType: 'Binary', id, contentType: 'application/octet-stream' });
    expect(resource.data).toBeUndefined();
    expect(JSON.stringify(resource.meta)).toContain('SUBSETTED');
    expect(history.bytes.length).toBeLessThan(10_000);
  });

  row('BIN-11', async () => {
    const id = await upload('not cut', 'text/plain');
    for (const query of ['?_summary=true', '?_elements=contentType']) {
      expect((await read(id, { accept: '*/*' }, query)).text).toBe('not cut');
      const resource = await read(id, { accept: FJ }, query);
      expect(resource.json).toMatchObject({ resourceType: 'Binary', contentType: 'text/plain' });
      expect(resource.json.data).toBeUndefined();
      expect(JSON.stringify(resource.json.meta)).toContain('SUBSETTED');
    }
  });
});

describe('bytes', () => {
  row('BIN-12', async () => {
    const bytes = randomBytes(3_000_000);
    const id = await upload(bytes, 'application/octet-stream');
    const part = (range: string): Promise<Answer> => read(id, { accept: '*/*', range });
    for (const [range, from, before] of [['bytes=0-99', 0, 100], ['bytes=-100', bytes.length - 100, bytes.length], ['bytes=100-', 100, bytes.length], ['bytes=1048570-1048590', 1_048_570, 1_048_591], ['bytes=2999999-9999999', 2_999_999, 3_000_000], ['bytes=0-0', 0, 1]] as const) {
      const answer = await part(range);
      expect({ range, status: answer.status, shown: answer.headers.get('content-range'), length: answer.headers.get('content-length'), same: answer.bytes.equals(bytes.subarray(from, before)) }).toEqual({ range, status: 206, shown: `bytes ${from}-${before - 1}/${bytes.length}`, length: String(before - from), same: true });
    }
    const beyond = await part('bytes=999999999-');
    expectOutcome(beyond, 416, 'value');
    expect(beyond.headers.get('content-range')).toBe(`bytes */${bytes.length}`);
    for (const garbage of ['nonsense', 'bytes=', 'bytes=5-1', 'lines=0-9', 'bytes=a-b']) {
      const answer = await part(garbage);
      expect({ garbage, status: answer.status, length: answer.bytes.length }).toEqual({ garbage, status: 200, length: bytes.length });
    }
    const several = await part('bytes=0-9,20-29');
    expect([200, 206]).toContain(several.status);
    expect((await read(id, { accept: '*/*' })).headers.get('accept-ranges')).toBe('bytes');
    const resource = await read(id, { accept: FJ, range: 'bytes=0-9' });
    expect([resource.status, resource.json.resourceType]).toEqual([200, 'Binary']);
    const head = await client.call(`Binary/${id}`, { method: 'HEAD', headers: { accept: '*/*' } });
    expect([head.status, head.headers.get('content-length'), head.headers.get('accept-ranges')]).toEqual([200, String(bytes.length), 'bytes']);
  });

  row('BIN-13', async () => {
    const id = await upload('0123456789', 'text/plain');
    const whole = await read(id, { accept: '*/*' });
    const strong = whole.headers.get('etag') as string;
    const part = (ifRange: string): Promise<Answer> => read(id, { accept: '*/*', 'range': 'bytes=0-3', 'if-range': ifRange });
    expect((await part('W/"1"')).status).toBe(200);
    expect((await part('"other"')).status).toBe(200);
    expect(strong).toMatch(/^"/);
    expect((await part(strong)).text).toBe('0123');
    expect((await part(whole.headers.get('last-modified') as string)).status).toBe(206);
    expect((await part(new Date(0).toUTCString())).status).toBe(200);
  });

  row('BIN-14', async () => {
    const id = await upload('cached', 'text/plain');
    const first = await read(id, { accept: '*/*' });
    for (const tag of [first.headers.get('etag') as string, 'W/"1"', '*']) {
      const again = await read(id, { 'accept': '*/*', 'if-none-match': tag });
      expect({ tag, status: again.status, length: again.bytes.length }).toEqual({ tag, status: 304, length: 0 });
    }
    expect((await read(id, { 'accept': '*/*', 'if-none-match': '"other"' })).status).toBe(200);
    for (const accept of ['*/*', FJ]) expect((await read(id, { accept })).headers.get('vary')?.toLowerCase()).toMatch(/\baccept\b/);
  });

  row('BIN-15', async () => {
    const disposition = async (title: string, contentType = 'application/pdf'): Promise<string> => {
      const made = await client.post('DocumentReference', documentReference({ content: [{ attachment: { contentType, data: Buffer.from(contentType === 'application/pdf' ? '%PDF-1.4 x' : '<p>x</p>').toString('base64'), title } }] }));
      expectStatus(made, 201);
      const raw = await exchange(server.fhirBase, [requestHead('GET', new URL(made.json.content[0].attachment.url as string).pathname, [['Authorization', `Bearer ${token}`], ['Accept', '*/*'], ['Connection', 'close']])]);
      expect(raw.status).toBe(200);
      return raw.headers['content-disposition'] ?? '';
    };
    const hostile = await disposition('../../résumé"\t\u202egnp.exe; filename=x');
    expect(hostile).toMatch(/^attachment/);
    expect(hostile).toMatch(/^[\x20-\x7e]*$/);
    expect(hostile).not.toMatch(/\.\.\/|%E2%80%AE|[\r\n]/i);
    const plain = await disposition('Letter.pdf');
    expect(plain).toMatch(/^attachment; filename="?Letter\.pdf"?/);
    expect(await disposition('Résumé')).toMatch(/filename\*=UTF-8''R%C3%A9sum%C3%A9/i);
    expect(await disposition('page.html', 'text/html')).toMatch(/^attachment/);
  });

  row('BIN-16', async () => {
    for (const [bytes, type] of [['<script>1</script>', 'text/html'], ['<svg xmlns="http://www.w3.org/2000/svg"/>', 'image/svg+xml'], ['%PDF-1.4', 'application/pdf']] as const) {
      const answer = await read(await upload(bytes, type), { accept: '*/*' });
      expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
      expect(answer.headers.get('content-security-policy')).toMatch(/sandbox/);
      expect(answer.headers.get('content-security-policy')).toMatch(/default-src 'none'/);
      expect(answer.headers.get('referrer-policy')).toBe('no-referrer');
      expect(answer.headers.get('content-disposition')).toMatch(/^attachment/);
    }
  });

  row('BIN-17', async () => {
    const bytes = Buffer.from('digested');
    const digest = `sha-256=:${sha256(bytes)}:`;
    const id = await upload(bytes, 'text/plain', { 'repr-digest': digest });
    expect((await read(id, { accept: '*/*' })).headers.get('repr-digest')).toBe(digest);
    expect((await read(id, { accept: '*/*', range: 'bytes=0-2' })).headers.get('repr-digest')).toBe(digest);
    expect((await client.call(`Binary/${id}`, { method: 'HEAD', headers: { accept: '*/*' } })).headers.get('repr-digest')).toBe(digest);
    const before = await contents();
    const wrong = sha256(Buffer.from('other'));
    for (const headers of [{ 'repr-digest': `sha-256=:${wrong}:` }, { 'content-digest': `sha-256=:${wrong}:` }]) expectOutcome(await client.post('Binary', bytes, { 'content-type': 'text/plain', ...headers }), 400, 'value');
    expect(await contents()).toBe(before);
    await upload(bytes, 'text/plain', { 'content-digest': digest });
  });

  row('BIN-18', async () => {
    const bytes = randomBytes(2_500_000);
    const id = await upload(bytes, 'application/octet-stream');
    const paths = (await readdir(server.dataDir, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    let damaged = '';
    for (const path of paths) {
      const held = await readFile(path);
      if (!held.equals(bytes)) continue;
      damaged = path;
      held.writeUInt8(held.readUInt8(2_000_000) ^ 1, 2_000_000);
      await writeFile(path, held);
    }
    expect(damaged).not.toBe('');
    const requestId = randomUUID();
    const outcome = await read(id, { accept: '*/*', 'x-request-id': requestId }).then((answer) => ({ status: answer.status, whole: answer.bytes.length === bytes.length }), () => ({ status: 0, whole: false }));
    expect(outcome.status === 200 && outcome.whole).toBe(false);
    const asResource = await read(id, { accept: FJ }).then((answer) => answer.json?.data !== undefined, () => false);
    expect(asResource).toBe(false);
    await sleep(300);
    expect((await client.auditOf(requestId)).some((event) => event.outcome !== '0')).toBe(true);
  });

  row('BIN-24', async () => {
    const { url } = (await client.post('DocumentReference', documentReference())).json.content[0].attachment;
    expect(url).toMatch(new RegExp(`^${server.fhirBase}/Binary/`));
    const answer = await fetch(url, { redirect: 'manual', headers: { authorization: `Bearer ${token}` } });
    expect(answer.status).toBe(200);
    expect(answer.headers.has('location')).toBe(false);
    await answer.arrayBuffer();
  });
});
