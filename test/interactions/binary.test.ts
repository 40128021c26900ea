import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { documentReference, fhirClient, type FhirClient } from '../support/fhir-client.ts';
import { minioEnvironment, startMuniment, type TestMuniment } from '../support/start-muniment.ts';

const minio = minioEnvironment();
const stores = [['the local store', {}], ...(minio === undefined ? [] : [['MinIO', minio] as const])] as const;

describe.each(stores)('Binary over %s', (name, environment) => {
  let server: TestMuniment;
  let client: FhirClient;
  const bytes = randomBytes(3 * 1024 * 1024 + 17);
  let id: string;

  beforeAll(async () => {
    server = await startMuniment(environment);
    client = fhirClient(server.fhirBase, await server.token());
    id = (await upload(bytes)).json.id;
  });
  afterAll(() => server.stop());

  const upload = (body: Buffer | string, headers: Record<string, string> = {}): ReturnType<FhirClient['post']> => client.post('Binary', body, { 'content-type': 'application/octet-stream', ...headers });

  it('gives back the bytes with their digest, a strong ETag and headers that keep browsers from running them', async () => {
    const read = await client.get(`Binary/${id}`);
    const sha256 = createHash('sha256').update(bytes).digest();
    expect(read.bytes.equals(bytes)).toBe(true);
    expect(read.headers.get('repr-digest')).toBe(`sha-256=:${sha256.toString('base64')}:`);
    expect(read.headers.get('etag')).toBe(`"1.${sha256.toString('hex')}"`);
    expect(read.headers.get('x-content-type-options')).toBe('nosniff');
    expect(read.headers.get('content-security-policy')).toContain('sandbox');
    expect((await client.get(`Binary/${id}`, { 'if-none-match': read.headers.get('etag') ?? '' })).status).toBe(304);
  });

  it('serves every single range as the slice that it is', async () => {
    await fc.assert(fc.asyncProperty(fc.nat(bytes.length - 1), fc.nat(2 * 1024 * 1024), async (start, length) => {
      const end = Math.min(bytes.length - 1, start + length);
      const part = await client.get(`Binary/${id}`, { range: `bytes=${start}-${end}` });
      expect([part.status, part.headers.get('content-range')]).toEqual([206, `bytes ${start}-${end}/${bytes.length}`]);
      expect(part.bytes.equals(bytes.subarray(start, end + 1))).toBe(true);
    }), { numRuns: 12 });
    expect((await client.get(`Binary/${id}`, { range: 'bytes=-5' })).bytes.equals(bytes.subarray(-5))).toBe(true);
    const outside = await client.get(`Binary/${id}`, { range: `bytes=${bytes.length}-` });
    expect([outside.status, outside.headers.get('content-range')]).toEqual([416, `bytes */${bytes.length}`]);
    expect((await client.get(`Binary/${id}`, { range: 'bytes=0-1,5-6' })).status).toBe(200);
    expect((await client.get(`Binary/${id}`, { 'range': 'bytes=0-1', 'if-range': 'W/"1"' })).status).toBe(200);
  });

  it('takes Range for GET alone, If-Range by the strong ETag or the date, and If-Match as what the client means', async () => {
    const whole = await client.get(`Binary/${id}`);
    const [tag, date] = [whole.headers.get('etag') ?? '', whole.headers.get('last-modified') ?? ''];
    const head = await client.call(`Binary/${id}`, { method: 'HEAD', headers: { accept: '*/*', range: 'bytes=0-9' } });
    expect([head.status, head.headers.get('content-length'), head.headers.get('content-range')]).toEqual([200, String(bytes.length), null]);
    for (const [condition, status] of [[tag, 206], [`W/${tag}`, 200], ['W/"1"', 200], ['"1"', 200], [date, 206], [new Date(Date.parse(date) + 1_000).toUTCString(), 200], ['1', 200]] as const) {
      expect([condition, (await client.get(`Binary/${id}/_history/1`, { 'range': 'bytes=0-9', 'if-range': condition })).status]).toEqual([condition, status]);
    }
    for (const [headers, status] of [[{ 'if-match': tag }, 200], [{ 'if-match': 'W/"1"' }, 200], [{ 'if-match': '"7"' }, 412], [{ 'if-unmodified-since': date }, 200], [{ 'if-unmodified-since': new Date(0).toUTCString() }, 412], [{ 'if-unmodified-since': 'yesterday' }, 200]] as const) {
      expect([headers, (await client.get(`Binary/${id}`, headers)).status]).toEqual([headers, status]);
    }
  });

  it('leaves its digest out for whom SHA-256 is no use, and shows it to all others', async () => {
    for (const [wish, shown] of [['sha-256=0', false], ['sha-512=10, sha-256=0;q=1', false], ['sha-512=10', true], ['sha-256=1', true], ['nonsense', true]] as const) {
      expect([wish, (await client.get(`Binary/${id}`, { 'range': 'bytes=0-0', 'want-repr-digest': wish })).headers.has('repr-digest')]).toEqual([wish, shown]);
    }
  });

  it('as FHIR JSON has the bytes in base64, and takes them so', async () => {
    const read = await client.get(`Binary/${id}`, { accept: 'application/fhir+json' });
    expect(Buffer.from(read.json.data, 'base64').equals(bytes)).toBe(true);
    expect(Number(read.headers.get('content-length'))).toBe(read.bytes.length);
    const created = await client.post('Binary', { resourceType: 'Binary', contentType: 'text/plain', data: Buffer.from('hello').toString('base64') });
    expect(created.status).toBe(201);
    expect((await client.get(`Binary/${created.json.id}`)).text).toBe('hello');
  });

  it.each([[0], [1], [1024 * 1024 - 1], [1024 * 1024], [1024 * 1024 + 1]])('keeps %i bytes as they are', async (size) => {
    const body = randomBytes(size);
    const created = await upload(body);
    expect(created.status).toBe(201);
    expect((await client.get(`Binary/${created.json.id}`)).bytes.equals(body)).toBe(true);
  });

  it('takes bytes of unknown length', async () => {
    const size = 18 * 1024 * 1024;
    const body = randomBytes(size);
    const stream = new ReadableStream({ start(controller) { for (let at = 0; at < size; at += 1024 * 1024) controller.enqueue(body.subarray(at, at + 1024 * 1024)); controller.close(); } });
    const response = await fetch(`${client.base}/Binary`, { method: 'POST', body: stream, duplex: 'half', headers: { 'authorization': `Bearer ${await server.token()}`, 'content-type': 'application/octet-stream' } });
    expect(response.status).toBe(201);
    const { id: made } = (await response.json()) as { id: string };
    expect(createHash('sha256').update((await client.get(`Binary/${made}`)).bytes).digest('hex')).toBe(createHash('sha256').update(body).digest('hex'));
  });

  it('a wrong Repr-Digest is 400 and nothing is kept', async () => {
    const refused = await upload('some bytes', { 'repr-digest': `sha-256=:${createHash('sha256').update('others').digest('base64')}:` });
    expect([refused.status, refused.json.issue[0].details.coding[0].code]).toEqual([400, 'digest-mismatch']);
    const rows = await server.sql<{ count: string }>(`select count(*) from content where state in ('staging', 'live') and size is null`);
    expect(rows).toEqual([{ count: '0' }]);
  });

  it('is readable by its creator and through a document, by nobody else, and links need the right to read', async () => {
    const { json } = await upload('private');
    const other = fhirClient(server.fhirBase, await server.token({ user: 'Practitioner/other', roles: ['practitioner'], client: 'other' }));
    expect((await other.get(`Binary/${json.id}`)).status).toBe(404);
    const link = { contentType: 'application/octet-stream', url: `Binary/${json.id}` };
    const stolen = await other.post('DocumentReference', documentReference({ content: [{ attachment: link }] }));
    expect([stolen.status, stolen.json.issue[0].details.coding[0].code]).toEqual([422, 'unknown-binary']);
    expect((await client.post('DocumentReference', documentReference({ content: [{ attachment: link }] }))).json.content[0].attachment.url).toBe(`${client.base}/Binary/${json.id}`);
    expect((await other.get(`Binary/${json.id}`)).text).toBe('private');
  });

  it.each([
    ['application/pdf', 'raw', 406], ['*/*', 'raw', 200], ['application/octet-stream', 'raw', 200], ['application/*', 'raw', 200],
    ['application/json', 'resource', 200], ['application/fhir+json;q=0.9, */*;q=0.1', 'resource', 200], ['text/html,*/*;q=0.8', 'raw', 200],
  ])('Accept: %s answers %s', async (accept, form, status) => {
    const read = await client.get(`Binary/${id}`, { accept });
    expect(read.status).toBe(status);
    if (status === 200) expect(read.headers.get('content-type')).toBe(form === 'raw' ? 'application/octet-stream' : 'application/fhir+json; charset=utf-8');
  });

  if (name === 'the local store') {
    it('a flipped bit gives no wrong byte: the bytes are quarantined, and the record says so', async () => {
      const body = randomBytes(2_500_000);
      const { json } = await upload(body);
      const [row] = await server.sql<{ key: string }>('select c.key from content c join resource r on r.content = c.id where r.id = $1', [json.id]);
      const path = join(server.dataDir, 'content', row?.key ?? '');
      const file = await open(path, 'r+');
      const { buffer } = await file.read(Buffer.alloc(1), 0, 1, 2_000_000);
      buffer[0] = (buffer[0] ?? 0) ^ 4;
      await file.write(buffer, 0, 1, 2_000_000);
      await file.close();
      const requestId = randomUUID();
      await client.get(`Binary/${json.id}`, { 'x-request-id': requestId }).then(() => { throw new Error('The transfer should have been cut'); }, () => undefined);
      expect((await client.get(`Binary/${json.id}`)).status).toBe(503);
      const events = await eventually(() => client.auditOf(requestId), (found) => found.length === 2);
      expect(events.map((event) => event.outcome).sort()).toEqual(['0', '8']);
    });

    it('a flipped bit in the first chunk is a plain 500, a range over intact chunks is served', async () => {
      const body = randomBytes(1_500_000);
      const { json } = await upload(body);
      const [row] = await server.sql<{ key: string }>('select c.key from content c join resource r on r.content = c.id where r.id = $1', [json.id]);
      const file = await open(join(server.dataDir, 'content', row?.key ?? ''), 'r+');
      await file.write(Buffer.from([(body[7] ?? 0) ^ 1]), 0, 1, 7);
      await file.close();
      expect((await client.get(`Binary/${json.id}`, { range: 'bytes=1100000-1100009' })).bytes.equals(body.subarray(1_100_000, 1_100_010))).toBe(true);
      const broken = await client.get(`Binary/${json.id}`);
      expect([broken.status, broken.json.issue[0].details.coding[0].code]).toEqual([500, 'integrity']);
    });

    it('a client that aborts leaves no file, no Binary, and one access row', async () => {
      const before = await countFiles(join(server.dataDir, 'content'));
      const requestId = randomUUID();
      const stop = new AbortController();
      const stream = new ReadableStream({ async pull(controller) {
        // An aborted fetch leaves its stream alone: it would be asked for ever.
        if (stop.signal.aborted) { controller.close(); return; }
        controller.enqueue(randomBytes(100_000));
        await new Promise((resolve) => { setTimeout(resolve, 20); });
      } });
      const sending = fetch(`${client.base}/Binary`, { method: 'POST', body: stream, duplex: 'half', signal: stop.signal, headers: { 'authorization': `Bearer ${await server.token()}`, 'content-type': 'application/octet-stream', 'x-request-id': requestId } });
      setTimeout(() => stop.abort(), 300);
      await expect(sending).rejects.toThrow();
      const events = await eventually(() => client.auditOf(requestId), (found) => found.length > 0);
      expect(events).toHaveLength(1);
      await eventually(() => countFiles(join(server.dataDir, 'content')), (count) => count === before);
    });
  }
});

async function eventually<T>(look: () => Promise<T>, done: (value: T) => boolean): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    const value = await look();
    if (done(value)) return value;
    if (attempt > 60) throw new Error(`Not in time: ${JSON.stringify(value).slice(0, 200)}`);
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
}

async function countFiles(folder: string): Promise<number> {
  const names = await readdir(folder, { recursive: true });
  const kinds = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).isFile()));
  return kinds.filter(Boolean).length;
}
