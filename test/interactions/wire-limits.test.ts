// What clients get wrong on the wire: bodies past the limit, broken compression, control characters, doubled headers.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { documentReference, fhirClient, type FhirClient } from '../support/fhir-client.ts';
import { exchange, requestHead, type RawAnswer } from '../support/raw-http.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

let server: TestMuniment;
let client: FhirClient;
let token: string;
const MIB = 1024 * 1024;

beforeAll(async () => {
  server = await startMuniment({ BODY_BYTES_MAX: '1MiB', UPLOAD_BYTES_MAX: '2MiB' });
  token = await server.token();
  client = fhirClient(server.fhirBase, token);
});
afterAll(() => server.stop());

async function resources(): Promise<string> {
  const [row] = await server.sql<{ counts: string }>(`select (select count(*) from resource) || '/' || (select count(*) from content where state in ('staging', 'live')) as counts`);
  return row?.counts ?? '';
}

function* pieces(head: string, size: number, chunked: boolean): Generator<Buffer | string> {
  yield head;
  for (let sent = 0; sent < size; sent += 64 * 1024) {
    const piece = Buffer.alloc(Math.min(64 * 1024, size - sent), 32);
    yield chunked ? Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')]) : piece;
  }
  if (chunked) yield '0\r\n\r\n';
}

function send(target: string, type: string, size: number, chunked: boolean, requestId: string): Promise<RawAnswer> {
  const head = requestHead('POST', target, [['Authorization', `Bearer ${token}`], ['Content-Type', type], ['X-Request-Id', requestId], chunked ? ['Transfer-Encoding', 'chunked'] : ['Content-Length', String(size)]]);
  return exchange(server.fhirBase, pieces(head, size, chunked));
}

describe('a body past its limit', () => {
  it.each([
    ['a FHIR body with Content-Length', '/fhir/DocumentReference', 'application/fhir+json', false],
    ['a FHIR body in chunks', '/fhir/DocumentReference', 'application/fhir+json', true],
    ['raw bytes with Content-Length', '/fhir/Binary', 'application/octet-stream', false],
    ['raw bytes in chunks', '/fhir/Binary', 'application/octet-stream', true],
  ])('%s is 413, and the answer arrives though the client sends all of its 24 MiB first', async (_what, target, type, chunked) => {
    const before = await resources();
    const requestId = randomUUID();
    const answer = await send(target, type, 24 * MIB, chunked, requestId);
    expect([answer.status, answer.failure]).toEqual([413, undefined]);
    expect(JSON.parse(answer.body).issue[0].code).toBe('too-long');
    expect(await resources()).toBe(before);
    expect(await client.auditOf(requestId)).toHaveLength(1);
  });

  it('is refused before it is asked for when the client waits with Expect: 100-continue', async () => {
    const head = requestHead('POST', '/fhir/DocumentReference', [['Authorization', `Bearer ${token}`], ['Content-Type', 'application/fhir+json'], ['Content-Length', String(24 * MIB)], ['Expect', '100-continue']]);
    const answer = await exchange(server.fhirBase, [head]);
    expect(answer.status).toBe(413);
    expect(answer.text).not.toContain('100 Continue');
  });

  it('without a token is 401 before a byte of it is asked for', async () => {
    const head = requestHead('POST', '/fhir/Binary', [['Content-Type', 'application/octet-stream'], ['Content-Length', String(24 * MIB)], ['Expect', '100-continue']]);
    const answer = await exchange(server.fhirBase, [head]);
    expect(answer.status).toBe(401);
    expect(answer.text).not.toContain('100 Continue');
  });

  it('a body that is welcome is asked for, and taken', async () => {
    const body = JSON.stringify(documentReference());
    const head = requestHead('POST', '/fhir/DocumentReference', [['Authorization', `Bearer ${token}`], ['Content-Type', 'application/fhir+json'], ['Content-Length', String(Buffer.byteLength(body))], ['Expect', '100-continue']]);
    const answer = await exchange(server.fhirBase, [head, body]);
    expect(answer.text).toMatch(/^HTTP\/1\.1 100 Continue/);
    expect(answer.status).toBe(201);
  });
});

describe('a compressed body', () => {
  const headers = { 'content-type': 'application/fhir+json', 'content-encoding': 'gzip' };

  it('that grows past the limit is 413, however long the growth would go on', async () => {
    const bomb = gzipSync(Buffer.alloc(400 * MIB, 32));
    const before = process.memoryUsage().rss;
    const refused = await client.post('DocumentReference', bomb, headers);
    expect([refused.status, refused.json.issue[0].code]).toEqual([413, 'too-long']);
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * MIB);
  }, 20_000);

  it('that is broken or cut is 400, and one in another coding is 415', async () => {
    const whole = gzipSync(JSON.stringify(documentReference({ description: randomUUID().repeat(2_000) })));
    const broken = await client.post('DocumentReference', Buffer.concat([whole.subarray(0, 40), Buffer.alloc(40, 7), whole.subarray(80)]), headers);
    const cut = await client.post('DocumentReference', whole.subarray(0, whole.length - 20), headers);
    const none = await client.post('DocumentReference', 'not gzip at all', headers);
    expect([broken.status, cut.status, none.status]).toEqual([400, 400, 400]);
    expect((await client.post('DocumentReference', whole, { ...headers, 'content-encoding': 'br' })).status).toBe(415);
    expect((await client.post('Binary', whole, { 'content-type': 'text/plain', 'content-encoding': 'gzip' })).status).toBe(415);
  });
});

