// One server on each store of the cloud, with a replica of the same kind: what a hospital does with its bytes, over HTTP and by
// the commands of an operator. MinIO, the emulator of Azure (which keeps no versions) and that of Google Cloud Storage.
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { randomBytes, randomUUID } from 'node:crypto';
import type { Environment } from '../../src/config/env.ts';
import type { InventoryReport } from '../../src/content/inventory.ts';
import type { ScrubReport } from '../../src/content/scrub.ts';
import { runInventoryCommand } from '../../src/inventory-command.ts';
import { runSweepCommand } from '../../src/operator-commands.ts';
import { runScrubCommand } from '../../src/scrub-command.ts';
import { CONTRACT_STORES, type ContractStore } from '../content/contract-stores.ts';
import { documentReference, fhirClient, type FhirClient } from '../support/fhir-client.ts';
import { eventually } from '../support/eventually.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

const MIB = 1024 * 1024;
const RAW = { accept: '*/*' };

interface Kept { id: string; bytes: Buffer; content: string; key: string }

const asReplica = ({ STORAGE_TYPE: type, ...rest }: Environment): Environment => ({
  STORAGE_REPLICA_TYPE: type === 'minio' ? 's3' : type ?? '',
  ...Object.fromEntries(Object.entries(rest).map(([name, value]) => [name.replace('STORAGE_', 'STORAGE_REPLICA_'), value])),
});

