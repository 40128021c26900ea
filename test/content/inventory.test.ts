// The store and the table of contents, compared in both directions, over the local store and MinIO in a bucket of its own.
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { randomBytes, randomUUID } from 'node:crypto';
import { Client } from 'minio';
import { loadConfig } from '../../src/config/config.ts';
import type { Environment } from '../../src/config/env.ts';
import { renewEpoch } from '../../src/content/epoch-fence.ts';
import { takeInventory, type InventoryParts, type InventoryReport } from '../../src/content/inventory.ts';
import type { ContentStore } from '../../src/content/content-store.ts';
import { openDatabase, type Database } from '../../src/database/database.ts';
import { runInventoryCommand } from '../../src/inventory-command.ts';
import { openConfiguredStore } from '../../src/open-parts.ts';
import { fhirClient, type FhirClient } from '../support/fhir-client.ts';
import { minioEnvironment, startMuniment, type TestMuniment } from '../support/start-muniment.ts';

const DAY_MS = 24 * 60 * 60 * 1_000;
const minio = minioEnvironment();
const ALL: [string, Environment][] = [['the local store', {}], ...(minio === undefined ? [] : [['MinIO', minio] as [string, Environment]])];

async function emptyBucket(environment: Environment): Promise<{ environment: Environment; remove: () => Promise<void> }> {
  const endpoint = environment['STORAGE_ENDPOINT'];
  if (endpoint === undefined) return { environment, remove: async () => undefined };
  const url = new URL(endpoint);
  const client = new Client({ endPoint: url.hostname, port: Number(url.port), useSSL: false, accessKey: environment['STORAGE_ACCESS_KEY'] ?? '', secretKey: environment['STORAGE_SECRET_KEY'] ?? '' });
  const bucket = `inventory-${randomUUID().slice(0, 8)}`;
  await client.makeBucket(bucket);
  return {
    environment: { ...environment, STORAGE_BUCKET: bucket },
    async remove() {
      for await (const { name } of client.listObjectsV2(bucket, '', true)) await client.removeObject(bucket, name ?? '');
      await client.removeBucket(bucket);
    },
  };
}