describe('a request that no database could take', () => {
  it.each([
    'DocumentReference?_id=a%00b', 'DocumentReference?patient=Patient/a%00b', 'DocumentReference?identifier=a%00b', 'DocumentReference?foo%00=1',
    'AuditEvent?request-id=%00', 'AuditEvent?agent=a%00', 'Provenance?target=Media/%00', 'DocumentReference/a%00b', 'DocumentReference?_id=%E0%A4%A', 'DocumentReference?status=current&_count=%ff',
  ])('%s is 400 and recorded', async (path) => {
    const requestId = randomUUID();
    const answer = await client.get(path, { 'x-request-id': requestId });
    expect([path, answer.status, answer.json?.resourceType]).toEqual([path, 400, 'OperationOutcome']);
    expect(await client.auditOf(requestId)).toHaveLength(1);
  });

  it('criteria with a control character are 400', async () => {
    const refused = await client.post('DocumentReference', documentReference(), { 'if-none-exist': '_id=a%00b' });
    expect(refused.status).toBe(400);
  });

  it.each([
    ['a NUL in a string', '"a\\u0000b"'], ['half of a surrogate pair', '"a\\ud800b"'], ['a bell', '"a\\u0007b"'],
  ])('%s in a body is 400 or 422, never 500', async (_what, text) => {
    const body = JSON.stringify(documentReference()).replace('"Note"', text);
    const refused = await client.post('DocumentReference', body, { 'content-type': 'application/fhir+json' });
    expect([400, 422]).toContain(refused.status);
  });

  it('a body nested a hundred thousand deep is 400', async () => {
    const deep = '['.repeat(100_000);
    const refused = await client.post('DocumentReference', `{"resourceType":"DocumentReference","x":${deep}`, { 'content-type': 'application/fhir+json' });
    expect([refused.status, refused.json.resourceType]).toEqual([400, 'OperationOutcome']);
  });

  it('a URL past 16 KiB is 414', async () => {
    expect((await client.get(`DocumentReference?_id=${'a'.repeat(17_000)}`)).status).toBe(414);
  });
});

describe('headers', () => {
  it('two sets of credentials are 400: neither is chosen', async () => {
    const answer = await exchange(server.fhirBase, [requestHead('GET', '/fhir/DocumentReference?_count=1', [['Authorization', `Bearer ${token}`], ['Authorization', 'Bearer other'], ['Connection', 'close']])]);
    expect(answer.status).toBe(400);
  });

  it.each(['x'.repeat(65), 'has space', 'a,b', '%0d%0aX: y'])('an X-Request-Id that is not a valid one (%s) is replaced', async (sent) => {
    const answer = await client.get('DocumentReference?_count=1', { 'x-request-id': sent });
    expect(answer.headers.get('x-request-id')).toMatch(/^[A-Za-z0-9._-]{1,64}$/);
    expect(answer.headers.get('x-request-id')).not.toBe(sent);
  });

  it.each([['DELETE', 'metadata'], ['POST', 'metadata'], ['PUT', '$versions'], ['DELETE', '.well-known/smart-configuration']])('%s %s is 405 and says what is allowed', async (method, path) => {
    const answer = await client.call(path, { method });
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'GET, HEAD, OPTIONS']);
    expect(answer.json.issue[0].code).toBe('not-supported');
  });

  it('a preflight names what may be sent, and an error carries the headers that let a browser read it', async () => {
    const preflight = await client.call('DocumentReference/x', { method: 'OPTIONS', token: null, headers: { 'origin': 'https://app.example', 'access-control-request-method': 'PUT', 'access-control-request-headers': 'authorization,content-type,if-match,if-none-exist,prefer,x-provenance' } });
    expect([preflight.status, preflight.headers.get('access-control-allow-origin')]).toEqual([204, '*']);
    for (const name of ['Authorization', 'If-Match', 'If-None-Exist', 'Prefer', 'X-Provenance', 'Range', 'Idempotency-Key']) expect(preflight.headers.get('access-control-allow-headers')).toContain(name);
    const refused = await client.call('DocumentReference/x', { token: null, headers: { origin: 'https://app.example' } });
    expect([refused.status, refused.headers.get('access-control-allow-origin'), refused.headers.get('access-control-allow-credentials')]).toEqual([401, '*', null]);
    expect(refused.headers.get('access-control-expose-headers')).toContain('X-Request-Id');
  });

  it('a media type whose parameters no header can carry is refused, so that the bytes can be read again', async () => {
    const refused = await client.post('Binary', { resourceType: 'Binary', contentType: 'text/plain; name=中', data: 'aGk=' });
    expect([415, 422]).toContain(refused.status);
    const inline = await client.post('DocumentReference', documentReference({ content: [{ attachment: { contentType: 'text/plain; name=中', data: 'aGk=' } }] }));
    expect([415, 422]).toContain(inline.status);
  });
});
