// MinIO, the object store: built from the Go module proxy, since neither a download site nor an image is needed for that.
import { Client } from 'minio';
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { EngineUnavailable, type Engine, type EngineContext } from './engine.ts';
import { engineCredentials } from './engine-folders.ts';
import { programOnPath, runToEnd } from './engine-process.ts';

const RELEASE = '2025-09-07T16-13-09Z';
const COMMIT = '07c3a429bfed';
// The release's tag is no module version; this is the same commit as the module proxy names it.
const MODULE = `github.com/minio/minio@v0.0.0-20250907161309-${COMMIT}`;
const BUCKET = 'muniment';
const PROBE_BUCKET = 'muniment-probe';
const PROBE_LIMIT_MS = 10_000;

export const minioEngine: Engine = {
  name: 'minio',
  title: 'MinIO',
  port: 9000,
  needs: [],
  startLimitMs: 60_000,
  stopLimitMs: 15_000,
  obtain: async (context) => {
    const data = join(context.folders.state, 'minio');
    mkdirSync(data, { recursive: true });
    return {
      program: await minioProgram(context),
      args: ['server', '--quiet', '--address', `127.0.0.1:${context.port}`, data],
      env: minioSettings(context),
    };
  },
  probe: async (context) => {
    // Its health routes answer 200 with a full or read-only drive, so an object is written and read back.
    await withinLimit(writeAndRead(clientFor(context)));
  },
  furnish: async (context) => {
    const client = clientFor(context);
    if (!(await client.bucketExists(BUCKET))) await client.makeBucket(BUCKET);
    // As production demands it.
    await client.setBucketVersioning(BUCKET, { Status: 'Enabled' });
    await client.setBucketEncryption(BUCKET, { Rule: [{ ApplyServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' } }] });
  },
  environment: ({ folders, port }) => {
    const { storageAccessKey, storageSecretKey } = engineCredentials(folders);
    return {
      STORAGE_TYPE: 'minio', STORAGE_ENDPOINT: `http://127.0.0.1:${port}`, STORAGE_BUCKET: BUCKET, STORAGE_REGION: 'us-east-1',
      STORAGE_ACCESS_KEY: storageAccessKey, STORAGE_SECRET_KEY: storageSecretKey,
    };
  },
};

function minioSettings({ folders }: EngineContext): Record<string, string> {
  const { storageAccessKey, storageSecretKey, storageEncryptionKey } = engineCredentials(folders);
  return {
    MINIO_ROOT_USER: storageAccessKey,
    MINIO_ROOT_PASSWORD: storageSecretKey,
    MINIO_UPDATE: 'off', // No look for a newer release at start.
    MINIO_BROWSER: 'off', // No web console on a second port.
    MINIO_KMS_SECRET_KEY: `muniment:${storageEncryptionKey}`, // A static key: encryption at rest works without a key server.
    MINIO_PROMETHEUS_AUTH_TYPE: 'public', // Metrics without a token; loopback only.
    _MINIO_API_XFF_HEADER: 'off', // X-Forwarded-For is not believed.
  };
}

async function minioProgram({ folders, mayBuild, log }: EngineContext): Promise<string> {
  const home = join(folders.programs, 'minio', 'bin');
  const program = join(home, 'minio');
  if (existsSync(program) && (await runToEnd({ program, args: ['--version'] }, 'minio --version')).includes(RELEASE)) return program;
  if (!mayBuild) throw new EngineUnavailable('MinIO is not built yet: `npm run engines` builds it (about 9 minutes on two cores, once)');
  const go = programOnPath('go', 'Go 1.24 or later builds MinIO');
  log('building MinIO: about 9 minutes on two cores, once');
  const partial = `${home}.partial`;
  const args = ['install', '-trimpath', '-ldflags', linkerFlags(), MODULE];
  await runToEnd({ program: go, args, env: { GOTOOLCHAIN: 'local', CGO_ENABLED: '0', GOBIN: partial } }, 'building MinIO');
  mkdirSync(home, { recursive: true });
  renameSync(join(partial, 'minio'), program);
  return program;
}

// Without these a built MinIO calls itself a development version.
function linkerFlags(): string {
  const version = RELEASE.replace(/T(\d+)-(\d+)-(\d+)Z/, 'T$1:$2:$3Z');
  const named = { ReleaseTag: `RELEASE.${RELEASE}`, Version: version, CommitID: COMMIT };
  return ['-s', '-w', ...Object.entries(named).map(([name, value]) => `-X github.com/minio/minio/cmd.${name}=${value}`)].join(' ');
}

function clientFor({ folders, port }: EngineContext): Client {
  const { storageAccessKey, storageSecretKey } = engineCredentials(folders);
  return new Client({ endPoint: '127.0.0.1', port, useSSL: false, accessKey: storageAccessKey, secretKey: storageSecretKey, region: 'us-east-1' });
}

async function writeAndRead(client: Client): Promise<void> {
  if (!(await client.bucketExists(PROBE_BUCKET))) await client.makeBucket(PROBE_BUCKET);
  const written = new Date().toISOString();
  await client.putObject(PROBE_BUCKET, 'probe', written);
  const pieces: Buffer[] = [];
  for await (const piece of await client.getObject(PROBE_BUCKET, 'probe')) pieces.push(piece as Buffer);
  if (Buffer.concat(pieces).toString() !== written) throw new Error('MinIO gave back other bytes than it was given');
}

// The client itself waits for ever on a server that accepts a connection and then says nothing.
async function withinLimit<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => { reject(new Error(`no answer within ${PROBE_LIMIT_MS / 1000} s`)); }, PROBE_LIMIT_MS);
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}
