// Parallel requests on two servers over one database: what was answered and what was recorded are the same set. No answer is
// without its events, no event without its answer, and no event twice, whatever the requests are and however they meet.
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readVerifier } from '../../src/audit/checkpoint.ts';
import { openDatabase } from '../../src/database/database.ts';
import { verifyLog } from '../../src/log/verify-log.ts';
import { eventually } from '../support/eventually.ts';
import { documentReference, fhirClient, type Call, type FhirClient } from '../support/fhir-client.ts';
import { openSocket, requestHead } from '../support/raw-http.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

const RUNS = 5;
const PATIENTS = 3;

let first: TestMuniment;
let second: TestMuniment;
let clients: FhirClient[];
let token: string;
/** What the requests meet at: a document that lives, one that is deleted, bytes, an identifier that three patients share. */
const made = { document: '', deleted: '', bytes: '', mark: randomUUID() };
/** Rows that were there before the run. */
let seen = '00000000-0000-0000-0000-000000000000';

beforeAll(async () => {
  first = await startMuniment({ BASE_URL: 'http://documents.example' });
  second = await first.startSecond();
  token = await first.token();
  clients = [first, second].map(({ port }) => fhirClient(`http://localhost:${port}/fhir`, token));
  const [client] = clients as [FhirClient];
  const create = async (overrides: object): Promise<string> => (await client.post('DocumentReference', documentReference({ ...overrides }))).json.id;
  made.document = await create({});
  made.deleted = await create({});
  await client.delete(`DocumentReference/${made.deleted}`);
  made.bytes = (await client.post('Binary', randomBytes(20_000_000), { 'content-type': 'application/octet-stream' })).json.id;
  for (let n = 0; n < PATIENTS; n += 1) await create({ identifier: [{ system: 'urn:many', value: made.mark }] });
});
afterAll(async () => {
  await second.stop();
  await first.stop();
});

const FORM = { 'content-type': 'application/x-www-form-urlencoded' };
const entry = (method: string, url: string, resource?: object): object => ({ request: { method, url }, ...(resource === undefined ? {} : { resource }) });
const bundle = (type: string, ...entries: object[]): Call => ({ method: 'POST', body: { resourceType: 'Bundle', type, entry: entries } });
const unlike = { resourceType: 'DocumentReference', status: 'current' };

/** Requests, and how many events each leaves: one, but for what a search shows of each patient and for the entries of a Bundle. */
const REQUESTS: Record<string, { answers: number[]; events: number; ask: () => [string, Call?] }> = {
  'a read': { answers: [200], events: 1, ask: () => [`DocumentReference/${made.document}`] },
  'HEAD': { answers: [200], events: 1, ask: () => [`DocumentReference/${made.document}`, { method: 'HEAD' }] },
  'a read of what the client has': { answers: [304], events: 1, ask: () => [`DocumentReference/${made.document}/_history/1`, { headers: { 'if-none-match': 'W/"1"' } }] },
  'a read of an unknown id': { answers: [404], events: 1, ask: () => ['DocumentReference/of-nobody'] },
  'a read of what is deleted': { answers: [410], events: 1, ask: () => [`DocumentReference/${made.deleted}`] },
  'a history': { answers: [200], events: 1, ask: () => [`DocumentReference/${made.document}/_history`] },
  'a range of bytes': { answers: [206], events: 1, ask: () => [`Binary/${made.bytes}`, { headers: { range: 'bytes=1048570-1048590' } }] },
  'a search over three patients': { answers: [200], events: PATIENTS, ask: () => [`DocumentReference?identifier=urn:many|${made.mark}`] },
  'a search that finds nothing': { answers: [200], events: 1, ask: () => ['DocumentReference/_search', { method: 'POST', body: `identifier=urn:none|${randomUUID()}`, headers: FORM }] },
  'a search that is none': { answers: [400], events: 1, ask: () => ['DocumentReference?date=yesterday'] },
  'a create': { answers: [201], events: 1, ask: () => ['DocumentReference', { method: 'POST', body: documentReference() }] },
  'a create that all make at once': { answers: [200, 201], events: 1, ask: () => ['DocumentReference', { method: 'POST', body: documentReference({ identifier: [{ system: 'urn:once', value: made.mark }] }), headers: { 'if-none-exist': `identifier=urn:once|${made.mark}` } }] },
  'a create by a key that all use': { answers: [201, 409], events: 1, ask: () => ['DocumentReference', { method: 'POST', body: { ...documentReference(), identifier: undefined, subject: { reference: 'Patient/keyed' } }, headers: { 'idempotency-key': made.mark } }] },
  'a create that R4 forbids': { answers: [422], events: 1, ask: () => ['DocumentReference', { method: 'POST', body: unlike }] },
  'an update by an id of its own': { answers: [200, 201], events: 1, ask: () => ['DocumentReference/of-all', { method: 'PUT', body: documentReference({ id: 'of-all', description: randomUUID(), identifier: undefined }) }] },
  'an update that comes too late': { answers: [412], events: 1, ask: () => [`DocumentReference/${made.document}`, { method: 'PUT', body: documentReference({ id: made.document }), headers: { 'if-match': 'W/"999"' } }] },
  'a deletion': { answers: [204], events: 1, ask: () => ['DocumentReference/of-all', { method: 'DELETE' }] },
  'an upload': { answers: [201], events: 1, ask: () => ['Binary', { method: 'POST', body: randomBytes(70_000), headers: { 'content-type': 'application/octet-stream' } }] },
  'a batch, one of whose entries fails': { answers: [200], events: 4, ask: () => ['', bundle('batch', entry('GET', `DocumentReference/${made.document}`), entry('GET', 'DocumentReference/of-nobody'), entry('POST', 'DocumentReference', documentReference()))] },
  'a transaction': { answers: [200], events: 3, ask: () => ['', bundle('transaction', entry('POST', 'DocumentReference', documentReference()), entry('GET', `DocumentReference/${made.document}`))] },
  'a list of the documents interface': { answers: [200], events: 1, ask: () => [`../documents?patient_id=${randomUUID()}`] },
  'a signed address that nobody made': { answers: [401], events: 1, ask: () => ['../files/forged', { token: null }] },
  'no token': { answers: [401], events: 1, ask: () => [`DocumentReference/${made.document}`, { token: null }] },
  'a method that is not offered': { answers: [405], events: 1, ask: () => ['AuditEvent', { method: 'POST', body: {} }] },
  'a type of body that is not read': { answers: [415], events: 1, ask: () => ['DocumentReference', { method: 'POST', body: 'x', headers: { 'content-type': 'text/plain' } }] },
  'the checkpoint of the log': { answers: [200], events: 1, ask: () => ['$audit-checkpoint'] },
  'what is public': { answers: [200], events: 0, ask: () => ['metadata', { token: null }] },
  'OPTIONS': { answers: [204], events: 0, ask: () => ['DocumentReference', { method: 'OPTIONS' }] },
};
const BROKEN_OFF = 'a download that is broken off';

