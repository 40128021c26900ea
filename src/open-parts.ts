// What the server stands on, opened in order: database, its secrets and facts, store of bytes.
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ConfigurationError, type Config } from './config/config.ts';
import type { BucketConfig, StorageConfig } from './config/storage.ts';
import type { ContentStore } from './content/content-store.ts';
import { createScanner, type Scanner } from './content/scanner.ts';
import { openAzureStore } from './content/stores/azure.ts';
import { openFilesystemStore } from './content/stores/filesystem.ts';
import { openGcsStore } from './content/stores/gcs.ts';
import { ensureStoreMarker } from './content/stores/store-marker.ts';
import { openS3Store } from './content/stores/s3.ts';
import { openDatabase, type Database } from './database/database.ts';
import { migrate } from './database/migrate.ts';
import { DirectoryInUseError } from './embedded/directory-lock.ts';
import { joinEmbeddedPostgres } from './embedded/join-postgres.ts';
import { startEmbeddedPostgres, type EmbeddedPostgres } from './embedded/postgres.ts';
import type { Logger } from './logger.ts';

export interface OpenDatabase {
  database: Database;
  embedded: boolean;
  stop(): Promise<void>;
}

/** Whoever does not say what its end would mean is a command: it joins the server that runs on the folder. */
async function openEmbedded(directory: string, logger: Logger, onExit: ((reason: string) => void) | undefined): Promise<Pick<EmbeddedPostgres, 'url' | 'socketUrl' | 'stop'>> {
  try {
    return await startEmbeddedPostgres({ directory, ...(onExit === undefined ? {} : { onExit }), log: (line) => logger.debug(line) });
  } catch (error) {
    const url = onExit === undefined && error instanceof DirectoryInUseError ? await joinEmbeddedPostgres(directory) : undefined;
    if (url === undefined) throw error;
    return { url, socketUrl: url, stop: async () => { /* It belongs to the server. */ } };
  }
}

/** Starts the embedded PostgreSQL where no other is configured, migrates, and opens the pools of the runtime roles. */
export async function openConfiguredDatabase(config: Config, logger: Logger, onDatabaseExit?: (reason: string) => void): Promise<OpenDatabase> {
  // Passable: where PostgreSQL must run as another account, it has its folder below. What is in it is closed by itself.
  await mkdir(config.dataDir, { recursive: true, mode: 0o711 });
  const embedded = config.databaseUrl === undefined
    ? await openEmbedded(join(config.dataDir, 'postgres'), logger, onDatabaseExit)
    : undefined;
  const ownerUrl = embedded?.url ?? config.databaseUrl?.reveal() ?? '';
  try {
    const ran = await migrate(ownerUrl);
    if (ran.length > 0) logger.info({ migrations: ran }, 'database migrated');
  } catch (error) {
    await embedded?.stop();
    throw error;
  }
  const own = config.databaseAppUrl !== undefined && config.databaseAuditUrl !== undefined && config.databaseWorkerUrl !== undefined;
  const runtimeUrl = (): string => embedded?.socketUrl ?? config.databaseUrl?.reveal() ?? ownerUrl;
  const database = openDatabase({
    appUrl: () => config.databaseAppUrl?.reveal() ?? runtimeUrl(),
    auditUrl: () => config.databaseAuditUrl?.reveal() ?? runtimeUrl(),
    workerUrl: () => config.databaseWorkerUrl?.reveal() ?? runtimeUrl(),
    setRoles: !own,
  });
  return {
    database,
    embedded: embedded !== undefined,
    async stop() {
      await database.close();
      await embedded?.stop();
    },
  };
}

/** A secret that all servers of one database share; the first to ask makes it. */
export async function sharedSecret(database: Database, name: string): Promise<Buffer> {
  await database.query({ text: 'insert into server_secret (name, value) values ($1, $2) on conflict (name) do nothing', values: [name, randomBytes(32)] });
  const { rows } = await database.query<{ value: Buffer }>({ text: 'select value from server_secret where name = $1', values: [name] });
  return (rows[0] as { value: Buffer }).value;
}

/** The identity of this database: a local store belongs to one. */
async function databaseId(database: Database): Promise<string> {
  await database.query({ text: `insert into server_fact (name, value) values ('database-id', $1) on conflict (name) do nothing`, values: [randomUUID()] });
  const { rows } = await database.query<{ value: string }>({ text: `select value from server_fact where name = 'database-id'` });
  return (rows[0] as { value: string }).value;
}

/** Opens the configured store and proves that it can be written and read. */
export async function openConfiguredStore(config: Config, database: Database): Promise<ContentStore> {
  const { storage } = config;
  if (storage.type === 'local') {
    const directory = join(config.dataDir, 'content');
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await ensureStoreMarker(directory, await databaseId(database));
    return openFilesystemStore({ directory });
  }
  return openBucket(storage.type, { ...storage, type: storage.type }, storage.direct);
}

function openBucket(name: string, { type, endpoint, bucket, region, accessKey, secretKey, googleCredentials }: BucketConfig, direct?: StorageConfig['direct']): ContentStore {
  if (type === 'gcs') return openGcsStore({ name, endpoint, bucket, get credentials() { return googleCredentials?.reveal(); } });
  const place = { name, endpoint, bucket, region, direct, get accessKey() { return accessKey.reveal(); }, get secretKey() { return secretKey.reveal(); } };
  return type === 'azure' ? openAzureStore(place) : openS3Store(place);
}

/** Raises ConfigurationError where production would keep bytes in a bucket without versions, or without encryption at rest. */
export async function requireProtection({ production, storage }: Config, store: ContentStore): Promise<void> {
  if (!production || store.protection === undefined) return;
  const { versioned, encrypted } = await store.protection();
  const problems = [
    ...(versioned ? [] : [`The bucket ${storage.bucket} keeps no versions: turn versioning on, or what is overwritten or deleted there is lost`]),
    ...(encrypted ? [] : [`The bucket ${storage.bucket} does not encrypt what it keeps: turn its default encryption on (SSE-S3 or SSE-KMS)`]),
  ];
  if (problems.length > 0) throw new ConfigurationError(problems);
}

/** Raises ConfigurationError where direct URLs are wanted and the store gives no sessions to sign them. */
export async function requireSessions(store: ContentStore): Promise<void> {
  await store.direct?.reading().catch((error: unknown) => {
    const { cause } = error as { cause?: Error };
    throw new ConfigurationError([`STORAGE_DIRECT_ENDPOINT needs sessions (AssumeRole) of STORAGE_STS_ENDPOINT: ${cause?.message ?? 'it gives none'}`]);
  });
}

/** The second store, where there is one. It is not needed to serve: it may be down while the server starts. */
export function openConfiguredReplica({ storage }: Config): ContentStore | undefined {
  return storage.replica === undefined ? undefined : openBucket('replica', storage.replica);
}

/** The virus scanner, where one is configured and wanted. */
export function openConfiguredScanner({ clamav, scan }: Config): Scanner | undefined {
  return clamav === undefined || scan === 'off' ? undefined : createScanner({ host: clamav.host, port: clamav.port, bytesMax: clamav.streamBytesMax, connectionsMax: clamav.connectionsMax });
}
