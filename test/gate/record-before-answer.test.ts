// No answer leaves that is not recorded: the row is committed when the first byte arrives, and a flood cannot drown it.
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import pg from 'pg';
import type { AccessEvent } from '../../src/audit/access-event.ts';
import { openDatabase } from '../../src/database/database.ts';
import { newUuidV7 } from '../../src/fhir/uuid-v7.ts';
import { createAccessRecorder } from '../../src/gate/record-access.ts';
import { documentReference, fhirClient, type Answer, type FhirClient } from '../support/fhir-client.ts';
import { eventually } from '../support/eventually.ts';
import { openSocket, requestHead } from '../support/raw-http.ts';
import { startMuniment, type TestMuniment } from '../support/start-muniment.ts';

let server: TestMuniment;
let client: FhirClient;
let token: string;
let owner: pg.Client;

beforeAll(async () => {
  server = await startMuniment({ OPERATOR_ORG: 'operator' });
  token = await server.token();
  client = fhirClient(server.fhirBase, token);
  owner = new pg.Client({ connectionString: server.ownerUrl });
  await owner.connect();
});
afterAll(async () => {
  await owner.end();
  await server.stop();
});

const rows = async (requestId: string): Promise<{ outcome: number; action: string; org: string }[]> =>
  (await owner.query(`select e.outcome, e.action, o.name as org from access_event e join organisation o on o.id = e.org where request_id = $1`, [requestId])).rows;

/** Sends a request, and looks at the record while no more than the first bytes of the answer have been read. */
async function atFirstByte(method: string, target: string, headers: [string, string][], body = ''): Promise<{ status: string; recorded: number }> {
  const requestId = randomUUID();
  const socket = await openSocket(server.fhirBase);
  socket.write(requestHead(method, target, [['X-Request-Id', requestId], ['Content-Length', String(Buffer.byteLength(body))], ...headers]) + body);
  const [first] = (await once(socket, 'data')) as [Buffer];
  socket.pause();
  const recorded = (await rows(requestId)).length;
  socket.destroy();
  return { status: first.toString('latin1', 9, 12), recorded };
}

it('a second connection to the database sees the row of each answer when its first byte arrives', async () => {
  const bearer: [string, string][] = [['Authorization', `Bearer ${token}`]];
  const document = await client.post('DocumentReference', documentReference());
  const bytes = await client.post('Binary', randomBytes(4_000_000), { 'content-type': 'application/octet-stream' });
  const json: [string, string] = ['Content-Type', 'application/fhir+json'];
  const cases: [string, string, [string, string][], string, string][] = [
    ['GET', `/fhir/DocumentReference/${document.json.id}`, bearer, '', '200'],
    ['HEAD', `/fhir/DocumentReference/${document.json.id}`, bearer, '', '200'],
    ['GET', '/fhir/DocumentReference?_count=5', bearer, '', '200'],
    ['GET', `/fhir/Binary/${bytes.json.id}`, bearer, '', '200'],
    ['GET', `/fhir/Binary/${bytes.json.id}`, [...bearer, ['Range', 'bytes=5-9']], '', '206'],
    ['POST', '/fhir/DocumentReference', [...bearer, json], JSON.stringify(documentReference()), '201'],
    ['DELETE', `/fhir/DocumentReference/${document.json.id}`, bearer, '', '204'],
    ['GET', `/fhir/DocumentReference/${document.json.id}`, bearer, '', '410'],
    ['GET', '/fhir/DocumentReference/unknown', bearer, '', '404'],
    ['GET', '/fhir/DocumentReference/unknown', [], '', '401'],
    ['POST', '/fhir/DocumentReference', [...bearer, json], '{', '400'],
    ['GET', '/fhir/%E0%A4%A', bearer, '', '400'],
  ];
  for (const [method, target, headers, body, status] of cases) {
    expect([method, target, await atFirstByte(method, target, headers, body)]).toEqual([method, target, { status, recorded: 1 }]);
  }
});

it('a download that its client breaks off has a second row, which says how much was sent', async () => {
  const size = 40_000_000;
  const { json } = await client.post('Binary', randomBytes(size), { 'content-type': 'application/octet-stream' });
  const requestId = randomUUID();
  const socket = await openSocket(server.fhirBase);
  socket.write(requestHead('GET', `/fhir/Binary/${json.id}`, [['Authorization', `Bearer ${token}`], ['X-Request-Id', requestId]]));
  await once(socket, 'data');
  socket.destroy();
  const events = await eventually(() => client.auditOf(requestId), (found) => found.length === 2);
  const late = events.find((event) => event.outcome === '4');
  const details = late.entity.flatMap((entity: { detail?: { type: string; valueString: string }[] }) => entity.detail ?? []);
  const sent = Number(details.find((detail: { type: string }) => detail.type === 'sent').valueString);
  expect(sent).toBeGreaterThan(0);
  expect(sent).toBeLessThan(size);
});

it('many at once are each recorded once, by name', async () => {
  const ids = Array.from({ length: 300 }, () => randomUUID());
  const { json } = await client.post('DocumentReference', documentReference());
  await Promise.all(ids.map((id) => client.get(`DocumentReference/${json.id}`, { 'x-request-id': id })));
  const { rows: counted } = await owner.query(`select count(*)::int as rows, count(distinct request_id)::int as requests from access_event where request_id = any($1)`, [ids]);
  expect(counted).toEqual([{ rows: 300, requests: 300 }]);
});

