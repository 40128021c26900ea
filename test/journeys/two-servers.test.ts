// Two servers on one database and one store are one server to the world.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes, randomUUID } from 'node:crypto';
import type { Environment } from '../../src/config/env.ts';
import { documentReference, fhirClient, type FhirClient } from '../support/fhir-client.ts';
import { eventually } from '../support/eventually.ts';
import { openSocket, requestHead } from '../support/raw-http.ts';
import { minioEnvironment, startMuniment, type TestMuniment } from '../support/start-muniment.ts';

const minio = minioEnvironment();
const stores: [string, Environment][] = [['one folder', {}], ...(minio === undefined ? [] : [['one bucket', minio] as [string, Environment]])];

describe.each(stores)('two servers over %s', (_name, environment) => {
  let first: TestMuniment;
  let second: TestMuniment;
  let one: FhirClient;
  let other: FhirClient;

  beforeAll(async () => {
    first = await startMuniment({ BASE_URL: 'http://documents.example', ...environment });
    second = await first.startSecond();
    // The base that clients see is the balancer's; each server is asked at its own port.
    one = fhirClient(`http://127.0.0.1:${first.port}/fhir`, await first.token());
    other = fhirClient(`http://127.0.0.1:${second.port}/fhir`, await first.token());
  });
  afterAll(async () => {
    await second.stop();
    await first.stop();
  });

  it('serve each other’s documents, bytes, records and pages, by the same token', async () => {
    const body = randomBytes(1_500_000);
    const uploaded = await one.post('Binary', body, { 'content-type': 'application/octet-stream' });
    const mark = randomUUID();
    for (const client of [one, other, one]) {
      const made = await client.post('DocumentReference', documentReference({ identifier: [{ value: mark }], content: [{ attachment: { contentType: 'application/octet-stream', url: `Binary/${uploaded.json.id}` } }] }));
      expect([made.status, made.json.content[0].attachment.url]).toEqual([201, `http://documents.example/fhir/Binary/${uploaded.json.id}`]);
    }
    expect((await other.get(`Binary/${uploaded.json.id}`)).bytes.equals(body)).toBe(true);
    const page = await one.get(`DocumentReference?identifier=${mark}&_count=2`);
    const next: string = page.json.link.find((link: { relation: string }) => link.relation === 'next').url;
    expect((await other.get(next.replace('http://documents.example/fhir/', ''))).json.entry).toHaveLength(1);
    expect(await other.auditOf(uploaded.headers.get('x-request-id') ?? '')).toHaveLength(1);
  });

  it('let one of twenty conditional creates through, whichever they reach', async () => {
    const value = randomUUID();
    const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => [one, other][n % 2]!.post('DocumentReference', documentReference({ identifier: [{ system: 'urn:e', value }] }), { 'if-none-exist': `identifier=urn:e|${value}` })));
    expect(answers.map((answer) => answer.status).sort()).toEqual([...Array.from({ length: 19 }, () => 200), 201]);
  });

  it('let one of twenty updates of a version through, and answer a repeated key with the first answer', async () => {
    const { json } = await one.post('DocumentReference', documentReference());
    const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => [one, other][n % 2]!.put(`DocumentReference/${json.id}`, { ...json, description: String(n) }, { 'if-match': 'W/"1"' })));
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, ...Array.from({ length: 19 }, () => 412)]);
    const [key, document] = [{ 'idempotency-key': randomUUID() }, documentReference()];
    const made = await one.post('DocumentReference', document, key);
    const repeated = await other.post('DocumentReference', document, key);
    expect([repeated.status, repeated.text]).toEqual([201, made.text]);
  });

  it('an upload that its client breaks off leaves one access row of outcome 4, and nothing else that can be seen', async () => {
    const count = async (): Promise<unknown> => first.sql(`select (select count(*) from resource)::int as resources, (select count(*) from content where state in ('staging', 'live'))::int as contents`);
    const before = await count();
    for (const length of [['Content-Length', '5000000'], ['Transfer-Encoding', 'chunked']] as const) {
      const requestId = randomUUID();
      const socket = await openSocket(one.base);
      socket.write(requestHead('POST', '/fhir/Binary', [['Authorization', `Bearer ${await first.token()}`], ['Content-Type', 'application/octet-stream'], ['X-Request-Id', requestId], length]));
      socket.write(length[0] === 'Content-Length' ? Buffer.alloc(2_000_000, 7) : Buffer.concat([Buffer.from('1e8480\r\n'), Buffer.alloc(2_000_000, 7)]));
      await new Promise((resolve) => { setTimeout(resolve, 150); });
      socket.resetAndDestroy();
      const events = await eventually(() => other.auditOf(requestId), (found) => found.length > 0);
      expect(events.map((event) => [event.outcome, event.action])).toEqual([['4', 'C']]);
      await eventually(count, (now) => JSON.stringify(now) === JSON.stringify(before));
    }
  });
});
