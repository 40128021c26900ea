// What whoever starts a server reads when a part outside is not there: which part, and what it said; no password, no key.
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Environment } from '../../src/config/env.ts';
import { startChild } from '../support/child-muniment.ts';
import { createDatabase, minioEnvironment } from '../support/start-muniment.ts';

const SECRET = 'a-password-of-nobody';
const minio = minioEnvironment();
let dataDir: string;
beforeAll(async () => { dataDir = await mkdtemp(join(tmpdir(), 'muniment-start-')); });
afterAll(() => rm(dataDir, { recursive: true, force: true }));

/** What it printed and how it ended. */
async function failedStart(more: Environment): Promise<string> {
  return startChild(dataDir, 1, more).then(async (child) => { await child.end('SIGKILL'); return 'it started'; }, (error: Error) => error.message);
}

it('names a database that does not answer', async () => {
  const told = await failedStart({ DATABASE_URL: `postgres://somebody:${SECRET}@127.0.0.1:1/muniment` });
  expect(told).toMatch(/^Ended with 1 .*ECONNREFUSED 127\.0\.0\.1:1/s);
  expect(told).not.toContain(SECRET);
}, 60_000);

(minio === undefined ? it.skip : it)('names what the store said of a bucket that is not there', async () => {
  const told = await failedStart({ ...minio, STORAGE_BUCKET: 'a-bucket-of-nobody', DATABASE_URL: await createDatabase() });
  expect(told).toMatch(/^Ended with 1 .*The store of bytes cannot be used now: The store answered 404 NoSuchBucket/s);
  expect(told).not.toContain(minio?.STORAGE_SECRET_KEY ?? SECRET);
}, 60_000);
