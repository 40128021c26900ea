// Bytes at rest with planted damage: all of it is found, what is sound is left alone, and a copy with the same SHA-256
// brings back what it is a copy of.
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { randomBytes, randomUUID } from 'node:crypto';
import { copyFile, open, readdir, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'minio';
import type { Environment } from '../../src/config/env.ts';
import type { ScrubReport } from '../../src/content/scrub.ts';
import { runScrubCommand } from '../../src/scrub-command.ts';
import { documentReference, fhirClient, type FhirClient } from '../support/fhir-client.ts';
import { minioEnvironment, startMuniment, type TestMuniment } from '../support/start-muniment.ts';

const CHUNK = 1024 * 1024;
const minio = minioEnvironment();

interface Stored { id: string; content: string; bytes: Buffer; key: string }

async function runScrub(server: TestMuniment, flags: string[], environment: Environment = {}): Promise<{ code: number; report: ScrubReport }> {
  const lines: string[] = [];
  const write = jest.spyOn(process.stdout, 'write').mockImplementation((text) => { lines.push(String(text)); return true; });
  try {
    const code = await runScrubCommand([...flags, '--json'], { DATA_DIR: server.dataDir, DATABASE_URL: server.ownerUrl, ...environment });
    return { code, report: JSON.parse(lines.join('')) as ScrubReport };
  } finally { write.mockRestore(); }
}

async function store(server: TestMuniment, client: FhirClient, size: number): Promise<Stored> {
  const bytes = randomBytes(size);
  const { json } = await client.post('Binary', bytes, { 'content-type': 'application/octet-stream' });
  const [row] = await server.sql<{ key: string; content: string }>('select c.key, c.id as content from content c join resource r on r.org = c.org and r.content = c.id where r.id = $1', [json.id]);
  return { id: json.id, bytes, key: row?.key ?? '', content: row?.content ?? '' };
}

const shown = (report: ScrubReport): unknown[] => report.findings.map(({ content, kind, quarantined, restored, copy }) => ({ content, kind, quarantined, restored, copy }));

describe('muniment scrub over the local store', () => {
  let server: TestMuniment;
  let client: FhirClient;
  const pathOf = ({ key }: Stored): string => join(server.dataDir, 'content', key);

  beforeAll(async () => {
    server = await startMuniment();
    client = fhirClient(server.fhirBase, await server.token());
  });
  afterAll(() => server.stop());

  async function flip(stored: Stored, at: number): Promise<void> {
    const file = await open(pathOf(stored), 'r+');
    await file.write(Buffer.from([(stored.bytes[at] ?? 0) ^ 1]), 0, 1, at);
    await file.close();
  }

  async function states(): Promise<Map<string, string>> {
    return new Map((await server.sql<{ id: string; state: string }>('select id, state from content')).map(({ id, state }) => [id, state]));
  }

  it('finds every flipped bit, truncation, exchange and missing object, records each, and touches nothing sound', async () => {
    const sizes = [1, 900, CHUNK, CHUNK + 1, 3 * CHUNK + 77];
    const sound = await Promise.all(sizes.map((size) => store(server, client, size)));
    const damaged: Stored[] = [];
    for (const size of sizes) for (const at of new Set([0, size >> 1, size - 1])) {
      const one = await store(server, client, size);
      await flip(one, at);
      damaged.push(one);
    }
    const cut = await store(server, client, 2 * CHUNK);
    await truncate(pathOf(cut), 2 * CHUNK - 1);
    const [a, b] = [await store(server, client, 5_000), await store(server, client, 5_000)];
    await rename(pathOf(a), `${pathOf(a)}.x`);
    await rename(pathOf(b), pathOf(a));
    await rename(`${pathOf(a)}.x`, pathOf(b));
    const gone = await store(server, client, 10);
    await rm(pathOf(gone));
    const grown = await store(server, client, 100);
    await writeFile(pathOf(grown), Buffer.concat([grown.bytes, Buffer.from('more')]));
    const before = await Promise.all(sound.map(async (one) => [await readFile(pathOf(one)), (await stat(pathOf(one))).mtimeMs] as const));
    const { code, report } = await runScrub(server, ['--all']);
    const lost = [...damaged, cut, a, b];
    expect(code).toBe(1);
    expect(report.checked).toBe(sound.length + lost.length + 2);
    expect(new Map(report.findings.map(({ content, kind, quarantined }) => [content, `${kind} ${quarantined}`]))).toEqual(new Map([...lost.map(({ content }) => [content, 'damaged true'] as const), [gone.content, 'missing true'], [grown.content, 'size false']]));
    const now = await states();
    for (const { content } of [...lost, gone]) expect(now.get(content)).toBe('quarantined');
    for (const { content } of [...sound, grown]) expect(now.get(content)).toBe('live');
    for (const [index, one] of sound.entries()) expect([(await readFile(pathOf(one))).equals(before[index]?.[0] as Buffer), (await stat(pathOf(one))).mtimeMs]).toEqual([true, before[index]?.[1]]);
    for (const one of [cut, gone]) {
      expect((await client.get(`Binary/${one.id}`)).status).toBe(503);
      const events = (await client.get(`AuditEvent?entity=Binary/${one.id}&outcome=8`)).json.entry ?? [];
      expect(events.map(({ resource }: { resource: { action: string } }) => resource.action)).toContain('E');
    }
    const again = await runScrub(server, ['--all']);
    expect(again.report.findings.filter(({ kind }) => kind !== 'size').every(({ quarantined }) => quarantined)).toBe(true);
    await server.sql(`update content set state = 'gone' where state = 'quarantined'`);
    await truncate(pathOf(grown), 100);
    expect((await runScrub(server, ['--all'])).code).toBe(0);
  });

  it('looks only at what is due without --all, the oldest first, and goes on where it was ended', async () => {
    await server.sql(`update content set verified_at = now()`);
    expect((await runScrub(server, [])).report.checked).toBe(0);
    await server.sql(`update content set verified_at = now() - interval '91 days', scrubbed_at = null where id in (select id from content where state = 'live' limit 2)`);
    expect((await runScrub(server, [])).report.checked).toBe(2);
    expect((await runScrub(server, [])).report.checked).toBe(0);
  });

  it('two at work at once share it: each content is read by one of them', async () => {
    for (let made = 0; made < 40; made += 1) await store(server, client, 2_000);
    await server.sql(`update content set verified_at = now() - interval '91 days', scrubbed_at = null where state = 'live'`);
    const [row] = await server.sql<{ count: string }>(`select count(*) from content where state = 'live'`);
    const spied: string[] = [];
    const write = jest.spyOn(process.stdout, 'write').mockImplementation((text) => { spied.push(String(text)); return true; });
    await Promise.all([0, 1].map(() => runScrubCommand(['--json'], { DATA_DIR: server.dataDir, DATABASE_URL: server.ownerUrl })));
    write.mockRestore();
    const checked = spied.join('').trim().split('\n').map((line) => (JSON.parse(line) as ScrubReport).checked);
    expect(checked.reduce((sum, one) => sum + one, 0)).toBe(Number(row?.count));
  });

  it('what a killed one held comes back when its lease ended', async () => {
    const one = await store(server, client, 100);
    await server.sql(`update content set verified_at = now() - interval '91 days', scrub_lease = $2, scrub_until = now() + interval '1 hour' where id = $1`, [one.content, randomUUID()]);
    expect((await runScrub(server, [])).report.checked).toBe(0);
    await server.sql(`update content set scrub_until = now() - interval '1 second' where id = $1`, [one.content]);
    expect((await runScrub(server, [])).report.checked).toBe(1);
  });

  it('--restore lifts the quarantine when the same bytes are back in place, and never for others', async () => {
    const one = await store(server, client, CHUNK + 5);
    await copyFile(pathOf(one), `${pathOf(one)}.backup`);
    const document = (await client.post('DocumentReference', documentReference({ content: [{ attachment: { contentType: 'application/octet-stream', url: `Binary/${one.id}` } }] }))).json;
    await flip(one, CHUNK + 1);
    await runScrub(server, ['--all']);
    await writeFile(pathOf(one), randomBytes(one.bytes.length));
    expect(await runScrub(server, ['--restore'])).toMatchObject({ code: 1 });
    expect((await client.get(`Binary/${one.id}`)).status).toBe(503);
    await copyFile(`${pathOf(one)}.backup`, pathOf(one));
    const seen = await runScrub(server, ['--all']);
    expect([seen.code, shown(seen.report)]).toEqual([1, [{ content: one.content, kind: 'quarantined', quarantined: true, restored: false, copy: 'store' }]]);
    const restored = await runScrub(server, ['--restore']);
    expect([restored.code, shown(restored.report)]).toEqual([0, [{ content: one.content, kind: 'quarantined', quarantined: false, restored: true, copy: 'store' }]]);
    expect((await client.get(`Binary/${one.id}`)).bytes.equals(one.bytes)).toBe(true);
    const events = (await client.get(`AuditEvent?entity=DocumentReference/${document.id}&action=E`)).json.entry as { resource: { outcome: string } }[];
    expect(events.map(({ resource }) => resource.outcome).sort()).toEqual(['0', '8']);
    await rm(`${pathOf(one)}.backup`);
  });

  it('is used wrongly with a rate that is none, or an unknown flag', async () => {
    const errors = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
    for (const flags of [['--rate', 'fast'], ['--everything']]) expect(await runScrubCommand(flags, { DATA_DIR: server.dataDir, DATABASE_URL: server.ownerUrl })).toBe(2);
    errors.mockRestore();
  });
});

describe('with a replica that is out of reach', () => {
  it('leaves damaged bytes in service, tells of them, and quarantines them once the replica can be asked and has none', async () => {
    const gone: Environment = { STORAGE_REPLICA_ENDPOINT: 'http://127.0.0.1:9', STORAGE_REPLICA_BUCKET: 'gone', STORAGE_REPLICA_ACCESS_KEY: 'a', STORAGE_REPLICA_SECRET_KEY: 'b' };
    const server = await startMuniment(gone);
    try {
      const one = await store(server, fhirClient(server.fhirBase, await server.token()), 5_000);
      await truncate(join(server.dataDir, 'content', one.key), 4_000);
      const seen = await runScrub(server, ['--all'], gone);
      expect([seen.code, seen.report.findings]).toEqual([1, [expect.objectContaining({ content: one.content, kind: 'damaged', quarantined: false, what: expect.stringContaining('out of reach') })]]);
      expect(await server.sql('select state from content')).toEqual([{ state: 'live' }]);
      expect((await runScrub(server, ['--all'])).report.findings).toEqual([expect.objectContaining({ kind: 'damaged', quarantined: true })]);
      expect(await server.sql(`select c.state, count(e.id)::int from content c, access_event e where e.outcome = 8 group by c.state`)).toEqual([{ state: 'quarantined', count: 1 }]);
    } finally { await server.stop(); }
  });
});

(minio === undefined ? describe.skip : describe)('with a replica in another bucket', () => {
  const bucket = `replica-${randomUUID().slice(0, 8)}`;
  const replica: Environment = {
    STORAGE_REPLICA_ENDPOINT: minio?.STORAGE_ENDPOINT ?? '', STORAGE_REPLICA_BUCKET: bucket, STORAGE_REPLICA_ACCESS_KEY: minio?.STORAGE_ACCESS_KEY ?? '', STORAGE_REPLICA_SECRET_KEY: minio?.STORAGE_SECRET_KEY ?? '',
  };
  let server: TestMuniment;
  let client: FhirClient;
  let s3: Client;

  beforeAll(async () => {
    const url = new URL(minio?.STORAGE_ENDPOINT ?? '');
    s3 = new Client({ endPoint: url.hostname, port: Number(url.port), useSSL: false, accessKey: minio?.STORAGE_ACCESS_KEY ?? '', secretKey: minio?.STORAGE_SECRET_KEY ?? '', region: 'us-east-1' });
    await s3.makeBucket(bucket);
    server = await startMuniment(replica);
    client = fhirClient(server.fhirBase, await server.token());
  });
  afterAll(async () => {
    await server.stop();
    for await (const object of s3.listObjects(bucket, '', true)) await s3.removeObject(bucket, (object as { name: string }).name);
    await s3.removeBucket(bucket);
  });

  it('a client reads on without noticing; --restore puts the copy back, and the wrong object goes with the sweeper', async () => {
    const one = await store(server, client, 2 * CHUNK + 9);
    await s3.putObject(bucket, one.key, one.bytes);
    const path = join(server.dataDir, 'content', one.key);
    await writeFile(path, randomBytes(one.bytes.length));
    expect((await client.get(`Binary/${one.id}`)).bytes.equals(one.bytes)).toBe(true);
    expect((await client.get(`Binary/${one.id}`, { range: 'bytes=1048570-1048590' })).bytes.equals(one.bytes.subarray(1_048_570, 1_048_591))).toBe(true);
    // The read told the scrubber to look here next.
    const seen = await runScrub(server, [], replica);
    expect([seen.code, shown(seen.report)]).toEqual([1, [{ content: one.content, kind: 'damaged', quarantined: false, restored: false, copy: 'replica' }]]);
    const restored = await runScrub(server, ['--all', '--restore'], replica);
    expect([restored.code, shown(restored.report)]).toEqual([0, [{ content: one.content, kind: 'damaged', quarantined: false, restored: true, copy: 'replica' }]]);
    const [row] = await server.sql<{ key: string; replica_key: string }>('select key, replica_key from content where id = $1', [one.content]);
    expect([row?.key === one.key, row?.replica_key]).toEqual([false, one.key]);
    expect((await readFile(join(server.dataDir, 'content', row?.key ?? ''))).equals(one.bytes)).toBe(true);
    expect(await server.sql('select state from content where key = $1', [one.key])).toEqual([{ state: 'condemned' }]);
    expect((await client.get(`Binary/${one.id}`)).bytes.equals(one.bytes)).toBe(true);
    // The replica still stands in for the new object.
    await rm(join(server.dataDir, 'content', row?.key ?? ''));
    expect((await client.get(`Binary/${one.id}`)).bytes.equals(one.bytes)).toBe(true);
    expect((await readdir(join(server.dataDir, 'content'))).length).toBeGreaterThan(0);
  });
});

(minio === undefined ? describe.skip : describe)('over MinIO', () => {
  it('finds an object that was overwritten, removed or cut, and says nothing of the others', async () => {
    const server = await startMuniment(minio);
    try {
      const client = fhirClient(server.fhirBase, await server.token());
      const url = new URL(minio?.STORAGE_ENDPOINT ?? '');
      const bucket = minio?.STORAGE_BUCKET ?? '';
      const s3 = new Client({ endPoint: url.hostname, port: Number(url.port), useSSL: false, accessKey: minio?.STORAGE_ACCESS_KEY ?? '', secretKey: minio?.STORAGE_SECRET_KEY ?? '', region: 'us-east-1' });
      const [sound, overwritten, cut, removed] = await Promise.all([10 * CHUNK, 9 * CHUNK, CHUNK + 1, 700].map((size) => store(server, client, size))) as [Stored, Stored, Stored, Stored];
      await s3.putObject(bucket, overwritten.key, randomBytes(overwritten.bytes.length));
      await s3.putObject(bucket, cut.key, cut.bytes.subarray(0, -1));
      await s3.removeObject(bucket, removed.key);
      const kinds = ({ findings }: ScrubReport): unknown => new Map(findings.map(({ content, kind, quarantined }) => [content, `${kind} ${quarantined}`]));
      const touched = [overwritten, cut, removed];
      // The bucket keeps versions: what was done to the objects did not touch the versions that the rows name.
      const first = await runScrub(server, ['--all'], minio);
      expect([first.code, first.report.checked, kinds(first.report)]).toEqual([1, 4, new Map(touched.map(({ content }) => [content, 'replaced false']))]);
      for (const one of touched) expect((await client.get(`Binary/${one.id}`)).bytes.equals(one.bytes)).toBe(true);
      // Without a version the newest counts, and an earlier one is as good.
      await server.sql('update content set store_version = null where id = $1', [overwritten.content]);
      const second = await runScrub(server, ['--all', '--restore'], minio);
      expect(second.report.findings.find(({ content }) => content === overwritten.content)).toMatchObject({ kind: 'damaged', copy: 'version', restored: true });
      for (const one of touched) {
        const [row] = await server.sql<{ store_version: string }>('select store_version from content where id = $1', [one.content]);
        await s3.removeObject(bucket, one.key, { versionId: row?.store_version ?? '' });
      }
      const third = await runScrub(server, ['--all'], minio);
      expect([third.code, kinds(third.report)]).toEqual([1, new Map(touched.map(({ content }) => [content, 'missing true']))]);
      expect((await client.get(`Binary/${sound.id}`)).bytes.equals(sound.bytes)).toBe(true);
    } finally { await server.stop(); }
  });
});
