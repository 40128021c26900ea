// What a client sees of the virus scanner: infected bytes are refused and leave nothing, what could not be scanned waits for an
// administrator, a scanner that is gone is told as such, and new signatures find what older ones did not.
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ScrubReport } from '../../src/content/scrub.ts';
import { runScrubCommand } from '../../src/scrub-command.ts';
import { documentReference, fhirClient, type Answer, type Call, type FhirClient } from '../support/fhir-client.ts';
import { clamdCanBeHad, eicar, startClamd, type TestClamd } from '../support/start-clamd.ts';
import { minioEnvironment, startMuniment, type TestMuniment } from '../support/start-muniment.ts';

const MIB = 1024 * 1024;
const LIMITS = { StreamMaxLength: '20M', MaxFileSize: '4M', MaxScanSize: '4M' };
const minio = minioEnvironment();

const infectedLarge = (): Buffer => Buffer.concat([Buffer.alloc(2 * MIB, 65), eicar(), Buffer.alloc(MIB, 66)]);
const TYPE = { 'content-type': 'application/octet-stream' };

(clamdCanBeHad ? describe : describe.skip)('a server with a virus scanner', () => {
  let clamd: TestClamd;
  let server: TestMuniment;
  let client: FhirClient;

  beforeAll(async () => {
    clamd = await startClamd(LIMITS);
    server = await startMuniment({ CLAMAV_HOST: '127.0.0.1', CLAMAV_PORT: String(clamd.port), SCAN: 'required', CLAMAV_STREAM_BYTES_MAX: '16MiB' });
    client = fhirClient(server.fhirBase, await server.token());
  });
  afterAll(async () => { await server.stop(); await clamd.stop(); });
  afterEach(() => clamd.thaw());

  async function objects(): Promise<string[]> {
    return (await readdir(join(server.dataDir, 'content'), { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile()).map(({ name }) => name).sort();
  }
  const rows = (): Promise<{ state: string; count: string }[]> => server.sql(`select state, count(*) from content where state <> 'condemned' group by state order by state`);

  async function posted(path: string, body: Call['body'], headers: Record<string, string> = {}): Promise<Answer & { requestId: string }> {
    const requestId = randomUUID();
    return { ...await client.post(path, body, { ...headers, 'x-request-id': requestId }), requestId };
  }

  async function scrubbed(flags: string[]): Promise<{ code: number; report: ScrubReport }> {
    const lines: string[] = [];
    const write = jest.spyOn(process.stdout, 'write').mockImplementation((text) => { lines.push(String(text)); return true; });
    try {
      const code = await runScrubCommand([...flags, '--json'], { DATA_DIR: server.dataDir, DATABASE_URL: server.ownerUrl, CLAMAV_HOST: '127.0.0.1', CLAMAV_PORT: String(clamd.port), CLAMAV_STREAM_BYTES_MAX: '16MiB' });
      return { code, report: JSON.parse(lines.join('')) as ScrubReport };
    } finally { write.mockRestore(); }
  }
  const contentOf = async (id: string): Promise<Record<string, unknown>> => (await server.sql('select c.* from content c join resource r on r.org = c.org and r.content = c.id where r.id = $1', [id]))[0] as Record<string, unknown>;

  it('refuses infected bytes on every way in with 422, keeps nothing in store and table, and records it', async () => {
    const before = [await objects(), await rows(), await server.sql('select count(*) from resource')];
    const data = eicar().toString('base64');
    const ways: [string, Call['body'], Record<string, string>?][] = [
      ['Binary', eicar(), TYPE], ['Binary', infectedLarge(), TYPE], ['Binary', { resourceType: 'Binary', contentType: 'application/octet-stream', data }],
      ['DocumentReference', documentReference({ content: [{ attachment: { contentType: 'application/octet-stream', data } }] })],
      ['DocumentReference', documentReference({ content: [{ attachment: { contentType: 'text/plain', data: Buffer.from('first').toString('base64') } }, { attachment: { contentType: 'application/octet-stream', data: infectedLarge().toString('base64') } }] })],
      ['', { resourceType: 'Bundle', type: 'transaction', entry: [{ resource: { resourceType: 'Binary', contentType: 'application/octet-stream', data }, request: { method: 'POST', url: 'Binary' } }] }],
    ];
    for (const [path, body, headers] of ways) {
      const answer = await posted(path, body, headers);
      expect([path, answer.status, answer.json.issue[0].code, answer.json.issue[0].details.coding[0].code]).toEqual([path, 422, 'security', 'infected']);
      const events = await client.auditOf(answer.requestId);
      expect(events.map(({ outcome }: { outcome: string }) => outcome)).toContain('4');
      expect(events[0].outcomeDesc).toContain('Eicar-Test-Body');
    }
    expect([await objects(), await rows(), await server.sql('select count(*) from resource')]).toEqual(before);
  });

  it('takes clean bytes and notes by which engine they were scanned; readiness says that it is up', async () => {
    for (const size of [0, 10, 3 * MIB]) {
      const { json, status } = await posted('Binary', Buffer.alloc(size, 1), TYPE);
      expect(status).toBe(201);
      expect(await contentOf(json.id)).toMatchObject({ state: 'live', scan_verdict: 'clean', scan_engine: expect.stringMatching(/^ClamAV/), scanned_at: expect.any(Date) });
    }
    expect((await client.call(`${server.fhirBase.replace('/fhir', '')}/health/ready`)).json).toMatchObject({ status: 'up', scanner: 'up', notes: { scanner: expect.stringMatching(/^ClamAV/) } });
  });

  it('withholds what the scanner cannot look at; neither a good copy nor the same scanner lifts that, an administrator does, and it is recorded', async () => {
    const large = await posted('Binary', Buffer.alloc(6 * MIB, 1), TYPE);
    const longer = await posted('Binary', Buffer.alloc(18 * MIB, 1), TYPE);
    for (const { json, status } of [large, longer]) {
      expect(status).toBe(201);
      const read = await client.get(`Binary/${json.id}`, { accept: 'application/octet-stream' });
      expect([read.status, read.json.issue[0].diagnostics]).toEqual([503, expect.stringContaining('could not be scanned')]);
      expect(await contentOf(json.id)).toMatchObject({ state: 'quarantined', scan_verdict: 'unscannable' });
    }
    for (const flags of [['--restore'], ['--all', '--restore'], ['--rescan']]) {
      expect((await scrubbed(flags)).code).toBe(1);
      expect(await contentOf(large.json.id)).toMatchObject({ state: 'quarantined', scan_verdict: 'unscannable' });
    }
    const { id } = await contentOf(large.json.id) as { id: string };
    expect((await scrubbed(['--accept', id, '--reason', 'a scan of the scanner in radiology'])).code).toBe(0);
    expect((await scrubbed(['--accept', id, '--reason', 'again'])).code).toBe(1);
    expect((await client.get(`Binary/${large.json.id}`, { accept: 'application/octet-stream' })).status).toBe(200);
    const events = (await client.get(`AuditEvent?entity=Binary/${large.json.id}&_count=50`)).json.entry.map(({ resource }: { resource: { outcomeDesc?: string } }) => resource.outcomeDesc);
    expect(events).toContainEqual(expect.stringContaining('a scan of the scanner in radiology'));
    await server.sql(`update content set state = 'gone' where scan_verdict = 'unscannable'`);
  });

  it('finds at rest what new signatures know, withholds it with a record, and clears what was withheld wrongly', async () => {
    const bad = (await posted('Binary', Buffer.from('this will be known as a virus'), TYPE)).json.id as string;
    const good = (await posted('Binary', Buffer.from('this will not'), TYPE)).json.id as string;
    await clamd.restart({ 'more.ndb': `Later-Known:0:*:${Buffer.from('known as a virus').toString('hex')}\n` });
    const { code, report } = await scrubbed(['--rescan']);
    const found = await contentOf(bad);
    expect([code, report.findings]).toEqual([1, [expect.objectContaining({ content: found['id'], kind: 'infected', quarantined: true })]]);
    expect(found).toMatchObject({ state: 'quarantined', scan_verdict: 'infected', quarantine_reason: expect.stringContaining('Later-Known') });
    expect(await contentOf(good)).toMatchObject({ state: 'live', scan_verdict: 'clean' });
    expect((await client.get(`Binary/${bad}`, { accept: 'application/octet-stream' })).status).toBe(503);
    expect((await client.get(`AuditEvent?entity=Binary/${bad}&outcome=8`)).json.total).toBeGreaterThan(0);
    await scrubbed(['--all', '--restore']);
    expect(await contentOf(bad)).toMatchObject({ state: 'quarantined' });
    await clamd.restart();
    expect((await scrubbed(['--rescan'])).report.findings).toEqual([expect.objectContaining({ content: found['id'], restored: true })]);
    expect((await client.get(`Binary/${bad}`, { accept: 'application/octet-stream' })).status).toBe(200);
  });

  it('answers 503 with Retry-After while the scanner is stopped or gone, keeps nothing, says so in readiness, and heals', async () => {
    const optional = await server.startSecond({ SCAN: 'optional' });
    const easy = fhirClient(optional.fhirBase, await optional.token());
    const before = [await objects(), await rows()];
    for (const take of [() => clamd.freeze(), () => clamd.end()]) {
      take();
      await new Promise((resolve) => { setTimeout(resolve, 5_100); });
      for (const size of [10, 2 * MIB]) {
        const refused = await posted('Binary', Buffer.alloc(size, 1), TYPE);
        expect([refused.status, refused.headers.get('retry-after'), refused.json.issue[0].code]).toEqual([503, '30', 'transient']);
      }
      expect([await objects(), await rows()]).toEqual(before);
      expect((await client.call(`${server.fhirBase.replace('/fhir', '')}/health/ready`)).json).toMatchObject({ status: 'degraded', scanner: 'down' });
    }
    const taken = await easy.post('Binary', Buffer.from('unscanned'), TYPE);
    expect([taken.status, (await contentOf(taken.json.id))['scan_verdict']]).toEqual([201, 'unscanned']);
    await optional.stop();
    await clamd.restart();
    expect((await posted('Binary', Buffer.from('again'), TYPE)).status).toBe(201);
    expect((await scrubbed(['--rescan'])).code).toBe(0);
    expect(await contentOf(taken.json.id)).toMatchObject({ state: 'live', scan_verdict: 'clean' });
  }, 120_000);

  (minio === undefined ? it.skip : it)('takes an infected object out of a bucket again', async () => {
    const other = await startMuniment({ CLAMAV_HOST: '127.0.0.1', CLAMAV_PORT: String(clamd.port), ...minio });
    try {
      const there = fhirClient(other.fhirBase, await other.token());
      expect((await there.post('Binary', infectedLarge(), TYPE)).status).toBe(422);
      expect((await there.post('Binary', Buffer.alloc(12 * MIB, 1), TYPE)).status).toBe(201);
      expect((await there.post('Binary', Buffer.alloc(3 * MIB, 1), TYPE)).status).toBe(201);
      expect(await other.sql(`select state, count(*)::int from content group by state order by state`)).toEqual([{ state: 'condemned', count: 1 }, { state: 'live', count: 1 }, { state: 'quarantined', count: 1 }]);
    } finally { await other.stop(); }
  });
});
