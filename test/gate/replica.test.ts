// Buckets as production demands them, and the replica behind: on a real MinIO, whose buckets keep versions and encrypt or not.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes, randomUUID } from 'node:crypto';
import { Client } from 'minio';
import type { Environment } from '../../src/config/env.ts';
import { documentReference, fhirClient, type FhirClient } from '../support/fhir-client.ts';
import { eventually } from '../support/eventually.ts';
import { minioEnvironment, startMuniment, type TestMuniment } from '../support/start-muniment.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

const minio = minioEnvironment();
if (minio === undefined) process.stderr.write('Left out: buckets in production and the replica (no TEST_S3_ENDPOINT)\n');
const PRODUCTION: Environment = { NODE_ENV: 'production', ALLOW_EMBEDDED_IN_PRODUCTION: 'true', OPERATOR_ORG: 'operations', SCAN: 'off' };

(minio === undefined ? describe.skip : describe)('on MinIO', () => {
  const { STORAGE_ENDPOINT: endpoint = '', STORAGE_ACCESS_KEY: accessKey = '', STORAGE_SECRET_KEY: secretKey = '' } = minio ?? {};
  const url = new URL(endpoint === '' ? 'http://localhost' : endpoint);
  const name = `keep-${randomUUID().slice(0, 8)}`;
  const buckets = { plain: `${name}-plain`, versioned: `${name}-versioned`, encrypted: `${name}-encrypted`, sound: `${name}-sound`, copies: `${name}-copies` };
  let client: Client;
  let wire: TcpProxy;

  beforeAll(async () => {
    client = new Client({ endPoint: url.hostname, port: Number(url.port), useSSL: false, accessKey, secretKey });
    for (const bucket of Object.values(buckets)) await client.makeBucket(bucket);
    for (const bucket of [buckets.versioned, buckets.sound, buckets.copies]) await client.setBucketVersioning(bucket, { Status: 'Enabled' });
    for (const bucket of [buckets.encrypted, buckets.sound]) await client.setBucketEncryption(bucket, { Rule: [{ ApplyServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' } }] });
    wire = await startTcpProxy({ host: url.hostname, port: Number(url.port) });
  });
  afterAll(async () => {
    await wire.stop();
    for (const bucket of Object.values(buckets)) {
      for (const { name: key, versionId } of await listed(bucket)) await client.removeObject(bucket, key, versionId === undefined ? {} : { versionId });
      await client.removeBucket(bucket);
    }
  });

  interface Listed { name: string; versionId?: string; isDeleteMarker?: boolean }

  async function listed(bucket: string): Promise<Listed[]> {
    const found: Listed[] = [];
    for await (const one of client.listObjects(bucket, '', true, { IncludeVersion: true })) found.push(one);
    return found;
  }

  const contents = async (bucket: string): Promise<Listed[]> => (await listed(bucket)).filter((one) => !one.name.startsWith('.') && one.isDeleteMarker !== true);
  const inBucket = (bucket: string): Environment => ({ ...minio, STORAGE_BUCKET: bucket });

  describe('production', () => {
    it.each([
      ['plain', [/keeps no versions/, /does not encrypt/]],
      ['versioned', [/does not encrypt/]],
      ['encrypted', [/keeps no versions/]],
    ] as const)('refuses the %s bucket and says what is missing', async (kind, missing) => {
      const started = startMuniment({ ...PRODUCTION, ...inBucket(buckets[kind]) });
      const problem = await started.then(async (server) => { await server.stop(); return ''; }, (error: Error) => error.message);
      for (const pattern of missing) expect(problem).toMatch(pattern);
      expect(problem.split('\n')).toHaveLength(missing.length + 1);
    });

    it('starts on one that keeps versions and encrypts, and leaves nothing of its look behind', async () => {
      const server = await startMuniment({ ...PRODUCTION, ...inBucket(buckets.sound) });
      try {
        expect((await listed(buckets.sound)).filter((one) => one.name.startsWith('.probe/') && one.isDeleteMarker !== true)).toEqual([]);
      } finally { await server.stop(); }
    });

    it('is not asked outside production', async () => {
      await (await startMuniment(inBucket(buckets.plain))).stop();
    });
  });

  describe('the replica', () => {
    let server: TestMuniment;
    let one: FhirClient;
    let other: FhirClient;

    beforeAll(async () => {
      server = await startMuniment({
        ...inBucket(buckets.versioned), STORAGE_REPLICA_ENDPOINT: `http://127.0.0.1:${wire.port}`, STORAGE_REPLICA_BUCKET: buckets.copies, STORAGE_REPLICA_ACCESS_KEY: accessKey, STORAGE_REPLICA_SECRET_KEY: secretKey,
      });
      one = fhirClient(server.fhirBase, await server.token({ user: 'Practitioner/one' }));
      other = fhirClient(server.fhirBase, await server.token({ user: 'Practitioner/other' }));
    });
    afterAll(() => server.stop());

    const waiting = async (): Promise<number> => Number((await server.sql<{ n: string }>(`select count(*) as n from content where state = 'live' and replicated_at is null`))[0]?.n);
    const binary = async (bytes: Buffer): Promise<string> => (await one.post('Binary', bytes, { 'content-type': 'application/octet-stream' })).json.id;
    const contentOf = async (id: string): Promise<{ key: string; store_version: string }> => (await server.sql<{ key: string; store_version: string }>('select c.key, c.store_version from content c join resource r on r.content = c.id where r.id = $1', [id]))[0] as never;

    it('is written behind: an upload does not wait for it, and it catches up by itself once it is there', async () => {
      wire.cut();
      const bytes = [randomBytes(3_000_000), randomBytes(10)];
      const ids = await Promise.all(bytes.map(binary));
      expect(await waiting()).toBe(2);
      wire.mend();
      await server.sql('update content set replica_until = null');
      await eventually(waiting, (count) => count === 0, 30_000);
      const copies = await contents(buckets.copies);
      for (const id of ids) expect(copies.map((copy) => copy.name)).toContain((await contentOf(id)).key);
    });

    it('gives the bytes where the bucket lost every version of them', async () => {
      const bytes = randomBytes(2_500_000);
      const id = await binary(bytes);
      await eventually(waiting, (count) => count === 0, 30_000);
      const { key, store_version: version } = await contentOf(id);
      await client.removeObject(buckets.versioned, key, { versionId: version });
      expect((await one.get(`Binary/${id}`, { accept: '*/*' })).bytes.equals(bytes)).toBe(true);
      expect(await server.sql(`select 1 from content where state = 'quarantined'`)).toEqual([]);
    });

    it('that holds other bytes under a key keeps them, and has the right ones beside', async () => {
      wire.cut();
      const bytes = randomBytes(1_000);
      const id = await binary(bytes);
      const { key } = await contentOf(id);
      await client.putObject(buckets.copies, key, randomBytes(1_000));
      wire.mend();
      await server.sql('update content set replica_until = null');
      await eventually(waiting, (count) => count === 0, 30_000);
      const [row] = await server.sql<{ replica_key: string }>('select c.replica_key from content c join resource r on r.content = c.id where r.id = $1', [id]);
      expect(row?.replica_key.startsWith(`${key}.`)).toBe(true);
      const { store_version: version } = await contentOf(id);
      await client.removeObject(buckets.versioned, key, { versionId: version });
      expect((await one.get(`Binary/${id}`, { accept: '*/*' })).bytes.equals(bytes)).toBe(true);
    });

    it('loses with the bucket every version of what is purged', async () => {
      const created = await one.post('DocumentReference', documentReference({
        meta: { tag: [{ system: 'https://muniment.example/fhir/CodeSystem/retention-class', code: 'temporary' }] },
        content: [{ attachment: { contentType: 'application/octet-stream', data: randomBytes(500).toString('base64') } }],
      }));
      const id = (created.json.content[0].attachment.url as string).split('/').at(-1) ?? '';
      const { key } = await contentOf(id);
      await eventually(waiting, (count) => count === 0, 30_000);
      // As an accident, or somebody with the bucket's keys, leaves it.
      await client.putObject(buckets.versioned, key, 'something else');
      await client.removeObject(buckets.versioned, key);
      await server.sql(`update resource set last_updated = last_updated - interval '2 days', date_hi = null where id = $1`, [created.json.id]);
      const admin = (who: FhirClient, path: string, body: object): ReturnType<FhirClient['call']> => who.call(`${server.fhirBase.replace(/\/fhir$/, '')}/admin/${path}`, { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } });
      const asked = await admin(one, 'purges', { reference: `DocumentReference/${created.json.id}`, reason: 'Over' });
      const done = await admin(other, `purges/${asked.json.id}/$approve`, { reason: 'Fine' });
      expect([asked.status, done.status, done.json.state]).toEqual([201, 200, 'done']);
      for (const bucket of [buckets.versioned, buckets.copies]) expect((await contents(bucket)).filter((object) => object.name.startsWith(key))).toEqual([]);
    });
  });
});
