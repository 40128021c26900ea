// kill -9 in the middle of a bulk upload of fifty files: all fifty are there afterwards, or none.
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startChild, type ChildMuniment } from '../support/child-muniment.ts';
import { documentsClient, formOf, somePdf, type DocumentsClient } from '../support/documents-client.ts';
import { fhirClient } from '../support/fhir-client.ts';
import { createDatabase, freePort } from '../support/start-muniment.ts';

const ROUNDS = 4;
const FILES = 50;
let dataDir: string;
let port: number;
let database: string;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'muniment-killed-bulk-'));
  port = await freePort();
  database = await createDatabase();
});
afterAll(() => rm(dataDir, { recursive: true, force: true }));

const start = (): Promise<ChildMuniment> => startChild(dataDir, port, { DATABASE_URL: database });
const clientOf = async (server: ChildMuniment): Promise<DocumentsClient> => documentsClient(fhirClient(server.fhirBase, await server.token()));
const bulk = (client: DocumentsClient, patient: string): Promise<number | undefined> =>
  client.postForm('/bulk', formOf(Array.from({ length: FILES }, (_, at) => ({ name: `${at}.pdf`, bytes: somePdf(), field: 'files' })), { patient_id: patient })).then(({ status }) => status, () => undefined);
const kept = async (client: DocumentsClient, patient: string): Promise<number> => (await client.call(`?patient_id=${patient}&_count=100`)).json.length;

it('is all or none, wherever in it the kill falls', async () => {
  let server = await start();
  const warm = randomUUID();
  expect(await bulk(await clientOf(server), warm)).toBe(201);
  const began = performance.now();
  expect(await bulk(await clientOf(server), randomUUID())).toBe(201);
  const whole = performance.now() - began;
  for (let round = 0; round < ROUNDS; round += 1) {
    const patient = randomUUID();
    const running = bulk(await clientOf(server), patient);
    await sleep(whole * (0.4 + 0.7 * (round / (ROUNDS - 1))));
    await server.end('SIGKILL');
    const status = await running;
    server = await start();
    const count = await kept(await clientOf(server), patient);
    expect([0, FILES]).toContain(count);
    if (status === 201) expect(count).toBe(FILES);
  }
  expect(await kept(await clientOf(server), warm)).toBe(FILES);
  expect(await server.end('SIGTERM')).toBe(0);
}, 180_000);
