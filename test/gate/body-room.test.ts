// The bodies under way have a bound together: what goes over it is refused before its body is read.
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { request, type ClientRequest, type IncomingMessage } from 'node:http';
import { createBodyRooms } from '../../src/http/body-room.ts';
import { eventually } from '../support/eventually.ts';
import { fhirClient, type FhirClient } from '../support/fhir-client.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

const MIB = 1024 ** 2;
let server: TestMuniment;
let client: FhirClient;
let token: string;

beforeAll(async () => {
  server = await startMuniment({ INFLIGHT_BYTES_MAX: '4MiB' });
  token = await server.token();
  client = fhirClient(server.fhirBase, token);
});
afterAll(() => server.stop());

/** A POST that has announced its length, and sends when it is told to. */
function announced(bytes: number, headers: Record<string, string> = {}): ClientRequest {
  return request(`${server.fhirBase}/Binary`, { method: 'POST', headers: { 'authorization': `Bearer ${token}`, 'content-type': 'application/octet-stream', 'content-length': String(bytes), ...headers } });
}

async function answerOf(sent: ClientRequest): Promise<IncomingMessage> {
  const [answer] = await once(sent, 'response') as [IncomingMessage];
  answer.resume();
  return answer;
}

it('answers 503 with Retry-After before the body is read, records it, and takes it once there is room', async () => {
  const first = announced(3 * MIB, { expect: '100-continue' });
  first.flushHeaders();
  await once(first, 'continue');
  const second = announced(2 * MIB, { 'expect': '100-continue', 'x-request-id': 'no-room' });
  let invited = false;
  second.once('continue', () => { invited = true; });
  second.flushHeaders();
  const refused = await answerOf(second);
  expect([refused.statusCode, Number(refused.headers['retry-after']) >= 1, invited]).toEqual([503, true, false]);
  expect((await client.auditOf('no-room')).map(({ outcome }) => outcome)).toEqual(['8']);
  expect((await client.post('Binary', Buffer.alloc(MIB / 2), { 'content-type': 'application/octet-stream' })).status).toBe(201);
  first.end(Buffer.alloc(3 * MIB));
  expect((await answerOf(first)).statusCode).toBe(201);
  expect((await client.post('Binary', Buffer.alloc(2 * MIB), { 'content-type': 'application/octet-stream' })).status).toBe(201);
});

it('gives back what a client took who went away', async () => {
  const gone = announced(4 * MIB, { expect: '100-continue' });
  gone.on('error', () => { /* It is cut on purpose. */ });
  gone.flushHeaders();
  await once(gone, 'continue');
  expect((await client.post('Binary', Buffer.alloc(2 * MIB), { 'content-type': 'application/octet-stream' })).status).toBe(503);
  gone.destroy();
  await eventually(() => client.post('Binary', Buffer.alloc(2 * MIB), { 'content-type': 'application/octet-stream' }), ({ status }) => status === 201);
});

it('takes a body larger than all the room when nothing else is under way', () => {
  const rooms = createBodyRooms(100);
  const [large, small] = [rooms.open(), rooms.open()];
  large.take(500);
  expect(() => small.take(1)).toThrow(expect.objectContaining({ status: 503 }));
  large.take(300);
  expect(rooms.taken()).toBe(500);
  large.leave();
  small.take(100);
  expect(rooms.taken()).toBe(100);
});