/** X-Request-Id, and how many events it must have. */
type Owed = [requestId: string, events: number];

async function send(server: number, kind: string, ownId: boolean): Promise<Owed> {
  if (kind === BROKEN_OFF) return breakOff(clients[server]!.base);
  const { answers, events, ask } = REQUESTS[kind]!;
  const [path, call = {}] = ask();
  // One that is no id is replaced by the server's own: the answer tells which.
  const answer = await clients[server]!.call(path, { ...call, headers: { ...call.headers, 'x-request-id': ownId ? randomUUID() : 'not an id' } });
  expect({ kind, status: answer.status, expected: answers.includes(answer.status) }).toMatchObject({ expected: true });
  return [answer.headers.get('x-request-id') ?? 'none', events];
}

/** The first event of a transfer, and the one that tells how far it came. */
async function breakOff(base: string): Promise<Owed> {
  const requestId = randomUUID();
  const socket = await openSocket(base);
  socket.write(requestHead('GET', `/fhir/Binary/${made.bytes}`, [['Authorization', `Bearer ${token}`], ['X-Request-Id', requestId]]));
  await once(socket, 'data');
  socket.destroy();
  return [requestId, 2];
}

/** What was recorded since the last time: by request, how many events. */
async function recorded(): Promise<Map<string, number>> {
  const rows = await first.sql<{ request_id: string; events: number }>('select request_id, count(*)::int as events from access_event where id > $1 group by 1', [seen]);
  return new Map(rows.map(({ request_id: id, events }) => [id, events]));
}

const sorted = (counts: Iterable<Owed>): Owed[] => [...counts].sort(([a], [b]) => (a < b ? -1 : 1));

it('each answer has its events and each event its answer, whatever was asked at once', async () => {
  const request = fc.record({ server: fc.nat(1), kind: fc.constantFrom(...Object.keys(REQUESTS), BROKEN_OFF), ownId: fc.boolean() });
  await fc.assert(fc.asyncProperty(fc.array(request, { minLength: 60, maxLength: 120, size: 'max' }), async (requests) => {
    seen = (await first.sql<{ id: string }>('select max(id::text) as id from access_event'))[0]!.id;
    const owed = await Promise.all(requests.map(({ server, kind, ownId }) => send(server, kind, ownId)));
    const expected = owed.filter(([, events]) => events > 0);
    // A transfer that was broken off is known a moment later; everything else was there before its answer.
    const now = await recorded();
    for (const [id, events] of expected) if (events !== 2) expect([id, now.get(id)]).toEqual([id, events]);
    await eventually(recorded, (found) => found.size >= expected.length && expected.every(([id, events]) => (found.get(id) ?? 0) >= events));
    expect(sorted(await recorded())).toEqual(sorted(expected));
  }), { numRuns: RUNS, endOnFailure: true, ...(process.env['ANSWERS_SEED'] === undefined ? {} : { seed: Number(process.env['ANSWERS_SEED']) }) });
}, 240_000);

it('and all of it has its leaf in one log, which both servers appended to', async () => {
  const database = openDatabase({ appUrl: first.ownerUrl, auditUrl: first.ownerUrl, workerUrl: first.ownerUrl, setRoles: true });
  try {
    const [key] = await first.sql<{ verifier: string }>('select verifier from log_key');
    const verify = (): ReturnType<typeof verifyLog> => verifyLog({ database, keys: [readVerifier(key?.verifier ?? '')!], dataDir: first.dataDir });
    const report = await eventually(verify, ({ waiting }) => waiting === 0, 20_000);
    const [all] = await first.sql<{ events: number }>('select count(*)::int as events from access_event');
    expect({ findings: report.findings, events: report.events }).toEqual({ findings: [], events: all?.events });
  } finally { await database.close(); }
});