it('a refused login is found under the operator by role auditor, and a practitioner may not look', async () => {
  const requestId = randomUUID();
  await client.call('DocumentReference/x', { token: null, headers: { 'x-request-id': requestId } });
  expect(await rows(requestId)).toEqual([{ outcome: 4, action: 'R', org: 'operator' }]);
  const auditor = fhirClient(server.fhirBase, await server.token({ org: 'operator', roles: ['auditor'] }));
  expect(await auditor.auditOf(requestId)).toHaveLength(1);
  expect(await client.auditOf(requestId)).toHaveLength(0);
  const practitioner = fhirClient(server.fhirBase, await server.token({ org: 'operator', roles: ['practitioner'] }));
  expect((await practitioner.get(`AuditEvent?request-id=${requestId}`)).status).toBe(403);
});

it('when the record cannot be written a download sends no byte, and the login refused meanwhile is 503 as well', async () => {
  const { json } = await client.post('Binary', 'secret bytes', { 'content-type': 'text/plain' });
  await owner.query('revoke insert on access_entity from muniment_audit, muniment_app');
  try {
    const read = await client.get(`Binary/${json.id}`);
    const searched = await client.get(`DocumentReference?_count=1`);
    const uploaded = await client.post('Binary', 'more bytes', { 'content-type': 'text/plain' });
    const refused = await client.call('DocumentReference/x', { token: null });
    expect([read.status, searched.status, uploaded.status, refused.status]).toEqual([503, 503, 503, 503]);
    expect(read.text).not.toContain('secret');
  } finally {
    await owner.query('grant insert on access_entity to muniment_audit, muniment_app');
  }
  const { rows: left } = await owner.query(`select count(*)::int as contents from content where state in ('staging', 'live') and published_at is null`);
  expect(left).toEqual([{ contents: 0 }]);
});

it('an access that was given up before its event was sent is never told as one that happened', async () => {
  const { json } = await client.post('DocumentReference', documentReference());
  const ids = Array.from({ length: 42 }, () => randomUUID());
  await owner.query('begin');
  await owner.query('lock table access_event in share row exclusive mode');
  const ask = (id: string): Promise<Answer> => client.get(`DocumentReference/${json.id}`, { 'x-request-id': id });
  const pause = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });
  // Two at once may be with the database: one after the other, so that each is a flush of its own, and all others wait.
  const asking: Promise<Answer>[] = [];
  for (const id of ids.slice(0, 2)) {
    asking.push(ask(id));
    await pause(200);
  }
  asking.push(...ids.slice(2).map(ask));
  await pause(2_500);
  await owner.query('commit');
  const answers = await Promise.all(asking);
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([503]));
  const { rows: told } = await owner.query(`select count(*) filter (where outcome = 0)::int as happened, count(distinct request_id) filter (where outcome <> 0)::int as refused from access_event where request_id = any($1)`, [ids]);
  // Two were with the database already, and it committed them.
  expect(told).toEqual([{ happened: 2, refused: 42 }]);
});

it('an event that the database refuses does not take along those that are written with it', async () => {
  const database = openDatabase({ appUrl: server.ownerUrl, auditUrl: server.ownerUrl, workerUrl: server.ownerUrl, setRoles: true });
  try {
    const { rows: [known] } = await owner.query<{ org: number; body: string }>('select e.org, e.body from access_event e order by e.id limit 1');
    const { org, body } = known as { org: number; body: string };
    const event = JSON.parse(body) as AccessEvent;
    const recorder = createAccessRecorder(database);
    // The first two leave at once, the rest together; the event that is there already stands among them.
    const events = Array.from({ length: 60 }, (_, at): AccessEvent => (at === 30 ? event : { ...event, id: newUuidV7(Date.now()) }));
    const done = await Promise.allSettled(events.map((one) => recorder.record([{ org, event: one }])));
    expect(done.flatMap(({ status }, at) => (status === 'rejected' ? [at] : []))).toEqual([30]);
    const { rows } = await owner.query('select from access_event where id = any($1)', [events.map(({ id }) => id)]);
    expect(rows).toHaveLength(60);
  } finally { await database.close(); }
});

it('past six hundred refused logins in a minute an address is told to wait, and the rest is counted in a row a second', async () => {
  const began = Date.now();
  const answers: { status: number; retryAfter: string | null }[] = [];
  for (let n = 0; n < 800; n += 50) {
    const batch = await Promise.all(Array.from({ length: 50 }, () => client.call('DocumentReference/x', { token: 'a.b.c' })));
    answers.push(...batch.map((answer) => ({ status: answer.status, retryAfter: answer.headers.get('retry-after') })));
  }
  const throttled = answers.filter((answer) => answer.status === 429);
  expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([401, 429]));
  expect(answers.length - throttled.length).toBeLessThanOrEqual(600);
  expect(answers.length - throttled.length).toBeGreaterThan(580);
  for (const { retryAfter } of throttled) expect(Number(retryAfter)).toBeGreaterThan(0);
  expect((await client.get('DocumentReference?_count=1')).status).toBe(200);
  const counted = await eventually(
    async () => (await owner.query(`select (e.body::json ->> 'count')::int as count from access_event e where e.body::json ->> 'count' is not null`)).rows as { count: number }[],
    (found) => found.reduce((sum, row) => sum + row.count, 0) === throttled.length,
  );
  expect(counted.length).toBeLessThanOrEqual(Math.ceil((Date.now() - began) / 1_000) + 1);
});
