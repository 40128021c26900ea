// A store without room, over HTTP: 507 for the upload and for the document with inline data, the record tells both,
// nothing is kept, and what fits is taken again as soon as there is room.
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { randomBytes, randomUUID } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { documentReference, fhirClient, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { mountSmallDisk, type SmallDisk } from '../support/small-disk.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

const MIB = 1024 ** 2;
let server: TestMuniment;
let client: FhirClient;
let disk: SmallDisk | undefined;

beforeAll(async () => {
  server = await startMuniment();
  client = fhirClient(server.fhirBase, await server.token());
  disk = mountSmallDisk(join(server.dataDir, 'content'));
});
afterAll(async () => {
  disk?.end();
  await server.stop();
});

/** What is there: rows of live contents and resources, and files of the store. */
async function kept(): Promise<object> {
  const [rows] = await server.sql(`select (select count(*) from resource)::int as resources, (select count(*) from content where state = 'live')::int as contents, (select count(*) from outbox)::int as deliveries`);
  const files = await readdir(join(server.dataDir, 'content'), { recursive: true, withFileTypes: true });
  return { ...rows, files: files.filter((entry) => entry.isFile()).length };
}

async function refused(send: (headers: Record<string, string>) => Promise<Answer>): Promise<void> {
  const before = await kept();
  const requestId = randomUUID();
  const answer = await send({ 'x-request-id': requestId });
  expect([answer.status, answer.json.issue[0].code, answer.json.issue[0].details.coding[0].code]).toEqual([507, 'no-store', 'storage-full']);
  expect((await client.auditOf(requestId)).map(({ outcome, action }) => [outcome, action])).toEqual([['8', 'C']]);
  expect(await kept()).toEqual(before);
}

it('answers 507 once to what has no room, keeps nothing of it, records it, and takes what fits', async () => {
  if (disk === undefined) return;
  const fits = { 'content-type': 'application/octet-stream' };
  await refused((headers) => client.post('Binary', randomBytes(6 * MIB), { ...fits, ...headers }));
  const data = randomBytes(6 * MIB).toString('base64');
  await refused((headers) => client.post('DocumentReference', documentReference({ content: [{ attachment: { contentType: 'application/octet-stream', data } }] }), headers));
  expect((await client.post('Binary', randomBytes(MIB), fits)).status).toBe(201);
  expect((await client.post('DocumentReference', documentReference())).status).toBe(201);
});
