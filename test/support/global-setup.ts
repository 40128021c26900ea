// Once for the whole run: a real PostgreSQL with one migrated template database, and the engines that can be had.
// Files take their own database from the template, in some 30 ms.
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { ensureEngines, inspectEngines } from '../../scripts/engines/ensure-engines.ts';
import { gcsEngine } from '../../scripts/engines/gcs-engine.ts';
import { partitionedHapiEngine } from '../../scripts/engines/hapi-engine.ts';
import { migrate } from '../../src/database/migrate.ts';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../src/embedded/postgres.ts';
import { removeEndedRuns, RUN_FOLDER } from './ended-runs.ts';

declare global {
   
  var testPostgres: EmbeddedPostgres | undefined;
  var testFolder: string | undefined;
}

export const TEMPLATE = 'muniment_template';

export default async function globalSetup(): Promise<void> {
  const required = process.env['ENGINES'] === 'required';
  await removeEndedRuns();
  globalThis.testFolder = await mkdtemp(join(tmpdir(), RUN_FOLDER));
  const postgres = await startEmbeddedPostgres({ directory: globalThis.testFolder, settings: { max_connections: '300' } });
  globalThis.testPostgres = postgres;
  process.env['TEST_POSTGRES_URL'] = postgres.url;
  const admin = new pg.Client({ connectionString: postgres.url });
  await admin.connect();
  await admin.query(`create database ${TEMPLATE}`);
  await admin.end();
  await migrate(postgres.url.replace(/\/[^/]*$/, `/${TEMPLATE}`));

  // The second HAPI takes a gigabyte: on a machine of a person it is used where it runs.
  const partitions = required || (await inspectEngines()).some(({ name, state }) => name === 'hapi-partitions' && state === 'running');
  const reports = await ensureEngines({ wanted: ['minio', 'hapi', 'gcs', ...(partitions ? ['hapi-partitions' as const] : [])], build: required, log: (line) => { process.stderr.write(`${line}\n`); } });
  const missing = reports.filter((report) => report.state !== 'running');
  for (const report of reports.filter(({ state }) => state === 'running')) Object.assign(process.env, testVariables(report.name, report.environment));
  if (missing.length > 0) {
    const line = `Left out: ${missing.map((report) => `${report.name} (${report.reason ?? 'unavailable'})`).join('; ')}`;
    if (required) throw new Error(`${line}\n${missing.map((report) => report.logTail ?? '').join('\n')}`);
    process.env['TEST_LEFT_OUT'] = line;
  }
}

function testVariables(name: string, env: Record<string, string>): Record<string, string> {
  if (name === 'minio' && env['STORAGE_ENDPOINT'] !== undefined) {
    return { TEST_S3_ENDPOINT: env['STORAGE_ENDPOINT'], TEST_S3_BUCKET: env['STORAGE_BUCKET'] ?? '', TEST_S3_ACCESS_KEY: env['STORAGE_ACCESS_KEY'] ?? '', TEST_S3_SECRET_KEY: env['STORAGE_SECRET_KEY'] ?? '' };
  }
  if (name === 'gcs') return { TEST_GCS_ENDPOINT: `http://127.0.0.1:${gcsEngine.port}` };
  if (name === 'hapi-partitions') return { TEST_PARTITIONED_HAPI_URL: `http://127.0.0.1:${partitionedHapiEngine.port}/fhir/{org}` };
  return name === 'hapi' && env['MIRROR_BASE_URL'] !== undefined ? { TEST_HAPI_URL: env['MIRROR_BASE_URL'] } : {};
}