describe.each(ALL)('the comparison of %s with the table of contents', (_name, given) => {
  let server: TestMuniment;
  let client: FhirClient;
  let database: Database;
  let store: ContentStore;
  let bucket: Awaited<ReturnType<typeof emptyBucket>>;
  let environment: Environment;

  beforeAll(async () => {
    bucket = await emptyBucket(given);
    server = await startMuniment(bucket.environment);
    client = fhirClient(server.fhirBase, await server.token());
    environment = { DATA_DIR: server.dataDir, DATABASE_URL: server.ownerUrl, ...bucket.environment };
    database = openDatabase({ appUrl: server.ownerUrl, auditUrl: server.ownerUrl, workerUrl: server.ownerUrl, setRoles: true });
    store = await openConfiguredStore(loadConfig(environment), database);
  });
  afterAll(async () => {
    await database.close();
    await server.stop();
    await bucket.remove();
  });

  async function keep(bytes: Buffer): Promise<{ id: string; content: string; key: string }> {
    const { json } = await client.post('Binary', bytes, { 'content-type': 'application/octet-stream' });
    const [row] = await server.sql<{ key: string; content: string }>('select c.key, c.id as content from content c join resource r on r.org = c.org and r.content = c.id where r.id = $1', [json.id]);
    return { id: json.id, key: row?.key ?? '', content: row?.content ?? '' };
  }

  const put = (key: string, bytes: Buffer): Promise<unknown> => store.put(key, (async function* () { yield bytes; })(), { size: bytes.length });
  const compare = async (days = 0, more: Partial<InventoryParts> = {}): Promise<InventoryReport> => await takeInventory({ database, store, now: Date.now() + days * DAY_MS, ...more }) as InventoryReport;
  const shown = ({ findings }: InventoryReport): string[] => findings.map(({ kind, key }) => `${kind} ${key}`).sort();

  async function command(...flags: string[]): Promise<{ code: number; text: string }> {
    const lines: string[] = [];
    const write = jest.spyOn(process.stdout, 'write').mockImplementation((text) => { lines.push(String(text)); return true; });
    try {
      return { code: await runInventoryCommand(flags, environment), text: lines.join('') };
    } finally { write.mockRestore(); }
  }

  it('lists what it holds in the order of the keys, from any of them on', async () => {
    const keys = ['ab/1', 'ab.c', 'ab/2/x', 'ab-c/1', 'b', 'ab0'].map((key) => `order/${key}`);
    for (const key of keys) await put(key, Buffer.from(key));
    const sorted = [...keys].sort((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)));
    const listed = async (after: string): Promise<string[]> => {
      const found: string[] = [];
      for await (const { key, size } of store.list?.(after) ?? []) if (key.startsWith('order/') && size === key.length) found.push(key);
      return found;
    };
    expect(await listed('')).toEqual(sorted);
    for (const [index, key] of sorted.entries()) expect(await listed(key)).toEqual(sorted.slice(index + 1));
    for (const key of keys) await store.remove(key);
  });

  it('finds nothing where all is in order, however many there are, staged ones included', async () => {
    await Promise.all(Array.from({ length: 40 }, (_none, size) => keep(randomBytes(size))));
    expect(await compare(20)).toMatchObject({ findings: [], complete: true, halted: false });
    expect((await command()).code).toBe(0);
  });

  it('finds an object that is gone and one that was cut; the scrub takes them next', async () => {
    const [gone, cut, sound] = [await keep(randomBytes(900)), await keep(randomBytes(901)), await keep(randomBytes(902))];
    await store.remove(gone.key);
    await store.remove(cut.key);
    await put(cut.key, randomBytes(5));
    expect(shown(await compare())).toEqual([`missing ${gone.key}`, `size ${cut.key}`].sort());
    const due = await server.sql<{ id: string }>(`select id from content where verified_at = to_timestamp(0)`);
    expect(due.map(({ id }) => id).sort()).toEqual([gone.content, cut.content].sort());
    expect((await client.get(`Binary/${sound.id}`, { accept: 'application/octet-stream' })).status).toBe(200);
    await server.sql(`update content set state = 'gone' where id = any($1)`, [[gone.content, cut.content]]);
    await store.remove(cut.key);
  });

  it('notes a stray from its eighth day on, puts it in quarantine a week later, and an administrator alone removes it, on record', async () => {
    const key = 'lost/and/found';
    await put(key, Buffer.from('nobody names it'));
    expect(shown(await compare(6))).toEqual([]);
    expect(shown(await compare(8))).toEqual([`stray ${key}`]);
    await compare(14);
    expect((await command('--remove', key, '--reason', 'of an old system')).code).toBe(1);
    expect(await store.stat(key)).toBeDefined();
    await compare(16);
    expect(await store.stat(key)).toBeDefined();
    const kept = await keep(Buffer.from('named'));
    expect((await command('--remove', kept.key, '--reason', 'by mistake')).code).toBe(1);
    expect((await command('--remove', key)).code).toBe(2);
    expect(await command('--remove', key, '--reason', 'of an old system')).toEqual({ code: 0, text: 'The object is removed\n' });
    expect([await store.stat(key), (await store.stat(kept.key))?.size]).toEqual([undefined, 5]);
    const events = await server.sql<{ leaf: string }>(`select a::text as leaf from access_event a where a::text like '%of an old system%'`);
    expect(events).toHaveLength(1);
  });

  it('forgets a stray that somebody took away', async () => {
    await put('lost/again', Buffer.from('x'));
    await compare(30);
    await store.remove('lost/again');
    await compare(31);
    expect(await server.sql('select from stray_object')).toEqual([]);
  });

  it('goes on where it was ended, by one server at a time, and once a week by itself', async () => {
    const end = new AbortController();
    end.abort();
    const begun = await compare(0, { signal: end.signal });
    expect([begun.complete, begun.objects]).toEqual([false, expect.any(Number)]);
    expect(await compare()).toMatchObject({ complete: false, objects: 0, contents: 0 });
    await server.sql(`update store_inventory set leased_until = now() - interval '1 second'`);
    const rest = await compare();
    expect(rest.complete).toBe(true);
    const whole = await compare();
    expect(whole.objects).toBe(begun.objects + rest.objects);
    expect(await takeInventory({ database, store, now: Date.now() + 6 * DAY_MS }, true)).toBeUndefined();
    expect(await takeInventory({ database, store, now: Date.now() + 8 * DAY_MS }, true)).toMatchObject({ complete: true });
  });

  it('compares nothing, and removes nothing, after the database or the store was restored', async () => {
    await renewEpoch({ database, store }, true);
    await put('of/the/days/between', Buffer.from('x'));
    await compare(40);
    await compare(50);
    await server.sql('update store_epoch set current = gen_random_uuid(), next = null');
    expect(await compare(60)).toMatchObject({ halted: true, findings: [], objects: 0 });
    const refused = await command('--remove', 'of/the/days/between', '--reason', 'litter');
    expect([refused.code, await store.stat('of/the/days/between') !== undefined]).toEqual([1, true]);
    expect(refused.text).toContain('was restored');
  });
});
