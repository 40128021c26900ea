// Nothing may be answered unrecorded: without its database the server answers 503 to everything, and heals by itself.
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { documentReference, fhirClient, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { eventually } from '../support/eventually.ts';
import { createDatabase, startMuniment, type TestMuniment } from '../support/start-muniment.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

let proxy: TcpProxy;
let server: TestMuniment;
let client: FhirClient;
let known: string;
let root: string;

beforeAll(async () => {
  const url = new URL(await createDatabase());
  proxy = await startTcpProxy({ host: url.hostname, port: Number(url.port) });
  url.hostname = '127.0.0.1';
  url.port = String(proxy.port);
  server = await startMuniment({ DATABASE_URL: url.href, LOG_LEVEL: 'error' });
  client = fhirClient(server.fhirBase, await server.token());
  root = server.fhirBase.replace(/\/fhir$/, '');
  known = (await client.post('DocumentReference', documentReference())).json.id;
});
afterAll(async () => {
  proxy.mend();
  await server.stop();
  await proxy.stop();
});

/** What a healthy server answers with 200, 201, 204, 400, 401, 403, 404, 405, 406, 415 and 422. */
async function everything(): Promise<[string, Answer][]> {
  const forbidden = await server.token({ scope: 'openid' });
  const calls: [string, Promise<Answer>][] = [
    ['read', client.get(`DocumentReference/${known}`)],
    ['HEAD', client.call(`DocumentReference/${known}`, { method: 'HEAD' })],
    ['search', client.get('DocumentReference?_count=1')],
    ['create', client.post('DocumentReference', documentReference())],
    ['create with a key', client.post('DocumentReference', documentReference(), { 'idempotency-key': randomUUID() })],
    ['update', client.put(`DocumentReference/${known}`, { ...documentReference(), id: known })],
    ['delete', client.delete(`DocumentReference/${known}`)],
    ['bytes in', client.post('Binary', 'bytes', { 'content-type': 'text/plain' })],
    ['the record', client.get('AuditEvent?_count=1')],
    ['no token', client.call(`DocumentReference/${known}`, { token: null })],
    ['a forged token', client.call(`DocumentReference/${known}`, { token: 'a.b.c' })],
    ['a token without scope', client.call(`DocumentReference/${known}`, { token: forbidden })],
    ['an organisation never seen', client.call('DocumentReference', { token: await server.token({ org: randomUUID() }) })],
    ['an unknown id', client.get('DocumentReference/unknown')],
    ['an unknown type', client.get('Foo/1')],
    ['a method that is not offered', client.call('AuditEvent', { method: 'POST', body: {} })],
    ['an Accept that nothing meets', client.get(`DocumentReference/${known}`, { accept: 'image/png' })],
    ['malformed JSON', client.post('DocumentReference', '{', { 'content-type': 'application/fhir+json' })],
    ['broken percent-encoding', client.get('DocumentReference/%E0%A4%A')],
    ['metadata', client.call('metadata', { token: null })],
  ];
  return Promise.all(calls.map(async ([what, answer]) => [what, await answer] as [string, Answer]));
}

interface Health {
  live: number;
  ready: number;
  /** up, degraded or down. */
  database: string;
}

async function health(): Promise<Health> {
  const [live, ready] = await Promise.all([fetch(`${root}/health/live`), fetch(`${root}/health/ready`)]);
  return { live: live.status, ready: ready.status, database: ((await ready.json()) as { database: string }).database };
}

it('a database that ends its connections makes every request 503 with Retry-After, leaves the process live and not ready, and all is back by itself', async () => {
  const healthy = (await everything()).map(([what, { status }]) => [what, status]);
  expect(healthy.filter(([, status]) => status === 503)).toEqual([]);
  // The walk deleted it: it comes back under its id.
  await client.put(`DocumentReference/${known}`, { ...documentReference(), id: known });
  proxy.cut();
  try {
    for (const [what, answer] of await everything()) {
      expect([what, answer.status, answer.headers.get('retry-after') !== null]).toEqual([what, 503, true]);
      expect(answer.text).not.toMatch(/ECONN|127\.0\.0\.1|select |insert /);
    }
    const seen = await eventually(health, (state) => state.ready === 503);
    expect([seen.live, seen.database]).toEqual([200, 'down']);
  } finally {
    proxy.mend();
  }
  await eventually(health, (state) => state.ready === 200, 20_000);
  await eventually(() => client.get(`DocumentReference/${known}`), (answer) => answer.status === 200, 20_000);
  expect((await client.post('DocumentReference', documentReference())).status).toBe(201);
}, 60_000);

it('a database that falls silent for some seconds makes the server not ready; what was asked meanwhile is answered, late or with 503', async () => {
  proxy.freeze();
  const asked = everything();
  let seen: Health;
  try {
    seen = await eventually(health, (state) => state.ready === 503, 15_000);
  } finally {
    proxy.mend();
  }
  expect([seen.live, seen.database]).toEqual([200, 'down']);
  for (const [what, answer] of await asked) expect([what, answer.status > 0 && answer.status !== 500]).toEqual([what, true]);
  await eventually(health, (state) => state.ready === 200, 20_000);
  expect((await client.post('DocumentReference', documentReference())).status).toBe(201);
}, 60_000);

it('a connection that the database ends in the middle of the work costs that request a 503, and the process nothing', async () => {
  let stop = false;
  const answers: number[] = [];
  const clients = Array.from({ length: 6 }, async () => {
    while (!stop) answers.push((await client.post('Binary', 'bytes', { 'content-type': 'text/plain' })).status);
  });
  for (let round = 0; round < 15; round += 1) {
    await server.sql('select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()');
    await new Promise((resolve) => { setTimeout(resolve, 60); });
  }
  stop = true;
  await Promise.all(clients);
  expect(answers.filter((status) => status !== 201 && status !== 503)).toEqual([]);
  expect(answers).toContain(201);
  expect((await client.get('DocumentReference?_count=1')).status).toBe(200);
}, 60_000);
