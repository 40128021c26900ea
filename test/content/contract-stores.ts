// The stores that the contract is asked of, each with a second way to what it holds that is not ours.
import { Storage } from '@google-cloud/storage';
import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'minio';
import type { Environment } from '../../src/config/env.ts';
import type { ContentStore } from '../../src/content/content-store.ts';
import { openAzureStore } from '../../src/content/stores/azure.ts';
import { openFilesystemStore } from '../../src/content/stores/filesystem.ts';
import { openGcsStore } from '../../src/content/stores/gcs.ts';
import { openS3Store } from '../../src/content/stores/s3.ts';
import { startAzurite } from '../support/start-azurite.ts';
import { minioEnvironment } from '../support/start-muniment.ts';
import { collect } from './byte-sources.ts';

export interface ContractStore {
  store: ContentStore;
  /** The variables of a server that keeps its bytes here. */
  environment: Environment;
  /** The same kind of store at a place that is not there. */
  lost: ContentStore;
  /** What stands under the key now, by another client. */
  look(key: string): Promise<Buffer>;
  /** Writes other bytes over the object, as somebody else would. */
  overwrite(key: string, bytes: Buffer): Promise<void>;
  /** Names of all that is left: objects, versions, and parts of what never became an object. */
  leftovers(): Promise<string[]>;
  end(): Promise<void>;
}

async function localStore(): Promise<ContractStore> {
  const directory = await mkdtemp(join(tmpdir(), 'muniment-contract-'));
  const store = openFilesystemStore({ directory });
  return {
    store,
    environment: {},
    lost: openFilesystemStore({ directory: join(directory, 'never-mounted') }),
    look: (key) => readFile(join(directory, key)),
    overwrite: (key, bytes) => writeFile(join(directory, key), bytes),
    leftovers: async () => (await readdir(directory, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile()).map(({ name }) => name),
    end: () => rm(directory, { recursive: true }),
  };
}

async function minioStore(): Promise<ContractStore> {
  const { STORAGE_ENDPOINT: endpoint = '', STORAGE_ACCESS_KEY: accessKey = '', STORAGE_SECRET_KEY: secretKey = '' } = minioEnvironment() ?? {};
  const { hostname, port } = new URL(endpoint);
  const client = new Client({ endPoint: hostname, port: Number(port), useSSL: false, accessKey, secretKey });
  const bucket = `contract-${randomUUID()}`;
  await client.makeBucket(bucket);
  await client.setBucketVersioning(bucket, { Status: 'Enabled' });
  const at = (name: string): ContentStore => openS3Store({ name: 'minio', endpoint, bucket: name, region: 'us-east-1', accessKey, secretKey });
  const held = async (): Promise<{ name: string; versionId: string }[]> => collectAll(client.listObjects(bucket, '', true, { IncludeVersion: true }) as AsyncIterable<{ name: string; versionId: string }>);
  return {
    store: at(bucket),
    environment: { ...minioEnvironment(), STORAGE_BUCKET: bucket },
    lost: at('no-such-bucket'),
    look: async (key) => collect(await client.getObject(bucket, key) as AsyncIterable<Buffer>),
    overwrite: async (key, bytes) => { await client.putObject(bucket, key, bytes); },
    leftovers: async () => [...(await held()).map(({ name }) => name), ...(await collectAll(client.listIncompleteUploads(bucket, '', true) as AsyncIterable<{ key: string }>)).map(({ key }) => key)],
    async end() {
      for (const { name, versionId } of await held()) await client.removeObject(bucket, name, { versionId });
      await client.removeBucket(bucket);
    },
  };
}

async function collectAll<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

async function azureStore(): Promise<ContractStore> {
  const azurite = await startAzurite();
  const container = await azurite.makeContainer().catch(async (error: unknown) => { await azurite.stop(); throw error; });
  const at = (bucket: string): ContentStore => openAzureStore({ name: 'azure', endpoint: azurite.endpoint, bucket, accessKey: azurite.account, secretKey: azurite.key });
  return {
    store: at(container.containerName),
    environment: { STORAGE_TYPE: 'azure', STORAGE_ENDPOINT: azurite.endpoint, STORAGE_BUCKET: container.containerName, STORAGE_ACCESS_KEY: azurite.account, STORAGE_SECRET_KEY: azurite.key },
    lost: at('no-such-container'),
    look: (key) => container.getBlobClient(key).downloadToBuffer(),
    overwrite: async (key, bytes) => { await container.getBlockBlobClient(key).upload(bytes, bytes.length); },
    leftovers: async () => (await collectAll(container.listBlobsFlat({ includeUncommitedBlobs: true, includeSnapshots: true }))).map(({ name }) => name),
    end: azurite.stop,
  };
}

async function gcsStore(): Promise<ContractStore> {
  const endpoint = process.env['TEST_GCS_ENDPOINT'] ?? '';
  const bucket = new Storage({ apiEndpoint: endpoint, projectId: 'muniment' }).bucket(`contract-${randomUUID()}`);
  await bucket.create({ versioning: { enabled: true } });
  const at = (name: string): ContentStore => openGcsStore({ name: 'gcs', endpoint, bucket: name });
  return {
    store: at(bucket.name),
    environment: { STORAGE_TYPE: 'gcs', STORAGE_ENDPOINT: endpoint, STORAGE_BUCKET: bucket.name },
    lost: at('no-such-bucket'),
    look: async (key) => (await bucket.file(key).download())[0],
    overwrite: (key, bytes) => bucket.file(key).save(bytes, { resumable: false }),
    leftovers: async () => (await bucket.getFiles({ versions: true }))[0].map(({ name }) => name),
    async end() {
      for (const { name, generation } of (await bucket.getFiles({ versions: true }))[0]) await bucket.file(name, { generation: Number(generation) }).delete();
      await bucket.delete();
    },
  };
}

/** By name; undefined where the engine could not be had. */
export const CONTRACT_STORES: Record<string, (() => Promise<ContractStore>) | undefined> = {
  local: localStore,
  minio: minioEnvironment() === undefined ? undefined : minioStore,
  azure: azureStore,
  gcs: process.env['TEST_GCS_ENDPOINT'] === undefined ? undefined : gcsStore,
};
