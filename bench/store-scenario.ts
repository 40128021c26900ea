// 256 MiB to MinIO through Muniment, and by the bare client; in a bucket of the scenario's own.
import { randomUUID } from 'node:crypto';
import { Client } from 'minio';
import { ensureEngines } from '../scripts/engines/ensure-engines.ts';
import { putBare, type BareBucket } from './bare-s3-client.ts';
import { streamBlock } from './bench-documents.ts';
import { MIB, upload } from './byte-scenarios.ts';
import { openConnections } from './keep-alive.ts';
import type { Scenario } from './scenario.ts';
import { startMuniment } from './servers.ts';

const SIZE = 256 * MIB;

/** Raises an Error where MinIO cannot be had. */
export async function openStoreScenario(): Promise<{ scenario: Scenario; close(): Promise<void> }> {
  const [report] = await ensureEngines({ wanted: ['minio'], build: false, log: () => undefined });
  const { STORAGE_ENDPOINT: endpoint, STORAGE_ACCESS_KEY: accessKey, STORAGE_SECRET_KEY: secretKey, STORAGE_REGION: region = 'us-east-1' } = report?.environment ?? {};
  if (endpoint === undefined || accessKey === undefined || secretKey === undefined) throw new Error(`MinIO: ${report?.reason ?? 'it does not run'}`);
  const bucket: BareBucket = { endpoint, bucket: `bench-${randomUUID().slice(0, 8)}`, accessKey, secretKey, region };
  const url = new URL(endpoint);
  const client = new Client({ endPoint: url.hostname, port: Number(url.port), useSSL: false, accessKey, secretKey, region });
  await client.makeBucket(bucket.bucket);
  const muniment = await startMuniment([], { STORAGE_TYPE: 'minio', STORAGE_ENDPOINT: endpoint, STORAGE_BUCKET: bucket.bucket, STORAGE_REGION: region, STORAGE_ACCESS_KEY: accessKey, STORAGE_SECRET_KEY: secretKey });
  const target = { name: 'muniment' as const, peer: muniment, connections: openConnections(1), inbox: `${muniment.base}/Binary`, litter: [] };
  const block = streamBlock();
  async function empty(): Promise<void> {
    for await (const { name } of client.listObjectsV2(bucket.bucket, '', true) as AsyncIterable<{ name?: string }>) await client.removeObject(bucket.bucket, name ?? '');
  }
  return {
    scenario: {
      name: 'minio-256m', bytes: SIZE, bounds: { clients: 1, seconds: 120, countMax: 1 },
      ours: { name: 'muniment', work: async () => { await upload(target, SIZE); } },
      // Both sides' objects go after each round.
      yardstick: { name: 'bare', work: async () => { await putBare(bucket, SIZE, block); }, settle: empty },
    },
    async close() {
      target.connections.close();
      await muniment.stop();
      await empty();
      await client.removeBucket(bucket.bucket);
    },
  };
}
