// Where bytes are kept: the store, and the second one that may stand beside it.
import type { VariableName } from './env.ts';
import type { Reader } from './read-environment.ts';
import { Secret } from './secrets.ts';

/** A bucket, or a container, and how it is reached. */
export interface BucketConfig {
  type: 'minio' | 's3' | 'r2' | 'azure' | 'gcs';
  endpoint: string;
  bucket: string;
  region: string;
  accessKey: Secret;
  secretKey: Secret;
  /** JSON, of `gcs` alone; undefined = the application default credentials. */
  googleCredentials: Secret | undefined;
}

export interface StorageConfig extends Omit<BucketConfig, 'type'> {
  type: 'local' | BucketConfig['type'];
  /** A second store with the same objects under the same keys. */
  replica: BucketConfig | undefined;
  keyTemplate: string;
  /** Where clients may be sent to the bucket itself, and where sessions for that are given; undefined = they are not. */
  direct: { endpoint: string; stsEndpoint: string; role: string | undefined } | undefined;
}

const WEB = ['http:', 'https:'];
const GOOGLE = 'https://storage.googleapis.com';

const STORE = ['STORAGE_ENDPOINT', 'STORAGE_BUCKET', 'STORAGE_ACCESS_KEY', 'STORAGE_SECRET_KEY'] as const;
const REPLICA = ['STORAGE_REPLICA_ENDPOINT', 'STORAGE_REPLICA_BUCKET', 'STORAGE_REPLICA_ACCESS_KEY', 'STORAGE_REPLICA_SECRET_KEY'] as const;

export function readStorage(reader: Reader): StorageConfig {
  const type = reader.choice('STORAGE_TYPE', ['local', 'minio', 's3', 'r2', 'azure', 'gcs'], 'local');
  // Google has one address and its own ways to say who asks.
  const needed: readonly VariableName[] = type === 'local' ? [] : type === 'gcs' ? ['STORAGE_BUCKET'] : STORE;
  for (const name of needed) if (!reader.isSet(name)) reader.problems.push(`${name} is needed by STORAGE_TYPE=${type}`);
  return {
    type,
    endpoint: reader.url('STORAGE_ENDPOINT', WEB) ?? (type === 'gcs' ? GOOGLE : ''),
    bucket: reader.text('STORAGE_BUCKET') ?? '',
    region: reader.text('STORAGE_REGION') ?? 'us-east-1',
    accessKey: reader.secret('STORAGE_ACCESS_KEY') ?? new Secret(''),
    secretKey: reader.secret('STORAGE_SECRET_KEY') ?? new Secret(''),
    googleCredentials: reader.jsonFile('STORAGE_GOOGLE_CREDENTIALS_FILE'),
    replica: readReplica(reader),
    keyTemplate: reader.text('STORAGE_KEY_TEMPLATE') ?? '{org}/{year}/{month}/{uuid}',
    direct: readDirect(reader, type),
  };
}

/** Each URL of a bucket shows the name of an access key, and with that alone MinIO can be written to: whoever wants both says so. */
function readDirect(reader: Reader, type: StorageConfig['type']): StorageConfig['direct'] {
  const endpoint = reader.url('STORAGE_DIRECT_ENDPOINT', WEB);
  if (endpoint === undefined) return undefined;
  if (type !== 's3' && type !== 'minio') reader.problems.push('STORAGE_DIRECT_ENDPOINT needs STORAGE_TYPE=s3 or minio, where sessions are given (AssumeRole)');
  if (reader.choice('STORAGE_DIRECT_MINIO', ['unsafe', 'acknowledged'], 'unsafe') === 'unsafe' && type === 'minio') {
    reader.problems.push('STORAGE_DIRECT_ENDPOINT with STORAGE_TYPE=minio needs STORAGE_DIRECT_MINIO=acknowledged: MinIO takes forged writes from whoever reaches it (CVE-2026-41145, CVE-2026-40344; docs/signed-urls.md says what follows)');
  }
  return { endpoint, stsEndpoint: reader.url('STORAGE_STS_ENDPOINT', WEB) ?? reader.url('STORAGE_ENDPOINT', WEB) ?? '', role: reader.text('STORAGE_STS_ROLE') };
}

function readReplica(reader: Reader): BucketConfig | undefined {
  const type = reader.choice('STORAGE_REPLICA_TYPE', ['s3', 'azure', 'gcs'], 's3');
  const missing = REPLICA.filter((name) => !reader.isSet(name));
  if (type === 'gcs') {
    if (missing.includes('STORAGE_REPLICA_BUCKET')) reader.problems.push('STORAGE_REPLICA_BUCKET is needed by STORAGE_REPLICA_TYPE=gcs');
  } else {
    if (missing.length === REPLICA.length) return undefined;
    for (const name of missing) reader.problems.push(`${name} is needed: ${REPLICA.join(', ')} are set together or not at all`);
  }
  return {
    type,
    endpoint: reader.url('STORAGE_REPLICA_ENDPOINT', WEB) ?? (type === 'gcs' ? GOOGLE : ''),
    bucket: reader.text('STORAGE_REPLICA_BUCKET') ?? '',
    region: reader.text('STORAGE_REPLICA_REGION') ?? 'us-east-1',
    accessKey: reader.secret('STORAGE_REPLICA_ACCESS_KEY') ?? new Secret(''),
    secretKey: reader.secret('STORAGE_REPLICA_SECRET_KEY') ?? new Secret(''),
    googleCredentials: reader.jsonFile('STORAGE_REPLICA_GOOGLE_CREDENTIALS_FILE'),
  };
}
