// Resumable uploads as a tus client makes them: begun, broken off, gone on with at another server and after a restart, checked,
// ended; the finished one is a Binary or a document like any other.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Upload, type UploadOptions } from 'tus-js-client';
import type { Environment } from '../../src/config/env.ts';
import { fhirClient, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { clamdCanBeHad, eicar, startClamd } from '../support/start-clamd.ts';
import { minioEnvironment, startMuniment, type TestMuniment } from '../support/start-muniment.ts';

const MIB = 1024 * 1024;
const minio = minioEnvironment();
const TUS = { 'tus-resumable': '1.0.0' };
const encoded = (metadata: Record<string, string>): string => Object.entries(metadata).map(([name, value]) => `${name} ${Buffer.from(value).toString('base64')}`).join(',');
const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('base64');

interface Tus {
  base: string;
  begin(length: number, metadata?: Record<string, string>, headers?: Record<string, string>): Promise<Answer & { url: string }>;
  patch(url: string, offset: number, bytes: Buffer, headers?: Record<string, string>): Promise<Answer>;
  head(url: string): Promise<Answer>;
}

function tusClient(server: TestMuniment, token: string): Tus {
  const client = fhirClient(server.fhirBase, token);
  const base = server.fhirBase.replace('/fhir', '/uploads');
  return {
    base,
    async begin(length, metadata = {}, headers = {}) {
      const answer = await client.call(base, { method: 'POST', headers: { ...TUS, 'upload-length': String(length), ...(Object.keys(metadata).length === 0 ? {} : { 'upload-metadata': encoded(metadata) }), ...headers } });
      return { ...answer, url: answer.headers.get('location') ?? '' };
    },
    patch: (url, offset, bytes, headers = {}) => client.call(url, { method: 'PATCH', body: bytes, headers: { ...TUS, 'content-type': 'application/offset+octet-stream', 'upload-offset': String(offset), ...headers } }),
    head: (url) => client.call(url, { method: 'HEAD', headers: TUS }),
  };
}

/** Sends a part of a body, and leaves. */
async function leaveAfter(url: string, token: string, offset: number, announced: number, bytes: Buffer): Promise<void> {
  await new Promise<void>((resolve) => {
    const sending = request(url, { method: 'PATCH', headers: { ...TUS, authorization: `Bearer ${token}`, 'content-type': 'application/offset+octet-stream', 'upload-offset': offset, 'content-length': announced } });
    sending.on('error', () => resolve());
    sending.write(bytes, () => { setTimeout(() => sending.destroy(), 200); });
    sending.on('close', () => resolve());
  });
}

async function offsetReached(tus: Tus, url: string, least: number): Promise<number> {
  for (let tries = 0; ; tries += 1) {
    const offset = Number((await tus.head(url)).headers.get('upload-offset'));
    if (offset >= least || tries > 50) return offset;
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
}

const ALL: [string, Environment][] = [['the local store', {}], ...(minio === undefined ? [] : [['MinIO', minio] as [string, Environment]])];

describe.each(ALL)('resumable uploads over %s', (_name, environment) => {
  let server: TestMuniment;
  let token: string;
  let client: FhirClient;
  let tus: Tus;

  beforeAll(async () => {
    server = await startMuniment({ UPLOAD_BYTES_MAX: '100MiB', ...environment });
    token = await server.token();
    client = fhirClient(server.fhirBase, token);
    tus = tusClient(server, token);
  });
  afterAll(() => server.stop());

  async function readBack(path: string | null): Promise<Buffer> {
    return (await client.get(path ?? '', { accept: 'application/octet-stream' })).bytes;
  }

  it('says what it speaks, and lets pages of other origins call', async () => {
    const options = await client.call(tus.base, { method: 'OPTIONS', headers: { origin: 'https://app.example', 'access-control-request-method': 'PATCH' }, token: null });
    expect([options.status, options.headers.get('tus-version'), options.headers.get('tus-max-size'), options.headers.get('tus-checksum-algorithm')]).toEqual([204, '1.0.0', String(100 * MIB), 'sha1,sha256']);
    expect(options.headers.get('access-control-allow-headers')).toContain('Upload-Offset');
    expect(options.headers.get('tus-extension')?.split(',').sort()).toEqual(['checksum', 'creation', 'creation-with-upload', 'expiration', 'termination']);
  });

  it('a whole upload in pieces of any size becomes a Binary with the same bytes, and leaves no parts; each step is recorded', async () => {
    const bytes = randomBytes(11 * MIB + 77);
    const { status, url, headers } = await tus.begin(bytes.length, { filetype: 'application/octet-stream', filename: 'scan.bin' });
    expect([status, headers.get('upload-offset'), new Date(headers.get('upload-expires') ?? 0).getTime() > Date.now()]).toEqual([201, '0', true]);
    let at = 0;
    let last: Answer | undefined;
    for (const size of [1, 5 * MIB, 4 * MIB, bytes.length]) {
      last = await tus.patch(url, at, bytes.subarray(at, at + size));
      at = Math.min(at + size, bytes.length);
      expect([last.status, last.headers.get('upload-offset')]).toEqual([204, String(at)]);
    }
    const binary = last?.headers.get('content-location') ?? '';
    expect((await readBack(binary)).equals(bytes)).toBe(true);
    expect((await tus.head(url)).headers.get('content-location')).toBe(binary);
    const events = await client.auditOf(last?.headers.get('x-request-id') ?? '');
    expect(events).toEqual([expect.objectContaining({ action: 'C', entity: expect.arrayContaining([expect.objectContaining({ what: expect.objectContaining({ reference: expect.stringContaining(binary.slice(binary.indexOf('Binary/'))) }) })]) })]);
    await new Promise((resolve) => { setTimeout(resolve, 500); });
    expect(await server.sql(`select state, count(*)::int from content where state in ('live', 'staging') group by state`)).toEqual([{ state: 'live', count: 1 }]);
    if (environment.STORAGE_TYPE === undefined) expect((await readdir(join(server.dataDir, 'content'), { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile() && entry.name.length === 36)).toHaveLength(1);
  });

  it('with a patient in its metadata it becomes a document', async () => {
    const bytes = Buffer.from('%PDF-1.4 a short report');
    const { url } = await tus.begin(bytes.length, { filename: 'Report.pdf', filetype: 'application/pdf', patient_id: 'p1', category: 'lab', title: 'A report' });
    const { headers, status } = await tus.patch(url, 0, bytes);
    expect(status).toBe(204);
    const document = (await client.get(headers.get('content-location') ?? '')).json;
    expect(document).toMatchObject({ resourceType: 'DocumentReference', subject: { reference: 'Patient/p1' }, content: [{ attachment: { contentType: 'application/pdf', title: 'A report' } }] });
    expect((await readBack(document.content[0].attachment.url)).equals(bytes)).toBe(true);
    expect((await client.get(`AuditEvent?entity=DocumentReference/${document.id}`)).json.total).toBeGreaterThan(0);
  });

  it('an empty upload is finished when it is begun, and the first bytes may come with the begin', async () => {
    const empty = await tus.begin(0);
    expect([empty.status, (await readBack(empty.headers.get('content-location'))).length]).toEqual([201, 0]);
    const answer = await client.call(tus.base, { method: 'POST', body: Buffer.from('with'), headers: { ...TUS, 'upload-length': '8', 'content-type': 'application/offset+octet-stream' } });
    expect([answer.status, answer.headers.get('upload-offset')]).toEqual([201, '4']);
    const { headers } = await tus.patch(answer.headers.get('location') ?? '', 4, Buffer.from('body'));
    expect((await readBack(headers.get('content-location'))).toString()).toBe('withbody');
  });

  it('keeps what came before the sender left, and goes on there at another server after the first was stopped', async () => {
    const bytes = randomBytes(9 * MIB);
    const first = await server.startSecond();
    const secondToken = await first.token();
    const mine = tusClient(first, secondToken);
    const { url } = await mine.begin(bytes.length);
    await leaveAfter(url, secondToken, 0, bytes.length, bytes.subarray(0, 5 * MIB));
    const offset = await offsetReached(mine, url, 5 * MIB);
    expect(offset).toBe(5 * MIB);
    await first.stop();
    const here = `${tus.base}/${url.slice(url.lastIndexOf('/') + 1)}`;
    expect(Number((await tus.head(here)).headers.get('upload-offset'))).toBe(offset);
    const { headers, status } = await tus.patch(here, offset, bytes.subarray(offset));
    expect(status).toBe(204);
    expect(digest(await readBack(headers.get('content-location')))).toBe(digest(bytes));
  });

  it('a body with a wrong checksum is 460 and moves nothing; the right one moves on', async () => {
    const bytes = randomBytes(6 * MIB);
    const { url } = await tus.begin(bytes.length * 2);
    const wrong = await tus.patch(url, 0, bytes, { 'upload-checksum': `sha256 ${digest(Buffer.from('other'))}` });
    expect([wrong.status, wrong.json.code]).toEqual([460, 'checksum-mismatch']);
    expect((await tus.head(url)).headers.get('upload-offset')).toBe('0');
    expect((await tus.patch(url, 0, bytes, { 'upload-checksum': 'crc32 AAAA' })).status).toBe(400);
    expect((await tus.patch(url, 0, bytes, { 'upload-checksum': `sha1 ${createHash('sha1').update(bytes).digest('base64')}` })).status).toBe(204);
    const done = await tus.patch(url, bytes.length, bytes, { 'upload-checksum': `sha256 ${digest(bytes)}` });
    expect((await readBack(done.headers.get('content-location'))).equals(Buffer.concat([bytes, bytes]))).toBe(true);
  });

  it('refuses with problem documents: no token, other people, wrong version, type, length, offset and what has ended', async () => {
    const { url } = await tus.begin(10);
    const stranger = tusClient(server, await server.token({ org: 'other' }));
    const colleague = tusClient(server, await server.token({ user: 'Practitioner/other', client: 'another' }));
    expect((await client.call(url, { method: 'HEAD', headers: TUS, token: null })).status).toBe(401);
    expect((await client.call(tus.base, { method: 'POST', headers: { ...TUS, 'upload-length': '3' }, token: null })).status).toBe(401);
    for (const other of [stranger, colleague]) expect([(await other.head(url)).status, (await other.patch(url, 0, Buffer.from('x'))).status]).toEqual([404, 404]);
    const faults: [number, string, Promise<Answer>][] = [
      [412, 'tus-version', tus.patch(url, 0, Buffer.from('x'), { 'tus-resumable': '0.2.2' })],
      [415, 'media-type', tus.patch(url, 0, Buffer.from('x'), { 'content-type': 'application/octet-stream' })],
      [409, 'conflict', tus.patch(url, 3, Buffer.from('x'))],
      [413, 'too-long', tus.patch(url, 0, Buffer.alloc(11))],
      [413, 'too-long', tus.begin(100 * MIB + 1)],
      [400, 'malformed-request', tus.begin(5, {}, { 'upload-metadata': 'name ***' })],
      [415, 'media-type', tus.begin(5, { filetype: 'application/x-msdownload' })],
      [404, 'not-found', tus.head(`${tus.base}/nothing`).then(() => tus.patch(`${tus.base}/nothing`, 0, Buffer.from('x')))],
    ];
    for (const [status, code, answered] of faults) {
      const answer = await answered;
      expect([answer.status, answer.json.code, answer.headers.get('content-type'), answer.headers.get('tus-resumable')]).toEqual([status, code, 'application/problem+json', '1.0.0']);
      expect((await client.auditOf(answer.headers.get('x-request-id') ?? ''))).toHaveLength(1);
    }
    expect((await client.call(url, { method: 'DELETE', headers: TUS })).status).toBe(204);
    expect((await tus.head(url)).status).toBe(404);
    const late = await tus.begin(10);
    await server.sql(`update upload set expires_at = now() - interval '1 second' where id = $1`, [late.url.slice(late.url.lastIndexOf('/') + 1)]);
    expect((await tus.patch(late.url, 0, Buffer.from('x'))).status).toBe(410);
  });

  it('two that send at the same offset: one goes on, the other is told 409, and the bytes are whole', async () => {
    const bytes = randomBytes(3 * MIB);
    const { url } = await tus.begin(bytes.length);
    const answers = await Promise.all([tus.patch(url, 0, bytes), tus.patch(url, 0, bytes)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([204, 409]);
    const done = answers.find(({ status }) => status === 204);
    expect((await readBack(done?.headers.get('content-location') ?? '')).equals(bytes)).toBe(true);
    expect(await server.sql(`select count(*)::int from upload where id = $1 and result is not null`, [url.slice(url.lastIndexOf('/') + 1)])).toEqual([{ count: 1 }]);
  });

  it('tus-js-client uploads a file, goes on after an abort, and finds the same bytes', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'muniment-tus-'));
    const path = join(folder, 'video.bin');
    const bytes = randomBytes(20 * MIB);
    await writeFile(path, bytes);
    const run = (options: Partial<UploadOptions>, aborting: boolean): Promise<{ url: string; location: string | undefined }> => new Promise((resolve, reject) => {
      let location: string | undefined;
      const upload: Upload = new Upload(createReadStream(path), {
        endpoint: tus.base, chunkSize: 5 * MIB, uploadSize: bytes.length, retryDelays: [100, 200], headers: { Authorization: `Bearer ${token}` }, metadata: { filename: 'video.bin', filetype: 'application/octet-stream' },
        onAfterResponse(_request, response) { location = response.getHeader('Content-Location') ?? location; },
        onChunkComplete() { if (aborting) void upload.abort().then(() => resolve({ url: upload.url ?? '', location })); },
        onError: reject, onSuccess: () => resolve({ url: upload.url ?? '', location }), ...options,
      });
      upload.start();
    });
    const begun = await run({}, true);
    expect(Number((await tus.head(begun.url)).headers.get('upload-offset'))).toBeGreaterThan(0);
    const done = await run({ uploadUrl: begun.url }, false);
    expect(digest(await readBack(done.location ?? ''))).toBe(digest(bytes));
    await rm(folder, { recursive: true });
  });
});

(clamdCanBeHad ? describe : describe.skip)('a resumable upload that is infected', () => {
  it('is refused when it is complete, leaves nothing, and is over', async () => {
    const clamd = await startClamd();
    const server = await startMuniment({ CLAMAV_HOST: '127.0.0.1', CLAMAV_PORT: String(clamd.port) });
    try {
      const tus = tusClient(server, await server.token());
      const bytes = Buffer.concat([Buffer.alloc(5 * MIB, 65), eicar()]);
      const { url } = await tus.begin(bytes.length);
      expect((await tus.patch(url, 0, bytes.subarray(0, 5 * MIB))).status).toBe(204);
      const refused = await tus.patch(url, 5 * MIB, bytes.subarray(5 * MIB));
      expect([refused.status, refused.json.code]).toEqual([422, 'infected']);
      expect((await tus.head(url)).status).toBe(410);
      expect(await server.sql(`select count(*)::int from content where state <> 'condemned'`)).toEqual([{ count: 0 }]);
      expect((await readdir(join(server.dataDir, 'content'), { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile() && entry.name.length === 36)).toEqual([]);
    } finally { await server.stop(); await clamd.stop(); }
  });
});