describe.each(Object.entries(CONTRACT_STORES).filter(([name]) => name !== 'local'))('a server on %s', (name, open) => {
  if (open === undefined) {
    it.skip(`is left out: ${name} could not be had`, () => undefined);
    return;
  }
  let at: ContractStore;
  let copies: ContractStore;
  let server: TestMuniment;
  let one: FhirClient;
  let other: FhirClient;
  let environment: Environment;

  beforeAll(async () => {
    [at, copies] = await Promise.all([open(), open()]);
    const stores = { ...at.environment, ...asReplica(copies.environment) };
    server = await startMuniment(stores);
    environment = { DATA_DIR: server.dataDir, DATABASE_URL: server.ownerUrl, ...stores };
    one = fhirClient(server.fhirBase, await server.token({ user: 'Practitioner/one' }));
    other = fhirClient(server.fhirBase, await server.token({ user: 'Practitioner/other' }));
  });
  afterAll(async () => {
    await server.stop();
    await Promise.all([at.end(), copies.end()]);
  });

  const replicated = (): Promise<number> => eventually(async () => Number((await server.sql<{ n: string }>(`select count(*) as n from content where state = 'live' and replicated_at is null`))[0]?.n), (count) => count === 0, 30_000);

  async function rowOf(binary: string): Promise<{ content: string; key: string }> {
    return (await server.sql<{ content: string; key: string }>('select c.id as content, c.key from content c join resource r on r.org = c.org and r.content = c.id where r.id = $1', [binary]))[0] as never;
  }

  async function keep(size: number): Promise<Kept> {
    const bytes = randomBytes(size);
    const { status, json } = await one.post('Binary', bytes, { 'content-type': 'application/octet-stream' });
    expect(status).toBe(201);
    return { id: json.id, bytes, ...await rowOf(json.id) };
  }

  /** What stands under the key becomes `bytes`, in whatever version the server looks for. */
  async function exchange(place: ContractStore, { key, content }: Kept, bytes: Buffer | undefined): Promise<void> {
    const versions = await place.store.versions?.(key) ?? [];
    for (const { version } of versions) await place.store.remove(key, version);
    if (bytes === undefined) return;
    await place.overwrite(key, bytes);
    if (place === at) await server.sql('update content set store_version = null where id = $1', [content]);
  }

  /** A command of an operator, with its answer. */
  async function run<Report>(command: (flags: readonly string[], environment: Environment) => Promise<number>, ...flags: string[]): Promise<{ code: number; report: Report }> {
    const lines: string[] = [];
    const write = jest.spyOn(process.stdout, 'write').mockImplementation((text) => { lines.push(String(text)); return true; });
    try {
      const code = await command([...flags, '--json'], environment);
      return { code, report: JSON.parse(lines.join('')) as Report };
    } finally { write.mockRestore(); }
  }

  const flipped = (bytes: Buffer, place: number): Buffer => Buffer.concat([bytes.subarray(0, place), Buffer.from([(bytes[place] as number) ^ 4]), bytes.subarray(place + 1)]);

  it('keeps what is sent raw and replaced, and gives it whole, by range and by version', async () => {
    const { id, bytes } = await keep(10 * MIB + 7);
    const next = randomBytes(3 * MIB);
    expect((await one.put(`Binary/${id}`, next, { 'content-type': 'application/octet-stream' })).status).toBe(200);
    for (const [path, expected] of [[`Binary/${id}`, next], [`Binary/${id}/_history/1`, bytes], [`Binary/${id}/_history/2`, next]] as const) {
      expect((await one.get(path, RAW)).bytes.equals(expected)).toBe(true);
      const range = await one.get(path, { ...RAW, range: 'bytes=1048570-1048590' });
      expect([range.status, range.bytes.equals(expected.subarray(1_048_570, 1_048_591))]).toEqual([206, true]);
    }
  });

  it('keeps a resumable upload that came in two parts', async () => {
    const bytes = randomBytes(9 * MIB);
    const tus = { 'tus-resumable': '1.0.0' };
    const begun = await one.call(server.fhirBase.replace('/fhir', '/uploads'), { method: 'POST', headers: { ...tus, 'upload-length': String(bytes.length) } });
    const url = begun.headers.get('location') ?? '';
    let answer = begun;
    for (const [offset, end] of [[0, 5 * MIB], [5 * MIB, bytes.length]] as const) {
      answer = await one.call(url, { method: 'PATCH', body: bytes.subarray(offset, end), headers: { ...tus, 'content-type': 'application/offset+octet-stream', 'upload-offset': String(offset) } });
      expect(answer.status).toBe(204);
    }
    expect((await one.get(answer.headers.get('content-location') ?? '', RAW)).bytes.equals(bytes)).toBe(true);
  });

  it('lends bytes by a signed URL to whoever has no token', async () => {
    const { id, bytes } = await keep(2 * MIB + 1);
    const { json } = await one.post(`Binary/${id}/$signed-url`, undefined);
    const url = (json.parameter as { name: string; valueUrl: string }[]).find((parameter) => parameter.name === 'url')?.valueUrl ?? '';
    expect((await one.call(url, { token: null })).bytes.equals(bytes)).toBe(true);
    const part = await one.call(url, { token: null, headers: { range: 'bytes=-9' } });
    expect([part.status, part.bytes.equals(bytes.subarray(-9))]).toEqual([206, true]);
  });

  it('lets no flipped bit out: the bytes come from the replica, and the scrub puts them back', async () => {
    const [rotten, lost] = [await keep(2 * MIB + 9), await keep(700)];
    await replicated();
    await exchange(at, rotten, flipped(rotten.bytes, MIB + 5));
    await exchange(at, lost, undefined);
    for (const { id, bytes } of [rotten, lost]) expect((await one.get(`Binary/${id}`, RAW)).bytes.equals(bytes)).toBe(true);
    const { code, report } = await run<ScrubReport>(runScrubCommand, '--all', '--restore');
    expect([code, new Map(report.findings.map(({ content, kind, restored, copy }) => [content, `${kind} ${restored} ${copy}`]))]).toEqual([0, new Map([[rotten.content, 'damaged true replica'], [lost.content, 'missing true replica']])]);
    for (const { content, key, bytes } of [rotten, lost]) {
      const [row] = await server.sql<{ key: string }>('select key from content where id = $1', [content]);
      expect(row?.key).not.toBe(key);
      expect((await at.look(row?.key ?? '')).equals(bytes)).toBe(true);
    }
  });

  it('takes out of service what rotted here and at the replica, without a wrong byte', async () => {
    const rotten = await keep(2 * MIB);
    await replicated();
    await exchange(at, rotten, flipped(rotten.bytes, MIB + 1));
    await exchange(copies, rotten, flipped(rotten.bytes, MIB + 1));
    const taken = await one.get(`Binary/${rotten.id}`, RAW).then(({ bytes }) => bytes, () => Buffer.alloc(0));
    expect(taken.equals(rotten.bytes.subarray(0, taken.length)) || taken.includes('"integrity"')).toBe(true);
    await eventually(async () => (await one.get(`Binary/${rotten.id}`, RAW)).status, (status) => status === 503);
    await server.sql(`update content set state = 'gone' where id = $1`, [rotten.content]);
    await Promise.all([at, copies].map((place) => exchange(place, rotten, undefined)));
  });

  it('is swept clean of an upload that nobody published, and of nothing else', async () => {
    const { id, bytes } = await keep(1_000);
    const key = `left/${randomUUID()}`;
    async function* left(): AsyncGenerator<Buffer> { yield randomBytes(9 * MIB); }
    await at.store.put(key, left(), {});
    await server.sql(`insert into content (org, id, state, store, key, chunk_bytes, created_at) select org, $1, 'staging', store, $2, chunk_bytes, now() - interval '3 days' from content limit 1`, [randomUUID(), key]);
    for (const expected of [{ condemned: 1, removed: 0 }, { condemned: 0, removed: 1 }]) expect(await run(runSweepCommand, '--apply')).toMatchObject({ code: 0, report: { ...expected, failed: 0, halted: [] } });
    expect(await at.leftovers()).not.toContain(key);
    expect((await one.get(`Binary/${id}`, RAW)).bytes.equals(bytes)).toBe(true);
  });

  it('lists exactly what the table of contents has, and tells what is missing', async () => {
    await run<ScrubReport>(runScrubCommand, '--all', '--restore');
    expect(await run<InventoryReport>(runInventoryCommand)).toMatchObject({ code: 0, report: { complete: true, findings: [] } });
    const gone = await keep(10);
    await replicated();
    await exchange(at, gone, undefined);
    const { code, report } = await run<InventoryReport>(runInventoryCommand);
    expect([code, report.findings.map(({ kind, content }) => [kind, content])]).toEqual([1, [['missing', gone.content]]]);
    expect((await run<ScrubReport>(runScrubCommand, '--all', '--restore')).code).toBe(0);
  });

  it('loses every version of what is purged, and so does the replica', async () => {
    const created = await one.post('DocumentReference', documentReference({
      meta: { tag: [{ system: 'https://muniment.example/fhir/CodeSystem/retention-class', code: 'temporary' }] },
      content: [{ attachment: { contentType: 'application/octet-stream', data: randomBytes(500).toString('base64') } }],
    }));
    const { key } = await rowOf((created.json.content[0].attachment.url as string).split('/').at(-1) ?? '');
    await replicated();
    for (const place of [at, copies]) expect(await place.leftovers()).toContain(key);
    await at.overwrite(key, Buffer.from('something else, as an accident leaves it'));
    await server.sql(`update resource set last_updated = last_updated - interval '2 days', date_hi = null where id = $1`, [created.json.id]);
    const admin = (who: FhirClient, path: string, body: object): ReturnType<FhirClient['call']> => who.call(`${server.fhirBase.replace(/\/fhir$/, '')}/admin/${path}`, { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } });
    const asked = await admin(one, 'purges', { reference: `DocumentReference/${created.json.id}`, reason: 'Over' });
    const done = await admin(other, `purges/${asked.json.id}/$approve`, { reason: 'Fine' });
    expect([asked.status, done.status, done.json.state]).toEqual([201, 200, 'done']);
    for (const place of [at, copies]) expect(await place.leftovers()).not.toContain(key);
  });
});
