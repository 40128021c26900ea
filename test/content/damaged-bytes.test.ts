// Bytes that rot, vanish or are exchanged under the server: whatever is asked for, no wrong byte reaches a client.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes, randomUUID } from 'node:crypto';
import { open, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { documentReference, fhirClient, type FhirClient } from '../support/fhir-client.ts';
import { eventually } from '../support/eventually.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

const CHUNK = 1024 * 1024;
let server: TestMuniment;
let client: FhirClient;
let token: string;

beforeAll(async () => {
  server = await startMuniment();
  token = await server.token();
  client = fhirClient(server.fhirBase, token);
});
afterAll(() => server.stop());

interface Stored {
  id: string;
  bytes: Buffer;
  /** The file that holds them. */
  path: string;
}

async function store(size: number): Promise<Stored> {
  const bytes = randomBytes(size);
  const { json } = await client.post('Binary', bytes, { 'content-type': 'application/octet-stream' });
  const [row] = await server.sql<{ key: string }>('select c.key from content c join resource r on r.org = c.org and r.content = c.id where r.id = $1', [json.id]);
  return { id: json.id, bytes, path: join(server.dataDir, 'content', row?.key ?? '') };
}

async function flipBit(stored: Stored, offset: number, bit: number): Promise<void> {
  const file = await open(stored.path, 'r+');
  await file.write(Buffer.from([(stored.bytes[offset] ?? 0) ^ (1 << bit)]), 0, 1, offset);
  await file.close();
}

interface Transfer {
  status: number;
  received: Buffer;
  /** False when the connection was cut before all announced bytes had come. */
  complete: boolean;
}

/** Takes what comes, however the transfer ends. */
async function take(path: string, headers: Record<string, string>): Promise<Transfer> {
  const parts: Buffer[] = [];
  let status = 0;
  try {
    const response = await fetch(`${server.fhirBase}/${path}`, { headers: { authorization: `Bearer ${token}`, ...headers } });
    status = response.status;
    for await (const part of response.body ?? []) parts.push(Buffer.from(part as Uint8Array));
    return { status, received: Buffer.concat(parts), complete: true };
  } catch {
    return { status, received: Buffer.concat(parts), complete: false };
  }
}

async function stateOf(id: string): Promise<string | undefined> {
  const [row] = await server.sql<{ state: string }>('select c.state from content c join resource r on r.org = c.org and r.content = c.id where r.id = $1', [id]);
  return row?.state;
}

/** After the damage was met: out of service, and told in the record. */
async function expectQuarantine(id: string, requestId: string): Promise<void> {
  expect(await eventually(() => stateOf(id), (state) => state === 'quarantined')).toBe('quarantined');
  const events = await eventually(() => client.auditOf(requestId), (found) => found.some((event) => event.outcome === '8'));
  expect(events.length).toBeLessThanOrEqual(2);
  for (const headers of [{}, { range: 'bytes=0-0' }, { accept: 'application/fhir+json' }]) {
    const again = await client.get(`Binary/${id}`, headers);
    expect([again.status, again.json?.issue[0].details.coding[0].code, again.headers.get('retry-after') !== null]).toEqual([503, 'quarantined', true]);
  }
}

describe.each([['a small file', 10_000], ['a file of five chunks', 4 * CHUNK + 333_333]])('one flipped bit in %s', (_what, size) => {
  it('at any place: a range that meets it is refused or cut before it, any other is whole and right', async () => {
    await fc.assert(fc.asyncProperty(fc.nat(size - 1), fc.nat(7), fc.nat(size - 1), fc.nat(size), async (offset, bit, start, length) => {
      const stored = await store(size);
      await flipBit(stored, offset, bit);
      const end = Math.min(size - 1, start + length);
      const chunk = Math.floor(offset / CHUNK);
      const met = chunk >= Math.floor(start / CHUNK) && chunk <= Math.floor(end / CHUNK);
      const requestId = randomUUID();
      const { status, received, complete } = await take(`Binary/${stored.id}`, { 'range': `bytes=${start}-${end}`, 'x-request-id': requestId });
      if (status === 206) expect(received.equals(stored.bytes.subarray(start, start + received.length))).toBe(true);
      if (!met) { expect([status, complete, received.length]).toEqual([206, true, end - start + 1]); return; }
      expect([status === 500 || (status === 206 && !complete), received.length < end - start + 1 || status === 500]).toEqual([true, true]);
      await expectQuarantine(stored.id, requestId);
    }), { numRuns: size > CHUNK ? 10 : 5, seed: 7 });
  });

  it('the whole, as bytes and as FHIR JSON, is refused or cut, and what came before it was right', async () => {
    for (const accept of ['*/*', 'application/fhir+json']) {
      const stored = await store(size);
      await flipBit(stored, size - 5, 3);
      const requestId = randomUUID();
      const { status, received, complete } = await take(`Binary/${stored.id}`, { accept, 'x-request-id': requestId });
      expect([accept, status === 500 || (status === 200 && !complete)]).toEqual([accept, true]);
      if (status === 200) {
        const text = received.toString('latin1');
        const base64 = text.slice(text.indexOf('"data":"') + 8);
        const bytes = accept === '*/*' ? received : Buffer.from(base64.slice(0, base64.length - (base64.length % 4)), 'base64');
        expect(bytes.equals(stored.bytes.subarray(0, bytes.length))).toBe(true);
      }
      await expectQuarantine(stored.id, requestId);
    }
  });
});

describe('a file that', () => {
  const damages: [string, (stored: Stored) => Promise<void>][] = [
    ['is gone', (stored) => rm(stored.path)],
    ['is empty', (stored) => truncate(stored.path, 0)],
    ['lost its last byte', (stored) => truncate(stored.path, stored.bytes.length - 1)],
    ['lost its last chunk', (stored) => truncate(stored.path, 2 * CHUNK)],
    ['grew, and has others of its first bytes', (stored) => writeFile(stored.path, Buffer.concat([randomBytes(10), stored.bytes]))],
    ['holds another file', (stored) => writeFile(stored.path, randomBytes(stored.bytes.length))],
  ];

  it.each(damages)('%s gives no wrong byte and is taken out of service', async (_what, damage) => {
    const stored = await store(2 * CHUNK + 100_000);
    await damage(stored);
    const requestId = randomUUID();
    const { status, received, complete } = await take(`Binary/${stored.id}`, { 'x-request-id': requestId });
    expect(status === 500 || (status === 200 && !complete)).toBe(true);
    if (status === 200) expect(received.equals(stored.bytes.subarray(0, received.length))).toBe(true);
    await expectQuarantine(stored.id, requestId);
  });
});

it('a document over damaged bytes is still read, found and answered without them', async () => {
  const stored = await store(5_000);
  const { json } = await client.post('DocumentReference', documentReference({ content: [{ attachment: { contentType: 'application/octet-stream', url: `Binary/${stored.id}` } }] }));
  await flipBit(stored, 17, 1);
  expect((await client.get(`Binary/${stored.id}`)).status).toBe(500);
  expect((await client.get(`DocumentReference/${json.id}`)).status).toBe(200);
  expect((await client.get(`DocumentReference?_id=${json.id}`)).json.total).toBe(1);
  expect((await client.put(`DocumentReference/${json.id}`, { ...json, description: 'still editable' })).status).toBe(200);
});
